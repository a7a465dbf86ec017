//! `rekindle claim`

use crate::args::ClaimArgs;
use crate::command::{sessions, verdict};
use crate::report::{Exit, Report};
use rekindle::json::failure::ErrorJson;
use rekindle::json::send::ClaimJson;
use rekindle::{Advice, ClaimConflict, Claimed, Endpoint, SendFinal, SessionClaim, SpawnError};
use std::ffi::OsString;
use std::path::Path;

/// The exit code for a claim that another process held for the whole wait.
const TIMED_OUT: Exit = Exit::Program(124);

pub(crate) async fn run(dir: Option<&Path>, args: &ClaimArgs, report: &Report) -> Exit {
    let sessions = match sessions(dir) {
        Ok(sessions) => sessions,
        Err(error) => return failed(&error, report),
    };
    match sessions.claim(&args.session, args.wait).await {
        Ok(Claimed::Ours(claim)) => run_under(*claim, args, report).await,
        Ok(Claimed::Conflict(conflict)) => refused(&conflict, report),
        Err(error) => failed(&error, report),
    }
}

async fn run_under(claim: SessionClaim, args: &ClaimArgs, report: &Report) -> Exit {
    let liveness = if args.probe { Some(verdict(claim.probe().await)) } else { None };
    report.event(ClaimJson {
        outcome: "claimed",
        session: &claim.session,
        state: claim.state,
        address: claim.endpoint.as_ref(),
        generation: claim.generation,
        liveness,
    });
    let ended = claim.run_program(&args.command, &variables(&claim, liveness));
    let (exit, end) = match ended {
        Ok(ended) => match Exit::of_exit(ended) {
            Exit::Program(0) => (Exit::Program(0), SendFinal::Sent),
            exit => (exit, SendFinal::Failed),
        },
        Err(error) => (not_started(&error, report), SendFinal::Failed),
    };
    // The caller asked for the program, so leftover evidence is only a warning.
    if let Err(error) = claim.release(end) {
        tracing::warn!(%error, "the claim could not be released");
    }
    exit
}

/// The program's view of the worker.
fn variables(claim: &SessionClaim, liveness: Option<&'static str>) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("REKINDLE_SESSION", claim.session.as_str().into()),
        ("REKINDLE_STATE", claim.state.to_string().into()),
        ("REKINDLE_GENERATION", claim.generation.to_string().into()),
        ("REKINDLE_ADDRESS", claim.endpoint.as_ref().map(Endpoint::to_text).unwrap_or_default()),
        ("REKINDLE_LIVENESS", liveness.unwrap_or_default().into()),
    ];
    match &claim.endpoint {
        Some(Endpoint::Unix(socket)) => variables.push(("REKINDLE_SOCKET", socket.into())),
        Some(Endpoint::Tcp(at)) => variables.push(("REKINDLE_PORT", at.port().to_string().into())),
        Some(Endpoint::None) | None => {}
    }
    variables
}

fn refused(conflict: &ClaimConflict, report: &Report) -> Exit {
    let (reason, exit) =
        if conflict.is_late { ("timeout", TIMED_OUT) } else { ("target-locked", Exit::WrapperFailed) };
    let answer =
        ErrorJson { holder: Some(conflict.holder_shown()), ..ErrorJson::new(reason, &*conflict.message) };
    report.complain(&conflict.message, &conflict.advice, answer, exit)
}

fn failed(error: &rekindle::Error, report: &Report) -> Exit {
    report.complain(&error.to_string(), &error.advice(), error, Exit::WrapperFailed)
}

fn not_started(error: &SpawnError, report: &Report) -> Exit {
    let answer = ErrorJson::new("spawn-start-failed", error.to_string());
    report.complain(&error.to_string(), &Advice::of_start(error), answer, Exit::of_spawn_error(error))
}
