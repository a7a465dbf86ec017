//! One stop of a child, over the machine of [`rekindle_core::stop`].

use super::{Life, Reins, StdioEvent, cut_short, lock};
use async_trait::async_trait;
use rekindle_core::stop::{StopDeps, StopEnd, StopPolicy, StopStep, execute_stop};
use rekindle_core::{ChildExit, KillError, KillSignal, Pid, WatchError};
use serde::Serialize;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// How long a guardian may take to go once nobody is left; it takes milliseconds.
const DEPARTURE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a stop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StdioStopped {
    /// What was enough.
    pub end: StdioEnd,
    /// How the child ended, where that was seen.
    pub exit: Option<ChildExit>,
    /// The strongest signal that the child was sent before it ended; `None` if it ended by itself.
    pub signalled: Option<KillSignal>,
    /// The processes of the child that still run; empty unless the stop gave up.
    pub survivors: Vec<Pid>,
    /// The running descendants that [`StdioLaunch::leave_detached`](super::StdioLaunch::leave_detached) left alone; 64 of
    /// them at most.
    pub left: Vec<Pid>,
    /// What went wrong on the way.
    pub trouble: Vec<String>,
}

/// What was enough to end a child and all of its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StdioEnd {
    /// They had ended by themselves.
    HadEnded,
    /// Its stdin was closed.
    ClosedStdin,
    /// They were asked to end.
    Terminated,
    /// They were killed.
    Killed,
    /// Nothing was enough in time.
    GaveUp,
}

/// A stop that has begun, for those who join it.
#[derive(Debug)]
pub(super) struct Stopping {
    report: watch::Receiver<Option<StdioStopped>>,
    /// One permit for each time that it was asked for again.
    asked_again: Arc<Semaphore>,
}

pub(super) async fn stop(reins: &Arc<Reins>, policy: StopPolicy) -> StdioStopped {
    let mut report = join_or_begin(reins, policy);
    match report.wait_for(Option::is_some).await.map(|report| report.clone()) {
        Ok(Some(stopped)) => stopped,
        // Its runtime was shut down, and the guardian takes over once the child is dropped.
        Ok(None) | Err(_) => StdioStopped {
            end: StdioEnd::GaveUp,
            exit: reins.life.borrow().end,
            signalled: None,
            survivors: reins.survivors(),
            left: reins.left(),
            trouble: vec![cut_short().to_string()],
        },
    }
}

fn join_or_begin(reins: &Arc<Reins>, policy: StopPolicy) -> watch::Receiver<Option<StdioStopped>> {
    let mut stopping = lock(&reins.stopping);
    if let Some(stopping) = &*stopping {
        stopping.asked_again.add_permits(1);
        return stopping.report.clone();
    }
    let (sender, report) = watch::channel(None);
    let asked_again = Arc::new(Semaphore::new(0));
    let ending = Ending {
        reins: Arc::clone(reins),
        asked_again: Arc::clone(&asked_again),
        signalled: Mutex::default(),
    };
    tokio::spawn(async move {
        let stopped = ending.run(&policy).await;
        // Whoever asked may have given up.
        let _ = sender.send(Some(stopped));
    });
    *stopping = Some(Stopping { report: report.clone(), asked_again });
    report
}

struct Ending {
    reins: Arc<Reins>,
    asked_again: Arc<Semaphore>,
    signalled: Mutex<Option<KillSignal>>,
}

impl Ending {
    async fn run(&self, policy: &StopPolicy) -> StdioStopped {
        let had_ended = self.had_ended().await;
        if !had_ended {
            self.reins.listener.tell(StdioEvent::Stopping);
        }
        let report = execute_stop(policy, self).await;
        let end = match report.end {
            StopEnd::Ended { .. } if had_ended => StdioEnd::HadEnded,
            StopEnd::Ended { by: StopStep::CloseStdin } => StdioEnd::ClosedStdin,
            StopEnd::Ended { by: StopStep::Terminate } => StdioEnd::Terminated,
            StopEnd::Ended { by: StopStep::Kill } => StdioEnd::Killed,
            StopEnd::GaveUp => StdioEnd::GaveUp,
        };
        let gave_up = end == StdioEnd::GaveUp;
        if !gave_up {
            // Its last words are read by then; how long that may take is bounded where they are read.
            let _ = self.reaches(|life| life.complaints_read).await;
        }
        let mut trouble = report.trouble;
        trouble.extend(self.reins.loss());
        StdioStopped {
            end,
            exit: self.reins.life.borrow().end,
            signalled: *lock(&self.signalled),
            survivors: if gave_up { self.reins.survivors() } else { Vec::new() },
            left: self.reins.left(),
            trouble,
        }
    }

    /// Whether there is nothing to stop. A guardian that has nobody left to guard is about to go, and is waited for.
    async fn had_ended(&self) -> bool {
        let ended = self.reins.life.borrow().end.is_some() && self.reins.survivors().is_empty();
        ended && timeout(DEPARTURE_TIMEOUT, self.reaches(Life::is_gone)).await.is_ok_and(|gone| gone.is_ok())
    }

    async fn reaches(&self, far_enough: impl FnMut(&Life) -> bool) -> Result<Life, WatchError> {
        let mut life = self.reins.life.clone();
        life.wait_for(far_enough).await.ok().map(|life| life.clone()).ok_or_else(cut_short)
    }
}

impl Reins {
    /// The processes of the child that run; the guardian is their ancestor for as long as it is there.
    fn survivors(&self) -> Vec<Pid> {
        if self.life.borrow().is_gone() { Vec::new() } else { self.orders.members() }
    }

    /// The running descendants that were left alone, or are about to be.
    fn left(&self) -> Vec<Pid> {
        let departure = self.life.borrow().departure.clone();
        departure.map_or_else(|| self.orders.left(), |departure| departure.left)
    }

    /// A sentence about what a lost guardian leaves unknown.
    fn loss(&self) -> Option<String> {
        let life = self.life.borrow();
        let guardian = life.departure.as_ref()?.guardian;
        (guardian != ChildExit::Code(0)).then(|| {
            "the guardian of the child was killed: descendants with a session of their own may still run"
                .into()
        })
    }
}

#[async_trait]
impl StopDeps for Ending {
    async fn close_stdin(&self) {
        self.reins.input.close();
    }

    async fn signal(&self, how: KillSignal) -> Result<(), KillError> {
        if self.reins.life.borrow().end.is_none() {
            *lock(&self.signalled) = Some(how);
        }
        self.reins.listener.tell(StdioEvent::Signalled { how });
        self.reins.orders.signal(how)
    }

    async fn await_exit(&self) -> Result<ChildExit, WatchError> {
        Ok(self.reaches(Life::is_gone).await?.end.unwrap_or(ChildExit::Unknown))
    }

    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        tokio::time::sleep(after).await;
        Ok(())
    }

    async fn asked_again(&self) {
        match self.asked_again.acquire().await {
            Ok(asked) => asked.forget(),
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }
}
