//! One call of `ensure`, from the request to the outcome.
//!
//! # Invariants
//! 1. Every decision is made by [`rekindle_core::ensure`]; [`call`] performs the effects.
//! 2. One deadline bounds waiting and observing together; the graces of a kill are added.

mod call;
mod request;

use crate::error::Error;
use crate::launch::Source;
use crate::outcome::{DryRun, Ensured, Restarted, StartKind};
use crate::sessions::handshake;
use crate::sessions::show::pass::pass_by_session;
use call::Call;
use rekindle_core::ensure::{Conclusion, Depth};
use rekindle_core::{Intent, Readiness};
pub(crate) use request::{Ensure, SOCKET_FILE};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

impl Ensure {
    /// Runs the transaction to its end.
    pub(crate) async fn run(self) -> Result<Ensured, Error> {
        self.restart().await.started
    }

    /// As [`Self::run`], with the end of the worker that was replaced.
    pub(crate) async fn restart(self) -> Restarted {
        if self.launch.intent != Intent::Attach
            && let Err(error) = self.root.mend_session(&self.session)
        {
            return Restarted { replaced: None, started: Err(error.into()) };
        }
        let mut call = Call::new(&self, Instant::now(), Depth::Whole);
        let conclusion = call.run().await;
        let (deadline, replaced) = (call.deadline(), call.replaced());
        let speaking = call.launch().handshake_spoken().cloned();
        let outcome = call.outcome(conclusion);
        if outcome.as_ref().is_ok_and(is_start) {
            // A previous run may have left logs over their bound.
            pass_by_session(&self.root, &self.session);
        }
        let started = match (outcome, speaking) {
            // The claim is released already: a slow worker delays only this call.
            (Ok(Ensured::Running(worker)), Some(speaking)) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let version = || self.recorded_version();
                Ok(handshake::introduce(&self.session, *worker, &speaking, left, version).await)
            }
            (outcome, _) => outcome,
        };
        Restarted { replaced, started }
    }

    /// The decision of `run`, without taking the claim or creating a file.
    pub(crate) async fn dry_run(self) -> Result<DryRun, Error> {
        let mut call = Call::new(&self, Instant::now(), Depth::DryRun);
        let conclusion = call.run().await;
        call.foreseen(conclusion)
    }

    /// The lock-free path alone, without waiting: `None` if a connect is not enough.
    pub(crate) fn at_once(&self) -> Result<Option<Ensured>, Error> {
        if self.launch.intent == Intent::Resume || self.launch.condition() != Readiness::Connect {
            return Ok(None);
        }
        let mut call = Call::new(self, Instant::now(), Depth::AtOnce);
        let conclusion = match pin!(call.run()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(conclusion) => conclusion,
            Poll::Pending => return Ok(None),
        };
        // Only the record says what the caller's worker has to do before it counts as ready.
        if self.launch.source == Source::Record && call.launch().condition() != Readiness::Connect {
            return Ok(None);
        }
        match conclusion {
            Conclusion::NotAtOnce | Conclusion::BadTarget => Ok(None),
            conclusion => call.outcome(conclusion).map(Some),
        }
    }
}

/// Whether the call observed a start, rather than a worker that ran.
fn is_start(ensured: &Ensured) -> bool {
    match ensured {
        Ensured::Running(worker) => worker.kind != StartKind::Attached,
        Ensured::Exited(_) => true,
        Ensured::NotStarted(_) | Ensured::Retained(_) | Ensured::Rejected(_) => false,
    }
}
