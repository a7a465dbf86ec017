//! Starts a worker: everything is prepared beforehand, then one `clone` and one `exec`.
//!
//! std's `Command` cannot do what a worker needs without `pre_exec`, which copies the launcher's page tables. Here the
//! child borrows the launcher's memory until it executes its program (`raw`), and its pidfd exists from birth.
//!
//! # Invariants
//! 1. The lifeline is taken by the child, before its program runs, on a descriptor that it opened itself.
//! 2. The child keeps its copy of the claim's descriptor until its lifeline is held and its identity written: at no
//!    instant is a worker unguarded, however the launcher dies.
//! 3. The worker has its own session, default signals, an empty mask, its launcher's umask, and no descriptor but 0 to 2, its
//!    lifeline and, where it is to inherit one, its socket.
//! 4. A start that fails leaves no process, and says which file is missing.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs`.

mod birth_time;
pub(crate) mod prepare;
pub mod program;
pub(crate) mod raw;
mod stack;

use crate::endpoint::bound::BoundSocket;
use crate::ready::notify::Hearing;
use crate::store::claim_lock::HeldClaim;
use crate::store::lifeline::LifelineProbe;
use crate::sys::linux::failure::describe;
use crate::worker::Worker;
use jiff::Timestamp;
use prepare::Prepared;
use raw::{Born, Stage};
use rekindle_core::failure::CREATE_PROCESS;
use rekindle_core::identity::StartTime;
use rekindle_core::shown::Shown;
use rekindle_core::{Generation, Host, Nonce, OsFailure, SpawnBgPlan, SpawnError};
use std::path::Path;

/// What a start needs besides its plan.
#[derive(Debug)]
pub struct SpawnRequest<'a> {
    /// What to start.
    pub plan: &'a SpawnBgPlan,
    /// The claim under which it is started.
    pub claim: &'a HeldClaim,
    /// Which start of the session it is.
    pub generation: Generation,
    /// What the worker is told to know itself by.
    pub nonce: &'a Nonce,
    /// The fresh lifeline that it will take.
    pub lifeline: LifelineProbe,
    /// Where we are.
    pub host: &'a Host,
    /// When the start began.
    pub started_at: Timestamp,
    /// What it gets to become ready with.
    pub provision: Provision<'a>,
}

/// What a worker gets to become ready with.
#[derive(Debug, Clone, Copy)]
pub enum Provision<'a> {
    /// Nothing: it opens its socket itself.
    Nothing,
    /// Somebody to tell that it is ready: `NOTIFY_SOCKET`.
    Ear(&'a Hearing),
    /// The socket on which it is to answer, as descriptor 3: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`. The child
    /// itself begins to listen on it, so that the kernel names the worker, and not its launcher, as the listener.
    Socket(&'a BoundSocket),
}

/// Starts a worker and returns once its program runs. Blocks the calling thread until then.
///
/// # Errors
/// If it could not be started; nothing of it is left running then.
pub fn spawn(request: SpawnRequest<'_>) -> Result<Worker, SpawnError> {
    let program = program::resolve(request.plan.program().ok_or(SpawnError::NoProgram)?)?;
    let prepared = Prepared::new(&request, &program)?;
    request.claim.dir().require_in_place()?;
    let born = raw::clone_and_exec(&prepared)
        .map_err(|errno| OsFailure::new(CREATE_PROCESS, describe(errno)).errno(errno).on(&program))?;
    match born {
        Born::Running { pid, pidfd, start_ticks } => {
            let identity = request.host.identify(pid, start_ticks.map(StartTime::from_ticks));
            Ok(Worker::child(identity, pidfd, request.lifeline))
        }
        Born::Failed { stage, errno } => Err(explain(stage, errno, &request, &program)),
    }
}

fn explain(stage: Stage, errno: i32, request: &SpawnRequest<'_>, program: &Path) -> SpawnError {
    let lifeline = request.claim.dir().path_of(crate::store::lifeline::LIFELINE_FILE);
    let os = |operation: &str| OsFailure::new(operation, describe(errno)).errno(errno);
    match stage {
        Stage::Directory => SpawnError::Directory {
            cwd: request.plan.cwd.clone(),
            why: format!("{} (errno {errno})", describe(errno)),
        },
        Stage::Exec => program::explain(program, errno),
        Stage::Session => os("begin a session of its own").into(),
        Stage::OpenLifeline => os("open in the child").on(lifeline).into(),
        Stage::LockLifeline => os("lock in the child").on(lifeline).into(),
        Stage::MarkLifeline => os("write in the child").on(lifeline).into(),
        Stage::Descriptors => os("arrange descriptors in the child").into(),
        Stage::FilesMoved => SpawnError::Abandoned {
            why: format!("`{}` was removed or moved during the start", Shown(request.claim.dir().path())),
        },
        Stage::Listen => os("listen in the child").on(request.plan.expected_socket_path.clone()).into(),
        Stage::LifelineReplaced => {
            SpawnError::Abandoned { why: format!("`{}` was replaced during the start", Shown(&lifeline)) }
        }
    }
}
