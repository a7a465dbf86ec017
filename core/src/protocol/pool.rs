//! The names of a pool's sessions: generation, and search by name.
//!
//! # Invariants
//! 1. A generated name is never generated twice: it contains the time and 64 random bits.
//! 2. Our own name of a session has priority over a worker's name. If workers gave several sessions the same name, the
//!    name is ambiguous and means no session.
//!
//! Checked by `gates/tests/pool.rs`.

pub mod job;

use crate::prelude::*;
use crate::process::id::SessionId;
use crate::protocol::WorkerName;
use jiff::Timestamp;

/// The prefix of the names of a pool's sessions.
const PREFIX: &str = "p-";

/// The number of random hex digits in a name.
const RANDOM_DIGITS: usize = 16;

/// Generates the name of a new session, from the time and 64 random bits.
///
/// ```
/// use rekindle_core::pool::generate;
///
/// let at = "2026-01-02T03:04:05Z".parse()?;
/// assert_eq!(generate(at, 0xabc).as_str(), "p-1886caf21c963200-0000000000000abc");
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn generate(at: Timestamp, random: u64) -> SessionId {
    let nanoseconds = at.as_nanosecond().max(0);
    format!("{PREFIX}{nanoseconds:x}-{random:016x}")
        .parse()
        .expect("a prefix and two hex numbers make a valid id, far shorter than the longest")
}

/// Whether [`generate`] made the name: without a recorded role, such a session belongs to the pool.
pub fn is_generated(session: &SessionId) -> bool {
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let parts = session.as_str().strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(time, random)| {
        !time.is_empty() && is_hex(time) && random.len() == RANDOM_DIGITS && is_hex(random)
    })
}

/// The session meant by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// This session.
    Session(SessionId),
    /// No known session.
    Unknown,
    /// Workers gave all of these sessions the same name.
    Ambiguous(Vec<SessionId>),
}

/// Finds the session with our name or a worker's name `name` among the known sessions.
pub fn find(name: &str, known: impl IntoIterator<Item = (SessionId, Option<WorkerName>)>) -> Meant {
    let mut named_so = Vec::new();
    for (session, by_worker) in known {
        if session.as_str() == name {
            return Meant::Session(session);
        }
        if by_worker.is_some_and(|by_worker| by_worker.as_str() == name) {
            named_so.push(session);
        }
    }
    match named_so.len() {
        0 => Meant::Unknown,
        1 => Meant::Session(named_so.remove(0)),
        _ => Meant::Ambiguous(named_so),
    }
}
