//! The protocol between a pool and its workers: JSON, a message per line, a handshake first.
//!
//! | module | content |
//! |---|---|
//! | `message` | requests and answers, in their exact shapes on the wire |
//! | `feed` | the state of a session after a feed: paused, finished, accepted |
//! | `host` | the host's view of a feed result |
//! | `version` | the rules for matching versions |
//! | `name` | a worker's name for a session |
//! | [`pool`] | the names of a pool's sessions |
//! | `malformed` | lines outside the protocol |
//!
//! # Invariants
//! 1. Reading is total: any bytes are a message or a [`Malformed`], never a panic, and never half of each.
//! 2. Unknown fields are ignored; optional fields may be null or missing. A duplicate key is refused, since two readers
//!    would see two messages.
//! 3. Of a refused line at most an excerpt is kept, without bytes that a terminal would obey.
//! 4. A version mismatch is an answer to the caller, and never a reason to end a worker.
//!
//! Checked by `gates/tests/protocol.rs`, `protocol_host.rs`.

mod feed;
mod host;
mod malformed;
mod message;
mod name;
pub mod pool;
mod strict;
mod version;

pub use feed::{FeedResult, Finish, MAX_TOKENS_DEFAULT, Query, UnrecognisedShape};
pub use host::host_json;
pub use malformed::{EXCERPT_CHARS_MAX, Excerpt, Malformed};
pub use message::{
    Answer, Continue, Feed, Greeting, Handshake, Refusal, Request, Response, Run, StatusReport, StatusRequest,
};
pub use name::{InvalidName, WORKER_NAME_LEN_MAX, WorkerName};
pub use strict::read_json;
pub use version::{InvalidVersion, Speaking, VERSION_LEN_MAX, Version, VersionMismatch, VersionPolicy};

/// The longest line of either side by default, in bytes without the newline.
pub const LINE_LEN_MAX: usize = 16 << 20;
