//! The promises that hold at any time, after the next `up`, and at the end.

use super::run::{SESSION, rekindle, up_args};
use super::trouble::TroubleKind::{Double, Lost, Other, Wedged};
use super::trouble::{Trouble, ensure};
use crate::cli::Reply;
use crate::procs::{self, Pid};
use crate::{TestEnv, wait};
use std::fs;

/// The prefix of unfinished files in a session.
const UNFINISHED: &str = ".rekindle-tmp.";

/// The time-out of an `up` that has to succeed.
pub(super) const PATIENT: [&str; 2] = ["--timeout", "20s"];

/// The workers of the test environment: processes without a parent in the test environment.
pub(super) fn workers(env: &TestEnv) -> Vec<Pid> {
    let all = env.processes();
    let parent = |pid: &Pid| procs::status(*pid, "PPid").and_then(|pid| pid.parse::<Pid>().ok());
    // A process without a parent has ended meanwhile.
    all.iter().copied().filter(|pid| parent(pid).is_some_and(|parent| !all.contains(&parent))).collect()
}

/// At most one worker runs, and `ls` shows at most one session.
pub(super) fn at_most_one(env: &TestEnv) -> Result<Option<Pid>, Trouble> {
    let workers = workers(env);
    ensure(workers.len() <= 1, Double, || format!("workers {workers:?} run at once"))?;
    let ls = rekindle(env, &["ls"])?;
    let shown = ls.json["sessions"].as_array().map_or(0, Vec::len);
    ensure(shown <= 1, Double, || format!("`ls` shows {shown}: {ls}"))?;
    ensure(ls.code == Some(0) && ls.json["sessions"].is_array(), Wedged, || format!("`ls` fails: {ls}"))?;
    Ok(workers.first().copied())
}

/// The next `up` succeeds with one worker: the worker from before, if there was a worker.
pub(super) fn next_up(env: &TestEnv, before: Option<Pid>) -> Result<Reply, Trouble> {
    next_up_by(env, before, &up_args(&PATIENT))
}

/// The same, by an `up` with these arguments.
pub(super) fn next_up_by(env: &TestEnv, before: Option<Pid>, up: &[String]) -> Result<Reply, Trouble> {
    let reply = rekindle(env, up)?;
    expect_worker(env, before, &reply)?;
    Ok(reply)
}

/// The reply of a successful `up`, and the single worker runs.
pub(super) fn expect_worker(env: &TestEnv, before: Option<Pid>, reply: &Reply) -> Result<(), Trouble> {
    let ended_well =
        reply.code == Some(0) && ["started", "attached", "adopted"].contains(&reply.text("outcome"));
    ensure(ended_well, Wedged, || format!("the next `up`: {reply}"))?;
    let after = workers(env);
    ensure(after.len() <= 1, Double, || format!("after the next `up` {after:?} run: {reply}"))?;
    ensure(after == [reply.pid()], Lost, || format!("{after:?} run: {reply}"))?;
    let is_same = before.is_none_or(|before| before == reply.pid());
    ensure(is_same, Lost, || format!("{before:?} ran before: {reply}"))?;
    let claim = env.of(SESSION, "claim");
    ensure(claim.symlink_metadata().is_err(), Wedged, || format!("the claim is left after {reply}"))
}

/// A `stop` ends well, and only record and logs are left.
pub(super) fn stop(env: &TestEnv) -> Result<(), Trouble> {
    let reply = rekindle(env, &["stop", SESSION])?;
    let outcomes = ["stopped", "killed", "not-running"];
    let ended_well = reply.code == Some(0) && outcomes.contains(&reply.text("outcome"));
    ensure(ended_well, Wedged, || format!("`stop`: {reply}"))?;
    let left = workers(env);
    ensure(left.is_empty(), Lost, || format!("{left:?} run after {reply}"))?;
    for file in ["claim", "sock"] {
        let is_left = env.of(SESSION, file).symlink_metadata().is_ok();
        ensure(!is_left, Wedged, || format!("`{file}` is left after {reply}"))?;
    }
    Ok(())
}

/// `gc` removes the session without a trace.
pub(super) fn collect(env: &TestEnv) -> Result<(), Trouble> {
    let reply = rekindle(env, &["gc", "--all"])?;
    ensure(reply.code == Some(0), Wedged, || format!("`gc`: {reply}"))?;
    let left: Vec<_> = fs::read_dir(env.state()).into_iter().flatten().flatten().collect();
    ensure(left.is_empty(), Other, || format!("`gc` left {left:?}: {reply}"))
}

/// No unfinished file is left.
pub(super) fn nothing_unfinished(env: &TestEnv) -> Result<(), Trouble> {
    let entries = fs::read_dir(env.of(SESSION, "")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|name| name.starts_with(UNFINISHED)).collect();
    ensure(left.is_empty(), Other, || format!("{left:?} are left"))
}

/// Kills the worker and waits until the worker is gone. An ending process frees its memory before its descriptors: its
/// socket may still accept although the process cannot be recognised any more.
pub(super) fn crash_worker(env: &TestEnv) {
    let killed = env.processes();
    killed.iter().for_each(|pid| procs::send(*pid, nix::sys::signal::Signal::SIGKILL));
    let is_over = || !killed.iter().any(|pid| procs::is_running(*pid)) && env.processes().is_empty();
    wait::until("the worker is gone", is_over);
}
