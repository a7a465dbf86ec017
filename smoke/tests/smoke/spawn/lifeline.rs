//! Holders of a lifeline are told apart from other processes.

use nix::sys::signal::Signal;
use rekindle_adapters::lifeline::{self, LifelineProbe};
use rekindle_core::{Lifeline, Pid};
use rekindle_smoke::starts::{id, pid_of};
use rekindle_smoke::{Starts, procs, tests, wait};

tests![only_who_keeps_a_lifeline_is_proven_by_it];

fn lifeline_of(starts: &Starts, session: &str) -> LifelineProbe {
    let dir = starts.root.session(&id(session)).expect("the session can be opened").expect("it is there");
    lifeline::open(&dir).expect("its lifeline can be opened").expect("it is there")
}

fn pid(raw: i32) -> Pid {
    Pid::new(raw).expect("a process has a positive pid")
}

/// Neither another worker, which holds another lifeline, nor an exited worker.
fn only_who_keeps_a_lifeline_is_proven_by_it() {
    let starts = Starts::new();
    let (one, other) = (starts.start("one", &["sleep", "1000"]), starts.start("other", &["sleep", "1000"]));
    let (of_one, of_other) = (lifeline_of(&starts, "one"), lifeline_of(&starts, "other"));
    let (one, other) = ((pid_of(&one), one), (pid_of(&other), other));
    assert!(of_one.is_kept_by(pid(one.0)) && of_other.is_kept_by(pid(other.0)));
    assert!(!of_one.is_kept_by(pid(other.0)) && !of_other.is_kept_by(pid(one.0)));
    procs::send(one.0, Signal::SIGKILL);
    wait::until("it has exited", || !procs::is_running(one.0));
    assert!(procs::state(one.0).is_some(), "it waits for us to reap it");
    assert!(!of_one.is_kept_by(pid(one.0)) && of_one.ask() == Lifeline::Free);
}
