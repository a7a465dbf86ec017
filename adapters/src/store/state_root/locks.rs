//! Whether locks hold at a place.
//!
//! A local file system is believed, a shared one is not. A FUSE file system is tried: some keep an exclusive flock, some
//! grant one twice, some never answer.
//!
//! # Invariants
//! 1. A verdict of a trial is remembered for its mount only: a server settles its locks once, when it is mounted.
//! 2. A mount without a lasting number is tried at each call.
//!
//! Checked by `smoke/tests/smoke/ground/lockless.rs`.

use crate::store::temporary::TemporaryName;
use crate::sys::linux::fs::kinds::{Kind, MountId, kind_at};
use crate::sys::linux::process::lock_trial::try_locks;
use rekindle_core::OsFailure;
use rekindle_core::claim::home::Locks;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The verdicts of this process.
static TRIED: Mutex<BTreeMap<MountId, Locks>> = Mutex::new(BTreeMap::new());

/// Whether locks hold at a place, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Verdict {
    pub(in crate::store) locks: Locks,
    /// The file system, for people; empty if local.
    pub(in crate::store) file_system: String,
    /// The mount of a file system that was tried, for a note.
    pub(in crate::store) mount: Option<MountId>,
}

/// Judges the locks at `path`, which may not exist. `remembered` is asked for the verdict of an earlier process.
pub(in crate::store) fn at(
    path: &Path,
    remembered: impl FnOnce(MountId) -> Option<Locks>,
) -> Result<Verdict, OsFailure> {
    let (kind, nearest) = kind_at(path)?;
    let (name, mount) = match kind {
        Kind::Local => {
            return Ok(Verdict { locks: Locks::Exclude, file_system: String::new(), mount: None });
        }
        Kind::Shared(file_system) => {
            return Ok(Verdict { locks: Locks::Shared, file_system, mount: None });
        }
        Kind::Fuse { name, mount } => (name, mount),
    };
    let earlier = mount.and_then(|mount| {
        let tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner).get(&mount).copied();
        tried.or_else(|| remembered(mount))
    });
    let locks = match earlier {
        Some(locks) => locks,
        None => {
            let unused = OsString::from(TemporaryName::new(OsStr::new("lock")).to_string());
            let dir = if nearest.is_dir() { &nearest } else { nearest.parent().unwrap_or(&nearest) };
            let locks = try_locks(dir, &unused)?;
            tracing::info!(dir = %rekindle_core::shown::Shown(dir), file_system = %name, verdict = locks.word(), "tried the locks");
            locks
        }
    };
    if let Some(mount) = mount {
        TRIED.lock().unwrap_or_else(PoisonError::into_inner).insert(mount, locks);
    }
    Ok(Verdict { locks, file_system: name, mount })
}
