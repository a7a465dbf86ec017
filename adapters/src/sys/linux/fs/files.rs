//! Opening, creating, naming and removing files and directories.

use crate::sys::linux::failure::{Errno, from_rustix, retried};
use nix::NixPath;
use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, readlinkat, renameat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, access, linkat, unlinkat};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The mode of a directory for its owner alone.
pub(crate) const PRIVATE_DIRECTORY: u32 = 0o700;
/// The mode of a file for its owner alone.
pub(crate) const PRIVATE_FILE: u32 = 0o600;

/// Whether a path may end in a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Followed,
    Refused,
}

impl Links {
    fn flag(self) -> OFlag {
        match self {
            Self::Followed => OFlag::empty(),
            Self::Refused => OFlag::O_NOFOLLOW,
        }
    }
}

/// Flags for a directory to list.
const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// Flags for opening an unknown file: a FIFO or a terminal must not block us.
const CAREFUL: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);
/// Flags for creating a new file.
const NEW: OFlag = OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL).union(OFlag::O_CLOEXEC);

/// Opens a directory for listing and locking.
pub(crate) fn open_directory(path: &Path, links: Links) -> Result<OwnedFd, Errno> {
    open(path, DIRECTORY | links.flag(), Mode::empty())
}

/// Opens a directory in a directory; a link is refused.
pub(crate) fn open_directory_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<OwnedFd, Errno> {
    openat(dir, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty())
}

/// Opens a directory for looking up names only, which needs no read permission.
pub(crate) fn pin_directory(path: &Path, links: Links) -> Result<OwnedFd, Errno> {
    open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | links.flag(), Mode::empty())
}

/// Pins a file, or a link itself: the descriptor means the same file, even if the name changes.
pub(crate) fn pin(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens a file in a directory for reading; a link is refused.
pub(crate) fn open_file_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<OwnedFd, Errno> {
    openat(dir, name, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | CAREFUL, Mode::empty())
}

/// Opens a file in a directory for reading and writing; a link is refused.
pub(crate) fn open_for_update_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<OwnedFd, Errno> {
    openat(dir, name, OFlag::O_RDWR | OFlag::O_NOFOLLOW | CAREFUL, Mode::empty())
}

/// Opens a file in a directory for reading, and follows links.
pub(crate) fn open_target_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<OwnedFd, Errno> {
    openat(dir, name, OFlag::O_RDONLY | CAREFUL, Mode::empty())
}

/// Opens a file for writing; a link is refused.
pub(crate) fn open_to_write(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlag::O_WRONLY | OFlag::O_NOFOLLOW | CAREFUL, Mode::empty())
}

/// Creates a file of mode 0600, less the umask; EEXIST if the name is taken.
pub(crate) fn create_file_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<OwnedFd, Errno> {
    openat(dir, name, NEW | OFlag::O_NOFOLLOW, mode(PRIVATE_FILE))
}

/// Creates a file in a directory for appending only.
pub(crate) fn create_log_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<OwnedFd, Errno> {
    openat(dir, name, NEW | OFlag::O_APPEND, mode(PRIVATE_FILE))
}

/// Makes a directory of mode 0700, less the umask.
pub(crate) fn mkdir(path: &Path) -> Result<(), Errno> {
    mkdir_at(AT_FDCWD, path)
}

/// Makes a directory of mode 0700, less the umask, in a directory.
pub(crate) fn mkdir_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<(), Errno> {
    mkdirat(dir, name, mode(PRIVATE_DIRECTORY))
}

/// Sets the mode of an open file.
pub(crate) fn fchmod(fd: impl AsFd, to: u32) -> Result<(), Errno> {
    nix::sys::stat::fchmod(fd, mode(to))
}

/// Sets the mode of the file at a path, and follows links.
pub(crate) fn chmod(path: &Path, to: u32) -> Result<(), Errno> {
    chmod_at(AT_FDCWD, path, to)
}

/// Sets the mode of a file in a directory, and follows links.
pub(crate) fn chmod_at(dir: impl AsFd, name: &(impl NixPath + ?Sized), to: u32) -> Result<(), Errno> {
    fchmodat(dir, name, mode(to), FchmodatFlags::FollowSymlink)
}

/// Renames a file in a directory, replacing any file with the new name.
pub(crate) fn rename_at(dir: impl AsFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    renameat(dir.as_fd(), from, dir.as_fd(), to)
}

/// Renames a file in a directory to a free name. EINVAL or ENOSYS if the file system has no such operation.
pub(crate) fn rename_new_at(dir: impl AsFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    renameat_with(dir.as_fd(), from, dir.as_fd(), to, RenameFlags::NOREPLACE).map_err(from_rustix)
}

/// Renames a file to a free path. EINVAL or ENOSYS if the file system has no such operation.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(from_rustix)
}

/// Gives a file in a directory a second, free name.
pub(crate) fn link_at(dir: impl AsFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    linkat(dir.as_fd(), from, dir.as_fd(), to, AtFlags::empty())
}

/// Removes a file's name from a directory.
pub(crate) fn remove_at(dir: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)
}

/// The target of a link in a directory.
pub(crate) fn readlink_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<OsString, Errno> {
    readlinkat(dir, name)
}

/// The names in a directory, read through a separate descriptor; after an error, the names before.
pub(crate) fn names_in(dir: impl AsFd) -> Result<Vec<OsString>, Errno> {
    let mut listed = Dir::openat(dir, ".", DIRECTORY, Mode::empty())?;
    let names =
        listed.iter().flatten().map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
    Ok(names.filter(|name| name != "." && name != "..").collect())
}

/// Reads once, and repeats an interrupted call.
pub(crate) fn read_once(fd: impl AsFd, bytes: &mut [u8]) -> Result<usize, Errno> {
    retried(|| nix::unistd::read(fd.as_fd(), bytes))
}

/// Reads once at an offset, and repeats an interrupted call.
pub(crate) fn read_at(fd: impl AsFd, bytes: &mut [u8], offset: usize) -> Result<usize, Errno> {
    let offset = i64::try_from(offset).ok().ok_or(Errno::EOVERFLOW)?;
    retried(|| nix::sys::uio::pread(fd.as_fd(), bytes, offset))
}

/// Whether our user may execute a file.
pub(crate) fn is_executable(path: &Path) -> bool {
    access(path, AccessFlags::X_OK).is_ok()
}

fn mode(bits: u32) -> Mode {
    Mode::from_bits_truncate(bits)
}
