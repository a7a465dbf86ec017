//! A worker's reports during a start: the datagrams of the `sd_notify` protocol, and their meaning.
//!
//! A worker sends datagrams to the socket in `NOTIFY_SOCKET`: lines of `NAME=VALUE`. Five assignments have a meaning
//! here: `READY=1`, `STOPPING=1`, `STATUS=`, `EXTEND_TIMEOUT_USEC=` and `MAINPID=`; others are ignored. The caller
//! checks the sender of a datagram, and passes only datagrams of trusted senders to [`Notices`].
//!
//! # Invariants
//! 1. Any bytes have a meaning, if only none: unreadable lines are ignored.
//! 2. A stopping worker is never ready, whatever other reports come before or after.
//! 3. An extension never shortens the worker's time, and never reaches beyond [`EXTENSION_FACTOR_MAX`].
//! 4. All kept data is bounded and fit for a terminal.
//!
//! Checked by `gates/tests/notify.rs`.

use crate::prelude::*;
use crate::process::id::Pid;
use crate::text::shown::is_obeyed;

/// The longest datagram read, in bytes: no sender of the protocol sends a longer datagram.
pub const DATAGRAM_LEN_MAX: usize = 4096;

/// The longest status text kept, in characters.
pub const STATUS_LEN_MAX: usize = 256;

/// The greatest multiple of the observe timeout for a worker, with all extensions: a start is bounded.
pub const EXTENSION_FACTOR_MAX: u32 = 10;

/// A report of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// `READY=1`: the worker's start is done.
    Ready,
    /// `STOPPING=1`: the worker is about to end.
    Stopping,
    /// `STATUS=`: the worker's state in words. Control characters are escaped, and a long text is cut off.
    Status(String),
    /// `EXTEND_TIMEOUT_USEC=`: the worker needs this much longer, from now on.
    ExtendTimeout(Duration),
    /// `MAINPID=`: another process is the main process.
    MainPid(Pid),
}

/// Reads a datagram. Unknown or malformed lines are ignored. An oversized datagram is ignored as a whole, since the
/// part of a cut line may have another meaning.
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

/// A number of decimal digits only.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// A worker's text, fit for display.
fn status(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let shown = text.trim().chars().flat_map(|c| {
        let escaped = is_obeyed(c).then(|| c.escape_default());
        let plain = escaped.is_none().then_some(c);
        escaped.into_iter().flatten().chain(plain)
    });
    shown.take(STATUS_LEN_MAX).collect()
}

/// All reports of a worker so far.
///
/// Times are durations since the beginning of the watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices {
    observe_timeout: Duration,
    said_ready: Said,
    said_stopping: Said,
    status: Option<String>,
    main_pid: Option<Pid>,
    /// The extended deadline, if the worker asked for more time.
    extended_to: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Not,
    Once,
}

impl Notices {
    /// The notices of a silent worker; the deadline is `observe_timeout` until the worker asks for more time.
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

    /// The notices of a worker whose datagrams had no reader for a while: the worker may have reported readiness, and
    /// will not repeat the report.
    pub fn missed(observe_timeout: Duration) -> Self {
        Self { said_ready: Said::Once, ..Self::none(observe_timeout) }
    }

    /// Takes a report; `at` is the time since the beginning of the watch.
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

    /// Whether the start is done: the worker reported readiness, and did not report its end.
    pub fn is_ready(&self) -> bool {
        self.said_ready == Said::Once && self.said_stopping == Said::Not
    }

    /// Whether the worker reported its end.
    pub fn is_stopping(&self) -> bool {
        self.said_stopping == Said::Once
    }

    /// The worker's last status text.
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// The worker's main process, if reported.
    pub fn main_pid(&self) -> Option<Pid> {
        self.main_pid
    }

    /// The greatest duration of the watch.
    pub fn deadline(&self) -> Duration {
        self.extended_to.unwrap_or_default().max(self.observe_timeout)
    }

    /// The extension beyond the observe timeout.
    pub fn extension(&self) -> Duration {
        self.deadline().saturating_sub(self.observe_timeout)
    }

    fn longest(&self) -> Duration {
        self.observe_timeout.saturating_mul(EXTENSION_FACTOR_MAX)
    }
}
