//! Ten thousand children in one process: `LIVE=1 just soak`.

use rekindle_smoke::{reaper, soak, suite, tests};
use std::process::ExitCode;

tests![starts_and_exits, starts_and_stops];

/// T22, P9.
fn starts_and_exits() {
    soak::starts_and_exits(10_000);
}

/// T22, P9.
fn starts_and_stops() {
    soak::starts_and_stops(2_000);
}

fn main() -> ExitCode {
    reaper::under_one(|| suite::main(tests()))
}
