//! The decision engine of rekindle: what to do about a session's background worker, as plain data.
//!
//! Everything in this crate is a pure function of its arguments. It opens no file or socket, starts no process,
//! reads no clock and draws no random number; each of those is a method of a trait in [`effects`], which the
//! adapters implement for the operating system and the gates implement as fakes.
//!
//! Read the modules in this order:
//!
//! | module | question it answers |
//! |---|---|
//! | [`id`], [`identity`] | which session, and which process exactly |
//! | [`plan`], [`target`] | what is to be started, and is its socket path usable |
//! | [`evidence`] | is the last worker provably gone |
//! | [`state`] | how does the session stand, in one word |
//! | [`warrant`] | may a process be signalled |
//! | [`mod@decide`] | attach, spawn, adopt or reject |
//! | [`claim`] | may this launcher decide about the session now |
//! | [`lifecycle`] | the same for a daemon's singleton marker |
//! | [`release`] | may the claim be given up |
//! | [`resume`], [`execute`] | how one start runs, step by step |
//! | [`stop`] | how a worker is ended |
//! | [`lines`] | what is remembered of a child's complaints |
//! | [`record`] | what is remembered about a session |
//! | [`pool`] | which session of a pool is meant |
//! | [`protocol`] | what a pool and its workers say to each other |
//! | [`notify`] | what a worker says about itself while it starts |
//! | [`byte_text`], [`shown`] | how text that may hold any bytes is stored, and how it is shown |
//! | [`effects`], [`seams`], [`failure`] | what the outside world must be able to do, and how it fails |

#![no_std]

extern crate alloc;

mod duration_ms;
mod harmless;
mod sift;

pub mod byte_text;
pub mod care;
pub mod claim;
pub mod decide;
pub mod effects;
pub mod ensure;
pub mod evidence;
pub mod execute;
pub mod failure;
pub mod id;
pub mod identity;
pub mod lifecycle;
pub mod lines;
pub mod notify;
pub mod plan;
pub mod pool;
pub mod protocol;
pub mod record;
pub mod release;
pub mod resume;
pub mod seams;
pub mod shown;
pub mod start;
pub mod state;
pub mod stop;
pub mod stores;
pub mod target;
#[cfg(feature = "testing")]
pub mod testing;
pub mod view;
pub mod warrant;

pub use claim::{ClaimDecision, ClaimPolicy, Found, LockClaim, decide_claim};
pub use decide::{Finding, Intent, Liveness, RejectReason, Verdict, decide};
pub use effects::{
    ChildExit, KillError, KillSignal, ReleaseError, SpawnBgResumeDeps, SpawnError, WatchError,
};
pub use evidence::{Evidence, LastWorker, Lifeline, last_worker};
pub use execute::{ExecuteError, Outcome, execute_spawn_bg_resume};
pub use failure::{OsFailure, Shortage};
pub use id::{Generation, Nonce, Pid, SessionId};
pub use identity::{Host, ProcessIdentity, Sighting, Standing};
pub use lifecycle::LifecyclePayload;
pub use plan::{Environment, KillPolicy, ReadyKind, SpawnBgPlan};
pub use record::{RecordState, SessionRecord};
pub use release::ReleasePolicy;
pub use state::SessionState;
