//! One stop, and what is cleaned up after it.
//!
//! # Invariants
//! 1. Signals go to the generation that was seen, without the claim: a stop does not wait for a launcher.
//! 2. Who cannot be judged is not signalled: then the stop is refused, and says what cannot be proved.
//! 3. What is cleaned up is cleaned up under the claim, if nobody holds it, and only if the session is still that
//!    generation and its worker provably gone. A launcher that is at work cleans up itself.
//! 4. A worker that was ended is reported as ended, also if nothing could be written: that is trouble, not an error.

use crate::error::Error;
use crate::outcome::{StopOutcome, Stopped, Tidied};
use crate::survey::Survey;
use async_trait::async_trait;
use rekindle_adapters::claim_lock::{ClaimAttempt, is_locked, try_claim};
use rekindle_adapters::lifeline::{self, Located};
use rekindle_adapters::probe::{self, Probed};
use rekindle_adapters::{SessionDir, StateRoot, Worker, clock, record_file, socket_file, worker};
use rekindle_core::record::EndedBy;
use rekindle_core::stop::{StopDeps, StopEnd, StopPolicy, StopStep, execute_stop};
use rekindle_core::{
    ChildExit, Generation, Host, KillError, KillSignal, LastWorker, Lifeline, Pid, RecordState, SessionId,
    WatchError,
};
use std::time::{Duration, Instant};

/// How long to wait before a session is surveyed again that is between two starts.
const TORN_PAUSE: Duration = Duration::from_millis(2);

/// Stops the worker of one session.
pub(crate) async fn stop(
    root: &StateRoot,
    here: &Host,
    session: &SessionId,
    policy: &StopPolicy,
) -> Result<Stopped, Error> {
    let began = Instant::now();
    let unknown = || Error::UnknownSession { session: session.clone() };
    let dir = find(root, session)?;
    let survey = settled(&dir, here, policy).await?;
    if let Some(newer) = &survey.newer {
        return Err(Error::RecordNewer { session: session.clone(), schema_version: newer.schema_version });
    }
    let report = |outcome| Stopped {
        session: session.clone(),
        outcome,
        pid: survey.pid(),
        generation: survey.generation,
        elapsed: Duration::ZERO,
        survivors: Vec::new(),
        trouble: Vec::new(),
        tidied: Tidied::Yes,
    };
    let held = survey.evidence.lifeline == Lifeline::Held;
    if survey.last_worker() == LastWorker::Gone && !held {
        survey.require_readable(dir.path(), session)?;
        refuse_strangers(&survey)?;
        let (exit, by) = (ChildExit::Unknown, EndedBy::Worker);
        let cleaned = clean_up(root, here, session, survey.generation, exit, by);
        if !survey.is_known() {
            return Err(unknown());
        }
        let mut trouble = Vec::new();
        let tidied = tidied(cleaned, &mut trouble);
        return Ok(Stopped { elapsed: began.elapsed(), trouble, tidied, ..report(StopOutcome::NotRunning) });
    }
    let worker = survey.worker(here)?;
    if survey.last_worker() == LastWorker::Unknown && (!held || worker::members(&worker)?.is_empty()) {
        return Err(unjudged(session, &survey, survey.doubts()));
    }
    let ended = execute_stop(policy, &Ending { worker: &worker }).await;
    let outcome = match ended.end {
        StopEnd::Ended { by: StopStep::CloseStdin | StopStep::Terminate } => StopOutcome::Stopped,
        StopEnd::Ended { by: StopStep::Kill } => StopOutcome::Killed,
        StopEnd::GaveUp => StopOutcome::GaveUp,
    };
    let mut trouble = ended.trouble;
    let survivors =
        if outcome == StopOutcome::GaveUp { survivors(&worker, &mut trouble) } else { Vec::new() };
    // What was done is said, even if it cannot be written down.
    let exit = ended.exit.unwrap_or(ChildExit::Unknown);
    let cleaned = clean_up(root, here, session, survey.generation, exit, EndedBy::Stop);
    let tidied = tidied(cleaned, &mut trouble);
    Ok(Stopped { elapsed: began.elapsed(), survivors, trouble, tidied, ..report(outcome) })
}

/// Those who still run after a stop gave up; what cannot be seen of them is trouble.
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

/// How cleaning up went; what went wrong is trouble, and takes nothing back of what the stop did.
fn tidied(cleaned: Result<(), Error>, trouble: &mut Vec<String>) -> Tidied {
    match cleaned {
        Ok(()) => Tidied::Yes,
        Err(error) => {
            trouble.push(error.to_string());
            Tidied::No(error.advice())
        }
    }
}

fn unjudged(session: &SessionId, survey: &Survey, doubts: Vec<String>) -> Error {
    let (session, lifeline, gap) =
        (session.clone(), survey.evidence.lifeline, survey.gap.clone().map(Box::new));
    Error::Unjudged { session, doubts, lifeline, gap }
}

/// The directory of a session. It is made anew where somebody removed it under a living worker.
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

/// A survey of one start. A launcher that is between two steps of the next one is given the time to take them.
async fn settled(dir: &SessionDir, here: &Host, policy: &StopPolicy) -> Result<Survey, Error> {
    let deadline = Instant::now() + policy.term_grace.saturating_add(policy.kill_grace);
    loop {
        // Whoever is between two steps holds the lock: the launcher, or its child until that has marked its lifeline.
        let is_at_work = is_locked(dir)?;
        let survey = Survey::take(dir, here)?;
        if !survey.is_torn() {
            return Ok(survey);
        }
        if !is_at_work {
            let doubt = "its lifeline is held, and does not say by which start";
            return Err(unjudged(dir.session(), &survey, vec![doubt.to_owned()]));
        }
        if Instant::now() > deadline {
            return Err(Error::StartInProgress { session: dir.session().clone() });
        }
        tokio::time::sleep(TORN_PAUSE).await;
    }
}

/// A socket that answers although our worker is gone belongs to somebody else.
fn refuse_strangers(survey: &Survey) -> Result<(), Error> {
    match survey.socket().map(|socket| (socket, probe::probe_once(socket))) {
        Some((socket, Probed::Live(_))) => Err(Error::NotManaged { socket: socket.to_owned() }),
        Some(_) | None => Ok(()),
    }
}

/// Removes what the worker of `generation` left behind, and completes its record.
fn clean_up(
    root: &StateRoot,
    here: &Host,
    session: &SessionId,
    generation: Generation,
    exit: ChildExit,
    by: EndedBy,
) -> Result<(), Error> {
    // Somebody who holds the claim is deciding about the session now, and sees what we see.
    let ClaimAttempt::Held(held) = try_claim(root, session, here)? else { return Ok(()) };
    let cleaned = clean_up_dir(held.dir(), here, generation, exit, by);
    let released = held.release().map_err(|source| Error::Release {
        session: session.clone(),
        observed: rekindle_core::execute::Seen::ChildExited { exit },
        source,
    });
    cleaned.and(released)
}

fn clean_up_dir(
    dir: &SessionDir,
    here: &Host,
    generation: Generation,
    exit: ChildExit,
    by: EndedBy,
) -> Result<(), Error> {
    let now = Survey::take(dir, here)?;
    if now.generation != generation || now.last_worker() != LastWorker::Gone {
        return Ok(());
    }
    if let Some(socket) = now.socket() {
        socket_file::clear(dir, socket, now.record.as_ref().and_then(|record| record.socket_file));
    }
    match now.record {
        Some(record) if record.state != RecordState::Exited => {
            Ok(record_file::write(dir, &record.into_exited(clock::now(), exit).ended_by(by))?)
        }
        // Somebody who came in between found it gone, and could not know by whom.
        Some(record) if by == EndedBy::Stop && record.ended_by == Some(EndedBy::Worker) => {
            Ok(record_file::write(dir, &record.ended_by(by))?)
        }
        Some(_) | None => Ok(()),
    }
}

struct Ending<'w> {
    worker: &'w Worker,
}

#[async_trait]
impl StopDeps for Ending<'_> {
    /// A background worker reads from /dev/null; there is nothing to close.
    async fn close_stdin(&self) {}

    async fn signal(&self, how: KillSignal) -> Result<(), KillError> {
        worker::signal(self.worker, how)
    }

    async fn await_exit(&self) -> Result<ChildExit, WatchError> {
        worker::await_exit(self.worker).await
    }

    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        if after.is_zero() {
            // Not a tick of the clock: what has happened already is seen, and nothing is waited for.
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(after).await;
        }
        Ok(())
    }
}
