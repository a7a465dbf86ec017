//! Waits for the end of a worker.
//!
//! # Invariants
//! 1. Only a provably gone worker counts as ended: a worker that cannot be judged from here is an error.
//! 2. A process is watched by its pidfd, and only if proved to be the recorded process.
//! 3. An exit is reported only if the kernel reported the exit to this process, or the record has the exit.
//! 4. Whoever learned an exit completes the record.
//! 5. While a process of the worker is visible, nothing polls.
//!
//! Checked by `smoke/tests/smoke/session/wait.rs` and `smoke/tests/smoke/watch/wait.rs`.

use crate::error::Error;
use crate::sessions::list;
use crate::sessions::list::unknown;
use crate::sessions::snapshot::Snapshot;
use crate::sessions::watch::complete::Ended;
use crate::sessions::watch::events::Events;
use crate::sessions::watch::look::Looked;
use rekindle_adapters::backoff::Backoff;
use rekindle_adapters::worker::{self, ReapedExit};
use rekindle_adapters::{StateRoot, Worker, clock, procfs};
use rekindle_core::events::{End, Happened, Look};
use rekindle_core::session::wait::{Next, OfLeader, after_look, after_look_at_leader};
use rekindle_core::{
    ChildExit, Endpoint, Generation, Host, LastWorker, Lifeline, OsFailure, ProcessIdentity, SessionId,
    WatchError,
};
use std::sync::Arc;

/// A handle to wait for the worker of one start. Cheap to clone; keeps no descriptor of the worker open.
#[derive(Debug, Clone)]
pub struct WorkerWatch(Watched);

#[derive(Debug, Clone)]
enum Watched {
    /// Started by this process, or by another launcher.
    Start(Start),
    /// A process answers that no launcher started.
    Unmanaged { endpoint: Endpoint },
    #[cfg(feature = "testing")]
    Simulated,
}

/// One start of a session.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) root: StateRoot,
    pub(crate) here: Arc<Host>,
    pub(crate) session: SessionId,
    pub(crate) generation: Generation,
    /// The process that was started, if known.
    pub(crate) leader: Option<ProcessIdentity>,
    /// The future exit of the worker, if a child of this process.
    pub(crate) reaped: Option<ReapedExit>,
}

impl WorkerWatch {
    pub(crate) fn of_start(start: Start) -> Self {
        Self(Watched::Start(start))
    }

    pub(crate) fn unmanaged(endpoint: Endpoint) -> Self {
        Self(Watched::Unmanaged { endpoint })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn simulated() -> Self {
        Self(Watched::Simulated)
    }

    /// Waits until the worker has ended, with all its processes.
    ///
    /// The result is the exit of the process that was started. The exit is known if the worker ended during the wait (for
    /// another process's child since Linux 6.15), if this process started the worker, or if the record has the exit.
    /// Otherwise the result is [`ChildExit::Unknown`]: the worker has ended with an unknown status.
    ///
    /// A learned exit is added to the record of the start by a task of the runtime, if the claim is free.
    ///
    /// # Errors
    /// [`Error::EndUnprovable`] if rekindle did not start the worker, [`Error::Unjudged`] if nothing proves from here
    /// whether the worker runs, or if the session cannot be read.
    ///
    /// # Cancel safety
    /// Safe; any number of callers may wait, repeatedly.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn wait(&self) -> Result<ChildExit, Error> {
        match &self.0 {
            Watched::Start(start) => {
                let exit = start.wait().await?;
                let start = start.clone();
                tokio::spawn(async move { start.ended(exit).complete_in_time().await });
                Ok(exit)
            }
            Watched::Unmanaged { endpoint } => Err(Error::EndUnprovable { address: endpoint.clone() }),
            #[cfg(feature = "testing")]
            Watched::Simulated => Err(OsFailure::new("watch the worker", "it is simulated").into()),
        }
    }
}

impl Start {
    async fn wait(&self) -> Result<ChildExit, Error> {
        let mut backoff = Backoff::for_name_in(&self.root.path().join(self.session.as_str()));
        let mut learned = None;
        loop {
            let Some(snapshot) = self.snapshot()? else { return Ok(self.exit(learned).await) };
            match after_look(self.generation, snapshot.generation(), snapshot.last_worker()) {
                Next::Ended => return Ok(self.exit(learned.or_else(|| recorded_exit(&snapshot))).await),
                Next::Watch => {
                    let exit = await_end(&snapshot.worker(&self.here)?).await?;
                    learned = learned.or(Some(exit).filter(|exit| exit.is_known()));
                }
                Next::AskLeader if learned.is_some() => return Ok(self.exit(learned).await),
                Next::AskLeader => return self.wait_for_leader().await,
                Next::Unknown => return Err(unjudged(&self.session, &snapshot)),
            }
            // The worker seems alive, but no process is left to watch: pause before the next look.
            backoff.wait().await;
        }
    }

    /// Waits if the session only knows a later start. The later start needed a proof that the worker of this start was
    /// gone, unless the session was forgotten. So only the started process is judged.
    async fn wait_for_leader(&self) -> Result<ChildExit, Error> {
        let standing = self.leader.as_ref().map(|leader| procfs::standing_of_leader(leader, &self.here));
        let doubt = match after_look_at_leader(standing) {
            OfLeader::Ended => return Ok(self.exit(None).await),
            OfLeader::Watch => {
                let exit = await_end(&Worker::adopt(self.leader.clone(), None, None, &self.here)?).await?;
                return Ok(self.exit(Some(exit)).await);
            }
            OfLeader::Unknown(Some(reason)) => reason.describe(),
            OfLeader::Unknown(None) => "nobody wrote down which process it is",
        };
        let doubts = vec![format!("a later start is recorded, and of this one {doubt}")];
        let lifeline = Lifeline::Missing;
        Err(Error::Unjudged { session: self.session.clone(), doubts, lifeline, gap: None })
    }

    /// The snapshot of the session; `None` if the session has no files, and no process holds the lifeline.
    fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        match self.root.session(&self.session)? {
            Some(dir) => Ok(Some(Snapshot::take(&dir, &self.here)?)),
            None => list::lost_snapshot(&self.root, &self.here, &self.session),
        }
    }

    async fn exit(&self, known: Option<ChildExit>) -> ChildExit {
        match &self.reaped {
            Some(reaped) => reaped.clone().known().await,
            None => known.unwrap_or(ChildExit::Unknown),
        }
    }

    /// This start, with its end.
    fn ended(&self, exit: ChildExit) -> Ended<'_> {
        let Self { root, here, session, generation, .. } = self;
        Ended { root, here, session, generation: *generation, exit, at: clock::now() }
    }
}

fn recorded_exit(snapshot: &Snapshot) -> Option<ChildExit> {
    snapshot.record.as_ref().and_then(|record| record.exit)
}

async fn await_end(worker: &Worker) -> Result<ChildExit, Error> {
    match worker::await_exit(worker).await {
        Ok(exit) => Ok(exit),
        Err(WatchError::Os(failure)) => Err(failure.into()),
        Err(error) => Err(OsFailure::new("watch the worker", error.to_string()).into()),
    }
}

/// Waits for the end of the current worker.
pub(crate) async fn wait(
    root: &StateRoot,
    here: &Arc<Host>,
    session: &SessionId,
) -> Result<ChildExit, Error> {
    let (root, here, generation) = (root.clone(), here.clone(), Generation::UNMANAGED);
    let start = Start { root, here, session: session.clone(), generation, leader: None, reaped: None };
    let unknown = || list::unknown(&start.root, session);
    let seen = start.snapshot()?.filter(Snapshot::is_known).ok_or_else(unknown)?;
    let start = Start { generation: seen.generation(), leader: seen.leader().cloned(), ..start };
    let exit = start.wait().await?;
    start.ended(exit).complete_in_time().await;
    Ok(exit)
}

/// What a wait for readiness saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readied {
    /// The worker is ready.
    Ready,
    /// The worker has ended, or none ran.
    Ended(ChildExit),
}

/// Waits until the current worker is ready, or has ended.
pub(crate) async fn wait_until_ready(
    root: &StateRoot,
    here: &Arc<Host>,
    session: &SessionId,
) -> Result<Readied, Error> {
    let (mut events, looked) = (
        Events::open(root, here, std::slice::from_ref(session))?,
        Looked::at(root, here, session, |_| End::default())?,
    );
    match (looked.look, &looked.snapshot) {
        (Look::Absent, _) => return Err(unknown(root, session)),
        (Look::Unclear, Some(snapshot)) if snapshot.last_worker() == LastWorker::Unknown => {
            return Err(unjudged(session, snapshot));
        }
        (Look::Unclear | Look::Seen(_), _) => {}
    }
    loop {
        let event = events.next().await?;
        match event.event {
            Happened::Ready => return Ok(Readied::Ready),
            Happened::Exited | Happened::Stopped | Happened::Removed => {
                return Ok(Readied::Ended(event.exit.unwrap_or(ChildExit::Unknown)));
            }
            Happened::Starting | Happened::Restarting | Happened::Retained | Happened::Released => {}
        }
    }
}

pub(crate) fn unjudged(session: &SessionId, snapshot: &Snapshot) -> Error {
    let (lifeline, gap) = (snapshot.evidence.lifeline, snapshot.gap.clone().map(Box::new));
    Error::Unjudged { session: session.clone(), doubts: snapshot.doubts(), lifeline, gap }
}
