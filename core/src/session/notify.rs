//! What a worker says about itself while it starts: the datagrams of the `sd_notify` protocol, and what they amount to.
//!
//! A worker sends them to the socket that `NOTIFY_SOCKET` names: lines of `NAME=VALUE`. Five of them mean something
//! here, `READY=1`, `STOPPING=1`, `STATUS=`, `EXTEND_TIMEOUT_USEC=` and `MAINPID=`; the others are let pass. Who sent a
//! datagram, and whether that is to be believed, is decided before anything of it reaches [`Notices`].
//!
//! # Invariants
//! 1. Any bytes have a meaning, if only none: what cannot be read says nothing.
//! 2. A worker that says that it stops is never ready, whatever it said before or says later.
//! 3. An extension never shortens the time that a worker has, and never reaches beyond [`EXTENSION_FACTOR_MAX`].
//! 4. Whatever is kept is bounded and can be shown on a terminal.
//!
//! Checked by `gates/tests/notify.rs`.

use crate::prelude::*;
use crate::process::id::Pid;
use crate::text::shown::is_obeyed;

/// The longest datagram that is read, in bytes: no sender of the protocol sends a longer one.
pub const DATAGRAM_LEN_MAX: usize = 4096;

/// The longest status text that is kept, in characters.
pub const STATUS_LEN_MAX: usize = 256;

/// How many times its observe timeout a worker may have in all, however often it asks for more: a start is bounded.
pub const EXTENSION_FACTOR_MAX: u32 = 10;

/// One thing that a worker said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// `READY=1`: its start is done.
    Ready,
    /// `STOPPING=1`: it is about to end.
    Stopping,
    /// `STATUS=`: how it is, in words. Control characters are escaped, and a long text is cut off.
    Status(String),
    /// `EXTEND_TIMEOUT_USEC=`: it needs this much longer, from now on.
    ExtendTimeout(Duration),
    /// `MAINPID=`: another process is the one that matters.
    MainPid(Pid),
}

/// Reads one datagram. What is unknown or malformed says nothing; a datagram that is too long says nothing at all, since
/// what is left of it may mean something else.
///
/// ```
/// use rekindle_core::notify::{Assignment, parse};
///
/// let said = parse(b"STATUS=loading 3 of 7\nREADY=1\nWATCHDOG=1");
/// assert_eq!(said, [Assignment::Status("loading 3 of 7".into()), Assignment::Ready]);
/// ```
pub fn parse(datagram: &[u8]) -> Vec<Assignment> {
    if datagram.len() > DATAGRAM_LEN_MAX {
        return Vec::new();
    }
    // Some senders count the NUL that ends their string.
    let len = datagram.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = datagram.get(..len).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(assignment).collect()
}

fn assignment(line: &[u8]) -> Option<Assignment> {
    let at = line.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (line.get(..at)?, line.get(at + 1..)?);
    match name {
        b"READY" => (value == b"1").then_some(Assignment::Ready),
        b"STOPPING" => (value == b"1").then_some(Assignment::Stopping),
        b"STATUS" => Some(Assignment::Status(status(value))),
        b"EXTEND_TIMEOUT_USEC" => {
            number(value).map(|it| Assignment::ExtendTimeout(Duration::from_micros(it)))
        }
        b"MAINPID" => Pid::new(i32::try_from(number(value)?).ok()?).map(Assignment::MainPid),
        _ => None,
    }
}

/// Decimal digits and nothing else.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// A text from a worker, as it may be shown.
fn status(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let shown = text.trim().chars().flat_map(|c| {
        let escaped = is_obeyed(c).then(|| c.escape_default());
        let plain = escaped.is_none().then_some(c);
        escaped.into_iter().flatten().chain(plain)
    });
    shown.take(STATUS_LEN_MAX).collect()
}

/// All that a worker has said so far.
///
/// Time is how long the worker has been watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices {
    observe_timeout: Duration,
    said_ready: Said,
    said_stopping: Said,
    status: Option<String>,
    main_pid: Option<Pid>,
    /// Until when it may take, where it asked for more.
    extended_to: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Not,
    Once,
}

impl Notices {
    /// Of a worker that has said nothing yet, and has `observe_timeout` unless it asks for more.
    pub fn none(observe_timeout: Duration) -> Self {
        Self {
            observe_timeout,
            said_ready: Said::Not,
            said_stopping: Said::Not,
            status: None,
            main_pid: None,
            extended_to: None,
        }
    }

    /// Of a worker to which nobody listened for a while: it may have said that it is ready, and will not say it again.
    pub fn missed(observe_timeout: Duration) -> Self {
        Self { said_ready: Said::Once, ..Self::none(observe_timeout) }
    }

    /// Hears one thing that was said after the worker had been watched for `at`.
    #[must_use]
    pub fn hear(self, said: Assignment, at: Duration) -> Self {
        match said {
            Assignment::Ready => Self { said_ready: Said::Once, ..self },
            Assignment::Stopping => Self { said_stopping: Said::Once, ..self },
            Assignment::Status(text) => Self { status: Some(text).filter(|text| !text.is_empty()), ..self },
            Assignment::MainPid(pid) => Self { main_pid: Some(pid), ..self },
            Assignment::ExtendTimeout(by) => {
                let asked = at.saturating_add(by).min(self.longest());
                let granted = self.extended_to.unwrap_or_default().max(asked);
                Self { extended_to: Some(granted), ..self }
            }
        }
    }

    /// Whether its start is done: it said so, and not that it stops.
    pub fn is_ready(&self) -> bool {
        self.said_ready == Said::Once && self.said_stopping == Said::Not
    }

    /// Whether it said that it is about to end.
    pub fn is_stopping(&self) -> bool {
        self.said_stopping == Said::Once
    }

    /// What it said last of how it is.
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// Which process it named as the one that matters.
    pub fn main_pid(&self) -> Option<Pid> {
        self.main_pid
    }

    /// How long it may be watched in all.
    pub fn deadline(&self) -> Duration {
        self.extended_to.unwrap_or_default().max(self.observe_timeout)
    }

    /// How much of that it was granted beyond its observe timeout.
    pub fn extension(&self) -> Duration {
        self.deadline().saturating_sub(self.observe_timeout)
    }

    fn longest(&self) -> Duration {
        self.observe_timeout.saturating_mul(EXTENSION_FACTOR_MAX)
    }
}
