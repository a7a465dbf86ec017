//! The transactions on one session, through the command line and the library: start, adopt, refuse, stop, clean up.

pub(crate) mod adoption;
pub(crate) mod again;
pub(crate) mod blocking;
pub(crate) mod claims;
pub(crate) mod contention;
pub(crate) mod crash;
pub(crate) mod daemons;
pub(crate) mod library;
pub(crate) mod looking_after;
pub(crate) mod records;
pub(crate) mod refusals;
pub(crate) mod reload;
pub(crate) mod restart;
pub(crate) mod reuse;
pub(crate) mod send;
pub(crate) mod stop;
pub(crate) mod successors;
pub(crate) mod timeouts;
pub(crate) mod visits;
pub(crate) mod wait;

rekindle_smoke::rooms![
    timeouts,
    refusals,
    claims,
    adoption,
    crash,
    daemons,
    stop,
    restart,
    again,
    send,
    records,
    reuse,
    library,
    contention,
    looking_after,
    reload,
    successors,
    wait,
    blocking,
    visits
];
