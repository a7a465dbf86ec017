//! A file beside what it guards, whose flock decides who may touch that.
//!
//! # Invariants
//! 1. It is never removed, so that everybody locks the same one. Should somebody else remove it, whoever locks it notices: a
//!    lock on a file without its name guards nothing.
//! 2. It is ours: a regular file of our user with one name, which carries our mark. Any other file of its name is refused, with
//!    every byte and its mode as before. It gets its name with its mark and its mode, so that it is ours whenever it is there.
//! 3. It is opened to be read. Only the note of a socket's lock is written, once the file was judged and is locked.
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

/// What a lock file guards, which decides how ours is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guards {
    /// A lifecycle marker: an empty file of mode 0600, which nothing is ever written to.
    Marker,
    /// A socket that is served on: a first line of ours, and a note of its holder.
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
    /// It is not ours to lock.
    Untrusted(Untrusted),
    /// The system refused.
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

/// The lock file, open; its flock is given up when this is dropped, for every copy of the descriptor.
#[derive(Debug)]
pub struct LockFile {
    file: File,
    inode: Inode,
    path: PathBuf,
}

impl LockFile {
    /// Takes the flock of the file `name` in `dir`, making the file if there is none; `None` if somebody has it. Never waits.
    pub(crate) fn try_take(
        dir: &Directory,
        name: &OsStr,
        guards: Guards,
    ) -> Result<Option<Self>, LockFileError> {
        for _ in 0..REPLACED_MAX {
            let Some(lock) = Self::open(dir, name, guards)? else {
                // Whoever was there first has made the same.
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

    /// Whether anybody has its flock. A look: nothing is made or changed.
    pub(crate) fn is_taken(dir: &Directory, name: &OsStr, guards: Guards) -> Result<bool, LockFileError> {
        let Some(lock) = Self::open(dir, name, guards)? else { return Ok(false) };
        Ok(!flock::is_free(&lock.file).during("lock", &lock.path)?)
    }

    /// Opens it to be read; `None` if there is none.
    fn open(dir: &Directory, name: &OsStr, guards: Guards) -> Result<Option<Self>, LockFileError> {
        let path = dir.path_of(name);
        // Looked at before it is opened: to open a FIFO or a device may do something.
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

    /// Whether its path still leads to it: a lock on a file that was removed guards nothing.
    ///
    /// # Errors
    /// If that cannot be told.
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

    /// What its last holder noted; `None` if nothing that is whole.
    pub(crate) fn note(&self) -> Result<Option<Vec<u8>>, OsFailure> {
        let content = self.content()?;
        let note = content.strip_prefix(SOCKET_MARK).and_then(|rest| rest.strip_suffix(b"\n"));
        Ok(note.map(<[u8]>::to_vec))
    }

    /// Notes something behind the mark, in place of what was noted before. Only for whoever has the flock.
    pub(crate) fn write_note(&self, note: &[u8]) -> Result<(), OsFailure> {
        // By a descriptor of its own: the one that is locked was opened before the file was known to be ours.
        let file = File::from(open_to_write(&self.path).during("open", &self.path)?);
        let stat = fstat(&file).during("inspect", &self.path)?;
        if stat.inode != self.inode {
            return Err(OsFailure::new("write", "it was replaced").on(&self.path));
        }
        let line = [note, b"\n"].concat();
        let begin = SOCKET_MARK.len() as u64;
        // Should we die between the two, what is left is no note.
        file.set_len(begin).during("empty", &self.path)?;
        file.write_all_at(&line, begin).during("write", &self.path)
    }
}

/// A file that does not carry our mark.
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
        // Explicitly: a child that has not yet executed its program may have a copy of the descriptor.
        let _ = flock::unlock(&self.file);
    }
}
