//! Waits until the whole worker is gone. While a process of the worker is visible, the kernel tells of its end, and nothing
//! polls.

use super::members::pinned_member;
use super::watch::Worker;
use crate::endpoint::socket_file::{self, Tenancy};
use crate::store::lifeline::LifelineProbe;
use crate::sys::backoff::Backoff;
use crate::sys::linux::fs::watch::Happening;
use rekindle_core::{ChildExit, Lifeline, OsFailure, WatchError};

/// Waits until a held lifeline may be free. A visible holder tells of its own end, so no poll is needed; the closing of the
/// lifeline by a holder that lives on is an event too.
async fn await_release(worker: &Worker, backoff: &mut Backoff) -> Result<(), OsFailure> {
    let Some(holder) = pinned_member(worker) else {
        backoff.wait().await;
        return Ok(());
    };
    tokio::select! {
        biased;
        ended = holder.exited() => ended,
        () = backoff.wait_for_event() => Ok(()),
    }
}

/// Resolves once the whole worker is gone, also if the end came before the call.
///
/// # Errors
/// If the exit cannot be watched.
///
/// # Cancel safety
/// Safe; the exit is not lost.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub async fn await_exit(worker: &Worker) -> Result<ChildExit, WatchError> {
    for process in worker.processes() {
        process.exited().await?;
    }
    // The leader may have daemonised: its descendants hold the lifeline, and no event reports the release.
    let lifeline = worker.lifeline.as_ref().map(LifelineProbe::magic_path).unwrap_or_default();
    let mut backoff = Backoff::at(&lifeline, Happening::FileCloses);
    loop {
        match worker.ask_lifeline() {
            // No lifeline, and no process keeps one: only the known processes existed.
            Lifeline::Free | Lifeline::Missing => break,
            Lifeline::Held => await_release(worker, &mut backoff).await?,
            Lifeline::Unreadable => {
                return Err(OsFailure::new(
                    "ask the lifeline",
                    "the kernel does not say whether it is held",
                ))?;
            }
        }
    }
    if let Some(socket) = &worker.listener {
        let mut backoff = Backoff::at(socket, Happening::FileCloses);
        while socket_file::tenancy(socket) != Tenancy::Vacant {
            backoff.wait().await;
        }
    }
    Ok(worker.exit())
}
