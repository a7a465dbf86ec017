//! The names of a pool's sessions: how they are made, and which session is meant by one.
//!
//! # Invariants
//! 1. A name that we made is never given twice: it holds the time and 64 random bits.
//! 2. Our own name of a session beats the name that a worker gave one; two sessions with one such name are told apart by
//!    nobody, so neither is meant.
//!
//! Checked by `gates/tests/pool.rs`.

pub mod job;

use crate::prelude::*;
use crate::process::id::SessionId;
use crate::protocol::WorkerName;
use jiff::Timestamp;

/// What the names of a pool's sessions begin with.
const PREFIX: &str = "p-";

/// How many hex digits of a name are random.
const RANDOM_DIGITS: usize = 16;

/// Makes the name of a new session, of the time and 64 random bits.
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

/// Whether the name of a session was made by [`generate`]: a pool's session, where no record says the role of its worker.
pub fn is_generated(session: &SessionId) -> bool {
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let parts = session.as_str().strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(time, random)| {
        !time.is_empty() && is_hex(time) && random.len() == RANDOM_DIGITS && is_hex(random)
    })
}

/// Which session is meant by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// This one.
    Session(SessionId),
    /// None that is known.
    Unknown,
    /// Workers gave the same name to all of these.
    Ambiguous(Vec<SessionId>),
}

/// Finds the session that `name` means, ours or a worker's, among those that are known.
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
