//! The lifeline: a lock that a worker and its descendants hold for as long as any of them lives.
//!
//! The child takes it itself, between fork and exec, on a descriptor that it opened itself, so that the launcher
//! never holds it and cannot leak it. It is a fresh file for each generation.
//!
//! # Invariants
//! 1. It is asked with a shared lock: two who ask with exclusive ones would see each other.
//! 2. We never unlock what a worker holds; a lock of ours is on a descriptor of ours.
//! 3. What cannot be asked is unreadable, not free.
//!
//! Checked by `smoke/tests/smoke/s2_child.rs`.

use crate::directory::Inode;
use crate::os::{During, keep_high};
use crate::procfs;
use crate::session_dir::SessionDir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{fstat, stat};
use rekindle_core::identity::{BootId, NamespaceId, StartTime};
use rekindle_core::{Generation, Lifeline, Nonce, OsFailure, Pid, ProcessIdentity};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat, readlinkat_raw};
use serde::Deserialize;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name of the lifeline file.
pub const LIFELINE_FILE: &str = "lifeline";

/// Where a worker keeps its lifeline: clear of the descriptors that socket activation counts from 3.
pub(crate) const LIFELINE_FD: i32 = 10;

/// The longest mark, in bytes.
const MARK_LEN_MAX: usize = 1024;

/// What a worker wrote into its lifeline before it became its program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct LifelineMark {
    /// Which start it belongs to.
    pub generation: Generation,
    /// What the worker was told to know itself by.
    pub nonce: Option<Nonce>,
    /// The process that took it.
    pub worker: ProcessIdentity,
}

/// A mark as it is written: all in one object, which `#[serde(flatten)]` would copy before it reads it.
#[derive(Deserialize)]
struct Written {
    generation: Generation,
    #[serde(default)]
    nonce: Option<Nonce>,
    pid: Pid,
    #[serde(default)]
    start_time: Option<StartTime>,
    #[serde(default)]
    boot_id: Option<BootId>,
    #[serde(default)]
    pid_namespace: Option<NamespaceId>,
    #[serde(default)]
    time_namespace: Option<NamespaceId>,
}

impl From<Written> for LifelineMark {
    fn from(written: Written) -> Self {
        let Written { generation, nonce, pid, start_time, boot_id, pid_namespace, time_namespace } = written;
        let worker = ProcessIdentity { pid, start_time, boot_id, pid_namespace, time_namespace };
        Self { generation, nonce, worker }
    }
}

/// One generation's lifeline, opened to be asked. It keeps meaning the same file, whatever the name comes to mean.
#[derive(Debug)]
pub struct LifelineProbe {
    fd: OwnedFd,
    inode: Inode,
    removed: bool,
}

/// Puts a fresh, empty lifeline in place. Only under the claim, once the last worker is provably gone.
///
/// # Errors
/// If it cannot be put in place; the old one then still stands.
pub fn renew(dir: &SessionDir) -> Result<LifelineProbe, OsFailure> {
    let inode = dir.replace(LIFELINE_FILE, b"")?;
    match open(dir)? {
        Some(probe) if probe.inode == inode => Ok(probe),
        Some(_) | None => {
            Err(OsFailure::new("renew", "it was replaced at once").on(dir.path_of(LIFELINE_FILE)))
        }
    }
}

/// Opens the present lifeline; `None` if there is none.
///
/// Where somebody removed the session's files under a living worker, its lifeline is still open in the worker, and is
/// found there as far as `/proc` lets us see.
///
/// # Errors
/// If it cannot be opened.
pub fn open(dir: &SessionDir) -> Result<Option<LifelineProbe>, OsFailure> {
    let path = dir.path_of(LIFELINE_FILE);
    match dir.open_file(LIFELINE_FILE, OFlag::O_RDONLY) {
        Ok(fd) => {
            let inode = Inode::of(&fstat(&fd).during("inspect", &path)?);
            Ok(Some(LifelineProbe { fd, inode, removed: false }))
        }
        Err(Errno::ENOENT) => Ok(find_removed(&path)),
        Err(error) => Err(error).during("open", &path),
    }
}

/// Whether this process was started by rekindle to answer on `socket`, and holds the lifeline of that start.
pub fn guards_this_process(socket: &Path) -> bool {
    let told = |name| std::env::var_os(name);
    let named = told("REKINDLE_SOCKET").is_some_and(|named| Path::new(&named) == socket);
    let link = format!("/proc/self/fd/{LIFELINE_FD}");
    // Whatever else has that number may block when it is read.
    let is_lifeline = fs::read_link(&link)
        .is_ok_and(|target| target.to_string_lossy().contains(LIFELINE_FILE))
        && fs::metadata(&link).is_ok_and(|found| found.is_file());
    let (true, true, Ok(file)) = (named, is_lifeline, File::open(&link)) else { return false };
    let fd = OwnedFd::from(file);
    let Ok(inode) = fstat(&fd).map(|stat| Inode::of(&stat)) else { return false };
    let probe = LifelineProbe { fd, inode, removed: false };
    let nonce = probe.mark().and_then(|mark| mark.nonce);
    let is_ours = nonce.zip(told("REKINDLE_NONCE")).is_some_and(|(ours, told)| told == ours.as_str());
    is_ours && probe.ask() == Lifeline::Held
}

/// Asks the present lifeline of a session.
pub fn ask(dir: &SessionDir) -> Lifeline {
    match open(dir) {
        Ok(Some(probe)) => probe.ask(),
        Ok(None) => Lifeline::Missing,
        Err(_) => Lifeline::Unreadable,
    }
}

/// The lifeline that was removed from `path` while a worker held it.
pub fn find_removed(path: &Path) -> Option<LifelineProbe> {
    // The kernel shows where the file was with every link resolved; of the directories above, some may be left.
    let place = path.ancestors().skip(1).find_map(|dir| Some((dir, dir.canonicalize().ok()?)));
    let real = place.and_then(|(dir, real)| Some(real.join(path.strip_prefix(dir).ok()?)));
    let mut removed = real.as_deref().unwrap_or(path).as_os_str().to_owned();
    removed.push(" (deleted)");
    // Not asked of /proc/locks, which names whoever took a lock: to read it waits for every processor of the machine, for
    // milliseconds, and to look at every process takes a fraction of one.
    let proc = File::open("/proc").ok()?;
    // Room for one byte more, which whoever leads elsewhere may fill.
    let mut target = vec![MaybeUninit::uninit(); removed.len() + 1];
    procfs::processes().into_iter().find_map(|pid| {
        let link = format!("{pid}/fd/{LIFELINE_FD}");
        let (target, _) = readlinkat_raw(&proc, &link, &mut *target).ok()?;
        if target != removed.as_bytes() {
            return None;
        }
        let fd = openat(&proc, &link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let inode = Inode::of(&fstat(&fd).ok()?);
        Some(LifelineProbe { fd, inode, removed: true }).filter(|probe| probe.ask() == Lifeline::Held)
    })
}

impl LifelineProbe {
    /// A path that leads to this very file, whatever has taken its name.
    pub(crate) fn magic_path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd()).into()
    }

    /// The same, to be kept for as long as its worker runs.
    pub(crate) fn kept_high(self) -> Self {
        Self { fd: keep_high(self.fd), ..self }
    }

    /// Which file it is.
    pub fn inode(&self) -> Inode {
        self.inode
    }

    /// The same file, to be asked by somebody else.
    ///
    /// # Errors
    /// If there is no descriptor left for it.
    pub fn try_clone(&self) -> Result<Self, OsFailure> {
        let fd = self.fd.try_clone().doing("copy a descriptor of the lifeline")?;
        Ok(Self { fd, inode: self.inode, removed: self.removed })
    }

    /// Whether it has lost its name while somebody held it.
    pub fn was_removed(&self) -> bool {
        self.removed
    }

    /// What the worker wrote into it; `None` if it wrote nothing that can be read.
    pub fn mark(&self) -> Option<LifelineMark> {
        let mut bytes = [0; MARK_LEN_MAX];
        let len = rustix::io::pread(&self.fd, &mut bytes, 0).ok()?;
        serde_json::from_slice(bytes.get(..len)?).ok()
    }

    /// Whether any process of the start holds it.
    pub fn ask(&self) -> Lifeline {
        loop {
            match flock(self.fd.as_fd(), FlockOperation::NonBlockingLockShared) {
                Ok(()) => {
                    // Ours alone: nobody else has this descriptor.
                    let _ = flock(self.fd.as_fd(), FlockOperation::Unlock);
                    return Lifeline::Free;
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Lifeline::Held,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Lifeline::Unreadable,
            }
        }
    }

    /// The processes that hold it, as far as `/proc` lets us see: not those of programs that forbid it.
    pub fn holders(&self) -> Vec<Pid> {
        procfs::processes().into_iter().filter(|pid| self.is_held_by(*pid)).collect()
    }

    /// Whether `pid` has it open where a worker keeps it, which only a process that runs can. For the pid of the process
    /// that took it this is the shortest proof that it still runs; of others it proves nothing, since whoever asks has it
    /// open too.
    pub fn is_kept_by(&self, pid: Pid) -> bool {
        let path = format!("/proc/{pid}/fd/{LIFELINE_FD}");
        stat(path.as_str()).is_ok_and(|stat| Inode::of(&stat) == self.inode)
    }

    /// Whether `pid` holds it, as far as `/proc` lets us see.
    pub fn is_held_by(&self, pid: Pid) -> bool {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        descriptors.flatten().any(|entry| {
            let is_lifeline = fs::read_link(entry.path()).is_ok_and(|target| {
                target.to_string_lossy().trim_end_matches(" (deleted)").ends_with(LIFELINE_FILE)
            }) && stat(&entry.path()).is_ok_and(|stat| Inode::of(&stat) == self.inode);
            // Whoever merely asks has the file open as well; the lock tells them apart.
            is_lifeline && has_exclusive_lock(pid, &entry.file_name().to_string_lossy())
        })
    }
}

fn has_exclusive_lock(pid: Pid, descriptor: &str) -> bool {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap_or_default();
    info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK") && line.contains("WRITE"))
}
