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
//! | [`sessions`] | the operations on sessions, one file each |
//! | [`launch`], [`outcome`], [`error`], [`advice`] | what goes in, what comes out, and what to do next |
//! | [`pool`] | pieces of work in workers of their own |
//! | [`mod@serve`], [`protocol`] | workers in Rust that speak the pool protocol, and its messages |
//! | [`stdio`] | a child that is spoken to over its standard streams |
//! | [`lifecycle`] | a daemon's singleton marker |
//! | `testing` (feature) | sessions without a process, a socket or a clock |

pub mod advice;
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
pub use error::Error;
pub use launch::Launch;
pub use lifecycle::LifecycleLock;
pub use outcome::{
    DryRun, Ensured, Exited, Rejection, Retained, Running, SaidReady, StartKind, StopOutcome, Stopped, Tidied,
};
pub use pool::WorkerPool;
pub use sessions::{
    Collected, Collection, Diagnoses, Diagnosis, FailedRuns, Force, Forgotten, GcMode, Kept, KeptBecause,
    LeftOut, LifelineView, Listing, Repair, SessionSummary, SessionView, Sessions, Unlocked,
};
pub use stdio::{StdioChild, StdioEnd, StdioEvent, StdioLaunch, StdioStopped};

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
