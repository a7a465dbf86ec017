//! The crash harness: `LIVE=1 just crash [POINTS]`.

use rekindle_smoke::{harness, reaper};
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::serve_if_in_pid_ns().unwrap_or_else(|| reaper::under_one(harness::crash::main))
}
