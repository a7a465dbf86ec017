//! The fuzz harness: `LIVE=1 just fuzz`, with `N` mutated state directories and `P` hostile peers.

use rekindle_smoke::{harness, reaper};
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::serve_if_in_pid_ns().unwrap_or_else(|| reaper::under_one(harness::fuzz::main))
}
