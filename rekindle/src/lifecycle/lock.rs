//! The lock itself.

use super::outcome::{
    Acquired, ForceUnlocked, LifecycleConflict, LifecycleError, LifecycleState, LifecycleStatus, Released,
    TakenOver,
};
use rekindle_adapters::directory::Inode;
use rekindle_adapters::lifecycle::{MARKER_NAME, Marker, MarkerDir};
use rekindle_adapters::lock_file::LockFile;
use rekindle_adapters::{StateRoot, clock, foreground, procfs, random};
use rekindle_core::claim::{ConflictReason, HolderEvidence, KeptBy, KernelLock, TakeOverReason};
use rekindle_core::identity::{DeathProof, UnknownReason};
use rekindle_core::shown::Shown;
use rekindle_core::{
    ChildExit, ClaimDecision, ClaimPolicy, Found, Host, LifecyclePayload, Nonce, Pid, ProcessIdentity,
    ProcessLiveness, SpawnError, decide_claim,
};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long somebody who has the flock is given to say in the marker that it is theirs, or to be gone for good.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait before the flock is asked for again.
const SETTLE_PAUSE: Duration = Duration::from_millis(1);

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
    path: PathBuf,
    here: Host,
    held: Mutex<Option<Held>>,
}

/// What tells our marker from every other.
#[derive(Debug)]
struct Held {
    nonce: Nonce,
    inode: Inode,
    lock: LockFile,
}

/// Who keeps the flock once the marker is written.
enum Keeper {
    /// We do, for as long as we hold the lock.
    Us,
    /// Nobody: the marker alone speaks for a process that is not ours.
    Nobody,
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
        self.settled(|dir| self.attempt(dir, &procfs::this_process(&self.here), &Keeper::Us)).await
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
        self.settled(|dir| self.attempt(dir, &holder, &Keeper::Nobody)).await
    }

    /// Gives the lock up. Removes only a marker that this very lock wrote, and may be called at any time.
    ///
    /// # Errors
    /// If the marker cannot be read or removed. The flock is given up all the same.
    pub fn release(&self) -> Result<Released, LifecycleError> {
        let Some(held) = self.held().take() else { return self.not_held() };
        let Some(dir) = MarkerDir::open(&self.path)? else { return Ok(Released::NotHeld { holder: None }) };
        // Should somebody have removed our lock file, another one decides now.
        let deciding = if held.lock.is_in_place()? { None } else { Some(dir.try_lock()?) };
        let marker = dir.read()?;
        if !matches!(deciding, Some(None)) && is_ours(&marker, &held) {
            dir.remove()?;
            return Ok(Released::Released);
        }
        Ok(Released::NotHeld { holder: payload(&marker) })
    }

    /// Gives the lock up in the name of the process that [`Self::acquire_for`] took it for.
    ///
    /// # Errors
    /// As for [`Self::release`], or [`LifecycleError::InUse`] if somebody has the flock.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn release_for(&self, pid: Pid) -> Result<Released, LifecycleError> {
        let Some((dir, _lock)) = self.locked_dir().await? else { return self.not_held() };
        let marker = dir.read()?;
        let is_its = marker.found.payload().is_some_and(|payload| payload.holder.pid == pid)
            && marker.standing(&self.here).pid_is_taken();
        if is_its {
            dir.remove()?;
            return Ok(Released::Released);
        }
        Ok(Released::NotHeld { holder: payload(&marker) })
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
        let Some((dir, _lock)) = self.locked_dir().await? else { return Ok(ForceUnlocked::NotLocked) };
        let marker = dir.read()?;
        let kept_aside = match marker.found {
            Found::Nothing => return Ok(ForceUnlocked::NotLocked),
            Found::Corrupt { .. } => Some(dir.keep_aside()?),
            Found::Empty | Found::OtherSession { .. } | Found::Held(_) | Found::Retained(_) => None,
        };
        dir.remove()?;
        Ok(ForceUnlocked::Removed { previous: payload(&marker), kept_aside })
    }

    /// What the marker and the flock say together. Takes and changes nothing.
    ///
    /// # Errors
    /// If they cannot be asked.
    pub fn status(&self) -> Result<LifecycleStatus, LifecycleError> {
        let Some(dir) = MarkerDir::open(&self.path)? else {
            return Ok(free("there is no marker"));
        };
        let locked = dir.is_locked()?;
        let marker = dir.read()?;
        let (state, why) = judged(&marker, marker.standing(&self.here), locked);
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

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        // A panic elsewhere does not change what is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_held(&self) -> Result<Released, LifecycleError> {
        Ok(Released::NotHeld { holder: self.read()?.map(Box::new) })
    }

    /// Asks until the conflict names a holder that runs, or has lasted too long to be somebody's decision in progress.
    async fn settled(
        &self,
        attempt: impl Fn(&MarkerDir) -> Result<Acquired, LifecycleError>,
    ) -> Result<Acquired, LifecycleError> {
        let began = Instant::now();
        let mut dir = MarkerDir::create(&self.path)?;
        // What is no marker of ours is refused before a lock is made beside it.
        dir.read()?;
        loop {
            match attempt(&dir)? {
                Acquired::Conflict(conflict) if conflict.is_passing() && began.elapsed() < SETTLE_TIMEOUT => {
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
                settled => return Ok(settled),
            }
            // The way to it is judged again only where it leads to another.
            if !dir.is_still_in_place()? {
                dir = MarkerDir::create(&self.path)?;
            }
        }
    }

    /// The marker's directory with its flock taken; `None` if there is no marker, and so nothing to lock for.
    async fn locked_dir(&self) -> Result<Option<(MarkerDir, LockFile)>, LifecycleError> {
        let began = Instant::now();
        let Some(mut dir) = MarkerDir::open(&self.path)? else { return Ok(None) };
        if let Found::Nothing = dir.read()?.found {
            return Ok(None);
        }
        loop {
            if let Some(lock) = dir.try_lock()? {
                return Ok(Some((dir, lock)));
            }
            if began.elapsed() >= SETTLE_TIMEOUT {
                return Err(LifecycleError::InUse { holder: payload(&dir.read()?) });
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
            if !dir.is_still_in_place()? {
                let Some(other) = MarkerDir::open(&self.path)? else { return Ok(None) };
                dir = other;
            }
        }
    }

    fn attempt(
        &self,
        dir: &MarkerDir,
        holder: &ProcessIdentity,
        keeper: &Keeper,
    ) -> Result<Acquired, LifecycleError> {
        let lock = dir.try_lock()?;
        let marker = dir.read()?;
        let standing = marker.standing(&self.here);
        let kernel = if lock.is_some() { KernelLock::Free } else { KernelLock::Held };
        let taken_over = match decide_claim(ClaimPolicy::lifecycle(), kernel, marker.found, standing) {
            ClaimDecision::Conflict { why, holder } => {
                let holder_runs = holder.is_some() && standing.pid_is_taken();
                let holder = holder.map(Box::new);
                return Ok(Acquired::Conflict(LifecycleConflict { why, holder, holder_runs }));
            }
            ClaimDecision::Fresh => None,
            ClaimDecision::TakeOver { why, previous } => Some(self.make_room(dir, why, previous)?),
        };
        let nonce = random::nonce()?;
        let kept_by = match keeper {
            Keeper::Us => KeptBy::KernelLock,
            Keeper::Nobody => KeptBy::Evidence,
        };
        let payload = LifecyclePayload::new(&self.here, holder.clone(), clock::now(), nonce.clone(), kept_by);
        let inode = dir.write(&payload)?;
        if let (Keeper::Us, Some(lock)) = (keeper, lock) {
            *self.held() = Some(Held { nonce, inode, lock });
        }
        Ok(Acquired::Ours { payload: Box::new(payload), taken_over: taken_over.map(Box::new) })
    }

    fn make_room(
        &self,
        dir: &MarkerDir,
        why: TakeOverReason,
        previous: Option<LifecyclePayload>,
    ) -> Result<TakenOver, LifecycleError> {
        let path = Shown(&self.path);
        let kept_aside = match &why {
            TakeOverReason::Corrupt | TakeOverReason::OtherSession => {
                let kept = dir.keep_aside()?;
                tracing::warn!(
                    "`{path}` could not be read and was taken over; it is kept as `{}`",
                    Shown(&kept)
                );
                Some(kept)
            }
            TakeOverReason::OtherMachine => {
                let host = previous.as_ref().map_or("another machine", |payload| &payload.hostname);
                tracing::warn!(
                    "`{path}` was held on host `{}`, which cannot be asked, and was taken over",
                    host.escape_debug()
                );
                None
            }
            TakeOverReason::HolderDead(_) | TakeOverReason::Retained => None,
        };
        Ok(TakenOver { why, previous, kept_aside })
    }
}

impl LifecycleConflict {
    /// Whether it may be over in a moment: somebody is deciding, or on the way out.
    fn is_passing(&self) -> bool {
        self.why == ConflictReason::KernelLockHeld && !self.holder_runs
    }
}

fn is_ours(marker: &Marker, held: &Held) -> bool {
    let nonce = marker.found.payload().and_then(|payload| payload.nonce.as_ref());
    nonce == Some(&held.nonce) && marker.inode == Some(held.inode)
}

fn payload(marker: &Marker) -> Option<Box<LifecyclePayload>> {
    marker.found.payload().cloned().map(Box::new)
}

fn free(why: &str) -> LifecycleStatus {
    LifecycleStatus { state: LifecycleState::Free, why: why.to_owned(), holder: None }
}

/// What is to be made of a marker.
fn judged(marker: &Marker, standing: ProcessLiveness, locked: bool) -> (LifecycleState, String) {
    use LifecycleState as Is;
    match (&marker.found, standing) {
        (_, _) if locked => (Is::Held, "its flock is held".to_owned()),
        (Found::Nothing, _) => (Is::Free, "there is no marker".to_owned()),
        (Found::Empty, _) => (Is::Free, "the marker is empty".to_owned()),
        (Found::Corrupt { why }, _) => (Is::Corrupt, format!("the marker cannot be read: {why}")),
        (Found::OtherSession { .. }, _) => (Is::Corrupt, "the marker is about a session".to_owned()),
        (Found::Held(_) | Found::Retained(_), ProcessLiveness::Alive) => {
            (Is::Held, "its holder runs".to_owned())
        }
        (Found::Held(_) | Found::Retained(_), ProcessLiveness::Dead(proof)) => {
            (Is::Stale, format!("its holder is gone: {}", proof.describe()))
        }
        (Found::Held(_) | Found::Retained(_), ProcessLiveness::Unjudged(UnknownReason::Unproven)) => {
            (Is::Held, "a process with its holder's pid runs".to_owned())
        }
        (Found::Held(payload), ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace))
            if payload.kept_by() == KeptBy::KernelLock =>
        {
            (Is::Stale, format!("its holder is gone: {}", DeathProof::LockFree.describe()))
        }
        (Found::Held(_) | Found::Retained(_), ProcessLiveness::Unjudged(UnknownReason::OtherMachine)) => {
            (Is::OtherMachine, UnknownReason::OtherMachine.describe().to_owned())
        }
        (Found::Held(_) | Found::Retained(_), ProcessLiveness::Unjudged(doubt)) => {
            (Is::Unjudged, doubt.describe().to_owned())
        }
    }
}
