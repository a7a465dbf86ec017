//! The lock itself.

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

/// The liveness of a holder that no marker names.
const UNSEEN: ProcessLiveness = ProcessLiveness::Unjudged(UnknownReason::NotPermitted);

/// A daemon's singleton marker.
///
/// It is held by the process that acquired it, until it is released or the process ends. Dropping it releases nothing:
/// see [`Self::into_guard`].
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
    /// The lock whose marker is the file at `path`. Touches nothing.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self {
            // Without a current directory there is none to be relative to; opening it will say so.
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            here: procfs::this_host(),
            held: Mutex::new(None),
        }
    }

    /// The lock of this user's state directory: `.locked` in it.
    ///
    /// # Errors
    /// If there is no state directory to be found.
    pub fn default_path() -> Result<Self, LifecycleError> {
        Ok(Self::in_state_dir(&StateRoot::locate()?))
    }

    /// The lock of a state directory: `.locked` in it.
    pub fn in_state_dir(dir: &Path) -> Self {
        Self::new(dir.join(MARKER_NAME))
    }

    /// Where its marker is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock for this process. Whoever asks again while holding it meets their own conflict.
    ///
    /// Needs a tokio runtime with time enabled: another who is deciding at this moment is given up to a second.
    ///
    /// # Errors
    /// If its files cannot be used; nothing is held then. That another holds it is an outcome.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn acquire(&self) -> Result<Acquired, LifecycleError> {
        self.take(procfs::this_process(&self.here), Keeper::Us).await
    }

    /// Takes the lock in the name of another process, which holds it for as long as it runs.
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

    /// Gives the lock up. Removes only a marker that this very lock wrote, and may be called at any time.
    ///
    /// # Errors
    /// If the marker cannot be read or removed. The flock is given up all the same.
    pub fn release(&self) -> Result<Released, LifecycleError> {
        let Some(held) = self.held().take() else { return self.not_held() };
        let mut task = Task::new(&self.path, &self.here, Goal::GiveBack(held));
        let end = task.run_at_once();
        match task.released(end)? {
            Released::NotHeld { holder: None } => self.not_held(),
            released => Ok(released),
        }
    }

    /// Gives the lock up in the name of the process that [`Self::acquire_for`] took it for.
    ///
    /// # Errors
    /// As for [`Self::release`], or [`LifecycleError::InUse`] if somebody has the flock.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn release_for(&self, pid: Pid) -> Result<Released, LifecycleError> {
        let mut task = Task::new(&self.path, &self.here, Goal::ReleaseFor(pid));
        let end = task.run().await;
        task.released(end)
    }

    /// What the marker says; `None` if there is none, or none that can be read.
    ///
    /// # Errors
    /// If something is there that is not ours to read.
    pub fn read(&self) -> Result<Option<LifecyclePayload>, LifecycleError> {
        let Some(dir) = MarkerDir::open(&self.path)? else { return Ok(None) };
        Ok(payload(&dir.read()?).map(|payload| *payload))
    }

    /// Whether this very lock is held: the marker that it wrote still stands. Whoever runs for long asks now and then,
    /// since nothing keeps others from deleting files.
    ///
    /// # Errors
    /// If the marker cannot be read.
    pub fn is_held_by_self(&self) -> Result<bool, LifecycleError> {
        let held = self.held();
        let Some(held) = held.as_ref() else { return Ok(false) };
        let Some(dir) = MarkerDir::open(&self.path)? else { return Ok(false) };
        Ok(is_ours(&dir.read()?, held))
    }

    /// Removes the marker, whatever it says, and hands back what it said. Takes the flock first: what a process holds
    /// by the flock is not removed from under it.
    ///
    /// # Errors
    /// [`LifecycleError::InUse`] if somebody else has the flock; or if the marker cannot be read or removed.
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

    /// What the marker and the flock say together. Takes and changes nothing.
    ///
    /// # Errors
    /// If they cannot be asked.
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

    /// Runs a program to its end under the lock, which must be held, and says how it ended. Blocks the thread.
    ///
    /// The program inherits the flock and is killed by the kernel should this process be killed: it never runs without
    /// its lock. Only for the main thread of a program that does nothing else.
    ///
    /// # Errors
    /// If it could not be started, or the lock is not held.
    pub fn run_program(&self, command: &[OsString]) -> Result<ChildExit, SpawnError> {
        let held = self.held();
        let held = held.as_ref().ok_or(SpawnError::Abandoned { why: "the lock is not held".into() })?;
        foreground::run(command, held.lock.as_fd())
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Option<Held>> {
        // A panic elsewhere does not change what is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn not_held(&self) -> Result<Released, LifecycleError> {
        Ok(Released::NotHeld { holder: self.read()?.map(Box::new) })
    }

    /// Takes the lock in the name of `holder`.
    async fn take(&self, holder: ProcessIdentity, keeper: Keeper) -> Result<Acquired, LifecycleError> {
        let mut task = Task::new(&self.path, &self.here, Goal::Take { holder, keeper });
        let end = task.run().await;
        if let Some(held) = task.take_held() {
            *self.held() = Some(held);
        }
        task.acquired(end)
    }
}
