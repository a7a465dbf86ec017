//! One point: the state before, the run with its fault, and the promises afterwards.

use super::checks;
use super::cycle::Site;
use super::point::{Case, Fault, Point};
use super::pool;
use super::run::{SESSION, TRACE, rekindle, traced, up_args, up_args_for};
use super::trouble::TroubleKind::{Lost, Other, Wedged};
use super::trouble::{Trouble, ensure};
use crate::TestEnv;
use crate::cli::Reply;
use crate::procs::Pid;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;

/// Limits for a run with a fault: the run ends by itself long before the limit for hanging.
const SHORT: [&str; 6] = ["--timeout", "5s", "--term-grace", "1s", "--kill-grace", "1s"];

/// All exit codes except the code of a usage error.
const EXIT_CODES: [i32; 6] = [0, 1, 3, 4, 5, 6];

/// The spellings of an errno in a message: ours, that of an `io::Error`, and that of a library.
const ERRNO_MARKS: [&str; 3] = ["errno ", "os error ", "code: "];

/// Errors without an errno, by the failed call and the reason in the error.
///
/// - `getrandom`: the keys of std's hash maps. std panics without the errno; the kernel never refuses in practice.
/// - `kill`: with signal 0, only ESRCH and EPERM are known. Any other errno is doubt, and doubt about a holder refuses.
/// - `readlink`: reads our pid namespace. Without the namespace no pid can be looked up, again a doubt about a holder.
const NAME_NO_ERRNO: [(&str, &str); 3] =
    [("getrandom", "internal"), ("kill", "target-locked"), ("readlink", "target-locked")];

/// No endpoint: the worker is ready once it has run for a moment.
const SILENT: [&str; 4] = ["--address", "none", "--settle", "10ms"];

/// A launcher dies before its worker is started.
const BEFORE_START: &str = "inject=clone:signal=SIGKILL:when=1";

/// A launcher dies after the first answer of its worker, before the peer's credentials are read.
const WHEN_LIVE: &str = "inject=getsockopt:signal=SIGKILL:when=1";

/// The arguments of a case.
pub(super) fn args(case: Case) -> Vec<String> {
    match case {
        Case::Up | Case::Restart | Case::Adopt | Case::UpPort | Case::UpNone => up_of(case, &SHORT),
        Case::Stop => [&["stop"], &SHORT[2..], &[SESSION]].concat().into_iter().map(str::to_owned).collect(),
        Case::Unlock | Case::UnlockLive => ["unlock", SESSION].map(str::to_owned).to_vec(),
        Case::PoolRun => pool::run_args(),
    }
}

/// The `up` of a case's session after `options`.
fn up_of(case: Case, options: &[&str]) -> Vec<String> {
    match case {
        Case::UpPort => up_args_for(&[options, Site::Port.options()].concat(), &Site::Port.worker()),
        Case::UpNone => up_args_for(&[options, &SILENT].concat(), &["sleep", "600"].map(str::to_owned)),
        Case::Up
        | Case::Restart
        | Case::Adopt
        | Case::Stop
        | Case::Unlock
        | Case::UnlockLive
        | Case::PoolRun => up_args(options),
    }
}

/// Brings about the state before the case; returns the worker running then.
pub(super) fn prepare(env: &TestEnv, case: Case) -> Result<Option<Pid>, Trouble> {
    match case {
        Case::Up | Case::PoolRun | Case::UpPort | Case::UpNone => Ok(None),
        Case::Restart => {
            checks::next_up(env, None)?;
            checks::crash_worker(env);
            Ok(None)
        }
        Case::Stop => Ok(Some(checks::next_up(env, None)?.pid())),
        Case::Unlock => interrupted_up(env, BEFORE_START),
        Case::Adopt | Case::UnlockLive => {
            let worker = interrupted_up(env, WHEN_LIVE)?;
            ensure(worker.is_some(), Lost, || "an `up` that was killed left no worker".to_owned())?;
            Ok(worker)
        }
    }
}

/// An `up` killed with its claim in place.
fn interrupted_up(env: &TestEnv, injection: &str) -> Result<Option<Pid>, Trouble> {
    let reply = traced(env, &["-o", "/dev/null", "-e", injection], &up_args(&SHORT))?;
    ensure(was_killed(&reply), Other, || format!("`up` should have been killed: {reply}"))?;
    let has_claim = env.of(SESSION, "claim").exists();
    ensure(has_claim, Other, || "an `up` that was killed left no claim".to_owned())?;
    checks::at_most_one(env)
}

/// `strace` dies of the signal of its tracee.
fn was_killed(reply: &Reply) -> bool {
    reply.signal == Some(Signal::SIGKILL as i32)
}

/// Tries one point.
pub(super) fn at(point: &Point) -> Result<Value, Trouble> {
    let env = TestEnv::new();
    let before = prepare(&env, point.case)?;
    let trace = env.path(TRACE).display().to_string();
    let only = format!("trace={}", point.call);
    let reply = traced(&env, &["-o", &trace, "-e", &only, "-e", &point.injection()], &args(point.case))?;
    let trace = fs::read_to_string(trace).unwrap_or_default();
    let hit = was_killed(&reply) || trace.contains("(INJECTED)");
    if point.fault != Fault::Kill || !hit {
        ends_as_it_should(&reply, &point.call)?;
    }
    match point.case {
        Case::Up | Case::Restart | Case::Adopt | Case::UpPort | Case::UpNone => {
            after_up(&env, point.case, before, &reply).and_then(|()| end(&env))
        }
        Case::Stop => after_stop(&env, &reply).and_then(|()| end(&env)),
        Case::Unlock | Case::UnlockLive => after_unlock(&env, before).and_then(|()| end(&env)),
        Case::PoolRun => pool::after_run(&env),
    }
    .and_then(|()| checks::collect(&env))
    .map_err(|Trouble { kind, text }| Trouble::new(kind, format!("{text}\n  the hit one: {reply}")))?;
    Ok(json!({ "hit": hit, "outcome": outcome(&reply) }))
}

fn end(env: &TestEnv) -> Result<(), Trouble> {
    checks::stop(env)?;
    checks::nothing_unfinished(env)
}

/// Never a panic, always a defined exit code, and an errno in every error.
fn ends_as_it_should(reply: &Reply, call: &str) -> Result<(), Trouble> {
    let has_code = reply.code.is_some_and(|code| EXIT_CODES.contains(&code));
    ensure(has_code, Other, || format!("no exit code of ours: {reply}"))?;
    let panicked = reply.stderr.contains("panicked");
    ensure(!panicked, Other, || format!("a panic: {reply}"))?;
    let message = reply.text("message");
    let names_errno = ERRNO_MARKS.iter().any(|mark| message.contains(mark));
    let need_not = reply.text("outcome") != "error" || NAME_NO_ERRNO.contains(&(call, reply.text("reason")));
    ensure(names_errno || need_not, Other, || format!("names no errno: {reply}"))
}

fn outcome(reply: &Reply) -> String {
    match (reply.code, reply.text("outcome"), reply.text("reason")) {
        (None, ..) => "SIGKILL".to_owned(),
        (Some(code), "", _) => format!("silent, exit code {code}"),
        (Some(_), outcome, "") => outcome.to_owned(),
        (Some(_), outcome, reason) => format!("{outcome} ({reason})"),
    }
}

fn after_up(env: &TestEnv, case: Case, before: Option<Pid>, reply: &Reply) -> Result<(), Trouble> {
    let seen = checks::at_most_one(env)?;
    still_runs(before, seen)?;
    ensure(reply.code != Some(0) || seen.is_some(), Lost, || "it said 0, and no worker runs".to_owned())?;
    checks::next_up_by(env, seen, &up_of(case, &checks::PATIENT)).map(drop)
}

fn after_stop(env: &TestEnv, reply: &Reply) -> Result<(), Trouble> {
    let seen = checks::at_most_one(env)?;
    ensure(reply.code != Some(0) || seen.is_none(), Lost, || format!("it said 0, and {seen:?} runs"))?;
    checks::stop(env)
}

fn after_unlock(env: &TestEnv, before: Option<Pid>) -> Result<(), Trouble> {
    let seen = checks::at_most_one(env)?;
    still_runs(before, seen)?;
    let again = rekindle(env, &["unlock", SESSION])?;
    let ended_well = again.code == Some(0) && ["unlocked", "not-locked"].contains(&again.text("outcome"));
    ensure(ended_well, Wedged, || format!("the next `unlock`: {again}"))?;
    checks::next_up(env, seen).map(drop)
}

fn still_runs(before: Option<Pid>, now: Option<Pid>) -> Result<(), Trouble> {
    let is_so = before.is_none() || before == now;
    ensure(is_so, Lost, || format!("{before:?} ran before, and now {now:?}"))
}
