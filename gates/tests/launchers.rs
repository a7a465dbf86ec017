//! The promise of the whole: with any number of launchers, each of which may be killed at any step, there are never
//! two workers for one session, and whatever is left, the next launcher ends with exactly one (T01, T02, P11).
//!
//! The first half walks the protocol as it is designed; the second breaks it in one place at a time, and expects the
//! model to find out. Two of the walks are for `--release`: `cargo test --release -p rekindle-gates --test launchers
//! -- --include-ignored --nocapture`.

use rekindle_gates::model::launcher::{At, Choice};
use rekindle_gates::model::protocol::{
    ChildStep, Completion, Dropped, ExitBelieved, GoneBy, Identity, Killed, LifelineLock, Lifelines, Lock,
    RecordWritten, StaleSocket, StopCleans, StopPins, Timeout, Unlock,
};
use rekindle_gates::model::{Adversity, Kind, Model, Origin, Promise, Protocol, Report, explore};
use std::collections::HashSet;

const NONE: Adversity = Adversity::NONE;
const CRASH: Adversity = Adversity { crashes: 1, ..NONE };
const STOP: Adversity = Adversity { stops: 1, ..NONE };
const UNLOCK: Adversity = Adversity { unlocks: 1, ..NONE };
const DROP: Adversity = Adversity { drops: 1, ..NONE };
const RIGHT: Protocol = Protocol::RIGHT;
const ORIGINS: [Origin; 3] = [Origin::Absent, Origin::Stale, Origin::Live];

/// Walks one configuration and says how large it was.
fn holds(name: &str, model: &Model) -> Report {
    let report = explore(model, &Promise::ALL);
    if let Some(broken) = &report.broken {
        panic!("{name}: {broken}");
    }
    println!("{name}: {} states, {} transitions, {} ends", report.states, report.transitions, report.ends);
    report
}

/// Every kind of worker on every origin; the sum of what was walked, and what launchers did.
fn holds_everywhere(
    name: &str,
    launchers: usize,
    kinds: &[Kind],
    adversity: Adversity,
) -> HashSet<(At, Choice)> {
    let mut did = HashSet::new();
    let mut states = 0;
    for kind in kinds {
        for origin in ORIGINS {
            let model = Model::new(launchers, origin, *kind).with(adversity);
            let report = holds(&format!("{name}, {kind:?} on {origin:?}"), &model);
            states += report.states;
            did.extend(report.launchers);
        }
    }
    println!("{name}: {states} states in all");
    did
}

/// T01, T02, T13, T19: a launcher is killed, a future dropped, a worker dies, each at every step; every kind of worker.
#[test]
fn two_launchers_with_a_crash_a_drop_and_a_death() {
    let adversity = Adversity { crashes: 1, drops: 1, deaths: 1, ..NONE };
    let did = holds_everywhere("crash, drop, death", 2, &Kind::ALL, adversity);
    // Nothing that a launcher can do was left out.
    for at in every_step() {
        assert!(did.contains(&(at, Choice::Go)), "no launcher came to {at:?}");
    }
    for heard in [Choice::Exit, Choice::Socket, Choice::Time] {
        assert!(did.contains(&(At::Watch, heard)), "no launcher heard {heard:?}");
    }
}

fn every_step() -> [At; 23] {
    [
        At::Look,
        At::Connect,
        At::Inspect,
        At::Lock,
        At::ReadEvidence,
        At::WriteEvidence,
        At::Survey,
        At::Decide,
        At::RenewLifeline,
        At::LookAtSocket,
        At::RemoveSocket,
        At::WriteStarting,
        At::Fork,
        At::AwaitChild,
        At::WriteWorker,
        At::WriteObserved,
        At::LookAtDeadSocket,
        At::RemoveDeadSocket,
        At::RemoveEvidence,
        At::Unlock,
        At::WriteRetained,
        At::MarkRetained,
        At::UnlockRetained,
    ]
}

/// T13: the same with two crashes and two dropped futures.
#[test]
fn two_launchers_with_two_crashes_and_two_drops() {
    let adversity = Adversity { crashes: 2, drops: 2, ..NONE };
    let kinds = [Kind::Polite, Kind::Hung, Kind::FdClosing, Kind::Daemonising];
    holds_everywhere("two crashes, two drops", 2, &kinds, adversity);
}

/// L14: a `stop` at every step, which may be killed itself. It signals the generation that it saw, and no other.
#[test]
fn two_launchers_and_a_stop() {
    holds_everywhere("stop", 2, &[Kind::Polite, Kind::Hung, Kind::FdClosing], STOP);
    let killed = Adversity { crashes: 1, deaths: 1, ..STOP };
    holds_everywhere("stop, crash, death, one launcher", 1, &Kind::ALL, killed);
}

/// L14: an `unlock --force` at every step, which may be killed itself.
#[test]
fn two_launchers_and_an_unlock() {
    let adversity = Adversity { crashes: 1, drops: 1, ..UNLOCK };
    holds_everywhere("unlock, crash, drop", 2, &[Kind::Polite, Kind::Hung, Kind::FdClosing], adversity);
    holds_everywhere("unlock", 2, &Kind::ALL, UNLOCK);
}

/// T26: somebody removes the socket at every step.
#[test]
fn two_launchers_and_a_socket_that_vanishes() {
    holds_everywhere("removal, crash", 2, &Kind::ALL, Adversity { removals: 1, ..CRASH });
}

/// Three launchers, of which one is killed or dropped.
#[test]
fn three_launchers() {
    holds_everywhere("three", 3, &[Kind::Daemonising], NONE);
    holds_everywhere("three, crash", 3, &[Kind::Polite, Kind::Hung], CRASH);
    holds_everywhere("three, drop", 3, &[Kind::Polite, Kind::Hung], DROP);
    let mixed = |kinds: [Kind; 3]| {
        let mut model = Model::new(3, Origin::Absent, Kind::Polite).with(CRASH);
        model.kinds[1..4].copy_from_slice(&kinds);
        holds(&format!("three, crash, {kinds:?}"), &model);
    };
    mixed([Kind::FdClosing, Kind::Hung, Kind::Polite]);
    mixed([Kind::Stubborn, Kind::FdClosing, Kind::Hung]);
}

/// The same at length.
#[test]
#[ignore = "half a minute in release"]
fn three_launchers_at_length() {
    holds_everywhere("three, two crashes", 3, &Kind::ALL, Adversity { crashes: 2, ..NONE });
    holds_everywhere("three, crash, death", 3, &Kind::ALL, Adversity { deaths: 1, ..CRASH });
    holds_everywhere("three, stop", 3, &[Kind::Polite, Kind::Hung], STOP);
    holds_everywhere(
        "two, two crashes, two drops",
        2,
        &Kind::ALL,
        Adversity { crashes: 2, drops: 2, ..NONE },
    );
    holds_everywhere("two, stop, crash, death", 2, &Kind::ALL, Adversity { crashes: 1, deaths: 1, ..STOP });
}

/// Everything at once.
#[test]
#[ignore = "minutes in release"]
fn two_launchers_with_everything() {
    let everything = Adversity { crashes: 1, drops: 1, deaths: 1, removals: 1, stops: 1, unlocks: 1 };
    holds_everywhere("everything", 2, &[Kind::Polite, Kind::Hung, Kind::FdClosing], everything);
}

/// Breaks the protocol in one place, and expects `promise` to break with it.
fn breaks(promise: Promise, model: Model, protocol: Protocol) {
    let report = explore(&model.by(protocol), &[promise]);
    let Some(broken) = report.broken else {
        panic!("{promise:?} holds in all {} states", report.states);
    };
    assert_eq!(broken.promise, promise);
    println!("after {} states, {broken}", report.states);
}

/// Breaks the protocol in one place, and expects that nothing comes of it.
fn still_holds(promises: &[Promise], kinds: &[Kind], adversity: Adversity, protocol: Protocol) {
    for kind in kinds {
        for origin in ORIGINS {
            let model = Model::new(2, origin, *kind).with(adversity).by(protocol);
            let report = explore(&model, promises);
            if let Some(broken) = report.broken {
                panic!("{kind:?} on {origin:?}: {broken}");
            }
        }
    }
}

fn two(origin: Origin, kind: Kind, adversity: Adversity) -> Model {
    Model::new(2, origin, kind).with(adversity)
}

#[test]
fn wrong_a_lock_file_that_unlock_removes_without_its_lock() {
    let file = Protocol { lock: Lock::File, unlock: Unlock::WithoutTheLock, ..RIGHT };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, UNLOCK), file);
}

#[test]
fn wrong_a_lock_file_that_stop_removes_without_its_lock() {
    let file = Protocol { lock: Lock::File, stop: StopCleans::WithoutTheClaim, ..RIGHT };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Hung, STOP), file);
}

/// A directory is not removed by removing a file: the same `unlock` then takes the evidence, but not the lock.
#[test]
fn wrong_an_unlock_without_the_lock() {
    let unlock = Protocol { unlock: Unlock::WithoutTheLock, ..RIGHT };
    breaks(Promise::EvidenceStays, two(Origin::Absent, Kind::Polite, UNLOCK), unlock);
    let safe = [Promise::OneWorker, Promise::OneClaim, Promise::NextLauncherSucceeds];
    still_holds(&safe, &[Kind::Polite, Kind::Hung], UNLOCK, unlock);
}

#[test]
fn wrong_a_stop_that_cleans_up_without_the_claim() {
    let stop = Protocol { stop: StopCleans::WithoutTheClaim, ..RIGHT };
    breaks(Promise::EvidenceStays, two(Origin::Absent, Kind::Polite, STOP), stop);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, STOP), stop);
}

#[test]
fn wrong_a_child_that_lets_go_of_the_claim_before_it_has_its_lifeline() {
    let child = [ChildStep::DropClaim, ChildStep::Lock, ChildStep::Mark, ChildStep::Exec];
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, CRASH), Protocol { child, ..RIGHT });
}

#[test]
fn wrong_a_child_without_a_lifeline() {
    let child = [ChildStep::Nothing, ChildStep::Mark, ChildStep::DropClaim, ChildStep::Exec];
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Daemonising, CRASH), Protocol { child, ..RIGHT });
}

#[test]
fn wrong_a_child_that_does_not_say_who_it_is() {
    let child = [ChildStep::Lock, ChildStep::Nothing, ChildStep::DropClaim, ChildStep::Exec];
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::FdClosing, CRASH), Protocol { child, ..RIGHT });
}

/// The record of the start before says that its worker had been ready and is dead, and what holds the lifeline now is
/// taken for its leftover.
#[test]
fn wrong_a_record_that_is_written_after_the_fork() {
    let late = Protocol { record: RecordWritten::AfterFork, ..RIGHT };
    breaks(Promise::OneWorker, two(Origin::Stale, Kind::Polite, CRASH), late);
    let blind = Protocol { gone: GoneBy::Record, ..late };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, CRASH), blind);
}

#[test]
fn wrong_gone_by_the_record_alone() {
    let blind = Protocol { gone: GoneBy::Record, ..RIGHT };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, CRASH), blind);
}

#[test]
fn wrong_a_start_on_a_refused_connect() {
    let refused = Protocol { gone: GoneBy::RefusedConnect, ..RIGHT };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, CRASH), refused);
}

/// A leader that daemonises is no exit; the evidence still guards the worker, unless the record is believed as well.
#[test]
fn wrong_an_exit_of_the_leader_alone() {
    let leader = Protocol { exit: ExitBelieved::OfTheLeader, ..RIGHT };
    breaks(Promise::NextLauncherSucceeds, two(Origin::Absent, Kind::Daemonising, CRASH), leader);
    let believed = Protocol { gone: GoneBy::ExitedRecord, ..leader };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Daemonising, CRASH), believed);
}

/// The release is wrong in itself; that no second worker follows is the lifeline's doing.
#[test]
fn wrong_a_time_out_that_releases() {
    let releases = Protocol { timeout: Timeout::Releases, ..RIGHT };
    breaks(Promise::ReleasedOnAnObservation, two(Origin::Absent, Kind::Hung, NONE), releases);
    still_holds(&[Promise::OneWorker], &Kind::ALL[..4], CRASH, releases);
    let blind = Protocol { gone: GoneBy::RefusedConnect, ..releases };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Hung, NONE), blind);
}

#[test]
fn wrong_a_kill_of_the_leader_alone() {
    let leader = Protocol { kill: Killed::LeaderAlone, ..RIGHT };
    breaks(Promise::NextLauncherSucceeds, two(Origin::Absent, Kind::Leaving, NONE), leader);
}

#[test]
fn wrong_a_launcher_that_unlocks_the_lifeline() {
    let unlocks = Protocol { lifeline_lock: LifelineLock::Launchers, ..RIGHT };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Daemonising, NONE), unlocks);
}

/// A leftover of the start before is taken for a process of this one.
#[test]
fn wrong_a_lifeline_that_is_used_again() {
    let reused = Protocol { lifeline: Lifelines::Reused, ..RIGHT };
    breaks(Promise::SignalsItsGeneration, two(Origin::Absent, Kind::Leaving, CRASH), reused);
}

#[test]
fn wrong_a_record_that_is_completed_after_the_release() {
    let late = Protocol { completion: Completion::Afterwards, ..RIGHT };
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Leaving, CRASH), late);
}

#[test]
fn wrong_a_dropped_claim_that_is_left_held() {
    let held = Protocol { dropped: Dropped::LeftHeld, ..RIGHT };
    breaks(Promise::NoClaimIsLeft, two(Origin::Absent, Kind::Polite, DROP), held);
    breaks(Promise::NextLauncherSucceeds, two(Origin::Absent, Kind::Polite, DROP), held);
}

/// What `stop` reads without the claim is torn: a lifeline may be of a later start than the record beside it, also if
/// it was opened but once. Only what is written in the lifeline says whose it is.
#[test]
fn wrong_a_stop_that_takes_the_lifeline_by_its_name() {
    for stop_pins in [StopPins::ByName, StopPins::OpenedOnce] {
        let protocol = Protocol { stop_pins, ..RIGHT };
        breaks(Promise::SignalsItsGeneration, two(Origin::Stale, Kind::Polite, STOP), protocol);
    }
}

/// What turned out not to matter to the promises in this model: each is guarded a second time.
#[test]
fn steps_that_are_guarded_twice() {
    use ChildStep::{DropClaim, Exec, Lock as TakeLifeline, Mark};
    let harmless = [
        // The evidence file as the lock: safe as long as nobody removes it without holding it.
        Protocol { lock: Lock::File, ..RIGHT },
        // A lifeline that is held is enough to be adopted; who holds it is known by the time that matters.
        Protocol { child: [TakeLifeline, DropClaim, Mark, Exec], ..RIGHT },
        // The claim's copy guards both.
        Protocol { child: [Mark, TakeLifeline, DropClaim, Exec], ..RIGHT },
        // The lifeline says who it is.
        Protocol { identity: Identity::OnceObserved, ..RIGHT },
        // A record says `exited` only when that is so; a lie needs another mistake first.
        Protocol { gone: GoneBy::ExitedRecord, ..RIGHT },
        // The start fails, and cleans up.
        Protocol { stale_socket: StaleSocket::Left, ..RIGHT },
    ];
    for protocol in harmless {
        still_holds(&Promise::ALL, &[Kind::Polite, Kind::FdClosing, Kind::Daemonising], CRASH, protocol);
    }
}
