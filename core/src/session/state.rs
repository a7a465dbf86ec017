//! How a session stands, in the one word that every list and every refusal uses.
//!
//! Checked by `gates/tests/state.rs`.

use crate::session::evidence::LastWorker;
use crate::session::record::RecordState;
use core::fmt;
use serde::Serialize;

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// Its worker runs and is not ready yet.
    Starting,
    /// Its worker runs and listens.
    Live,
    /// Its worker runs and does not listen, or cannot be judged.
    Unresponsive,
    /// Its worker is gone.
    Exited,
    /// Its worker runs, and nothing could be observed of its start.
    Retained,
    /// Its record cannot be read.
    Corrupt,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Whether somebody listens on the session's socket, where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listening {
    /// Somebody does.
    Yes,
    /// Nobody does, or the socket has lost its name.
    No,
}

/// How a session stands whose record can be read, or is not there.
pub fn session_state(
    worker: LastWorker,
    recorded: Option<RecordState>,
    listening: Listening,
) -> SessionState {
    use {LastWorker as W, Listening as L, SessionState as S};
    match (worker, listening, recorded) {
        (W::Gone, L::Yes | L::No, _) => S::Exited,
        (W::AliveUnobserved | W::AliveReady | W::Unknown, L::Yes, _) => S::Live,
        (W::AliveReady, L::No, _) => S::Unresponsive,
        (W::AliveUnobserved | W::Unknown, L::No, Some(RecordState::Starting)) => S::Starting,
        (W::AliveUnobserved | W::Unknown, L::No, Some(RecordState::Retained)) => S::Retained,
        (W::AliveUnobserved | W::Unknown, L::No, Some(RecordState::Ready | RecordState::Exited) | None) => {
            S::Unresponsive
        }
    }
}
