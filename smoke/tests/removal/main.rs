//! The removal harness: `LIVE=1 just removal`, with `R` rounds for each user and `S` starts beside a collection.

use rekindle_smoke::{harness, reaper};
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::serve_if_in_pid_ns().unwrap_or_else(|| reaper::under_one(harness::removal::main))
}
