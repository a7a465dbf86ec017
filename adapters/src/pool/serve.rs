//! The worker's side of the pool protocol: a socket, its clients, and an end.
//!
//! | module | task |
//! |---|---|
//! | `server` | accepts clients, until the end |
//! | `bind` | a socket for us alone, replacing only a dead worker's socket |
//! | `client` | one client: its lines, one answer to each |
//! | `handler` | the abilities of a worker |
//!
//! # Invariants
//! 1. Clients are served side by side, so a slow or silent client delays no other. The number of clients is bounded,
//!    and the client silent for the longest time makes room.
//! 2. A client that leaves takes nothing along: its request is carried out, and the session stays.
//! 3. At the end, answers in progress may be finished, for a bounded time.
//! 4. The socket's file is removed at the end, unless replaced.
//!
//! Checked by `smoke/tests/smoke/protocol/server.rs`.

mod bind;
mod client;
mod error;
mod handler;
mod limits;
mod server;

pub use error::ServeError;
pub use handler::Handler;
pub use limits::ServeLimits;
pub use server::{Ended, Serve, Signals, serve};
