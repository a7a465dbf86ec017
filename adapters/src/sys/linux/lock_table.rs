//! The kernel's table of file locks: the locking process and the file of each lock, readable for every user.
//!
//! The table is read only if a process forbids inspection.
//!
//! # Invariants
//! 1. Only exclusive flocks count, since a lifeline is one; on any file system, since the table spells some devices
//!    differently from `stat`.

use crate::sys::linux::failure::During;
use crate::sys::linux::procfs;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid as NixPid;
use rekindle_core::{OsFailure, Pid};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Every exclusive flock in the kernel's table.
pub(crate) struct LockTable(Vec<Lock>);

struct Lock {
    taker: i32,
    file: FileName,
}

/// A file in the table's spelling: `MAJOR:MINOR:INODE`.
pub(crate) type FileName = String;

impl LockTable {
    pub(crate) fn read() -> Result<Self, OsFailure> {
        let path = Path::new("/proc/locks");
        Ok(Self::parse(&fs::read_to_string(path).during("read", path)?))
    }

    fn parse(table: &str) -> Self {
        Self(table.lines().filter_map(parse_lock).collect())
    }

    /// Whether the process took one of the locks.
    pub(crate) fn was_taken_by(&self, pid: Pid) -> bool {
        self.0.iter().any(|lock| lock.taker == pid.as_raw())
    }

    /// The files whose lock was taken by an ended process. Only the first pid namespace sees these.
    pub(crate) fn orphaned(&self) -> HashSet<FileName> {
        self.orphans().map(|lock| lock.file.clone()).collect()
    }

    /// Whether an ended process with this pid took one of the locks.
    pub(crate) fn was_left_by(&self, pid: i32) -> bool {
        self.orphans().any(|lock| lock.taker == pid)
    }

    fn orphans(&self) -> impl Iterator<Item = &Lock> {
        let has_ended = |taker: i32| kill(NixPid::from_raw(taker), None) == Err(Errno::ESRCH);
        self.0.iter().filter(move |lock| lock.taker > 0 && has_ended(lock.taker))
    }
}

/// One line: `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5308453 0 EOF`. A waiting lock has an arrow before the kind.
fn parse_lock(line: &str) -> Option<Lock> {
    let (_, lock) = line.split_once(": ")?;
    let mut fields = lock.split_ascii_whitespace();
    let kind = [fields.next()?, fields.next()?, fields.next()?];
    let (taker, file) = (fields.next()?.parse().ok()?, fields.next()?.to_owned());
    (kind == ["FLOCK", "ADVISORY", "WRITE"]).then_some(Lock { taker, file })
}

/// Whether inspectable processes hold the locks on all these files: then no uninspectable process is needed to explain
/// the locks, and none keeps a lifeline at its place.
pub(crate) fn are_all_seen(mut files: HashSet<FileName>) -> Result<bool, OsFailure> {
    for pid in procfs::processes()? {
        if files.is_empty() {
            break;
        }
        // An ended or uninspectable process shows nothing.
        for descriptor in fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten() {
            let info = fs::read_to_string(descriptor.path()).unwrap_or_default();
            let locks = info.lines().filter_map(|line| line.strip_prefix("lock:"));
            for lock in locks.filter_map(|lock| parse_lock(lock.trim_start())) {
                files.remove(&lock.file);
            }
        }
    }
    Ok(files.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exclusive_flocks_count() {
        let table = "1: FLOCK  ADVISORY  WRITE 7 fe:00:10 0 EOF\n\
            1: -> FLOCK  ADVISORY  WRITE 8 fe:00:10 0 EOF\n\
            2: POSIX  ADVISORY  WRITE 9 fe:00:11 0 EOF\n\
            3: FLOCK  ADVISORY  READ 10 fe:00:12 0 EOF\n\
            torn\n";
        let table = LockTable::parse(table);
        let taken = |pid| table.was_taken_by(Pid::new(pid).unwrap());
        assert_eq!([7, 8, 9, 10].map(taken), [true, false, false, false]);
    }
}
