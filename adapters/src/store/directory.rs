//! An open directory and its files: read whole, put in place whole.
//!
//! # Invariants
//! 1. Every file is reached through the open directory, never by path: a swapped directory receives nothing from us.
//! 2. A file is put in place whole, by rename; no reader ever sees half a file.
//! 3. Nothing is followed: a planted link, FIFO or device is an error, and never blocks.
//! 4. Files are 0600, under any umask.
//! 5. A swept file has a name that only rekindle gives, a dead writer, and no second name.
//! 6. A file is set aside under a free name only.
//!
//! Checked by `smoke/tests/smoke/session/records.rs`, `lifecycle/marker.rs` and `ground/foreign_files.rs`.

use crate::store::temporary::TemporaryName;
use crate::sys::linux::clock;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::{
    Links, PRIVATE_FILE, create_file_at, create_log_at, fchmod, fstat, link_at, names_in, open_directory,
    open_directory_at, open_file_at, open_for_update_at, read_once, remove_at, rename_at, rename_new_at,
    stat, stat_at,
};
use rekindle_core::OsFailure;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

pub use crate::sys::linux::fs::{FileKind, FileStatus, Inode};

/// The limit of files set aside at one instant of the clock.
const ASIDE_MAX: u32 = 1024;

/// The limit for reading a file of ours: a record or a claim is a few hundred bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// The content of a file.
#[derive(Debug)]
pub struct FileContent {
    /// The whole content.
    pub bytes: Vec<u8>,
    /// The identity of the file.
    pub inode: Inode,
    /// The time of the last write, in seconds since the epoch.
    pub modified_at: i64,
}

/// Restores permissions of our file removed by the umask; hardly any umask removes them.
fn set_private(file: &File, stat: &FileStatus) -> Result<(), Errno> {
    if stat.mode == PRIVATE_FILE { Ok(()) } else { fchmod(file, PRIVATE_FILE) }
}

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// The directory behind `fd`, opened at `path`.
    pub fn new(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// Opens a directory, following links; `None` if missing.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, OsFailure> {
        match open_directory(path, Links::Followed) {
            Ok(fd) => Ok(Some(Self::new(fd, path.to_owned()))),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error).during("open the directory", path),
        }
    }

    /// Whether this is the inspected directory.
    pub(crate) fn is(&self, inspected: Inode) -> bool {
        fstat(&self.fd).is_ok_and(|stat| stat.inode == inspected)
    }

    /// The path at the time of opening.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the directory, for messages and for callers.
    pub fn path_of(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }

    /// The same directory by another descriptor, with separate locks.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn reopen(&self) -> Result<Self, OsFailure> {
        let fd = open_directory_at(&self.fd, ".").during("open the directory", &self.path)?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// Whether the path still leads to this directory. Checked before every irreversible step.
    ///
    /// # Errors
    /// If the path cannot be inspected.
    pub fn is_still_in_place(&self) -> Result<bool, OsFailure> {
        let held = fstat(&self.fd).during("inspect the directory", &self.path)?;
        match stat(&self.path) {
            Ok(found) => Ok(found.inode == held.inode),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
            Err(error) => Err(error).during("inspect the directory", &self.path),
        }
    }

    /// Fails unless the path still leads to this directory.
    ///
    /// # Errors
    /// If the directory was removed or replaced, or the path cannot be inspected.
    pub fn require_in_place(&self) -> Result<(), OsFailure> {
        if self.is_still_in_place()? {
            Ok(())
        } else {
            Err(OsFailure::new("go on", "the directory was removed or replaced").on(&self.path))
        }
    }

    /// Reads a file whole; `None` if missing.
    ///
    /// # Errors
    /// If the file cannot be read, is not a regular file of ours, or is too long.
    pub fn read(&self, name: impl AsRef<OsStr>) -> Result<Option<FileContent>, OsFailure> {
        let name = name.as_ref();
        let path = self.path_of(name);
        let fd = match self.open_file(name) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error).during("open", &path),
        };
        let stat = fstat(&fd).during("inspect", &path)?;
        if !stat.is_file() {
            return Err(OsFailure::new("read", "it is no regular file").on(&path));
        }
        if !stat.is_ours() {
            return Err(OsFailure::new("read", format!("it belongs to user {}", stat.uid)).on(&path));
        }
        let len = stat.len.min(FILE_LEN_MAX);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0) + 1];
        let read = read_once(&fd, &mut bytes).during("read", &path)?;
        // The buffer has room for one more byte than the file's length: a shorter read has met the end.
        if read < bytes.len() {
            bytes.truncate(read);
        } else {
            File::from(fd).take(FILE_LEN_MAX).read_to_end(&mut bytes).during("read", &path)?;
        }
        if bytes.len() as u64 > FILE_LEN_MAX {
            return Err(OsFailure::new("read", "it is longer than 1 MiB").on(&path));
        }
        Ok(Some(FileContent { bytes, inode: stat.inode, modified_at: stat.modified_at }))
    }

    /// Reads the last `len_max` bytes of a file; nothing if missing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_tail(&self, name: &str, len_max: usize) -> Result<Vec<u8>, OsFailure> {
        let path = self.path_of(name);
        let mut file = match self.open_file(name) {
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
    /// If any step fails; the old file, if any, then still exists.
    pub fn replace(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<Inode, OsFailure> {
        let name = name.as_ref();
        self.put(name, bytes, |private| rename_at(&self.fd, private, name))
    }

    /// Puts a file in place whole if the name is free; `false` if the name is taken.
    ///
    /// # Errors
    /// If any step fails.
    pub(crate) fn create_new(&self, name: &OsStr, bytes: &[u8]) -> Result<bool, OsFailure> {
        let mut is_taken = false;
        let made = self.put(name, bytes, |private| {
            self.rename_to_free(private, name).inspect_err(|error| is_taken = *error == Errno::EEXIST)
        });
        if is_taken { Ok(false) } else { made.map(|_| true) }
    }

    /// Writes a file under a private name, then calls `put_in_place`.
    fn put(
        &self,
        name: &OsStr,
        bytes: &[u8],
        put_in_place: impl FnOnce(&OsStr) -> Result<(), Errno>,
    ) -> Result<Inode, OsFailure> {
        let path = self.path_of(name);
        if bytes.len() as u64 > FILE_LEN_MAX {
            let why = "it would be longer than 1 MiB, and could not be read back";
            return Err(OsFailure::new("write", why).on(&path));
        }
        let private = OsString::from(TemporaryName::new(name).to_string());
        let fd = create_file_at(&self.fd, private.as_os_str()).during("create", &path)?;
        let mut file = File::from(fd);
        let written = fstat(&file)
            .during("inspect", &path)
            .and_then(|stat| set_private(&file, &stat).during("set the mode of", &path).map(|()| stat))
            .and_then(|stat| file.write_all(bytes).during("write", &path).map(|()| stat))
            .and_then(|stat| {
                put_in_place(&private).during("put in place", &path)?;
                Ok(stat.inode)
            });
        if written.is_err() {
            // Best effort: the next holder of the claim sweeps a leftover.
            let _ = remove_at(&self.fd, &private);
        }
        written
    }

    /// Renames a file to a free name; EEXIST if the name is taken.
    pub(crate) fn rename_to_free(&self, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
        match rename_new_at(&self.fd, from, to) {
            // On a file system without such a rename: two steps.
            Err(Errno::EINVAL | Errno::ENOSYS) => {
                link_at(&self.fd, from, to)?;
                remove_at(&self.fd, from)
            }
            renamed => renamed,
        }
    }

    /// Removes a file; `Ok` if already gone.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> Result<(), OsFailure> {
        let name = name.as_ref();
        match remove_at(&self.fd, name) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error).during("remove", &self.path_of(name)),
        }
    }

    /// Renames a file; `Ok` if missing.
    ///
    /// # Errors
    /// If the file cannot be renamed.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), OsFailure> {
        match rename_at(&self.fd, from.as_ref(), to.as_ref()) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error).during("rename", &self.path_of(from)),
        }
    }

    /// Sets a file aside, so its name is free: the file is kept as `NAME.aside-TIME`, and never overwrites an earlier
    /// one. Returns the new path. Only for the holder of the lock under which the file is written.
    ///
    /// # Errors
    /// If there is no such file, or the file cannot be renamed.
    pub fn set_aside(&self, name: impl AsRef<OsStr>) -> Result<PathBuf, OsFailure> {
        let name = name.as_ref();
        let path = self.path_of(name);
        let mut kept = name.to_owned();
        kept.push(format!(".aside-{}", clock::now().as_nanosecond()));
        for count in 0..ASIDE_MAX {
            let mut free = kept.clone();
            if count > 0 {
                free.push(format!("-{count}"));
            }
            match self.rename_to_free(name, &free) {
                Err(Errno::EEXIST) => {}
                renamed => return renamed.during("set aside", &path).map(|()| self.path_of(&free)),
            }
        }
        Err(OsFailure::new("set aside", "every name for it is taken").on(path))
    }

    /// Creates a log for appending, if the name is free.
    ///
    /// # Errors
    /// If the log cannot be created, or the name is taken.
    pub fn create_log(&self, name: &str) -> Result<OwnedFd, OsFailure> {
        let path = self.path_of(name);
        let fd = create_log_at(&self.fd, name).during("create the log", &path)?;
        let log = File::from(fd);
        let stat = fstat(&log).during("inspect", &path)?;
        set_private(&log, &stat).during("set the mode of", &path)?;
        Ok(log.into())
    }

    /// The status of the file `name`, without following links; `None` if missing.
    ///
    /// # Errors
    /// If the file cannot be inspected.
    pub fn inspect(&self, name: impl AsRef<OsStr>) -> Result<Option<FileStatus>, OsFailure> {
        let name = name.as_ref();
        match stat_at(&self.fd, name) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error).during("inspect", &self.path_of(name)),
        }
    }

    /// Removes unfinished files. Only for the holder of the claim: no other process writes here.
    pub fn sweep(&self) {
        self.sweep_those(|_| true);
    }

    /// Removes unfinished files with a matching target name. Only for the holder of their lock.
    pub(crate) fn sweep_those(&self, is_meant: impl Fn(&OsStr) -> bool) {
        for name in self.names().unwrap_or_default() {
            let is_meant =
                TemporaryName::parse(&name).is_some_and(|unfinished| is_meant(unfinished.target()));
            if is_meant && self.is_swept(&name) {
                // A leftover that stays is swept the next time.
                let _ = self.remove(&name);
            }
        }
    }

    /// Whether [`Self::sweep`] removes the file.
    pub fn is_swept(&self, name: &OsStr) -> bool {
        TemporaryName::parse(name).is_some_and(|it| it.is_left_behind()) && self.is_file_of_ours(name)
    }

    /// Whether the file is a regular file of ours without a second name.
    fn is_file_of_ours(&self, name: &OsStr) -> bool {
        let found = self.inspect(name).ok().flatten();
        found.is_some_and(|stat| stat.is_file() && stat.is_ours() && stat.names == 1)
    }

    /// All names in the directory.
    ///
    /// # Errors
    /// If the directory cannot be listed.
    pub fn names(&self) -> Result<Vec<OsString>, OsFailure> {
        names_in(&self.fd).during("list", &self.path)
    }

    /// Opens a file of ours for reading and writing; `None` if missing, or if it is no regular file of ours with a single
    /// name.
    pub(crate) fn open_own(&self, name: &str) -> Result<Option<(File, FileStatus)>, OsFailure> {
        let path = self.path_of(name);
        let fd = match open_for_update_at(&self.fd, name) {
            Ok(fd) => fd,
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => return Ok(None),
            Err(error) => return Err(error).during("open", &path),
        };
        let stat = fstat(&fd).during("inspect", &path)?;
        let is_own = stat.is_file() && stat.is_ours() && stat.names == 1;
        Ok(is_own.then(|| (File::from(fd), stat)))
    }

    /// Whether the name still leads to this file.
    pub(crate) fn is_named(&self, name: &str, inode: Inode) -> bool {
        stat_at(&self.fd, name).is_ok_and(|stat| stat.inode == inode)
    }

    /// Opens a file for reading; a link is refused.
    pub(crate) fn open_file(&self, name: impl AsRef<OsStr>) -> Result<OwnedFd, Errno> {
        open_file_at(&self.fd, name.as_ref())
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_set_aside_takes_no_name_that_is_taken() {
        let scene = tempfile::tempdir().unwrap();
        let dir = Directory::open(scene.path()).unwrap().unwrap();
        let kept: Vec<(PathBuf, String)> = (0..50)
            .map(|round| {
                fs::write(dir.path_of("x"), round.to_string()).unwrap();
                (dir.set_aside("x").unwrap(), round.to_string())
            })
            .collect();
        assert!(kept.iter().all(|(path, content)| fs::read_to_string(path).unwrap() == *content));
        assert!(dir.set_aside("x").is_err(), "there is none");
        // Of two renames at the same instant, the second finds the name taken.
        fs::write(dir.path_of("x"), "new").unwrap();
        fs::write(dir.path_of("old"), "old").unwrap();
        assert_eq!(dir.rename_to_free(OsStr::new("x"), OsStr::new("old")), Err(Errno::EEXIST));
        assert_eq!(fs::read(dir.path_of("old")).unwrap(), b"old");
        assert!(!dir.create_new(OsStr::new("old"), b"").unwrap());
        assert!(dir.create_new(OsStr::new("fresh"), b"whole").unwrap());
        assert_eq!(fs::read(dir.path_of("fresh")).unwrap(), b"whole");
        assert_eq!(dir.names().unwrap().len(), kept.len() + 3, "nothing unfinished is left");
    }
}
