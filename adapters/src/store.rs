//! The files on disk: the state root, a session's files, and the kernel's locks on them.

pub(crate) mod lock_by_name;
pub(crate) mod temporary;
pub(crate) mod trust;

pub mod claim_file;
pub mod claim_lock;
pub mod directory;
pub mod lifecycle;
pub mod lifeline;
pub mod lock_file;
pub mod record_file;
pub mod remedy;
pub mod session_dir;
pub mod state_root;
pub mod way;
