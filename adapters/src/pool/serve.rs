//! The worker's side of the pool protocol: a socket, its clients, and an end.
//!
//! | module | what it does |
//! |---|---|
//! | `server` | lets clients in, until the end |
//! | `bind` | a socket that is ours alone, in the place of none but a dead one's |
//! | `client` | one client: its lines, one answer to each |
//! | `handler` | what a worker has to be able to do |
//!
//! # Invariants
//! 1. Clients are served side by side, so that none has to wait for another that is slow or silent; there are at most
//!    so many, and who has been silent the longest makes room.
//! 2. A client that leaves takes nothing with it: what it asked for is done to its end, and the session stays.
//! 3. Whoever ends it lets the answers that are under way be finished, for a bounded time.
//! 4. The socket is removed at the end, if it still is the one that was bound.
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
