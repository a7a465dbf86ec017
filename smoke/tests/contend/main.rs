//! The contention harness: `LIVE=1 just contend`, with `R` rounds of `P` launchers.

use rekindle_smoke::{harness, reaper};
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::serve_if_in_pid_ns().unwrap_or_else(|| reaper::under_one(harness::contend::main))
}
