//! The contention harness: `LIVE=1 just contend`, with `R` rounds of `P` launchers.

use rekindle_smoke::harness;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::serve_if_lane().unwrap_or_else(harness::contend::main)
}
