//! Waits for the end of a worker.
//!
//! # Invariants
//! 1. Only a provably gone worker counts as ended: a worker that cannot be judged from here is an error.
//! 2. A process is watched by its pidfd, and only if proved to be the recorded process.
//! 3. An exit is reported only if the kernel reported the exit to this process, or the record has the exit.
//!
//! Checked by `smoke/tests/smoke/session/wait.rs`.

use crate::error::Error;
use crate::sessions::list;
use crate::sessions::snapshot::Snapshot;
use rekindle_adapters::backoff::Backoff;
use rekindle_adapters::worker::{self, ReapedExit};
use rekindle_adapters::{StateRoot, Worker, procfs};
use rekindle_core::session::wait::{Next, OfLeader, after_look, after_look_at_leader};
use rekindle_core::{
    ChildExit, Endpoint, Generation, Host, Lifeline, OsFailure, ProcessIdentity, SessionId, WatchError,
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
    /// The result is the exit of the process that was started. The exit is known if this process started the worker, or
    /// if the record has the exit. Otherwise the result is [`ChildExit::Unknown`]: the worker has ended with an unknown
    /// status.
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
            Watched::Start(start) => start.wait().await,
            Watched::Unmanaged { endpoint } => Err(Error::EndUnprovable { address: endpoint.clone() }),
            #[cfg(feature = "testing")]
            Watched::Simulated => Err(OsFailure::new("watch the worker", "it is simulated").into()),
        }
    }
}

impl Start {
    async fn wait(&self) -> Result<ChildExit, Error> {
        let mut backoff = Backoff::for_name_in(&self.root.path().join(self.session.as_str()));
        loop {
            let Some(snapshot) = self.snapshot()? else { return Ok(self.exit(None).await) };
            match after_look(self.generation, snapshot.generation(), snapshot.last_worker()) {
                Next::Ended => return Ok(self.exit(recorded_exit(&snapshot)).await),
                Next::Watch => await_end(&snapshot.worker(&self.here)?).await?,
                Next::AskLeader => return self.wait_for_leader().await,
                Next::Unknown => return Err(self.unjudged(&snapshot)),
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
                await_end(&Worker::adopt(self.leader.clone(), None, None, &self.here)?).await?;
                return Ok(self.exit(None).await);
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

    async fn exit(&self, recorded: Option<ChildExit>) -> ChildExit {
        match &self.reaped {
            Some(reaped) => reaped.clone().known().await,
            None => recorded.unwrap_or(ChildExit::Unknown),
        }
    }

    fn unjudged(&self, snapshot: &Snapshot) -> Error {
        let (lifeline, gap) = (snapshot.evidence.lifeline, snapshot.gap.clone().map(Box::new));
        Error::Unjudged { session: self.session.clone(), doubts: snapshot.doubts(), lifeline, gap }
    }
}

fn recorded_exit(snapshot: &Snapshot) -> Option<ChildExit> {
    snapshot.record.as_ref().and_then(|record| record.exit)
}

async fn await_end(worker: &Worker) -> Result<(), Error> {
    match worker::await_exit(worker).await {
        Ok(_) => Ok(()),
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
    Start { generation: seen.generation(), leader: seen.leader().cloned(), ..start }.wait().await
}
