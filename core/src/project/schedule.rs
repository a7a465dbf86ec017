//! Starts or ends the sessions of an [`Order`]: which session is worked on now, and which session is left out.
//!
//! ```text
//! Waiting ─all needed sessions are done→ AtWork ─Ended::Well→ Done
//!    │                                      └────Ended::Badly→ Failed
//!    └─a needed session failed or was left out→ Skipped            (only on the way up)
//! ```
//!
//! # Invariants
//! 1. Pure and total: no clock, no process. A late or unknown fact changes nothing.
//! 2. Each session is begun or skipped, once.
//! 3. Up: a session is begun after all sessions that it needs are done. Down: after all sessions that need it are settled.
//! 4. A failure skips only the sessions that need the failed one, and only on the way up: the other sessions go on.
//! 5. At most `at_work_max` sessions are at work at the same time, and never fewer than possible.
//!
//! Checked by `gates/tests/project.rs`.

use crate::prelude::*;
use crate::process::id::SessionId;
use crate::project::order::Order;
use alloc::collections::BTreeMap;

/// Whether sessions start or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Start: the needed sessions first. What needs a failed session is skipped.
    Up,
    /// End: the needed sessions last. A session that did not end holds up nothing.
    Down,
}

/// How the work on one session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As wanted.
    Well,
    /// Not as wanted.
    Badly,
}

/// The phase of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Not begun.
    Waiting,
    /// Begun, and not ended.
    AtWork,
    /// Ended as wanted.
    Done,
    /// Ended otherwise.
    Failed,
    /// Never begun.
    Skipped {
        /// The failed session.
        because: SessionId,
    },
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a dropped effect is a session that nobody starts"]
pub enum Effect {
    /// Begin the work on a session, and report its end by [`Schedule::ended`].
    Begin(SessionId),
    /// Report that a session is left out. No work on the session begins.
    Skip {
        /// The session.
        session: SessionId,
        /// The failed session.
        because: SessionId,
    },
}

/// How many sessions ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Ended as wanted.
    pub done: usize,
    /// Ended otherwise.
    pub failed: usize,
    /// Never begun.
    pub skipped: usize,
}

/// The work on several sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    order: Order,
    direction: Direction,
    at_work_max: usize,
    phases: BTreeMap<SessionId, Phase>,
}

impl Schedule {
    /// The schedule, with the first effects. An `at_work_max` of 0 counts as 1.
    pub fn begin(order: Order, direction: Direction, at_work_max: usize) -> (Self, Vec<Effect>) {
        let phases = order.sessions().map(|session| (session.clone(), Phase::Waiting)).collect();
        let schedule = Self { order, direction, at_work_max: at_work_max.max(1), phases };
        schedule.advance()
    }

    /// The work on `session` has ended.
    pub fn ended(mut self, session: &SessionId, ended: Ended) -> (Self, Vec<Effect>) {
        if let Some(phase @ Phase::AtWork) = self.phases.get_mut(session) {
            *phase = match ended {
                Ended::Well => Phase::Done,
                Ended::Badly => Phase::Failed,
            };
        }
        self.advance()
    }

    /// The phase of a session; `None` if the session is not in the order.
    pub fn phase(&self, session: &SessionId) -> Option<&Phase> {
        self.phases.get(session)
    }

    /// Whether every session has ended or was skipped.
    pub fn is_settled(&self) -> bool {
        self.phases.values().all(Phase::is_settled)
    }

    /// The sessions, counted.
    pub fn summary(&self) -> Summary {
        let count = |of: fn(&Phase) -> bool| self.phases.values().filter(|phase| of(phase)).count();
        Summary {
            done: count(|phase| matches!(phase, Phase::Done)),
            failed: count(|phase| matches!(phase, Phase::Failed)),
            skipped: count(|phase| matches!(phase, Phase::Skipped { .. })),
        }
    }

    fn advance(mut self) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        while let Some((session, phase, effect)) = self.next() {
            self.phases.insert(session, phase);
            effects.push(effect);
        }
        (self, effects)
    }

    /// The next change: a skip before a beginning, else by name.
    fn next(&self) -> Option<(SessionId, Phase, Effect)> {
        let waiting = || self.phases.iter().filter(|(_, phase)| **phase == Phase::Waiting).map(|(it, _)| it);
        if let Some((session, because)) = waiting().find_map(|it| Some((it.clone(), self.failed_need(it)?))) {
            let effect = Effect::Skip { session: session.clone(), because: because.clone() };
            return Some((session, Phase::Skipped { because }, effect));
        }
        let at_work = self.phases.values().filter(|phase| **phase == Phase::AtWork).count();
        let session = waiting().find(|it| at_work < self.at_work_max && self.is_free(it))?;
        Some((session.clone(), Phase::AtWork, Effect::Begin(session.clone())))
    }

    /// The failed session for which `session` cannot start.
    fn failed_need(&self, session: &SessionId) -> Option<SessionId> {
        let of = |needed: &SessionId| match (self.direction, &self.phases[needed]) {
            (Direction::Up, Phase::Failed) => Some(needed.clone()),
            (Direction::Up, Phase::Skipped { because }) => Some(because.clone()),
            (Direction::Up, Phase::Waiting | Phase::AtWork | Phase::Done) | (Direction::Down, _) => None,
        };
        self.order.needs(session).find_map(of)
    }

    /// Whether nothing holds `session` up.
    fn is_free(&self, session: &SessionId) -> bool {
        match self.direction {
            Direction::Up => self.order.needs(session).all(|needed| self.phases[needed] == Phase::Done),
            Direction::Down => {
                let needing = |(other, phase): (&SessionId, &Phase)| {
                    phase.is_settled() || !self.order.needs(other).any(|needed| needed == session)
                };
                self.phases.iter().all(needing)
            }
        }
    }
}

impl Phase {
    /// Whether nothing more happens to the session.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Done | Self::Failed | Self::Skipped { .. } => true,
            Self::Waiting | Self::AtWork => false,
        }
    }
}
