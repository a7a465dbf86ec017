//! One stop of a child, with the machine of [`rekindle_core::stop`].

use super::launch::StdioEvent;
use super::outcome::{StdioEnd, StdioStopped};
use super::shared::{Life, Shared, Stopping, cut_short, lock};
use async_trait::async_trait;
use rekindle_core::stop::{StopDeps, StopEnd, StopPolicy, StopStep, execute_stop};
use rekindle_core::{ChildExit, KillError, KillSignal, WatchError};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// The time for a guardian to exit once no process is left; milliseconds suffice.
const DEPARTURE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn stop(shared: &Arc<Shared>, policy: StopPolicy) -> StdioStopped {
    let mut report = join_or_begin(shared, policy);
    match report.wait_for(Option::is_some).await.map(|report| report.clone()) {
        Ok(Some(stopped)) => stopped,
        // The runtime was shut down; the guardian takes over once the child is dropped.
        Ok(None) | Err(_) => StdioStopped {
            end: StdioEnd::GaveUp,
            exit: shared.life.borrow().end,
            signalled: None,
            survivors: shared.survivors(),
            left: shared.left(),
            trouble: vec![cut_short().to_string()],
        },
    }
}

fn join_or_begin(shared: &Arc<Shared>, policy: StopPolicy) -> watch::Receiver<Option<StdioStopped>> {
    let mut stopping = lock(&shared.stopping);
    if let Some(stopping) = &*stopping {
        stopping.asked_again.add_permits(1);
        return stopping.report.clone();
    }
    let (sender, report) = watch::channel(None);
    let asked_again = Arc::new(Semaphore::new(0));
    let ending = Ending {
        shared: Arc::clone(shared),
        asked_again: Arc::clone(&asked_again),
        signalled: Mutex::default(),
    };
    tokio::spawn(async move {
        let stopped = ending.run(&policy).await;
        // The caller may have stopped waiting.
        let _ = sender.send(Some(stopped));
    });
    *stopping = Some(Stopping { report: report.clone(), asked_again });
    report
}

struct Ending {
    shared: Arc<Shared>,
    asked_again: Arc<Semaphore>,
    signalled: Mutex<Option<KillSignal>>,
}

impl Ending {
    async fn run(&self, policy: &StopPolicy) -> StdioStopped {
        let had_ended = self.had_ended().await;
        if !had_ended {
            self.shared.listener.tell(StdioEvent::Stopping);
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
            // The stderr is read by now; the reader's time is bounded elsewhere.
            let _ = self.reaches(|life| life.complaints_read).await;
        }
        let mut trouble = report.trouble;
        trouble.extend(self.shared.loss());
        StdioStopped {
            end,
            exit: self.shared.life.borrow().end,
            signalled: *lock(&self.signalled),
            survivors: if gave_up { self.shared.survivors() } else { Vec::new() },
            left: self.shared.left(),
            trouble,
        }
    }

    /// Whether there is nothing to stop. A guardian without processes is about to exit: waits for the exit.
    async fn had_ended(&self) -> bool {
        let ended = self.shared.life.borrow().end.is_some() && self.shared.survivors().is_empty();
        ended && timeout(DEPARTURE_TIMEOUT, self.reaches(Life::is_gone)).await.is_ok_and(|gone| gone.is_ok())
    }

    async fn reaches(&self, far_enough: impl FnMut(&Life) -> bool) -> Result<Life, WatchError> {
        let mut life = self.shared.life.clone();
        life.wait_for(far_enough).await.ok().map(|life| life.clone()).ok_or_else(cut_short)
    }
}

#[async_trait]
impl StopDeps for Ending {
    async fn close_stdin(&self) {
        self.shared.input.close();
    }

    async fn signal(&self, how: KillSignal) -> Result<(), KillError> {
        if self.shared.life.borrow().end.is_none() {
            *lock(&self.signalled) = Some(how);
        }
        self.shared.listener.tell(StdioEvent::Signalled { how });
        self.shared.orders.signal(how)
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
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }
}
