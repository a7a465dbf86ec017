//! The state directory: where it is, and whether it can be trusted with locks.
//!
//! # Invariants
//! 1. A file system whose flock may hang, or means nothing to other machines, is refused before anything is opened.
//! 2. A directory that is a link, belongs to somebody else, or can be written by others is refused.
//! 3. Looking creates nothing; only [`StateRoot::create`] does.

use crate::os::During;
use crate::session_dir::SessionDir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fchmod, lstat};
use nix::sys::statfs::{self, statfs};
use nix::unistd::{User, geteuid};
use rekindle_core::{OsFailure, SessionId};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// File systems whose flock may hang, is local only, or is not kept.
const REFUSED: &[(i64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "kAFS"),
    (0x00c3_6400, "Ceph"),
    (0x6573_5546, "FUSE"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x786f_4256, "VirtualBox shared folders"),
];

/// How often a directory may be removed between its creation and its opening: whoever collects what is gone does that now
/// and then, and nobody does so all the time.
const REMOVED_MAX: u32 = 1_000;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateRootError {
    /// Nothing says where it should be.
    #[error("no state directory can be found: HOME is not set and user {uid} has no home directory")]
    Nowhere {
        /// Whose home was looked for.
        uid: u32,
    },
    /// It is given as a relative path where only an absolute one means the same to everybody.
    #[error("state directory `{}` is not absolute", path.display())]
    Relative {
        /// What was given.
        path: PathBuf,
    },
    /// Its file system does not keep locks.
    #[error("state directory `{}` is on {kind}, where locks do not hold", path.display())]
    NoLocks {
        /// The directory.
        path: PathBuf,
        /// The file system.
        kind: String,
    },
    /// It cannot be trusted.
    #[error("state directory `{}` is not to be trusted: {why}", path.display())]
    Untrusted {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do about it.
        mend: String,
    },
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// A state directory, which may not exist yet.
#[derive(Debug, Clone)]
pub struct StateRoot {
    path: PathBuf,
}

impl StateRoot {
    /// The directory that `REKINDLE_DIR`, `XDG_STATE_HOME`, `HOME` or the passwd entry names, in this order.
    ///
    /// # Errors
    /// If none of them names one, or one names a relative path.
    pub fn locate() -> Result<PathBuf, StateRootError> {
        let set = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = set("REKINDLE_DIR") {
            return std::path::absolute(&path).doing("read the current directory").map_err(Into::into);
        }
        // The XDG specification: a relative path is invalid and to be ignored.
        if let Some(path) = set("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
            return Ok(path.join("rekindle"));
        }
        let home = set("HOME").filter(|path| path.is_absolute()).or_else(|| {
            let home = User::from_uid(geteuid()).ok().flatten()?.dir;
            home.is_absolute().then_some(home)
        });
        home.map(|home| home.join(".local/state/rekindle"))
            .ok_or(StateRootError::Nowhere { uid: geteuid().as_raw() })
    }

    /// Takes `path` as the state directory, which may not exist yet.
    ///
    /// # Errors
    /// If it exists and cannot be used, or its file system does not keep locks.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateRootError> {
        let path = path.into();
        if !path.is_absolute() {
            return Err(StateRootError::Relative { path });
        }
        refuse_network(&path)?;
        refuse_untrusted(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates what is missing of it, private to its owner.
    ///
    /// # Errors
    /// If it cannot be created, or somebody else created it meanwhile.
    pub fn create(&self) -> Result<(), StateRootError> {
        if lstat(&self.path).is_ok() {
            return Ok(());
        }
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent).during("create the directory", parent)?;
        }
        match nix::unistd::mkdir(&self.path, Mode::S_IRWXU) {
            Ok(()) => {
                let dir = self.handle()?;
                fchmod(&dir, Mode::S_IRWXU).during("set the mode of the state directory", &self.path)?;
            }
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error).during("create the state directory", &self.path)?,
        }
        refuse_untrusted(&self.path)
    }

    /// Opens the directory of `session`; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be opened or trusted.
    pub fn session(&self, session: &SessionId) -> Result<Option<SessionDir>, OsFailure> {
        match self.opened()? {
            Some(root) => root.session(session),
            None => Ok(None),
        }
    }

    /// Opens the directory itself, to look at several sessions of it; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn opened(&self) -> Result<Option<OpenRoot<'_>>, OsFailure> {
        // Only names are looked up in it.
        match self.open_root(OFlag::O_PATH) {
            Ok(fd) => Ok(Some(OpenRoot { fd, path: &self.path })),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error).during("open the state directory", &self.path),
        }
    }

    /// Opens the directory of `session`, creating it if there is none.
    ///
    /// # Errors
    /// If it cannot be created, opened or trusted.
    pub fn create_session(&self, session: &SessionId) -> Result<SessionDir, StateRootError> {
        for _ in 0..REMOVED_MAX {
            self.create()?;
            let root = match self.open_root(OFlag::O_RDONLY) {
                Ok(root) => root,
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(error).during("open the state directory", &self.path)?,
            };
            if let Some(dir) = SessionDir::create(root.as_fd(), &self.path, session)? {
                return Ok(dir);
            }
        }
        let path = self.path.join(session.as_str());
        Err(OsFailure::new("open the session directory", "it is removed again and again").on(path))?
    }

    /// Every session that has a directory, in order.
    ///
    /// # Errors
    /// If the state directory cannot be listed; that there is none is no error.
    pub fn sessions(&self) -> Result<Vec<SessionId>, OsFailure> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).during("list the state directory", &self.path),
        };
        let mut sessions: Vec<SessionId> = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        sessions.sort();
        Ok(sessions)
    }

    fn handle(&self) -> Result<OwnedFd, OsFailure> {
        self.open_root(OFlag::O_RDONLY).during("open the state directory", &self.path)
    }

    fn open_root(&self, access: OFlag) -> Result<OwnedFd, Errno> {
        let flags = access | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        open(&self.path, flags, Mode::empty())
    }
}

/// A state directory that is open: one and the same, whatever its path comes to lead to.
#[derive(Debug)]
pub struct OpenRoot<'r> {
    fd: OwnedFd,
    path: &'r Path,
}

impl OpenRoot<'_> {
    /// Opens the directory of `session`; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be opened or trusted.
    pub fn session(&self, session: &SessionId) -> Result<Option<SessionDir>, OsFailure> {
        SessionDir::open(self.fd.as_fd(), self.path, session)
    }
}

fn refuse_network(path: &Path) -> Result<(), StateRootError> {
    match kind_without_locks(path)? {
        Some(kind) => Err(StateRootError::NoLocks { path: path.to_owned(), kind: kind.to_owned() }),
        None => Ok(()),
    }
}

/// The kind of file system that `path` is on or would be created on, if it is one where locks do not hold.
///
/// Asks the nearest directory that exists: what is created below it is on the same file system.
pub(crate) fn kind_without_locks(path: &Path) -> Result<Option<&'static str>, OsFailure> {
    for existing in path.ancestors() {
        match statfs(existing) {
            Ok(info) => return Ok(refused_kind(info.filesystem_type())),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(error) => return Err(error).during("ask for the file system of", existing),
        }
    }
    Ok(None)
}

fn refused_kind(found: statfs::FsType) -> Option<&'static str> {
    REFUSED.iter().find(|(magic, _)| i128::from(found.0) == i128::from(*magic)).map(|(_, kind)| *kind)
}

fn refuse_untrusted(path: &Path) -> Result<(), StateRootError> {
    let stat = match lstat(path) {
        Ok(stat) => stat,
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(error).during("inspect the state directory", path)?,
    };
    let refuse =
        |why: String, mend: String| Err(StateRootError::Untrusted { path: path.to_owned(), why, mend });
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFLNK {
        return refuse(
            "it is a symbolic link".into(),
            "name the directory that it leads to with --dir".into(),
        );
    }
    if kind != SFlag::S_IFDIR {
        return refuse("it is not a directory".into(), "name another with --dir".into());
    }
    if stat.st_uid != geteuid().as_raw() {
        return refuse(
            format!("it belongs to user {}", stat.st_uid),
            "name one of your own with --dir".into(),
        );
    }
    if stat.st_mode & 0o022 != 0 {
        let mode = stat.st_mode & 0o7777;
        return refuse(
            format!("its mode {mode:04o} lets others write to it"),
            "name one that nobody else can write to with --dir".into(),
        );
    }
    Ok(())
}
