//! The surroundings of a session: directories, modes, namespaces, foreign files, and a machine short of resources.

pub(crate) mod adversity;
pub(crate) mod bytes;
pub(crate) mod claim;
pub(crate) mod containers;
pub(crate) mod foreign_files;
pub(crate) mod lockless;
pub(crate) mod modes;
pub(crate) mod namespaces;
pub(crate) mod places;
pub(crate) mod removal;
pub(crate) mod shortages;
pub(crate) mod state_root;
pub(crate) mod strangers;

rekindle_smoke::rooms![
    claim,
    bytes,
    shortages,
    adversity,
    namespaces,
    containers,
    strangers,
    removal,
    state_root,
    places,
    modes,
    foreign_files,
    lockless
];
