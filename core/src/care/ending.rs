//! How the last worker of a session ended, as far as its record says.
//!
//! # Invariants
//! 1. Pure: the record is the only witness. The caller has judged that the worker is gone.
//! 2. What no process of rekindle saw is [`Ending::Unseen`] or [`ChildExit::Unknown`]; nothing is inferred.
//!
//! Checked by `gates/tests/ending.rs`.

use crate::effects::ChildExit;
use crate::session::record::{EndedBy, RecordState, SessionRecord};
use jiff::Timestamp;

/// The end of a session's last worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The program never ran.
    NeverStarted,
    /// The time of the start was over, so the launcher ended the worker.
    TimedOut {
        /// The exit after the signals of the launcher.
        exit: ChildExit,
    },
    /// The launcher could not watch the start, or found another worker than the one asked for, and ended the worker.
    GivenUp {
        /// The exit after the signals of the launcher.
        exit: ChildExit,
    },
    /// The worker ended before ready, and the launcher saw the exit.
    BeforeReady {
        /// The exit.
        exit: ChildExit,
    },
    /// A stop by rekindle ended the worker.
    Stopped {
        /// The exit; unknown unless the stopping process was the worker's parent.
        exit: ChildExit,
    },
    /// The worker ended by itself, or a process besides rekindle ended the worker.
    ByItself {
        /// The exit; unknown if the worker was found gone afterwards.
        exit: ChildExit,
    },
    /// The record was never completed: no process of rekindle saw the end.
    Unseen,
}

/// An ending, and the time of its observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How the worker ended.
    pub how: Ending,
    /// When the end was observed; `None` if no process of rekindle observed the end.
    pub at: Option<Timestamp>,
}

impl Ended {
    /// The end of the recorded worker, which is gone.
    pub fn of(record: &SessionRecord) -> Self {
        Self { how: Ending::of(record), at: record.exited_at }
    }
}

impl Ending {
    /// The end of the recorded worker, which is gone.
    pub fn of(record: &SessionRecord) -> Self {
        let exit = record.exit.unwrap_or(ChildExit::Unknown);
        match (record.state, record.ended_by, record.ready_at) {
            (RecordState::Starting | RecordState::Ready | RecordState::Retained, _, _) => Self::Unseen,
            (RecordState::Exited, Some(EndedBy::Stop), _) => Self::Stopped { exit },
            (RecordState::Exited, Some(EndedBy::Timeout), _) => Self::TimedOut { exit },
            (RecordState::Exited, Some(EndedBy::WatchFailed), _) => Self::GivenUp { exit },
            (RecordState::Exited, Some(EndedBy::Worker), Some(_)) => Self::ByItself { exit },
            (RecordState::Exited, Some(EndedBy::Worker), None) => Self::BeforeReady { exit },
            // In the version without `ended_by` only a stop completed the record of a ready worker.
            (RecordState::Exited, None, Some(_)) => Self::Stopped { exit },
            (RecordState::Exited, None, None) if record.exit.is_none() => Self::NeverStarted,
            (RecordState::Exited, None, None) => Self::BeforeReady { exit },
        }
    }

    /// The exit, if a process was created and its end was seen.
    pub const fn exit(self) -> Option<ChildExit> {
        match self {
            Self::TimedOut { exit }
            | Self::GivenUp { exit }
            | Self::BeforeReady { exit }
            | Self::Stopped { exit }
            | Self::ByItself { exit } => Some(exit),
            Self::NeverStarted | Self::Unseen => None,
        }
    }

    /// Whether the end was neither asked for nor a success, so that somebody may look for the reason.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Stopped { .. } | Self::ByItself { exit: ChildExit::Code(0) } => false,
            Self::NeverStarted
            | Self::TimedOut { .. }
            | Self::GivenUp { .. }
            | Self::BeforeReady { .. }
            | Self::ByItself { .. }
            | Self::Unseen => true,
        }
    }
}
