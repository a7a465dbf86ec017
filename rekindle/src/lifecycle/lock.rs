//! The lifecycle lock itself.

use super::outcome::{Acquired, ForceUnlocked, LifecycleError, LifecycleStatus, Released};
use super::task::{Goal, Held, Keeper, Task, is_ours, payload};
use rekindle_adapters::lifecycle::{MARKER_NAME, MarkerDir};
use rekindle_adapters::{StateRoot, foreground, procfs};
use rekindle_core::claim::KernelLock;
use rekindle_core::identity::UnknownReason;
use rekindle_core::lifecycle::state_of;
use rekindle_core::{
    ChildExit, Found, Host, LifecyclePayload, Pid, ProcessIdentity, ProcessLiveness, SpawnError,
};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The liveness of a holder without a marker.
const UNSEEN: ProcessLiveness = ProcessLiveness::Unjudged(UnknownReason::NotPermitted);

/// A daemon's singleton marker.
///
/// The process that acquired the lock holds the lock until the release or its own end. Dropping the value releases
/// nothing: see [`Self::into_guard`].
///
/// ```
/// use rekindle::lifecycle::{Acquired, LifecycleLock};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let dir = tempfile::tempdir()?;
/// let lock = LifecycleLock::new(dir.path().join("daemon.lock"));
/// match lock.acquire().await? {
///     Acquired::Ours { .. } => assert!(lock.is_held_by_self()?),
///     Acquired::Conflict(conflict) => eprintln!("another daemon runs: {conflict:?}"),
/// }
/// lock.release()?;
/// assert!(lock.read()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LifecycleLock {
    pub(super) path: PathBuf,
    pub(super) here: Host,
    held: Mutex<Option<Held>>,
}

impl LifecycleLock {
    /// The lock with the marker `path`. Opens no file.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self {
            // Without a current directory a relative path stays relative; opening the directory will fail.
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            here: procfs::this_host(),
            held: Mutex::new(None),
        }
    }

    /// The lock of this user's state directory: the marker is `.locked` in the directory.
    ///
    /// # Errors
    /// If no state directory is known.
    pub fn default_path() -> Result<Self, LifecycleError> {
        Ok(Self::in_state_dir(&StateRoot::locate()?))
    }

    /// The lock of a state directory: the marker is `.locked` in the directory.
    pub fn in_state_dir(dir: &Path) -> Self {
        Self::new(dir.join(MARKER_NAME))
    }

    /// The path of the marker.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock for this process. A second call while the lock is held returns a conflict with this process.
    ///
    /// Needs a tokio runtime with time enabled: waits up to a second for another process that is deciding.
    ///
    /// # Errors
    /// If the marker or the lock file cannot be used; nothing is held then. A lock held by another process is an
    /// outcome.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn acquire(&self) -> Result<Acquired, LifecycleError> {
        self.take(procfs::this_process(&self.here), Keeper::Us).await
    }

    /// Takes the lock on behalf of another process, which holds the lock while running.
    ///
    /// # Errors
    /// As for [`Self::acquire`], or [`LifecycleError::NoSuchHolder`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn acquire_for(&self, pid: Pid) -> Result<Acquired, LifecycleError> {
        let holder = procfs::identify(pid, &self.here).ok_or(LifecycleError::NoSuchHolder { pid })?;
        self.take(holder, Keeper::Nobody).await
    }

    /// Releases the lock. Removes only the marker written by this value. May be called at any time.
    ///
    /// # Errors
    /// If the marker cannot be read or removed. The flock is released nevertheless.
    pub fn release(&self) -> Result<Released, LifecycleError> {
        let Some(held) = self.held().take() else { return self.not_held() };
        let mut task = Task::new(&self.path, &self.here, Goal::GiveBack(held));
        let end = task.run_at_once();
        match task.released(end)? {
            Released::NotHeld { holder: None } => self.not_held(),
            released => Ok(released),
        }
    }

    /// Releases the lock on behalf of the process named in [`Self::acquire_for`].
    ///
    /// # Errors
    /// As for [`Self::release`], or [`LifecycleError::InUse`] if a process has the flock.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn release_for(&self, pid: Pid) -> Result<Released, LifecycleError> {
        let mut task = Task::new(&self.path, &self.here, Goal::ReleaseFor(pid));
        let end = task.run().await;
        task.released(end)
    }

    /// The content of the marker; `None` if missing or unreadable.
    ///
    /// # Errors
    /// If the file is not ours to read.
    pub fn read(&self) -> Result<Option<LifecyclePayload>, LifecycleError> {
        let Some(dir) = MarkerDir::open(&self.path)? else { return Ok(None) };
        Ok(payload(&dir.read()?).map(|payload| *payload))
    }

    /// Whether this value holds the lock: the marker written by this value is still in place. A daemon should check
    /// from time to time, since other processes can delete files.
    ///
    /// # Errors
    /// If the marker cannot be read.
    pub fn is_held_by_self(&self) -> Result<bool, LifecycleError> {
        let held = self.held();
        let Some(held) = held.as_ref() else { return Ok(false) };
        let Some(dir) = MarkerDir::open(&self.path)? else { return Ok(false) };
        Ok(is_ours(&dir.read()?, held))
    }

    /// Removes the marker, whatever its content, and returns the content. Takes the flock first: a marker is never
    /// removed while its holder has the flock.
    ///
    /// # Errors
    /// [`LifecycleError::InUse`] if another process has the flock; or if the marker cannot be read or removed.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn force_unlock(&self) -> Result<ForceUnlocked, LifecycleError> {
        if self.is_held_by_self()? {
            let previous = self.read()?.map(Box::new);
            self.release()?;
            return Ok(ForceUnlocked::Removed { previous, kept_aside: None });
        }
        let mut task = Task::new(&self.path, &self.here, Goal::Force);
        let end = task.run().await;
        task.forced(end)
    }

    /// The combined state of marker and flock. Changes nothing.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn status(&self) -> Result<LifecycleStatus, LifecycleError> {
        let Some(dir) = MarkerDir::open(&self.path)? else {
            let (state, why) = state_of(&Found::Nothing, UNSEEN, KernelLock::Free);
            return Ok(LifecycleStatus { state, why, holder: None });
        };
        let flock = if dir.is_locked()? { KernelLock::Held } else { KernelLock::Free };
        let marker = dir.read()?;
        let (state, why) = state_of(&marker.found, marker.standing(&self.here), flock);
        Ok(LifecycleStatus { state, why, holder: payload(&marker).map(|payload| *payload) })
    }

    /// Runs a program to its end under the held lock, and returns the exit. Blocks the thread.
    ///
    /// The program inherits the flock, and the kernel kills the program if this process is killed: the program never
    /// runs without the lock. Only for the main thread of a process without other work.
    ///
    /// # Errors
    /// If the program could not be started, or the lock is not held.
    pub fn run_program(&self, command: &[OsString]) -> Result<ChildExit, SpawnError> {
        let held = self.held();
        let held = held.as_ref().ok_or(SpawnError::Abandoned { why: "the lock is not held".into() })?;
        foreground::run(command, held.lock.as_fd())
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Option<Held>> {
        // A panic elsewhere leaves the lock's state valid.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn not_held(&self) -> Result<Released, LifecycleError> {
        Ok(Released::NotHeld { holder: self.read()?.map(Box::new) })
    }

    /// Takes the lock on behalf of `holder`.
    async fn take(&self, holder: ProcessIdentity, keeper: Keeper) -> Result<Acquired, LifecycleError> {
        let mut task = Task::new(&self.path, &self.here, Goal::Take { holder, keeper });
        let end = task.run().await;
        if let Some(held) = task.take_held() {
            *self.held() = Some(held);
        }
        task.acquired(end)
    }
}
