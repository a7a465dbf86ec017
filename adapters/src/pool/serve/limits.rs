//! Limits for the clients of a worker.

use rekindle_core::protocol::LINE_LEN_MAX;
use std::time::Duration;

/// Limits for the clients of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeLimits {
    /// From the connect to the end of the handshake: 30 s.
    pub handshake: Duration,
    /// From the first byte of a request to the last: 30 s.
    pub line: Duration,
    /// Until a client has read its answer: 30 s.
    pub write: Duration,
    /// How long answers in progress may take after the end was requested: 4 s, since a launcher kills after 5 s.
    pub finish: Duration,
    /// The longest line, sent or received, in bytes without the newline: 16 MiB.
    pub line_len_max: usize,
    /// The greatest number of clients at a time: 64.
    pub clients_max: usize,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(30),
            line: Duration::from_secs(30),
            write: Duration::from_secs(30),
            finish: Duration::from_secs(4),
            line_len_max: LINE_LEN_MAX,
            clients_max: 64,
        }
    }
}
