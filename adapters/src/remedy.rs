//! Facts about the system that say what would help after a failure. Changes nothing.
//!
//! Checked by `smoke/tests/smoke/advice.rs`.

use nix::errno::Errno;
use nix::sys::stat::stat;
use rekindle_core::OsFailure;
use std::path::{Path, PathBuf};

/// The operation that fails where no process can be made.
pub(crate) const CREATE_PROCESS: &str = "create a process";

/// What the system has too little of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortage {
    /// The file system mounted here has no room.
    Disk(PathBuf),
    /// The user may not write more to the file system mounted here.
    Quota(PathBuf),
    /// The file system mounted here cannot be written to.
    ReadOnly(PathBuf),
    /// This process may not write longer files.
    FileSize,
    /// This process may not open more files.
    OpenFilesOfProcess,
    /// The system has no room for more open files.
    OpenFilesOfSystem,
    /// The user, or the control group, may not have more processes.
    Processes,
    /// There is no memory.
    Memory,
}

/// Which shortage a failure tells of; `None` if it tells of none.
pub fn shortage(failure: &OsFailure) -> Option<Shortage> {
    let mount = || mount_of(failure.path().unwrap_or(Path::new("/")));
    match Errno::from_raw(failure.raw_errno()?) {
        Errno::ENOSPC => Some(Shortage::Disk(mount())),
        Errno::EDQUOT => Some(Shortage::Quota(mount())),
        Errno::EROFS => Some(Shortage::ReadOnly(mount())),
        Errno::EFBIG => Some(Shortage::FileSize),
        Errno::EMFILE => Some(Shortage::OpenFilesOfProcess),
        Errno::ENFILE => Some(Shortage::OpenFilesOfSystem),
        Errno::EAGAIN if failure.operation() == CREATE_PROCESS => Some(Shortage::Processes),
        Errno::ENOMEM => Some(Shortage::Memory),
        _ => None,
    }
}

/// Whether the kernel denied a permission.
pub fn is_denied(failure: &OsFailure) -> bool {
    failure
        .raw_errno()
        .map(Errno::from_raw)
        .is_some_and(|errno| matches!(errno, Errno::EACCES | Errno::EPERM))
}

/// Where the file system is mounted that holds `path`, or would hold it.
fn mount_of(path: &Path) -> PathBuf {
    let mut existing = path.ancestors().filter_map(|dir| Some((dir, stat(dir).ok()?.st_dev)));
    let Some((nearest, device)) = existing.next() else { return PathBuf::from("/") };
    let same = existing.take_while(|(_, other)| *other == device);
    same.last().map_or(nearest, |(dir, _)| dir).to_owned()
}
