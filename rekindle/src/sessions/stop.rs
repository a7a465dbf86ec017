//! One stop of a session: performs the effects of [`rekindle_core::stop::session`].
//!
//! # Invariants
//! 1. Every decision is made by the core; findings and failures are kept for the report.
//! 2. An ended worker is reported as ended, even if the record could not be written: such a failure is trouble, not an
//!    error.

use crate::error::Error;
use crate::outcome::{StopOutcome, Stopped, Tidied};
use crate::sessions::snapshot::Snapshot;
use async_trait::async_trait;
use rekindle_adapters::claim_lock::{ClaimAttempt, is_locked, try_claim};
use rekindle_adapters::lifeline::{self, Located};
use rekindle_adapters::probe;
use rekindle_adapters::record_file::StopMark;
use rekindle_adapters::socket_file::Leftover;
use rekindle_adapters::{HeldClaim, SessionDir, StateRoot, Worker, clock, record_file, worker};
use rekindle_core::execute::Seen;
use rekindle_core::start::order::Room;
use rekindle_core::stop::session::{self, Conclusion, Effect, EndedBy, Event, StopSession};
use rekindle_core::stop::{StopDeps, StopEnd, StopPolicy, StopReport, StopStep, execute_stop};
use rekindle_core::{ChildExit, Endpoint, Host, KillError, KillSignal, Liveness, Pid, SessionId, WatchError};
use std::time::{Duration, Instant};

/// The pause before another look at a session that is between two starts.
const TORN_PAUSE: Duration = Duration::from_millis(2);

/// Stops the worker of one session.
pub(crate) async fn stop(
    root: &StateRoot,
    here: &Host,
    session: &SessionId,
    policy: &StopPolicy,
) -> Result<Stopped, Error> {
    let began = Instant::now();
    let dir = find(root, session)?;
    let mut stopping = Stopping {
        root,
        here,
        policy,
        dir,
        deadline: began + policy.term_grace.saturating_add(policy.kill_grace),
        seen: Snapshot::nothing(),
        worker: None,
        ended: None,
        mark: None,
        held: None,
        now: Snapshot::nothing(),
        leftover: Leftover::default(),
        untidied: None,
        error: None,
    };
    let conclusion = stopping.run().await;
    let stopped = stopping.report(conclusion)?;
    Ok(Stopped { elapsed: began.elapsed(), ..stopped })
}

/// The directory of a session. If the directory was removed under a living worker, creates a new directory.
fn find(root: &StateRoot, session: &SessionId) -> Result<SessionDir, Error> {
    if let Some(dir) = root.session(session)? {
        return Ok(dir);
    }
    match lifeline::find(root.path(), session) {
        Located::Named(_) | Located::Lost(_) => Ok(root.create_session(session)?),
        Located::Nowhere => Err(Error::UnknownSession { session: session.clone() }),
        Located::Unsearched { why } => Err(Error::Unsearched { session: session.clone(), why }),
    }
}

/// A stop in progress, with open resources and findings.
struct Stopping<'s> {
    root: &'s StateRoot,
    here: &'s Host,
    policy: &'s StopPolicy,
    dir: SessionDir,
    deadline: Instant,
    /// The snapshot on which the choice of processes to signal was based.
    seen: Snapshot,
    worker: Option<Worker>,
    ended: Option<StopReport>,
    mark: Option<StopMark>,
    held: Option<HeldClaim>,
    /// The snapshot taken under the claim.
    now: Snapshot,
    leftover: Leftover,
    /// The first failure of the clean-up.
    untidied: Option<Error>,
    error: Option<Error>,
}

impl Stopping<'_> {
    /// Drives the machine to its conclusion.
    async fn run(&mut self) -> Conclusion {
        let mut stop = StopSession::default();
        loop {
            let effect = stop.effect();
            let event = match effect {
                Effect::Done(conclusion) => return conclusion,
                effect => self.perform(effect).await.unwrap_or_else(|error| {
                    // The report states what the stop did, even if the record could not be written.
                    let kept = if is_cleaning(effect) { &mut self.untidied } else { &mut self.error };
                    kept.get_or_insert(error);
                    Event::Failed
                }),
            };
            tracing::debug!(session = %self.dir.session(), ?effect, ?event, "a step of the stop");
            stop = session::step(stop, event);
        }
    }

    async fn perform(&mut self, effect: Effect) -> Result<Event, Error> {
        Ok(match effect {
            // A launcher between two steps holds the lock, or the launcher's child before marking the lifeline.
            Effect::AskClaim => yes_or_no(is_locked(&self.dir)?),
            Effect::Look => {
                self.seen = Snapshot::take(&self.dir, self.here)?;
                Event::Looked(self.seen.view_of_record())
            }
            Effect::Pause if Instant::now() > self.deadline => Event::Late,
            Effect::Pause => {
                tokio::time::sleep(TORN_PAUSE).await;
                Event::Did
            }
            Effect::Probe => Event::Probed(self.probe()),
            Effect::Pin => {
                self.worker = Some(self.seen.worker(self.here)?);
                Event::Did
            }
            Effect::CountMembers => {
                let members = self.worker.as_ref().map(worker::members).transpose()?;
                yes_or_no(members.is_some_and(|members| !members.is_empty()))
            }
            Effect::End => self.end().await,
            Effect::Acquire => match try_claim(self.root, self.dir.session(), self.here)? {
                ClaimAttempt::Held(held) => {
                    self.held = Some(*held);
                    Event::Did
                }
                ClaimAttempt::Conflict { .. } => Event::Refused,
            },
            Effect::LookUnderClaim => {
                let held = self.held.as_ref().expect("the claim was taken for this");
                self.now = Snapshot::take(held.dir(), self.here)?;
                Event::Looked(self.now.view_of_record())
            }
            Effect::LookAtSocket => Event::Room(self.look_at_socket()),
            Effect::RemoveSocket => {
                self.leftover.remove();
                Event::Did
            }
            Effect::WriteExited(by) => {
                self.write_exited(by)?;
                Event::Did
            }
            Effect::Release => {
                self.held.take().map_or(Ok(()), HeldClaim::release).map_err(|source| Error::Release {
                    session: self.dir.session().clone(),
                    observed: Seen::ChildExited { exit: self.exit() },
                    source,
                })?;
                Event::Did
            }
            Effect::Done(_) => Event::Did,
        })
    }

    /// Asks whether a process answers on the worker's socket.
    fn probe(&self) -> Liveness {
        let probed = self.seen.socket().map(probe::probe_once);
        probed.map_or(Liveness::Dormant, |probed| probed.liveness())
    }

    async fn end(&mut self) -> Event {
        // Before the first signal: a watcher of the worker leaves the record to this stop.
        self.mark = record_file::mark_stop(&self.dir);
        let worker = self.worker.as_ref().expect("a worker is pinned before it is ended");
        let ended = execute_stop(self.policy, &Ending { worker }).await;
        let end = ended.end;
        self.ended = Some(ended);
        Event::Ended(end)
    }

    fn exit(&self) -> ChildExit {
        self.ended.as_ref().and_then(|ended| ended.exit).unwrap_or(ChildExit::Unknown)
    }

    fn look_at_socket(&mut self) -> Room {
        let Some(held) = &self.held else { return Room::Free };
        self.leftover.look(held.dir(), self.now.socket(), self.now.socket_file())
    }

    fn write_exited(&mut self, by: EndedBy) -> Result<(), Error> {
        let exit = self.exit();
        let record = self.now.record.take().and_then(|record| record.after_end(clock::now(), exit, by));
        match (&self.held, record) {
            (Some(held), Some(record)) => Ok(record_file::write(held.dir(), &record)?),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// The outcome of the stop.
    fn report(self, conclusion: Conclusion) -> Result<Stopped, Error> {
        const SAID: &str = "a step that fails says why";
        let session = || self.dir.session().clone();
        let outcome = match conclusion {
            Conclusion::NotRunning => StopOutcome::NotRunning,
            Conclusion::Ended(StopEnd::Ended { by: StopStep::CloseStdin | StopStep::Terminate }) => {
                StopOutcome::Stopped
            }
            Conclusion::Ended(StopEnd::Ended { by: StopStep::Kill }) => StopOutcome::Killed,
            Conclusion::Ended(StopEnd::GaveUp) => StopOutcome::GaveUp,
            Conclusion::Unknown => return Err(Error::UnknownSession { session: session() }),
            Conclusion::Unjudged => return Err(self.unjudged(self.seen.doubts())),
            Conclusion::Torn => {
                let doubt = "its lifeline is held, and does not say by which start";
                return Err(self.unjudged(vec![doubt.to_owned()]));
            }
            Conclusion::StartInProgress => return Err(Error::StartInProgress { session: session() }),
            Conclusion::RecordNewer => {
                let schema_version = self.seen.newer.as_ref().map_or(0, |newer| newer.schema_version);
                return Err(Error::RecordNewer { session: session(), schema_version });
            }
            Conclusion::RecordCorrupt => {
                self.seen.require_readable(self.dir.path(), self.dir.session())?;
                return Err(self.error.expect(SAID));
            }
            Conclusion::NotManaged => {
                let address = self.seen.endpoint().unwrap_or(Endpoint::None);
                return Err(Error::NotManaged { address });
            }
            Conclusion::Failed => return Err(self.error.expect(SAID)),
        };
        let mut trouble = self.ended.as_ref().map(|ended| ended.trouble.clone()).unwrap_or_default();
        let survivors = match (outcome, &self.worker) {
            (StopOutcome::GaveUp, Some(worker)) => survivors(worker, &mut trouble),
            (
                StopOutcome::GaveUp | StopOutcome::Stopped | StopOutcome::Killed | StopOutcome::NotRunning,
                _,
            ) => Vec::new(),
        };
        // A failed clean-up does not change the outcome of the stop.
        let tidied = match &self.untidied {
            None => Tidied::Yes,
            Some(error) => {
                trouble.push(error.to_string());
                Tidied::No(error.advice())
            }
        };
        let (pid, generation, elapsed) = (self.seen.pid(), self.seen.generation(), Duration::ZERO);
        Ok(Stopped { session: session(), outcome, pid, generation, elapsed, survivors, trouble, tidied })
    }

    fn unjudged(&self, doubts: Vec<String>) -> Error {
        let session = self.dir.session().clone();
        let (lifeline, gap) = (self.seen.evidence.lifeline, self.seen.gap.clone().map(Box::new));
        Error::Unjudged { session, doubts, lifeline, gap }
    }
}

/// Whether an effect is part of the clean-up.
fn is_cleaning(effect: Effect) -> bool {
    match effect {
        Effect::Acquire
        | Effect::LookUnderClaim
        | Effect::LookAtSocket
        | Effect::RemoveSocket
        | Effect::WriteExited(_)
        | Effect::Release => true,
        Effect::AskClaim
        | Effect::Look
        | Effect::Pause
        | Effect::Probe
        | Effect::Pin
        | Effect::CountMembers
        | Effect::End
        | Effect::Done(_) => false,
    }
}

fn yes_or_no(yes: bool) -> Event {
    if yes { Event::Did } else { Event::Refused }
}

/// The remaining processes after a stop gave up. A failure to list these processes is added to `trouble`.
fn survivors(worker: &Worker, trouble: &mut Vec<String>) -> Vec<Pid> {
    let survivors = worker::members(worker).unwrap_or_else(|error| {
        trouble.push(error.to_string());
        Vec::new()
    });
    if survivors.is_empty() {
        trouble.push("its lifeline is held by a process that the system does not let us see".to_owned());
    }
    survivors
}

/// Ends one pinned worker.
pub(crate) struct Ending<'w> {
    pub(crate) worker: &'w Worker,
}

#[async_trait]
impl StopDeps for Ending<'_> {
    /// Does nothing: the standard input of a background worker is /dev/null.
    async fn close_stdin(&self) {}

    async fn signal(&self, how: KillSignal) -> Result<(), KillError> {
        worker::signal(self.worker, how)
    }

    async fn await_exit(&self) -> Result<ChildExit, WatchError> {
        worker::await_exit(self.worker).await
    }

    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        if after.is_zero() {
            // No timer: one poll notices an exit that has happened already.
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(after).await;
        }
        Ok(())
    }
}
