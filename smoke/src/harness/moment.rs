//! One launcher, killed at a random moment.

use super::checks;
use super::rng::Rng;
use super::run::{SESSION, rekindle};
use super::trouble::{Trouble, TroubleKind};
use crate::{TestEnv, cli};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

/// The longest delay before the worker listens.
const LISTEN_AFTER_MAX: Duration = Duration::from_millis(30);

/// The latest time of the launcher's kill.
const KILL_AFTER_MAX: Duration = Duration::from_millis(40);

/// Waits for the seconds of the first argument, and becomes the worker.
const SLOW: &str = r#"sleep "$1"; exec "$2" worker --socket "$3""#;

/// How often a launcher may be done before its kill; then the attempt is repeated from the beginning.
const TRIES_MAX: usize = 50;

/// Kills a launcher before its end, and checks the next launcher.
pub(super) fn kill_at_random(seed: u64) -> Result<Value, Trouble> {
    let mut rng = Rng::new(seed);
    for _ in 0..TRIES_MAX {
        if let Some(outcome) = attempt(&mut rng)? {
            return Ok(json!({ "hit": true, "outcome": outcome }));
        }
    }
    Err(Trouble::new(TroubleKind::Other, "every launcher ended before it was killed"))
}

/// `None` if the launcher was done before the kill; the promises must hold all the same.
fn attempt(rng: &mut Rng) -> Result<Option<String>, Trouble> {
    let (listen_after, kill_after) = (rng.pause(LISTEN_AFTER_MAX), rng.pause(KILL_AFTER_MAX));
    let pause = format!("{:.6}", listen_after.as_secs_f64());
    let worker = ["sh", "-c", SLOW, "sh", &pause, &cli::binary_arg(), "{socket}"];
    let env = TestEnv::new();
    let launcher = env.launch_up(SESSION, &[], &worker);
    thread::sleep(kill_after);
    launcher.signal(Signal::SIGKILL);
    let killed = launcher.finish();
    let outcome = next(&env, &worker).map_err(|Trouble { kind, text }| {
        let when = format!("listens after {listen_after:?}, killed after {kill_after:?}: {killed}");
        Trouble::new(kind, format!("{text}\n  {when}"))
    })?;
    Ok(killed.signal.map(|_| outcome))
}

/// Runs the next launcher; returns the state before and the outcome.
fn next(env: &TestEnv, worker: &[&str]) -> Result<String, Trouble> {
    let before = checks::at_most_one(env)?;
    let reply = rekindle(env, &[&["up", SESSION, "--"], worker].concat())?;
    checks::expect_worker(env, before, &reply)?;
    checks::at_most_one(env)?;
    checks::stop(env)?;
    checks::nothing_unfinished(env)?;
    checks::collect(env)?;
    let found = before.map_or("no worker", |_| "a worker");
    Ok(format!("{found}, then {}", reply.text("outcome")))
}
