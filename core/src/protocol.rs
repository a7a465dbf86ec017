//! What a pool and its workers say to each other: JSON, one message a line, a handshake first.
//!
//! | module | what it holds |
//! |---|---|
//! | `message` | requests and answers, with exactly their shapes on the wire |
//! | `feed` | how a session stands after it was fed: paused, finished, accepted |
//! | `host` | what a host sees in place of that |
//! | `version` | which versions go together |
//! | `name` | the name that a worker gives a session |
//! | [`pool`] | the names of a pool's sessions |
//! | `malformed` | what is not of the protocol |
//!
//! # Invariants
//! 1. Reading is total: any bytes are a message or a [`Malformed`], never a panic, and never half of each.
//! 2. Fields that are not known are ignored, optional ones may be null or missing; a key that is there twice is
//!    refused, since two readers would see two messages.
//! 3. Of what is refused at most an excerpt is kept, without bytes that a terminal would obey.
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

/// The longest line that either side sends or takes unless it is told otherwise, in bytes without its newline.
pub const LINE_LEN_MAX: usize = 16 << 20;
