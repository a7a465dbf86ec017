//! A sample of `just soak`: descriptors, threads, tasks, zombies and memory do not grow.

use rekindle_smoke::{soak, tests};

tests![a_thousand_children_that_exit_leave_nothing, two_hundred_children_that_are_stopped_leave_nothing];

/// T22, P9.
fn a_thousand_children_that_exit_leave_nothing() {
    soak::starts_and_exits(1_000);
}

/// T22, P9.
fn two_hundred_children_that_are_stopped_leave_nothing() {
    soak::starts_and_stops(200);
}
