//! The promises after a host of a pool was killed while beginning a session: the session is listed and can be
//! continued, or no trace is left.

use super::checks;
use super::run::rekindle;
use super::trouble::TroubleKind::{Double, Lost, Wedged};
use super::trouble::{Trouble, ensure};
use crate::{TestEnv, cli, wait};
use serde_json::Value;

/// The question of the reference worker; the work waits for an answer.
const CODE: &str = "who?";

/// The arguments that begin a session.
pub(super) fn run_args() -> Vec<String> {
    let worker = cli::binary_arg();
    ["pool", "run", "--speak", "1", "--code", CODE, "--", &worker, "worker", "--protocol", "pool"]
        .map(str::to_owned)
        .to_vec()
}

/// Every running worker is known to `pool ls`; each listed session can be continued, or `pool gc` ends the worker.
pub(super) fn after_run(env: &TestEnv) -> Result<(), Trouble> {
    let workers = checks::workers(env);
    ensure(workers.len() <= 1, Double, || format!("workers {workers:?} run at once"))?;
    let listed = list(env)?;
    ensure(listed.len() <= 1, Double, || format!("`pool ls` shows {listed:?}"))?;
    let Some(worker) = workers.first() else { return collect(env) };
    let session = listed.first().and_then(|entry| entry["session"].as_str());
    let Some(session) = session else {
        return Err(Trouble::new(Lost, format!("worker {worker} runs, and `pool ls` does not know it")));
    };
    let mut last = None;
    let settled = wait::comes_true(|| {
        last = Some(settle(env, session));
        matches!(last, Some(Ok(true) | Err(_)))
    });
    if let Some(Err(trouble)) = last {
        return Err(trouble);
    }
    ensure(settled, Wedged, || format!("session {session} can neither be continued nor collected"))?;
    let ended = rekindle(env, &["pool", "shutdown", session])?;
    let gone = ended.code == Some(0) || ended.text("reason") == "unknown-session";
    ensure(gone, Wedged, || format!("`pool shutdown`: {ended}"))?;
    collect(env)
}

/// Continues the session, or collects a session that never began. A worker may be about to begin.
fn settle(env: &TestEnv, session: &str) -> Result<bool, Trouble> {
    let reply = rekindle(env, &["pool", "continue", session, "--speak", "1", "--response", "x"])?;
    if reply.json["status"] == "completed" {
        return Ok(true);
    }
    let never_began = reply.text("reason") == "no-session";
    ensure(never_began, Wedged, || format!("`pool continue`: {reply}"))?;
    let collected = rekindle(env, &["pool", "gc"])?;
    ensure(collected.code == Some(0), Wedged, || format!("`pool gc`: {collected}"))?;
    Ok(checks::workers(env).is_empty())
}

fn list(env: &TestEnv) -> Result<Vec<Value>, Trouble> {
    let list = rekindle(env, &["pool", "ls"])?;
    match list.json["sessions"].as_array() {
        Some(entries) if list.code == Some(0) => Ok(entries.clone()),
        Some(_) | None => Err(Trouble::new(Wedged, format!("`pool ls` fails: {list}"))),
    }
}

fn collect(env: &TestEnv) -> Result<(), Trouble> {
    let reply = rekindle(env, &["pool", "gc"])?;
    ensure(reply.code == Some(0), Wedged, || format!("`pool gc`: {reply}"))?;
    let (left, workers) = (list(env)?, checks::workers(env));
    ensure(left.is_empty() && workers.is_empty(), Lost, || {
        format!("{left:?} and {workers:?} are left: {reply}")
    })
}
