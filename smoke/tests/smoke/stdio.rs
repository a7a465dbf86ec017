//! A child over stdin and stdout: `rekindle supervise` and `StdioChild`.

pub(crate) mod child;
pub(crate) mod detached;
pub(crate) mod events;
pub(crate) mod guardian;
pub(crate) mod leaks;
pub(crate) mod mcp;
pub(crate) mod nonblocking;
pub(crate) mod orphans;
pub(crate) mod patience;
pub(crate) mod supervise;

rekindle_smoke::rooms![
    child,
    guardian,
    detached,
    supervise,
    patience,
    nonblocking,
    events,
    orphans,
    leaks,
    mcp
];
