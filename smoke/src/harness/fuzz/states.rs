//! A round with a mutated state directory.

use super::super::rng::Rng;
use super::super::trouble::Trouble;
use super::mutation::{Mutated, mutate, stays_inside};
use super::place;
use super::round::{Round, SESSION};
use super::verb::Verb;
use crate::procs;
use crate::{Account, Container, Launcher, wait};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The greatest number of mutations.
const MUTATIONS_MAX: u64 = 3;

/// The number of verbs in a round.
const VERBS: usize = 4;

/// Plays one round.
pub(super) fn round(seed: u64) -> Result<Value, Trouble> {
    let mut rng = Rng::new(seed);
    let ordinary = rng.below(3) == 0 && place::root_of_the_machine().is_some();
    let account = if ordinary { Account::Ordinary } else { Account::Ours };
    let mut round = Round::new(account);
    // The container ends after the verbs, at the latest.
    let _container = prepare(&mut rng, &mut round)?;
    let mut mounts = Vec::new();
    for _ in 0..=rng.below(MUTATIONS_MAX) {
        let Mutated { kind, what, mount } = mutate(&mut rng, &round);
        round.meets(kind, &what);
        mounts.extend(mount);
    }
    // A worker listens at any given path, so the path must not be among the bystanders.
    let socket = round.env.socket(SESSION);
    if stays_inside(&socket, &round).is_ok() {
        round.names.socket_to_be = round.names.socket.clone();
    }
    for _ in 0..VERBS {
        round.run(Verb::any(&mut rng))?;
    }
    round.finish()
}

/// Makes a state directory; returns the container, if the worker runs in a container.
fn prepare(rng: &mut Rng, round: &mut Round) -> Result<Option<Container>, Trouble> {
    let mut container = None;
    let up = up_args(rng, round);
    match rng.below(8) {
        0 | 1 => {
            round.prepare(&up)?;
        }
        2 => {
            round.prepare(&up)?;
            round.env.processes().iter().for_each(|pid| procs::send(*pid, Signal::SIGKILL));
            wait::until("the worker is gone", || round.env.processes().is_empty());
        }
        3 => {
            round.prepare(&up)?;
            round.prepare(["stop", SESSION])?;
        }
        4 => leave_a_claim(round),
        5 => run_in_pool(round)?,
        6 => {
            let inside = Container::start(&round.env);
            round.prepare_by(inside.rekindle_command(&round.env, &up))?;
            container = Some(inside).filter(|_| rng.below(2) == 0);
        }
        _ => {
            leave_a_claim(round);
            run_in_pool(round)?;
        }
    }
    if rng.below(3) == 0 {
        let sentinel = round.names.sentinel.to_string();
        round.prepare(["lifecycle", "acquire", "--pid", &sentinel])?;
    }
    Ok(container)
}

/// An `up` with the worker's own socket; now and then on a port, or without an endpoint.
fn up_args(rng: &mut Rng, round: &Round) -> Vec<String> {
    let (options, worker): (&[&str], Vec<String>) = match rng.below(6) {
        0 => (&["--address", "none", "--settle", "10ms"], idle()),
        1 => (&["--address", "tcp:0", "--ready", "running", "--settle", "10ms"], idle()),
        _ => (&[], round.names.worker.to_vec()),
    };
    let words = [&["up", "--timeout", "20s"], options, &[SESSION, "--"]].concat();
    words.into_iter().map(str::to_owned).chain(worker).collect()
}

fn idle() -> Vec<String> {
    ["sleep", "600"].map(str::to_owned).to_vec()
}

/// A launcher killed in the middle of a start leaves its claim, and a worker that never listens.
fn leave_a_claim(round: &Round) {
    let up = ["up", "--timeout", "20s", SESSION, "--", "sleep", "600"];
    let launcher = Launcher::start(round.env.rekindle_command(up));
    wait::until_there(&round.env.of(SESSION, "claim"));
    round.env.worker_pid(SESSION);
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
}

/// Starts a pool session that waits for an answer.
fn run_in_pool(round: &mut Round) -> Result<(), Trouble> {
    let mut run: Vec<String> =
        ["pool", "run", "--speak", "1", "--code", "q", "--"].map(str::to_owned).to_vec();
    run.extend(round.names.pool_worker.iter().cloned());
    let reply = round.prepare(run)?;
    round.names.pool_session = reply.text("session_id").to_owned();
    Ok(())
}
