//! One stop, and what is cleaned up after it.
//!
//! # Invariants
//! 1. Signals go to the generation that was seen, without the claim: a stop does not wait for a launcher.
//! 2. Who cannot be judged is not signalled: then the stop is refused, and says what cannot be proved.
//! 3. What is cleaned up is cleaned up under the claim, if nobody holds it, and only if the session is still that
//!    generation and its worker provably gone. A launcher that is at work cleans up itself.
//! 4. A worker that was ended is reported as ended, also if nothing could be written: that is trouble, not an error.

use crate::error::Error;
use crate::outcome::{StopOutcome, Stopped};
use crate::survey::Survey;
use async_trait::async_trait;
use rekindle_adapters::claim_lock::{ClaimAttempt, try_claim};
use rekindle_adapters::lifeline::{self, Located};
use rekindle_adapters::probe::{self, Probed};
use rekindle_adapters::{SessionDir, StateRoot, Worker, clock, record_file, socket_file, worker};
use rekindle_core::stop::{StopDeps, StopEnd, StopPolicy, StopStep, execute_stop};
use rekindle_core::{
    ChildExit, Generation, Host, KillError, KillSignal, LastWorker, Lifeline, RecordState, SessionId,
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
    };
    let held = survey.evidence.lifeline == Lifeline::Held;
    if survey.last_worker() == LastWorker::Gone && !held {
        survey.require_readable(dir.path(), session)?;
        refuse_strangers(&survey)?;
        let cleaned = clean_up(root, here, session, survey.generation, ChildExit::Unknown);
        if !survey.is_known() {
            return Err(unknown());
        }
        let trouble = cleaned.err().map(|error| error.to_string()).into_iter().collect();
        return Ok(Stopped { elapsed: began.elapsed(), trouble, ..report(StopOutcome::NotRunning) });
    }
    let worker = survey.worker(here)?;
    if survey.last_worker() == LastWorker::Unknown && (!held || worker::members(&worker)?.is_empty()) {
        let (session, lifeline) = (session.clone(), survey.evidence.lifeline);
        return Err(Error::Unjudged { session, doubts: survey.doubts(), lifeline });
    }
    let ended = execute_stop(policy, &Ending { worker: &worker }).await;
    let outcome = match ended.end {
        StopEnd::Ended { by: StopStep::CloseStdin | StopStep::Terminate } => StopOutcome::Stopped,
        StopEnd::Ended { by: StopStep::Kill } => StopOutcome::Killed,
        StopEnd::GaveUp => StopOutcome::GaveUp,
    };
    let mut trouble = ended.trouble;
    let mut survivors = Vec::new();
    if outcome == StopOutcome::GaveUp {
        match worker::members(&worker) {
            Ok(members) => survivors = members,
            Err(error) => trouble.push(error.to_string()),
        }
        if survivors.is_empty() {
            trouble.push("its lifeline is held by a process that the system does not let us see".to_owned());
        }
    }
    // What was done is said, also where it cannot be written down.
    let exit = ended.exit.unwrap_or(ChildExit::Unknown);
    trouble
        .extend(clean_up(root, here, session, survey.generation, exit).err().map(|error| error.to_string()));
    Ok(Stopped { elapsed: began.elapsed(), survivors, trouble, ..report(outcome) })
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
        let survey = Survey::take(dir, here)?;
        if !survey.is_torn() {
            return Ok(survey);
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
) -> Result<(), Error> {
    // Somebody who holds the claim is deciding about the session now, and sees what we see.
    let ClaimAttempt::Held(held) = try_claim(root, session, here)? else { return Ok(()) };
    let cleaned = clean_up_dir(held.dir(), here, generation, exit);
    let released = held.release().map_err(|source| Error::Release {
        session: session.clone(),
        observed: rekindle_core::execute::Seen::ChildExited { exit },
        source,
    });
    cleaned.and(released)
}

fn clean_up_dir(dir: &SessionDir, here: &Host, generation: Generation, exit: ChildExit) -> Result<(), Error> {
    let now = Survey::take(dir, here)?;
    if now.generation != generation || now.last_worker() != LastWorker::Gone {
        return Ok(());
    }
    if let Some(socket) = now.socket() {
        socket_file::clear(dir, socket, now.record.as_ref().and_then(|record| record.socket_file));
    }
    match now.record {
        Some(record) if record.state != RecordState::Exited => {
            Ok(record_file::write(dir, &record.into_exited(clock::now(), exit))?)
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
