//! The order of sessions that name each other in `after`.
//!
//! # Invariants
//! 1. Pure: names in, an order or a fault out.
//! 2. An [`Order`] has no cycle, and each named session is one of the order.
//! 3. A fault names the sessions that cause the fault.
//!
//! Checked by `gates/tests/project.rs`.

use crate::prelude::*;
use crate::process::id::SessionId;
use alloc::collections::{BTreeMap, BTreeSet};

/// Sessions, each with the sessions that have to be ready first.
///
/// ```
/// use rekindle_core::project::Order;
///
/// let [web, db]: [rekindle_core::SessionId; 2] = ["web".parse()?, "db".parse()?];
/// let order = Order::new([(web.clone(), vec![db.clone()]), (db.clone(), vec![])])?;
/// assert_eq!(order.sequence(), [db, web]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    needs: BTreeMap<SessionId, BTreeSet<SessionId>>,
}

/// Why sessions have no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderFault {
    /// `after` names a session that is not among the sessions.
    #[error("`{session}` starts after `{named}`, and there is no session `{named}`")]
    Unknown {
        /// The session with the `after`.
        session: SessionId,
        /// The name that is no session.
        named: SessionId,
    },
    /// Each of these sessions starts after the next one, and the last after the first.
    #[error("these sessions wait for each other: {}", in_words(sessions))]
    Cycle {
        /// The sessions of the cycle; a single session waits for itself.
        sessions: Vec<SessionId>,
    },
}

fn in_words(cycle: &[SessionId]) -> String {
    let names: Vec<&str> = cycle.iter().chain(cycle.first()).map(SessionId::as_str).collect();
    names.join(" after ")
}

impl Order {
    /// The order of `sessions`, each with its `after`.
    ///
    /// # Errors
    /// [`OrderFault`] if an `after` names no session, or sessions wait for each other.
    pub fn new(sessions: impl IntoIterator<Item = (SessionId, Vec<SessionId>)>) -> Result<Self, OrderFault> {
        let needs: BTreeMap<SessionId, BTreeSet<SessionId>> =
            sessions.into_iter().map(|(session, after)| (session, after.into_iter().collect())).collect();
        for (session, after) in &needs {
            if let Some(named) = after.iter().find(|named| !needs.contains_key(*named)) {
                return Err(OrderFault::Unknown { session: session.clone(), named: named.clone() });
            }
        }
        let order = Self { needs };
        match order.cycle() {
            Some(sessions) => Err(OrderFault::Cycle { sessions }),
            None => Ok(order),
        }
    }

    /// The same order with more sessions, which wait for no session. A known session stays as it is.
    #[must_use]
    pub fn with(mut self, sessions: impl IntoIterator<Item = SessionId>) -> Self {
        for session in sessions {
            self.needs.entry(session).or_default();
        }
        self
    }

    /// The sessions, by name.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.needs.keys()
    }

    /// The sessions that `session` starts after.
    pub fn needs(&self, session: &SessionId) -> impl Iterator<Item = &SessionId> {
        self.needs.get(session).into_iter().flatten()
    }

    /// The sessions in one possible sequence: each behind the sessions that it needs, else by name.
    pub fn sequence(&self) -> Vec<SessionId> {
        let mut sequence = Vec::new();
        let mut placed = BTreeSet::new();
        while let Some(next) = self.ready_after(&placed) {
            placed.insert(next);
            sequence.push(next.clone());
        }
        sequence
    }

    /// The first session outside of `placed` that needs nothing but sessions of `placed`.
    fn ready_after(&self, placed: &BTreeSet<&SessionId>) -> Option<&SessionId> {
        let is_ready = |session: &&SessionId| {
            !placed.contains(*session) && self.needs(session).all(|it| placed.contains(it))
        };
        self.sessions().find(is_ready)
    }

    /// The sessions of a cycle, if there is one.
    fn cycle(&self) -> Option<Vec<SessionId>> {
        let placed = self.sequence();
        let is_open = |session: &&SessionId| !placed.contains(*session);
        // Each session left over needs a session left over: a walk along the needs comes round.
        let mut walk: Vec<&SessionId> = self.sessions().find(is_open).into_iter().collect();
        loop {
            let next = self.needs(walk.last()?).find(is_open)?;
            if let Some(start) = walk.iter().position(|session| *session == next) {
                return Some(walk.split_off(start).into_iter().cloned().collect());
            }
            walk.push(next);
        }
    }
}
