//! Writes a record again if the file was removed or set aside while the worker lives.
//!
//! # Invariants
//! 1. Only under the session's kernel lock, and only if the worker holds the lifeline: the lifeline proves the owner of
//!    the record.
//! 2. Facts missing in the lifeline's mark are read from the process. The complete plan cannot be known, so the record
//!    has schema 1. The worker counts as ready: the next launcher must not end the worker because of a missing file.

use crate::sessions::snapshot::Snapshot;
use rekindle_adapters::{SessionDir, clock, procfs, record_file, socket_file};
use rekindle_core::record::{Outline, RecordedPlan};
use rekindle_core::{Host, OsFailure, RecordState, SessionRecord};

/// The snapshot of a session. If the record is gone and the worker lives, the record is written again first.
///
/// # Errors
/// If the session cannot be read. If the record cannot be written, the record stays absent; the lifeline still
/// identifies the worker.
pub(crate) fn in_place(dir: &SessionDir, here: &Host) -> Result<Snapshot, OsFailure> {
    let snapshot = Snapshot::take(dir, here)?;
    let Some(record) = restored(&snapshot, here) else { return Ok(snapshot) };
    tracing::warn!(session = %record.session, "the record was gone, and is written anew from the worker's lifeline");
    match record_file::write(dir, &record) {
        Ok(()) => Snapshot::take(dir, here),
        Err(error) => {
            tracing::warn!(session = %record.session, %error, "the record could not be written anew");
            Ok(snapshot)
        }
    }
}

/// The new record of a living worker without a record.
fn restored(snapshot: &Snapshot, here: &Host) -> Option<SessionRecord> {
    let mark = snapshot.mark.as_ref().filter(|_| snapshot.lacks_record())?;
    let (site, session, nonce) = (mark.worksite.clone()?, mark.session.clone()?, mark.nonce.clone()?);
    let endpoint = site.endpoint();
    let command = site.command.or_else(|| snapshot.pid().and_then(procfs::command))?;
    let (program, arguments) = command.arguments.split_first()?;
    Some(SessionRecord {
        session,
        generation: mark.generation,
        nonce,
        state: RecordState::Ready,
        worker: Some(mark.worker.clone()),
        peer: None,
        launcher: procfs::this_process(here),
        socket_file: site.socket.as_deref().and_then(socket_file::file_at),
        answered_at: Some(endpoint),
        plan: RecordedPlan::Outline(Outline {
            program: program.into(),
            arguments: arguments.to_vec(),
            cwd: command.cwd,
            socket: site.socket,
            readiness: site.readiness,
            speak: None,
        }),
        worker_version: None,
        worker_name: None,
        lifeline_held_when_ready: Some(true),
        started_at: site.started_at,
        ready_at: Some(clock::now()),
        exited_at: None,
        exit: None,
        ended_by: None,
        unknown: serde_json::Map::new(),
    })
}
