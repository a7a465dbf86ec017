//! Start or resume a background worker for a session exactly once, know for certain that it is alive, and never lose
//! one.
//!
//! A *session* is the thing that is served, a *worker* the process that serves it. [`Sessions::ensure`] makes sure
//! that one is running and hands back a connection to it; any number of processes may ask at the same time, and any
//! of them may be killed at any instruction.
//!
//! ```no_run
//! use rekindle::{Ensured, Launch, Sessions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = Sessions::open("/var/lib/myapp/workers")?;
//! let launch = Launch::new("redis-server").args(["--port", "0", "--unixsocket", "{socket}", "--save", ""]);
//! match sessions.ensure(&"cache".parse()?, launch).await? {
//!     Ensured::Running(worker) => println!("redis answers on {}", worker.socket.display()),
//!     other => eprintln!("no redis: {other:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The decisions are those of [`rekindle_core`], the system calls those of [`rekindle_adapters`]; this crate puts them
//! together:
//!
//! | module | what it does |
//! |---|---|
//! | [`sessions`] | the public API |
//! | [`launch`], [`outcome`], [`error`] | what goes in and what comes out |
//! | [`mod@serve`], [`protocol`] | workers in Rust that speak the pool protocol, and its messages |
//! | `snapshot` | what is known of a session right now |
//! | `restore` | a record written anew whose file is gone |
//! | `ensure` | the five steps to a running worker |
//! | `handshake` | whether a worker that was found goes together with us |
//! | `rejection`, [`advice`] | the words of a refusal, and what to do about it |
//! | `end` | one stop, and what is cleaned up after it |
//! | `listing`, `diagnosis` | what is there, without asking anybody; and what to do about it |
//! | [`pool`] | pieces of work in workers of their own |
//! | [`lifecycle`] | a daemon's singleton marker |
//! | `testing` (feature) | sessions without a process, a socket or a clock |
//! | [`stdio`] | a child that is spoken to over its standard streams |
//! | `unlock`, `collect` | clearing a claim that was left behind; removing what is provably gone |

pub mod advice;

mod amend;
mod collect;
mod diagnosis;
mod end;
mod ensure;
mod handshake;
mod listing;
mod rejection;
mod restore;
mod snapshot;
mod unlock;

pub mod error;
pub mod launch;
pub mod lifecycle;
pub mod outcome;
pub mod pool;
pub mod serve;
pub mod sessions;
pub mod stdio;
#[cfg(feature = "testing")]
pub mod testing;

pub use advice::{Advice, Startup, Step};
pub use collect::{Collected, Collection, FailedRuns, GcMode, Kept, KeptBecause, Repair};
pub use diagnosis::{Diagnoses, Diagnosis};
pub use error::Error;
pub use launch::Launch;
pub use lifecycle::LifecycleLock;
pub use listing::{LeftOut, LifelineView, Listing, SessionSummary, SessionView};
pub use outcome::{
    DryRun, Ensured, Exited, Rejection, Retained, Running, SaidReady, StartKind, StopOutcome, Stopped, Tidied,
};
pub use pool::WorkerPool;
pub use sessions::Sessions;
pub use stdio::{StdioChild, StdioEnd, StdioEvent, StdioLaunch, StdioStopped};
pub use unlock::{Force, Forgotten, Unlocked};

pub use rekindle_adapters as adapters;
pub use rekindle_core as core;
pub use rekindle_core::protocol;
pub use rekindle_core::{
    ChildExit, Environment, Generation, Intent, KillPolicy, Nonce, OsFailure, Pid, ReadyKind, RejectReason,
    SessionId, SessionRecord, SessionState, SpawnError, stop::StopPolicy,
};

/// What a store of one's own for claims or records is written with.
pub mod stores {
    pub use rekindle_core::LockClaim;
    pub use rekindle_core::claim::Found;
    pub use rekindle_core::claim::give_up::Whose;
    pub use rekindle_core::record::RecordFile;
    pub use rekindle_core::stores::{Anchor, ClaimStore, Grant, RecordStore};
}
