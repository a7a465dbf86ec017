//! The crash harness: `LIVE=1 just crash [POINTS]`.

use rekindle_smoke::harness;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::serve_if_lane().unwrap_or_else(harness::crash::main)
}
