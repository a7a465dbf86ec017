//! The decision engine of rekindle: what to do about a session's background worker, as plain data.
//!
//! Everything in this crate is a pure function of its arguments. The crate opens no file or socket, starts no process,
//! reads no clock and draws no random number. Each such effect is a method of a trait in [`effects`]. The adapters
//! implement these traits for the operating system, and the gates implement them as fakes.
//!
//! Read the modules in this order:
//!
//! | module | question it answers |
//! |---|---|
//! | [`process`] | which session, which process exactly, and may that process be signalled |
//! | [`session`] | what is to be started, what is remembered, is the last worker provably gone |
//! | [`claim`] | may this launcher decide about the session now, and how is the claim taken and given up |
//! | [`mod@ensure`] | attach, start, adopt or reject: one call from the first look to the outcome |
//! | [`start`] | how one start runs, step by step |
//! | [`stop`] | how a worker is ended, and how a session is stopped |
//! | [`care`] | how a claim is cleared, a worker forgotten, a session removed |
//! | [`logs`] | what is cut from a worker's logs, and when a line was written |
//! | [`project`] | in which order several sessions start and end |
//! | [`protocol`] | what a pool and its workers say to each other |
//! | [`text`] | how text that may hold any bytes is stored, shown and cut into lines |
//! | [`effects`], [`failure`] | what the outside world must be able to do, and how it fails |
//! | `testing` (feature) | a simulated kernel, and all of the above over it |

#![no_std]

extern crate alloc;

mod prelude;

pub mod care;
pub mod claim;
pub mod effects;
pub mod ensure;
pub mod logs;
pub mod process;
pub mod project;
pub mod protocol;
pub mod session;
pub mod start;
pub mod stop;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;

pub use claim::{lifecycle, release, stores};
pub use effects::failure;
pub use ensure::decide;
pub use process::{exit, id, identity, signal, stop_signal, warrant};
pub use protocol::pool;
pub use session::{
    again, endpoint, events, evidence, notify, ownership, plan, readiness, record, state, target, view,
};
pub use start::{execute, resume, seams};
pub use text::{byte_text, lines, shown};

pub use claim::lifecycle::LifecyclePayload;
pub use claim::release::ReleasePolicy;
pub use claim::{ClaimDecision, ClaimPolicy, Found, LockClaim, decide_claim};
pub use effects::{
    ChildExit, KillError, KillSignal, ReleaseError, SpawnBgResumeDeps, SpawnError, WatchError,
};
pub use ensure::decide::{Finding, Intent, Liveness, RejectReason, Verdict, decide};
pub use failure::{OsFailure, Shortage};
pub use process::id::{Generation, Nonce, Pid, SessionId};
pub use process::identity::{Host, PidStatus, ProcessIdentity, ProcessLiveness};
pub use process::stop_signal::StopSignal;
pub use session::endpoint::{Address, Endpoint, EndpointKind, Owner};
pub use session::evidence::{Evidence, LastWorker, Lifeline, last_worker};
pub use session::plan::{Environment, KillChange, KillPolicy, SpawnBgPlan};
pub use session::readiness::{Readiness, ReadyKind};
pub use session::record::{RecordState, SessionRecord};
pub use session::state::SessionState;
pub use start::execute::{ExecuteError, Outcome, execute_spawn_bg_resume};
