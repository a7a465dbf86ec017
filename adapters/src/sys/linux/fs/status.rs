//! The status of a file: identity, kind, owner.

use crate::sys::linux::failure::Errno;
use crate::sys::linux::user::our_uid;
use nix::NixPath;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag};
use rekindle_core::record::SocketFile;
use std::os::fd::AsFd;
use std::path::Path;

/// The identity of a file or directory, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    pub(crate) fn device(self) -> u64 {
        self.device
    }

    pub(crate) fn number(self) -> u64 {
        self.number
    }

    /// Device and number.
    pub(crate) fn pair(self) -> (u64, u64) {
        (self.device, self.number)
    }
}

impl From<Inode> for SocketFile {
    fn from(Inode { device, number }: Inode) -> Self {
        Self { device, inode: number }
    }
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket.
    Socket,
    /// A FIFO or a pipe.
    Fifo,
    /// A device.
    Device,
    /// A kind unknown to this version.
    Other,
}

/// The status of a file, as `stat` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStatus {
    /// The identity.
    pub inode: Inode,
    /// The kind.
    pub kind: FileKind,
    /// The permissions, with the sticky, set-user and set-group bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The number of names (hard links).
    pub names: u64,
    /// The length in bytes.
    pub len: u64,
    /// The bytes on the disk: fewer than the length if the file has holes.
    pub allocated: u64,
    /// The time of the last write, in seconds since the epoch.
    pub modified_at: i64,
    /// The nanoseconds of the last write.
    pub modified_ns: i64,
}

impl FileStatus {
    /// Whether our user owns the file.
    pub fn is_ours(&self) -> bool {
        self.uid == our_uid()
    }

    /// Whether the file is regular.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
}

#[expect(clippy::useless_conversion, reason = "the widths of the fields differ between processors")]
impl From<FileStat> for FileStatus {
    fn from(stat: FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => FileKind::File,
            SFlag::S_IFDIR => FileKind::Directory,
            SFlag::S_IFLNK => FileKind::Link,
            SFlag::S_IFSOCK => FileKind::Socket,
            SFlag::S_IFIFO => FileKind::Fifo,
            SFlag::S_IFCHR | SFlag::S_IFBLK => FileKind::Device,
            _ => FileKind::Other,
        };
        Self {
            inode: Inode { device: stat.st_dev, number: stat.st_ino },
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            names: stat.st_nlink.into(),
            len: u64::try_from(stat.st_size).unwrap_or(0),
            allocated: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            modified_at: stat.st_mtime.into(),
            modified_ns: stat.st_mtime_nsec.into(),
        }
    }
}

/// The status of the file at a path; links are followed.
pub(crate) fn stat(path: &Path) -> Result<FileStatus, Errno> {
    nix::sys::stat::stat(path).map(Into::into)
}

/// The status of the file at a path; a link itself, not the target.
pub(crate) fn lstat(path: &Path) -> Result<FileStatus, Errno> {
    nix::sys::stat::lstat(path).map(Into::into)
}

/// The status of an open file.
pub(crate) fn fstat(fd: impl AsFd) -> Result<FileStatus, Errno> {
    nix::sys::stat::fstat(fd).map(Into::into)
}

/// The status of a file in a directory; a link itself, not the target.
pub(crate) fn stat_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<FileStatus, Errno> {
    nix::sys::stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(Into::into)
}

/// The status of a file in a directory; links are followed.
pub(crate) fn stat_target_at(dir: impl AsFd, name: &(impl NixPath + ?Sized)) -> Result<FileStatus, Errno> {
    nix::sys::stat::fstatat(dir, name, AtFlags::empty()).map(Into::into)
}
