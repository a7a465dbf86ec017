//! A file beside a guarded file; its flock decides who may touch the guarded file.
//!
//! # Invariants
//! 1. The lock file is never removed, so all processes lock the same file. If another process removes the file, the
//!    next locker notices: a lock on a nameless file guards nothing.
//! 2. The file is ours: a regular file of our user without a second name, with our mark. Any other file of this name is
//!    refused, and stays unchanged. The file gets its name together with its mark and mode, so the file is ours from
//!    the first instant.
//! 3. The file is opened for reading. Only the note of a socket's lock is written, once the file was judged and is
//!    locked.
//!
//! Checked by `smoke/tests/smoke/ground/foreign_files.rs`, `lifecycle/marker.rs` and `protocol/server.rs`.

use crate::store::directory::Directory;
use crate::store::lock_by_name::{Locked, Named, REPLACED_MAX, try_lock};
use crate::store::trust::{Place, Untrusted, judge_file};
use crate::sys::linux::failure::{During, Errno, refused};
use crate::sys::linux::fs::flock;
use crate::sys::linux::fs::{FileStatus, Inode, PRIVATE_FILE, fstat, lstat, open_to_write};
use rekindle_core::OsFailure;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The first line of a socket's lock.
const SOCKET_MARK: &[u8] = b"rekindle: the lock of a socket\n";

/// The longest lock file with its note, in bytes.
const LEN_MAX: usize = 1024;

/// The guarded file; decides how our lock file is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guards {
    /// A lifecycle marker: the lock file is empty, of mode 0600, and never written.
    Marker,
    /// A served socket: the lock file has our first line, and a note of its holder.
    Socket,
}

impl Guards {
    fn content(self) -> &'static [u8] {
        match self {
            Self::Marker => b"",
            Self::Socket => SOCKET_MARK,
        }
    }

    fn place(self) -> Place {
        match self {
            Self::Marker => Place::Marker,
            Self::Socket => Place::Socket,
        }
    }
}

/// Why a lock file cannot be used.
#[derive(Debug)]
pub(crate) enum LockFileError {
    /// The file is not ours to lock.
    Untrusted(Untrusted),
    /// A system call failed.
    Os(OsFailure),
}

impl From<Untrusted> for LockFileError {
    fn from(fault: Untrusted) -> Self {
        Self::Untrusted(fault)
    }
}

impl From<OsFailure> for LockFileError {
    fn from(failure: OsFailure) -> Self {
        Self::Os(failure)
    }
}

/// An open lock file; dropping the value releases the flock, for every copy of the descriptor.
#[derive(Debug)]
pub struct LockFile {
    file: File,
    inode: Inode,
    path: PathBuf,
}

impl LockFile {
    /// Takes the flock of the file `name` in `dir`, creating the file if missing; `None` if another process holds the
    /// lock. Never waits.
    pub(crate) fn try_take(
        dir: &Directory,
        name: &OsStr,
        guards: Guards,
    ) -> Result<Option<Self>, LockFileError> {
        for _ in 0..REPLACED_MAX {
            let Some(lock) = Self::open(dir, name, guards)? else {
                // A faster process has created an equal file.
                dir.create_new(name, guards.content())?;
                continue;
            };
            match try_lock(lock)? {
                Locked::Ours(lock) => return Ok(Some(lock)),
                Locked::ByAnother(_) => return Ok(None),
                Locked::Replaced => {}
            }
        }
        Err(OsFailure::new("lock", "it is replaced again and again").on(dir.path_of(name)).into())
    }

    /// Whether any process holds the flock. A mere look: nothing is created or changed.
    pub(crate) fn is_taken(dir: &Directory, name: &OsStr, guards: Guards) -> Result<bool, LockFileError> {
        let Some(lock) = Self::open(dir, name, guards)? else { return Ok(false) };
        Ok(!flock::is_free(&lock.file).during("lock", &lock.path)?)
    }

    /// Opens the file for reading; `None` if missing.
    fn open(dir: &Directory, name: &OsStr, guards: Guards) -> Result<Option<Self>, LockFileError> {
        let path = dir.path_of(name);
        // Inspected before the open: opening a FIFO or a device may have an effect.
        let Some(found) = dir.inspect(name)? else { return Ok(None) };
        judge(&path, &found, guards)?;
        let file = match dir.open_file(name) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error).during("open", &path)?,
        };
        let stat = fstat(&file).during("inspect", &path)?;
        judge(&path, &stat, guards)?;
        let lock = Self { file, inode: stat.inode, path: path.clone() };
        if !lock.content()?.starts_with(guards.content()) {
            return Err(not_made_by_us(&path, guards).into());
        }
        Ok(Some(lock))
    }

    /// Whether the path still leads to this file: a lock on a removed file guards nothing.
    ///
    /// # Errors
    /// If the path cannot be inspected.
    pub fn is_in_place(&self) -> Result<bool, OsFailure> {
        match lstat(&self.path) {
            Ok(found) => Ok(found.inode == self.inode),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
            Err(error) => Err(error).during("inspect", &self.path),
        }
    }

    fn content(&self) -> Result<Vec<u8>, OsFailure> {
        let mut bytes = vec![0; LEN_MAX];
        let len = self.file.read_at(&mut bytes, 0).during("read", &self.path)?;
        bytes.truncate(len);
        Ok(bytes)
    }

    /// The note of the last holder; `None` if missing or cut off.
    pub(crate) fn note(&self) -> Result<Option<Vec<u8>>, OsFailure> {
        let content = self.content()?;
        let note = content.strip_prefix(SOCKET_MARK).and_then(|rest| rest.strip_suffix(b"\n"));
        Ok(note.map(<[u8]>::to_vec))
    }

    /// Replaces the note behind the mark. Only for the holder of the flock.
    pub(crate) fn write_note(&self, note: &[u8]) -> Result<(), OsFailure> {
        // On a separate descriptor: the locked one was opened before the file was judged.
        let file = File::from(open_to_write(&self.path).during("open", &self.path)?);
        let stat = fstat(&file).during("inspect", &self.path)?;
        if stat.inode != self.inode {
            return Err(OsFailure::new("write", "it was replaced").on(&self.path));
        }
        let line = [note, b"\n"].concat();
        let begin = SOCKET_MARK.len() as u64;
        // After a death between the two calls, the rest is no valid note.
        file.set_len(begin).during("empty", &self.path)?;
        file.write_all_at(&line, begin).during("write", &self.path)
    }
}

/// The fault of a file without our mark.
fn not_made_by_us(path: &Path, guards: Guards) -> Untrusted {
    Untrusted::new(path, "was not made by rekindle", guards.place())
}

fn judge(path: &Path, stat: &FileStatus, guards: Guards) -> Result<(), Untrusted> {
    judge_file(path, stat, guards.place())?;
    let is_marked = match guards {
        Guards::Marker => stat.len == 0 && stat.mode == PRIVATE_FILE,
        Guards::Socket => stat.len >= SOCKET_MARK.len() as u64,
    };
    if is_marked { Ok(()) } else { Err(not_made_by_us(path, guards)) }
}

impl Named for LockFile {
    fn has_its_name(&self) -> Result<bool, OsFailure> {
        self.is_in_place()
    }

    fn not_locked(&self, errno: Errno) -> OsFailure {
        refused("lock", errno as i32).on(&self.path)
    }
}

impl AsFd for LockFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Explicitly: a child before exec may have a copy of the descriptor.
        let _ = flock::unlock(&self.file);
    }
}
