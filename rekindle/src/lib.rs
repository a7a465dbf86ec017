//! Start or resume a background worker for a session exactly once, know for certain that it is alive, and never lose
//! one.
//!
//! A *session* is the thing served, a *worker* the process that serves the session. [`Sessions::ensure`] makes sure
//! that the worker runs, and returns a connection to the worker. Any number of processes may call at the same time, and
//! each of them may be killed at any instruction.
//!
//! ```no_run
//! use rekindle::{Ensured, Launch, Sessions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = Sessions::open("/var/lib/myapp/workers")?;
//! let launch = Launch::new("redis-server").args(["--port", "0", "--unixsocket", "{socket}", "--save", ""]);
//! match sessions.ensure(&"cache".parse()?, launch).await? {
//!     Ensured::Running(worker) => println!("redis answers on {}", worker.endpoint),
//!     other => eprintln!("no redis: {other}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A worker answers at an [`Endpoint`]: a Unix socket, a TCP port, or nowhere. [`Launch::address`] names the endpoint, and
//! [`Launch::ready`] the condition for ready. `rekindle` proves that the listener on a port is the worker's:
//!
//! ```no_run
//! use rekindle::{Address, Ensured, Launch, Readiness, Sessions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = Sessions::open("/var/lib/myapp/workers")?;
//! let launch = Launch::new("python3")
//!     .args(["-m", "http.server", "--bind", "{host}", "{port}"])
//!     .address(Address::AnyPort([127, 0, 0, 1].into()))
//!     .ready(Readiness::Http("/".parse()?));
//! if let Ensured::Running(worker) = sessions.ensure(&"web".parse()?, launch).await? {
//!     println!("{:?}, listener {:?}", worker.url, worker.owner());
//!     let stream = worker.connection.into_tokio_tcp()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `rekindle-core` makes the decisions, `rekindle-adapters` makes the system calls, and this crate combines both. Every
//! type named in a signature of this crate is exported here, or in the module of its subject:
//!
//! | to do | begin at |
//! |---|---|
//! | start, attach, list, stop, diagnose a session's worker | [`Sessions`], [`Launch`], [`Ensured`] |
//! | read and follow what a worker wrote | [`Sessions::logs`], [`LogQuery`] |
//! | the same without a runtime | [`mod@blocking`] |
//! | run each piece of work in a separate worker | [`WorkerPool`], [`mod@pool`] |
//! | write a worker for the pool protocol | [`mod@serve`], [`protocol`] |
//! | start several sessions from a file, in order | [`Project`], [`mod@project`] |
//! | communicate with a child over its standard streams | [`StdioChild`], [`mod@stdio`] |
//! | allow a single daemon to run | [`LifecycleLock`], [`mod@lifecycle`] |
//! | read the JSON of the command `rekindle` | [`mod@json`] |
//! | keep claims and records in other stores | [`mod@stores`] |
//! | test a program with sessions | `testing` (feature) |

mod advice;
mod error;
mod launch;
mod outcome;
mod sessions;

pub mod blocking;
#[doc(hidden)]
pub mod frontend;
pub mod json;
pub mod lifecycle;
pub mod pool;
pub mod project;
pub mod stdio;
pub mod stores;
#[cfg(feature = "testing")]
pub mod testing;

pub use advice::{Advice, Startup, Step};
pub use error::Error;
pub use launch::{Command, Launch, Unnamed};
#[doc(inline)]
pub use lifecycle::LifecycleLock;
pub use outcome::{
    DryRun, Ensured, Exited, Rejection, Replaced, Restarted, Retained, Running, SaidReady, StartKind,
    StopOutcome, Stopped, Tidied,
};
#[doc(inline)]
pub use pool::{PoolClient, WorkerPool, serve};
#[doc(inline)]
pub use project::{Project, ProjectError};
pub use sessions::{
    ClaimConflict, ClaimView, Claimed, Collected, Collection, Diagnoses, Diagnosis, Events, FailedRuns,
    Force, Forgotten, GcMode, Kept, KeptBecause, LeftOut, LifelineView, Listing, LogChange, LogLine,
    LogPaths, LogQuery, LogTail, LogTails, Logs, PieceEnd, Readied, RecordView, Repair, SessionClaim,
    SessionStatus, SessionSummary, SessionView, Sessions, Signalled, Standing, StandsIn, Unlocked, Whom,
    WorkerWatch,
};
#[doc(inline)]
pub use stdio::{StdioChild, StdioEnd, StdioEvent, StdioLaunch, StdioStopped};

/// The messages of the pool protocol.
#[doc(inline)]
pub use rekindle_core::protocol;
#[doc(inline)]
pub use rekindle_core::readiness;

// Identities.
#[doc(inline)]
pub use rekindle_core::id::{InvalidNonce, InvalidPid, InvalidSessionId, SESSION_ID_LEN_MAX};
#[doc(inline)]
pub use rekindle_core::identity::{BootId, NamespaceId, StartTime};
#[doc(inline)]
pub use rekindle_core::{Generation, Host, Nonce, Pid, ProcessIdentity, ProcessLiveness, SessionId};

// The description of a start.
#[doc(inline)]
pub use rekindle_core::again::{NoPlan, Part};
#[doc(inline)]
pub use rekindle_core::decide::Unrecorded;
#[doc(inline)]
pub use rekindle_core::endpoint::InvalidAddress;
#[doc(inline)]
pub use rekindle_core::logs::{InvalidLogMax, LogMax, LogStream};
#[doc(inline)]
pub use rekindle_core::plan::{
    Action, EnvironmentBase, ForeignListener, KillChange, PortChoice, ReleaseWhen, Role, Transport, Withheld,
};
#[doc(inline)]
pub use rekindle_core::protocol::{Speaking, Version};
#[doc(inline)]
pub use rekindle_core::readiness::{InvalidRequestPath, ReadinessFault, RequestPath, Row, UnknownReadiness};
#[doc(inline)]
pub use rekindle_core::stop::{StopPolicy, StopStep};
#[doc(inline)]
pub use rekindle_core::stop_signal::InvalidStopSignal;
pub use rekindle_core::{
    Address, Endpoint, EndpointKind, Environment, Intent, KillPolicy, KillSignal, Owner, Readiness,
    ReadyKind, ReleasePolicy, SpawnBgPlan, StopSignal,
};

#[doc(inline)]
pub use rekindle_core::claim::home::Locks;
#[doc(inline)]
pub use rekindle_core::release::{PairingError, SendFinal};

// Outcomes.
#[doc(inline)]
pub use rekindle_core::care::ending::{Ended, Ending};
#[doc(inline)]
pub use rekindle_core::evidence::LifelineHistory;
#[doc(inline)]
pub use rekindle_core::execute::{Cause, Diagnostic, Seen};
#[doc(inline)]
pub use rekindle_core::record::{EndedBy, Outline, RecordedPlan, SocketFile};
#[doc(inline)]
pub use rekindle_core::resume::RetainedReason;
#[doc(inline)]
pub use rekindle_core::{
    ChildExit, Lifeline, Liveness, LockClaim, RecordState, RejectReason, SessionRecord, SessionState,
};

// Events and signals.
pub use json::watch::SessionEvent;
#[doc(inline)]
pub use rekindle_core::events::Happened;
#[doc(inline)]
pub use rekindle_core::signal::{InvalidSignal, SignalNumber};

// Errors.
#[doc(inline)]
pub use rekindle_adapters::StateRootError;
#[doc(inline)]
pub use rekindle_adapters::call::CallError;
#[doc(inline)]
pub use rekindle_adapters::lines::LineError;
#[doc(inline)]
pub use rekindle_adapters::state_root::Elsewhere;
#[doc(inline)]
pub use rekindle_adapters::way::{Mend, Untrusted};
#[doc(inline)]
pub use rekindle_core::{KillError, OsFailure, ReleaseError, Shortage, SpawnError, WatchError};

// Sockets and ports.
#[doc(inline)]
pub use rekindle_adapters::call::call;
#[doc(inline)]
pub use rekindle_adapters::port::probe_port;
#[doc(inline)]
pub use rekindle_adapters::probe::{Connection, Probed, probe};
