//! How a worker ended, for every record that a start, a stop or a passer-by leaves behind (U22).

use rekindle_core::care::ending::{Ended, Ending};
use rekindle_core::record::EndedBy;
use rekindle_core::{ChildExit, Generation, Nonce, RecordState, SessionRecord};
use rekindle_gates::builders::{instant, plan, process};

const EXITS: [ChildExit; 4] =
    [ChildExit::Code(0), ChildExit::Code(3), ChildExit::Signal(11), ChildExit::Unknown];

fn starting() -> SessionRecord {
    SessionRecord::starting(&plan(), Generation::new(7), Nonce::from_random(1), process(77, 1_000), instant())
}

fn ready() -> SessionRecord {
    starting().into_ready(instant(), None)
}

#[test]
fn what_nobody_saw_is_said_to_be_unseen() {
    for record in [starting(), ready(), starting().into_retained()] {
        assert_eq!(Ended::of(&record), Ended { how: Ending::Unseen, at: None }, "{:?}", record.state);
    }
}

#[test]
fn a_stop_and_an_end_of_its_own_are_told_apart() {
    for exit in EXITS {
        let stopped = ready().into_exited(instant(), exit).ended_by(EndedBy::Stop);
        assert_eq!(Ended::of(&stopped), Ended { how: Ending::Stopped { exit }, at: Some(instant()) });
        let alone = ready().into_exited(instant(), exit).ended_by(EndedBy::Worker);
        assert_eq!(Ending::of(&alone), Ending::ByItself { exit });
        // A version without `ended_by` completed a ready worker's record only by a stop.
        assert_eq!(Ending::of(&ready().into_exited(instant(), exit)), Ending::Stopped { exit });
    }
}

#[test]
fn a_start_without_a_process_never_ran() {
    assert_eq!(Ending::of(&starting().into_never_started(instant())), Ending::NeverStarted);
}

#[test]
fn an_end_before_ready_is_no_end_of_a_worker_that_served() {
    for exit in EXITS {
        let record = starting().into_exited(instant(), exit);
        assert_eq!(Ending::of(&record), Ending::BeforeReady { exit });
        assert_eq!(Ending::of(&record.ended_by(EndedBy::Worker)), Ending::BeforeReady { exit });
    }
}

/// The launcher writes why it ended a start, so nothing is guessed from the signal or from the time.
#[test]
fn what_a_launcher_gave_up_has_its_cause() {
    for exit in EXITS {
        let ended = |by| Ending::of(&starting().into_exited(instant(), exit).ended_by(by));
        assert_eq!(ended(EndedBy::Timeout), Ending::TimedOut { exit });
        assert_eq!(ended(EndedBy::WatchFailed), Ending::GivenUp { exit });
    }
    let late = starting().into_exited(instant() + plan().observe_timeout, ChildExit::Signal(15));
    assert_eq!(Ending::of(&late), Ending::BeforeReady { exit: ChildExit::Signal(15) });
}

#[test]
fn only_a_stop_and_a_success_are_no_failures() {
    for exit in EXITS {
        assert!(!Ending::Stopped { exit }.is_failure());
        assert_eq!(Ending::ByItself { exit }.is_failure(), exit != ChildExit::Code(0));
        assert!(Ending::TimedOut { exit }.is_failure() && Ending::BeforeReady { exit }.is_failure());
        assert!(Ending::GivenUp { exit }.is_failure());
    }
    assert!(Ending::NeverStarted.is_failure() && Ending::Unseen.is_failure());
    assert_eq!(ready().state, RecordState::Ready, "the record of a worker that was never completed");
}
