//! The state of a session, as a single word for every list and every refusal.
//!
//! Checked by `gates/tests/state.rs`.

use crate::session::evidence::LastWorker;
use crate::session::record::RecordState;
use crate::session::view::View;
use core::fmt;
use serde::Serialize;

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// The worker runs and is not ready yet.
    Starting,
    /// The worker runs and listens.
    Live,
    /// The worker runs and does not listen, or cannot be judged.
    Unresponsive,
    /// The worker is gone.
    Exited,
    /// The worker runs, and nothing could be observed of the start.
    Retained,
    /// The record cannot be read.
    Corrupt,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// How a listener under another spelling of the socket's path is found, for a record in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherSpelling {
    /// Not at all: the worker was not seen ready.
    Ignored,
    /// By a connection, if the worker may be connected to; otherwise by the socket file.
    Asked,
}

impl OtherSpelling {
    /// The way for a session whose record is in this state.
    pub fn of(recorded: Option<RecordState>) -> Self {
        match recorded {
            Some(RecordState::Starting | RecordState::Retained) => Self::Ignored,
            Some(RecordState::Ready | RecordState::Exited) | None => Self::Asked,
        }
    }
}

/// Whether a process listens on the session's socket, under the socket's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listening {
    /// A process listens.
    Yes,
    /// No process listens, or the socket has lost its name.
    No,
}

impl Listening {
    /// Whether the worker counts as listening: a worker that its process shows to be live need not listen.
    pub fn of(view: &View, listens: Self) -> Self {
        if view.is_shown_by_process() { Self::Yes } else { listens }
    }
}

/// The state of a session with a readable or absent record.
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
