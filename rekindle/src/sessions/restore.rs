//! Writes a record anew whose file somebody removed or set aside while the worker lives.
//!
//! # Invariants
//! 1. Only under the session's kernel lock, and only if the worker holds its lifeline: that is who it is of.
//! 2. What the lifeline does not say is read of the process itself. The whole plan cannot be known: the record is of schema 1. Such a worker counts as ready: whoever finds it must not
//!    end it because a file is gone.

use crate::sessions::snapshot::Snapshot;
use rekindle_adapters::{SessionDir, clock, procfs, record_file, socket_file};
use rekindle_core::record::{Outline, RecordedPlan};
use rekindle_core::{Host, OsFailure, RecordState, SessionRecord};

/// What is known of a session, with its record written anew if it is gone and its worker is not.
///
/// # Errors
/// If the session cannot be looked at. A record that cannot be written stays absent, and the worker is known by its lifeline.
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

/// The record of a worker that lives without one.
fn restored(snapshot: &Snapshot, here: &Host) -> Option<SessionRecord> {
    let mark = snapshot.mark.as_ref().filter(|_| snapshot.lacks_record())?;
    let (site, session, nonce) = (mark.worksite.clone()?, mark.session.clone()?, mark.nonce.clone()?);
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
        socket_file: socket_file::file_at(&site.socket),
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
