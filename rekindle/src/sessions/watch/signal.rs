//! Signals to a worker, by the caller's choice.
//!
//! # Invariants
//! 1. Only a worker that is proved to run is signalled: never an unjudged one, never one between two starts.
//! 2. Only the start that was seen is signalled: each process is pinned, and judged after the pin.
//!
//! Checked by `smoke/tests/smoke/watch/signal.rs`.

use crate::error::Error;
use crate::sessions::list::{lost_snapshot, unknown};
use crate::sessions::snapshot::Snapshot;
use crate::sessions::watch::wait::unjudged;
use rekindle_adapters::{StateRoot, worker};
use rekindle_core::signal::SignalNumber;
use rekindle_core::view::Coherence;
use rekindle_core::{Generation, Host, KillError, LastWorker, OsFailure, Pid, SessionId};
use serde::Serialize;
use std::fmt;

/// The processes to signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The started process.
    Leader,
    /// Every visible process of the worker.
    Group,
}

/// A signal that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signalled {
    /// The session.
    pub session: SessionId,
    /// The start.
    pub generation: Generation,
    /// The signal.
    pub signal: SignalNumber,
    /// The signalled processes.
    pub pids: Vec<Pid>,
}

impl fmt::Display for Signalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pids: Vec<String> = self.pids.iter().map(ToString::to_string).collect();
        write!(f, "sent {} to {}, pid {}", self.signal, self.session, pids.join(", "))
    }
}

/// Sends a signal to the worker of one session.
pub(crate) fn signal(
    root: &StateRoot,
    here: &Host,
    session: &SessionId,
    signal: SignalNumber,
    whom: Whom,
) -> Result<Signalled, Error> {
    let snapshot = match root.session(session)? {
        Some(dir) => Snapshot::take(&dir, here)?,
        None => lost_snapshot(root, here, session)?.ok_or_else(|| unknown(root, session))?,
    };
    require_running(&snapshot, root, session)?;
    let worker = snapshot.worker(here)?;
    let sent = match whom {
        Whom::Leader => worker::signal_leader(&worker, signal),
        Whom::Group => worker::signal_members(&worker, signal),
    };
    let pids = sent.map_err(|error| match error {
        KillError::Os(failure) => failure,
        error => OsFailure::new("signal the worker", error.to_string()),
    })?;
    if pids.is_empty() {
        let session = session.clone();
        return Err(if worker.is_gone() {
            Error::NotRunning { session }
        } else {
            Error::LeaderEnded { session }
        });
    }
    Ok(Signalled { session: session.clone(), generation: snapshot.generation(), signal, pids })
}

/// Fails unless the worker provably runs, and all facts are of one start.
fn require_running(snapshot: &Snapshot, root: &StateRoot, session: &SessionId) -> Result<(), Error> {
    snapshot.require_readable(&root.path().join(session.as_str()), session)?;
    if let Some(newer) = &snapshot.newer {
        return Err(Error::RecordNewer { session: session.clone(), schema_version: newer.schema_version });
    }
    if !snapshot.is_known() {
        return Err(unknown(root, session));
    }
    if snapshot.view_of_record().coherence == Coherence::Torn {
        return Err(Error::StartInProgress { session: session.clone() });
    }
    match snapshot.last_worker() {
        LastWorker::AliveUnobserved | LastWorker::AliveReady => Ok(()),
        LastWorker::Gone => Err(Error::NotRunning { session: session.clone() }),
        LastWorker::Unknown => Err(unjudged(session, snapshot)),
    }
}
