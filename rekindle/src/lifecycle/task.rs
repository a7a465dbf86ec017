//! Performs the steps of [`rekindle_core::claim::marker`] on the files of a lifecycle lock.
//!
//! Decides nothing: each answer goes into the machine, and the machine names the next step.

use super::outcome::{Acquired, ForceUnlocked, LifecycleConflict, LifecycleError, Released, TakenOver};
use rekindle_adapters::directory::Inode;
use rekindle_adapters::lifecycle::{Marker, MarkerDir};
use rekindle_adapters::lock_file::LockFile;
use rekindle_adapters::{clock, random};
use rekindle_core::claim::marker::{self, Effect, End, Event, Judgement, MarkerTask, Purpose, SameFile};
use rekindle_core::claim::{KeptBy, KernelLock, TakeOverReason};
use rekindle_core::shown::Shown;
use rekindle_core::{
    ClaimDecision, ClaimPolicy, Host, LifecyclePayload, Nonce, Pid, ProcessIdentity, decide_claim,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The limit of waiting for a process that has the flock and is not yet, or no longer, the holder.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause before another attempt to take the flock.
const SETTLE_PAUSE: Duration = Duration::from_millis(1);

/// The open directory is the first request of every task.
const OPENED: &str = "a task opens the directory first";

/// The proof that a marker is ours, and the flock that guards it.
#[derive(Debug)]
pub(super) struct Held {
    nonce: Nonce,
    inode: Inode,
    pub(super) lock: LockFile,
}

/// The process that keeps the flock once the marker is written.
pub(super) enum Keeper {
    /// This process, while holding the lock.
    Us,
    /// None: only the marker names the holder.
    Nobody,
}

/// The goal of a task.
pub(super) enum Goal {
    /// Take the lock on behalf of `holder`.
    Take {
        /// The process named in the marker.
        holder: ProcessIdentity,
        /// The process that keeps the flock.
        keeper: Keeper,
    },
    /// Remove the marker, whatever its content.
    Force,
    /// Remove the marker if it names this process.
    ReleaseFor(Pid),
    /// Remove our own marker.
    GiveBack(Held),
}

/// A task in progress, with its open files and its findings.
pub(super) struct Task<'l> {
    path: &'l Path,
    here: &'l Host,
    goal: Goal,
    began: Instant,
    dir: Option<MarkerDir>,
    flock: Option<LockFile>,
    /// The marker as last judged.
    marker: Option<Marker>,
    conflict: Option<LifecycleConflict>,
    taken_over: Option<TakenOver>,
    kept_aside: Option<PathBuf>,
    written: Option<(Box<LifecyclePayload>, Inode)>,
    error: Option<LifecycleError>,
}

impl<'l> Task<'l> {
    pub(super) fn new(path: &'l Path, here: &'l Host, goal: Goal) -> Self {
        Self {
            path,
            here,
            goal,
            began: Instant::now(),
            dir: None,
            flock: None,
            marker: None,
            conflict: None,
            taken_over: None,
            kept_aside: None,
            written: None,
            error: None,
        }
    }

    fn begin(&self) -> MarkerTask {
        MarkerTask::new(match self.goal {
            Goal::Take { .. } => Purpose::Take,
            Goal::Force | Goal::ReleaseFor(_) => Purpose::Remove,
            Goal::GiveBack(_) => Purpose::GiveBack,
        })
    }

    /// Drives the machine to the end.
    pub(super) async fn run(&mut self) -> End {
        let mut task = self.begin();
        loop {
            let event = match task.effect() {
                Effect::Done(end) => return end,
                Effect::Pause if self.began.elapsed() < SETTLE_TIMEOUT => {
                    tokio::time::sleep(SETTLE_PAUSE).await;
                    Event::Did
                }
                effect => self.answer(effect),
            };
            task = marker::step(task, event);
        }
    }

    /// Drives a machine that never pauses.
    pub(super) fn run_at_once(&mut self) -> End {
        let mut task = self.begin();
        loop {
            match task.effect() {
                Effect::Done(end) => return end,
                effect => task = marker::step(task, self.answer(effect)),
            }
        }
    }

    fn answer(&mut self, effect: Effect) -> Event {
        let event = self.perform(effect).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            Event::Failed
        });
        tracing::debug!(path = %Shown(self.path), ?effect, ?event, "a step of the lifecycle lock");
        event
    }

    fn perform(&mut self, effect: Effect) -> Result<Event, LifecycleError> {
        Ok(match effect {
            Effect::Open => return self.open(),
            Effect::CheckLock => match &self.goal {
                Goal::GiveBack(held) => yes_or_no(held.lock.is_in_place()?),
                Goal::Take { .. } | Goal::Force | Goal::ReleaseFor(_) => Event::Refused,
            },
            Effect::Lock => {
                self.flock = self.dir().try_lock()?;
                yes_or_no(self.flock.is_some())
            }
            Effect::Judge => Event::Judged(self.judge()?),
            Effect::KeepAside => {
                self.keep_aside()?;
                Event::Did
            }
            Effect::Write => {
                self.write()?;
                Event::Did
            }
            Effect::Remove => {
                self.dir().remove()?;
                Event::Did
            }
            Effect::Unlock => {
                self.flock = None;
                Event::Did
            }
            Effect::CheckPlace => yes_or_no(self.dir().is_still_in_place()?),
            Effect::Pause | Effect::Done(_) => Event::Late,
        })
    }

    fn dir(&self) -> &MarkerDir {
        self.dir.as_ref().expect(OPENED)
    }

    fn open(&mut self) -> Result<Event, LifecycleError> {
        let dir = match self.goal {
            Goal::Take { .. } => {
                let dir = MarkerDir::create(self.path)?;
                // An unusable file at the marker's path is refused before a lock file is made.
                dir.read()?;
                Some(dir)
            }
            Goal::Force | Goal::ReleaseFor(_) => match MarkerDir::open(self.path)? {
                Some(dir) if dir.read()?.inode.is_some() => Some(dir),
                Some(_) | None => None,
            },
            Goal::GiveBack(_) => MarkerDir::open(self.path)?,
        };
        self.dir = dir;
        Ok(yes_or_no(self.dir.is_some()))
    }

    fn judge(&mut self) -> Result<Judgement, LifecycleError> {
        let marker = self.dir().read()?;
        let judgement = match &self.goal {
            Goal::Take { .. } => self.judge_claim(&marker),
            Goal::Force => Judgement::by_force(&marker.found),
            Goal::ReleaseFor(pid) => Judgement::for_holder(&marker.found, *pid, marker.standing(self.here)),
            Goal::GiveBack(held) => judge_own(&marker, held),
        };
        self.marker = Some(marker);
        Ok(judgement)
    }

    fn judge_claim(&mut self, marker: &Marker) -> Judgement {
        let standing = marker.standing(self.here);
        let kernel = if self.flock.is_some() { KernelLock::Free } else { KernelLock::Held };
        let decision = decide_claim(ClaimPolicy::lifecycle(), kernel, marker.found.clone(), standing);
        let holder_runs = marker.found.payload().is_some() && standing.pid_is_taken();
        let judgement = Judgement::of(&decision, holder_runs);
        match decision {
            ClaimDecision::Fresh => self.taken_over = None,
            ClaimDecision::TakeOver { why, previous } => {
                self.warn_of_other_machine(&why, previous.as_ref());
                self.taken_over = Some(TakenOver { why, previous, kept_aside: None });
            }
            ClaimDecision::Conflict { why, holder } => {
                let holder = holder.map(Box::new);
                self.conflict = Some(LifecycleConflict { why, holder, holder_runs });
            }
        }
        judgement
    }

    fn warn_of_other_machine(&self, why: &TakeOverReason, previous: Option<&LifecyclePayload>) {
        if *why == TakeOverReason::OtherMachine {
            let host = previous.map_or("another machine", |payload| &payload.hostname);
            tracing::warn!(
                "`{}` was held on host `{}`, which cannot be asked, and was taken over",
                Shown(self.path),
                host.escape_debug()
            );
        }
    }

    fn keep_aside(&mut self) -> Result<(), LifecycleError> {
        let kept = self.dir().keep_aside()?;
        if self.taken_over.is_some() {
            tracing::warn!(
                "`{}` could not be read and was taken over; it is kept as `{}`",
                Shown(self.path),
                Shown(&kept)
            );
        }
        self.kept_aside = Some(kept);
        Ok(())
    }

    fn write(&mut self) -> Result<(), LifecycleError> {
        let Goal::Take { holder, keeper } = &self.goal else { return Ok(()) };
        let kept_by = match keeper {
            Keeper::Us => KeptBy::KernelLock,
            Keeper::Nobody => KeptBy::Evidence,
        };
        let nonce = random::nonce()?;
        let payload = LifecyclePayload::new(self.here, holder.clone(), clock::now(), nonce, kept_by);
        let inode = self.dir().write(&payload)?;
        self.written = Some((Box::new(payload), inode));
        Ok(())
    }

    /// The taken lock, if this process keeps the flock.
    pub(super) fn take_held(&mut self) -> Option<Held> {
        let Goal::Take { keeper: Keeper::Us, .. } = self.goal else { return None };
        let (payload, inode) = self.written.as_ref()?;
        Some(Held { nonce: payload.nonce.clone()?, inode: *inode, lock: self.flock.take()? })
    }

    /// The result of [`Goal::Take`].
    pub(super) fn acquired(self, end: End) -> Result<Acquired, LifecycleError> {
        match (end, self.written, self.conflict, self.error) {
            (End::Did, Some((payload, _)), _, _) => {
                let kept_aside = self.kept_aside;
                let taken_over = self.taken_over.map(|taken| Box::new(TakenOver { kept_aside, ..taken }));
                Ok(Acquired::Ours { payload, taken_over })
            }
            (End::NotOurs | End::InUse | End::NoMarker, _, Some(conflict), _) => {
                Ok(Acquired::Conflict(conflict))
            }
            (_, _, _, Some(error)) => Err(error),
            (End::Did | End::NotOurs | End::InUse | End::NoMarker | End::Failed, ..) => {
                unreachable!("a lock is taken, or was refused for a reason that was kept")
            }
        }
    }

    /// The result of [`Goal::ReleaseFor`] and [`Goal::GiveBack`].
    pub(super) fn released(self, end: End) -> Result<Released, LifecycleError> {
        match end {
            End::Did => Ok(Released::Released),
            End::NoMarker => Ok(Released::NotHeld { holder: None }),
            End::NotOurs => Ok(Released::NotHeld { holder: self.holder()? }),
            End::InUse => Err(LifecycleError::InUse { holder: self.holder()? }),
            End::Failed => Err(self.error.expect("a step that fails says why")),
        }
    }

    /// The result of [`Goal::Force`].
    pub(super) fn forced(self, end: End) -> Result<ForceUnlocked, LifecycleError> {
        match end {
            End::Did => {
                let previous = self.marker.as_ref().and_then(payload);
                Ok(ForceUnlocked::Removed { previous, kept_aside: self.kept_aside })
            }
            End::NoMarker | End::NotOurs => Ok(ForceUnlocked::NotLocked),
            End::InUse => Err(LifecycleError::InUse { holder: self.holder()? }),
            End::Failed => Err(self.error.expect("a step that fails says why")),
        }
    }

    fn holder(&self) -> Result<Option<Box<LifecyclePayload>>, LifecycleError> {
        Ok(match &self.dir {
            Some(dir) => payload(&dir.read()?),
            None => None,
        })
    }
}

/// Whether `held` belongs to the marker.
pub(super) fn is_ours(marker: &Marker, held: &Held) -> bool {
    judge_own(marker, held) == Judgement::Ours
}

fn judge_own(marker: &Marker, held: &Held) -> Judgement {
    let file = if marker.inode == Some(held.inode) { SameFile::Yes } else { SameFile::No };
    Judgement::of_writer(&marker.found, &held.nonce, file)
}

/// The content of a readable marker.
pub(super) fn payload(marker: &Marker) -> Option<Box<LifecyclePayload>> {
    marker.found.payload().cloned().map(Box::new)
}

fn yes_or_no(yes: bool) -> Event {
    if yes { Event::Did } else { Event::Refused }
}
