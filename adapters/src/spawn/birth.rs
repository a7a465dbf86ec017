//! Starts a worker, and explains a failed start.

use super::prepare::prepare;
use super::program;
use super::request::SpawnRequest;
use crate::store::lifeline::LIFELINE_FILE;
use crate::sys::linux::failure::{describe, refused};
use crate::sys::linux::process::clone::{Born, Stage, clone_and_exec};
use crate::worker::Worker;
use rekindle_core::SpawnError;
use rekindle_core::failure::CREATE_PROCESS;
use rekindle_core::identity::StartTime;
use rekindle_core::shown::Shown;
use std::path::Path;

/// Starts a worker and returns once the program runs. Blocks the calling thread until then.
///
/// # Errors
/// If the start failed; no process is left then.
pub fn spawn(request: SpawnRequest<'_>) -> Result<Worker, SpawnError> {
    let program = program::resolve(request.plan.program().ok_or(SpawnError::NoProgram)?)?;
    let prepared = prepare(&request, &program)?;
    request.claim.dir().require_in_place()?;
    let born = clone_and_exec(&prepared).map_err(|errno| refused(CREATE_PROCESS, errno).on(&program))?;
    match born {
        Born::Running { pid, pidfd, start_ticks } => {
            let identity = request.host.identify(pid, start_ticks.map(StartTime::from_ticks));
            Ok(Worker::child(identity, pidfd, request.lifeline))
        }
        Born::Failed { stage, errno } => Err(explain(stage, errno, &request, &program)),
    }
}

fn explain(stage: Stage, errno: i32, request: &SpawnRequest<'_>, program: &Path) -> SpawnError {
    let lifeline = request.claim.dir().path_of(LIFELINE_FILE);
    let os = |operation: &str| refused(operation, errno);
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
        Stage::Listen => os("listen in the child").on(request.plan.target().to_text()).into(),
        Stage::LifelineReplaced => {
            SpawnError::Abandoned { why: format!("`{}` was replaced during the start", Shown(&lifeline)) }
        }
    }
}
