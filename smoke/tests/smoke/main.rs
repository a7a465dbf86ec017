//! The live suite: `LIVE=1 just smoke [FILTER]`, and as an ordinary user `LIVE=1 just smoke-as-user`. One folder for
//! each subject, at most fourteen files in a folder; the library has the shared parts. A test is named after its path:
//! `stdio::child::an_echo_goes_round` stands in `stdio/child.rs`.

mod command;
mod endpoint;
mod ground;
mod harness;
mod lifecycle;
mod logs;
mod pool;
mod probe;
mod project;
mod protocol;
mod ready;
mod session;
mod spawn;
mod stdio;
mod watch;

use rekindle_smoke::{reaper, suite};
use std::process::ExitCode;

fn main() -> ExitCode {
    rekindle_smoke::harness::serve_if_in_pid_ns()
        .or_else(spawn::large_parent::serve_if_large_parent)
        .unwrap_or_else(|| reaper::under_one(|| suite::main(tests())))
}

rekindle_smoke::rooms![
    probe, spawn, session, watch, ground, command, logs, lifecycle, protocol, pool, ready, endpoint, stdio,
    project, harness
];
