//! What must hold at any time, after the next `up`, and in the end.

use super::run::{SESSION, rekindle, up_args};
use super::trouble::TroubleKind::{Double, Lost, Other, Wedged};
use super::trouble::{Trouble, ensure};
use crate::cli::Reply;
use crate::procs::{self, Pid};
use crate::{Scene, wait};
use std::fs;

/// The files of the session that begin like what is not finished.
const UNFINISHED: &str = ".rekindle-tmp.";

/// The workers of the scene: its processes but for those that one of them started.
pub(super) fn workers(scene: &Scene) -> Vec<Pid> {
    let all = scene.processes();
    let parent = |pid: &Pid| procs::status(*pid, "PPid").and_then(|pid| pid.parse::<Pid>().ok());
    // One without a parent has ended since.
    all.iter().copied().filter(|pid| parent(pid).is_some_and(|parent| !all.contains(&parent))).collect()
}

/// At most one worker runs, and `ls` shows no more.
pub(super) fn at_most_one(scene: &Scene) -> Result<Option<Pid>, Trouble> {
    let workers = workers(scene);
    ensure(workers.len() <= 1, Double, || format!("workers {workers:?} run at once"))?;
    let ls = rekindle(scene, &["ls"])?;
    let shown = ls.json.as_array().map_or(0, Vec::len);
    ensure(shown <= 1, Double, || format!("`ls` shows {shown}: {ls}"))?;
    ensure(ls.code == Some(0) && ls.json.is_array(), Wedged, || format!("`ls` fails: {ls}"))?;
    Ok(workers.first().copied())
}

/// The next `up` ends well, with one worker: the one from before, if there was one.
pub(super) fn next_up(scene: &Scene, before: Option<Pid>) -> Result<Reply, Trouble> {
    let reply = rekindle(scene, &up_args(&["--timeout", "20s"]))?;
    expect_worker(scene, before, &reply)?;
    Ok(reply)
}

/// A reply of `up` that ended well, and its one worker runs.
pub(super) fn expect_worker(scene: &Scene, before: Option<Pid>, reply: &Reply) -> Result<(), Trouble> {
    let ended_well =
        reply.code == Some(0) && ["started", "attached", "adopted"].contains(&reply.text("outcome"));
    ensure(ended_well, Wedged, || format!("the next `up`: {reply}"))?;
    let after = workers(scene);
    ensure(after.len() <= 1, Double, || format!("after the next `up` {after:?} run: {reply}"))?;
    ensure(after == [reply.pid()], Lost, || format!("{after:?} run: {reply}"))?;
    let is_same = before.is_none_or(|before| before == reply.pid());
    ensure(is_same, Lost, || format!("{before:?} ran before: {reply}"))?;
    let claim = scene.of(SESSION, "claim");
    ensure(claim.symlink_metadata().is_err(), Wedged, || format!("the claim is left after {reply}"))
}

/// A `stop` ends well, and only record and logs are left.
pub(super) fn stop(scene: &Scene) -> Result<(), Trouble> {
    let reply = rekindle(scene, &["stop", SESSION])?;
    let outcomes = ["stopped", "killed", "not-running"];
    let ended_well = reply.code == Some(0) && outcomes.contains(&reply.text("outcome"));
    ensure(ended_well, Wedged, || format!("`stop`: {reply}"))?;
    let left = workers(scene);
    ensure(left.is_empty(), Lost, || format!("{left:?} run after {reply}"))?;
    for file in ["claim", "sock"] {
        let is_left = scene.of(SESSION, file).symlink_metadata().is_ok();
        ensure(!is_left, Wedged, || format!("`{file}` is left after {reply}"))?;
    }
    Ok(())
}

/// `gc` removes the session without a trace.
pub(super) fn collect(scene: &Scene) -> Result<(), Trouble> {
    let reply = rekindle(scene, &["gc", "--all"])?;
    ensure(reply.code == Some(0), Wedged, || format!("`gc`: {reply}"))?;
    let left: Vec<_> = fs::read_dir(scene.state()).into_iter().flatten().flatten().collect();
    ensure(left.is_empty(), Other, || format!("`gc` left {left:?}: {reply}"))
}

/// No unfinished file is left.
pub(super) fn nothing_unfinished(scene: &Scene) -> Result<(), Trouble> {
    let entries = fs::read_dir(scene.of(SESSION, "")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|name| name.starts_with(UNFINISHED)).collect();
    ensure(left.is_empty(), Other, || format!("{left:?} are left"))
}

/// Kills the worker and waits until it is gone. A process that ends lets go of its memory before its descriptors: it cannot be
/// recognised any more while its socket still accepts.
pub(super) fn crash_worker(scene: &Scene) {
    let killed = scene.processes();
    killed.iter().for_each(|pid| procs::send(*pid, nix::sys::signal::Signal::SIGKILL));
    let is_over = || !killed.iter().any(|pid| procs::is_running(*pid)) && scene.processes().is_empty();
    wait::until("the worker is gone", is_over);
}
