//! The types for writing another store for claims or records: see [`Sessions::claims`](crate::Sessions::claims) and
//! [`Sessions::records`](crate::Sessions::records).
//!
//! `cargo run -p rekindle --example own_stores` keeps claims and records in memory.

#[doc(inline)]
pub use rekindle_adapters::claim_file::FileClaims;
#[doc(inline)]
pub use rekindle_adapters::directory::{Directory, FileContent, FileKind, FileStatus, Inode};
#[doc(inline)]
pub use rekindle_adapters::record_file::FileRecords;
#[doc(inline)]
pub use rekindle_adapters::session_dir::{SessionDir, Stores};
#[doc(inline)]
pub use rekindle_core::LockClaim;
#[doc(inline)]
pub use rekindle_core::claim::give_up::Whose;
#[doc(inline)]
pub use rekindle_core::claim::{Found, HolderEvidence, KeptBy};
#[doc(inline)]
pub use rekindle_core::record::{NewerRecord, RecordFile, Written};
#[doc(inline)]
pub use rekindle_core::stores::{Anchor, ClaimStore, Grant, RecordStore};
