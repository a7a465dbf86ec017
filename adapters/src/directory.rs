//! An open directory, and the files in it: read whole, put in place whole.
//!
//! # Invariants
//! 1. Every file is reached through the open directory, never by path: a directory that is swapped underneath us
//!    receives nothing from us.
//! 2. A file is put in place whole, by rename; no reader ever sees half of one.
//! 3. Nothing is followed: a planted link, FIFO or device is an error, and never blocks.
//! 4. Files are 0600, whatever the umask.
//!
//! Checked by `smoke/tests/smoke/s3_records.rs` and `s9_lifecycle.rs`.

use crate::os::During;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, stat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use rekindle_core::OsFailure;
use rekindle_core::record::SocketFile;
use rustix::fs::Dir;
use rustix::io::retry_on_intr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What unfinished files are called; whoever holds the claim sweeps them away.
const PRIVATE_PREFIX: &str = ".tmp-";

/// The longest file of ours that is read: a record or a claim is a few hundred bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Which file or directory it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// The inode that a `stat` described.
    pub fn of(stat: &FileStat) -> Self {
        Self { device: stat.st_dev, number: stat.st_ino }
    }

    pub(crate) fn device(self) -> u64 {
        self.device
    }

    pub(crate) fn number(self) -> u64 {
        self.number
    }
}

impl From<Inode> for SocketFile {
    fn from(Inode { device, number }: Inode) -> Self {
        Self { device, inode: number }
    }
}

/// A file of the session that was read.
#[derive(Debug)]
pub struct FileContent {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Which file it was.
    pub inode: Inode,
    /// When it was last written, in seconds since the epoch.
    pub modified_at: i64,
}

/// How many files of one name may be set aside.
const ASIDE_MAX: u32 = 10_000;

/// A name that nobody else uses: whoever writes here holds the claim, and swept the leftovers away before.
fn private_name(name: &str) -> String {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    format!("{PRIVATE_PREFIX}{name}-{}-{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed))
}

/// Gives back what the umask took away from a file of ours; hardly any umask does.
fn set_private(file: &File, stat: &FileStat) -> Result<(), Errno> {
    let private = Mode::S_IRUSR | Mode::S_IWUSR;
    if stat.st_mode & 0o7777 == private.bits() { Ok(()) } else { fchmod(file, private) }
}

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// The directory behind `fd`, which was opened at `path`.
    pub fn new(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its files, for messages and for handing out.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The same directory by another descriptor, with locks of its own.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn reopen(&self) -> Result<Self, OsFailure> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, ".", flags, Mode::empty()).during("open the directory", &self.path)?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// Whether its path still leads to it. Asked before every irreversible step.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn is_still_in_place(&self) -> Result<bool, OsFailure> {
        let held = fstat(&self.fd).during("inspect the directory", &self.path)?;
        match stat(&self.path) {
            Ok(found) => Ok(Inode::of(&found) == Inode::of(&held)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
            Err(error) => Err(error).during("inspect the directory", &self.path),
        }
    }

    /// Fails unless its path still leads to it.
    ///
    /// # Errors
    /// If it was removed or replaced, or if that cannot be told.
    pub fn require_in_place(&self) -> Result<(), OsFailure> {
        if self.is_still_in_place()? {
            Ok(())
        } else {
            Err(OsFailure::new("go on", "the directory was removed or replaced").on(&self.path))
        }
    }

    /// Reads a file whole; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, is no regular file, or is longer than any file of ours.
    pub fn read(&self, name: &str) -> Result<Option<FileContent>, OsFailure> {
        let path = self.path_of(name);
        let fd = match self.open_file(name, OFlag::O_RDONLY) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error).during("open", &path),
        };
        let stat = fstat(&fd).during("inspect", &path)?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(OsFailure::new("read", "it is no regular file").on(&path));
        }
        let len = u64::try_from(stat.st_size).unwrap_or(0).min(FILE_LEN_MAX);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0) + 1];
        let read = retry_on_intr(|| rustix::io::read(&fd, &mut *bytes)).during("read", &path)?;
        // One byte more was asked for than there should be: who gets less has met the end.
        if read < bytes.len() {
            bytes.truncate(read);
        } else {
            File::from(fd).take(FILE_LEN_MAX).read_to_end(&mut bytes).during("read", &path)?;
        }
        if bytes.len() as u64 > FILE_LEN_MAX {
            return Err(OsFailure::new("read", "it is longer than 1 MiB").on(&path));
        }
        Ok(Some(FileContent { bytes, inode: Inode::of(&stat), modified_at: stat.st_mtime }))
    }

    /// Reads the last `len_max` bytes of a file; nothing if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_tail(&self, name: &str, len_max: usize) -> Result<Vec<u8>, OsFailure> {
        let path = self.path_of(name);
        let mut file = match self.open_file(name, OFlag::O_RDONLY) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            Err(error) => return Err(error).during("open", &path),
        };
        let len = file.seek(SeekFrom::End(0)).during("read", &path)?;
        file.seek(SeekFrom::Start(len.saturating_sub(len_max as u64))).during("read", &path)?;
        let mut bytes = Vec::new();
        file.take(len_max as u64).read_to_end(&mut bytes).during("read", &path)?;
        Ok(bytes)
    }

    /// Puts a file in place whole: written under a private name, then renamed.
    ///
    /// # Errors
    /// If any step fails; the old file, if there was one, then still stands.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<Inode, OsFailure> {
        let path = self.path_of(name);
        if bytes.len() as u64 > FILE_LEN_MAX {
            let why = "it would be longer than 1 MiB, and could not be read back";
            return Err(OsFailure::new("write", why).on(&path));
        }
        let private = private_name(name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, private.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .during("create", &path)?;
        let mut file = File::from(fd);
        let written = fstat(&file)
            .during("inspect", &path)
            .and_then(|stat| set_private(&file, &stat).during("set the mode of", &path).map(|()| stat))
            .and_then(|stat| file.write_all(bytes).during("write", &path).map(|()| stat))
            .and_then(|stat| {
                renameat(&self.fd, private.as_str(), &self.fd, name).during("put in place", &path)?;
                Ok(Inode::of(&stat))
            });
        if written.is_err() {
            // Best effort: what stays behind is swept by the next holder of the claim.
            let _ = unlinkat(&self.fd, private.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    /// Removes a file; `Ok` if it is gone already.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), OsFailure> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error).during("remove", &self.path_of(name)),
        }
    }

    /// Gives a file another name; `Ok` if there is none.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), OsFailure> {
        match renameat(&self.fd, from, &self.fd, to) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error).during("rename", &self.path_of(from)),
        }
    }

    /// Keeps a file under a second name as well; the first one can then be replaced without losing it.
    ///
    /// # Errors
    /// If there is no such file, or the second name is taken.
    pub fn keep_as(&self, name: &str, kept: &str) -> Result<(), OsFailure> {
        linkat(&self.fd, name, &self.fd, kept, AtFlags::empty()).during("keep aside", &self.path_of(name))
    }

    /// Gives a file another name, under which nothing stands yet, and says which: what was set aside earlier stays.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be renamed.
    pub fn set_aside(&self, name: &str) -> Result<PathBuf, OsFailure> {
        for number in 1..=ASIDE_MAX {
            let aside = match number {
                1 => format!("{name}.aside"),
                number => format!("{name}.aside-{number}"),
            };
            let renamed = rustix::fs::renameat_with(
                &self.fd,
                name,
                &self.fd,
                aside.as_str(),
                rustix::fs::RenameFlags::NOREPLACE,
            );
            match renamed {
                Ok(()) => return Ok(self.path_of(&aside)),
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error).during("set aside", &self.path_of(name)),
            }
        }
        Err(OsFailure::new("set aside", "too many were set aside before; remove some").on(self.path_of(name)))
    }

    /// Opens a log for appending, creating it if there is none.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open_log(&self, name: &str) -> Result<OwnedFd, OsFailure> {
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_APPEND
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC
            | OFlag::O_NOCTTY;
        openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .during("open the log", &self.path_of(name))
    }

    /// What kind of thing stands under `name`, without following it; `None` if nothing does.
    ///
    /// # Errors
    /// If it cannot be inspected.
    pub fn inspect(&self, name: &str) -> Result<Option<FileStat>, OsFailure> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error).during("inspect", &self.path_of(name)),
        }
    }

    /// Removes unfinished files. Only for whoever holds the claim: nobody else writes here.
    pub fn sweep(&self) {
        self.sweep_all(PRIVATE_PREFIX);
    }

    /// Removes what was left unfinished of one file. Only for whoever holds its lock.
    pub fn sweep_unfinished(&self, name: &str) {
        self.sweep_all(&format!("{PRIVATE_PREFIX}{name}-"));
    }

    fn sweep_all(&self, prefix: &str) {
        let unfinished = self.names().unwrap_or_default().into_iter().filter(|name| name.starts_with(prefix));
        for name in unfinished {
            // A leftover that stays is swept the next time.
            let _ = self.remove(&name);
        }
    }

    /// Whether a name is that of an unfinished file, which [`Self::sweep`] removes.
    pub fn is_unfinished(name: &str) -> bool {
        name.starts_with(PRIVATE_PREFIX)
    }

    /// The names of all that is in it.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, OsFailure> {
        let dir = Dir::read_from(&self.fd).during("list", &self.path)?;
        let names = dir.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| name != "." && name != "..").collect())
    }

    pub(crate) fn open_file(&self, name: &str, access: OFlag) -> Result<OwnedFd, Errno> {
        let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        openat(&self.fd, name, flags, Mode::empty())
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
