//! The central promise: with any number of transactions, each killed at any step, two workers never live for one
//! session, and from any remains the next launcher reaches exactly one worker (T01, T02, P11).
//!
//! The first half walks the machines of `core` over a simulated kernel; the second performs one effect wrongly at a
//! time, and expects the walk to find the fault. Three of the walks are for `--release`: `just walk`.

use rekindle_core::care::{gc, unlock};
use rekindle_core::claim::acquire::AcquireEffect;
use rekindle_core::claim::give_up::GiveUpEffect;
use rekindle_core::claim::hold;
use rekindle_core::ensure;
use rekindle_core::plan::PortChoice;
use rekindle_core::readiness::Proof;
use rekindle_core::start::order::{ChildStep, OrderEffect};
use rekindle_core::start::settle::SettleEffect;
use rekindle_core::stop::session;
use rekindle_core::testing::actor::Next;
use rekindle_core::testing::perform::Choice;
use rekindle_core::testing::program::Kind;
use rekindle_core::testing::sabotage::{Conduct, Sabotage};
use rekindle_gates::walk::{Adversity, Origin, Promise, Report, Scenario, explore};
use std::collections::HashSet;

const NONE: Adversity = Adversity::NONE;
const CRASH: Adversity = Adversity { crashes: 1, ..NONE };
const STOP: Adversity = Adversity { stops: 1, ..NONE };
const UNLOCK: Adversity = Adversity { unlocks: 1, ..NONE };
const GC: Adversity = Adversity { collections: 1, ..NONE };
const DROP: Adversity = Adversity { drops: 1, ..NONE };
const RESTART: Adversity = Adversity { restarts: 1, ..NONE };
const CLAIMER: Adversity = Adversity { claimers: 1, ..NONE };
const STRANGER: Adversity = Adversity { strangers: 1, ..NONE };
const RM: Adversity = Adversity { dir_removals: 1, ..NONE };
const ORIGINS: [Origin; 3] = [Origin::Absent, Origin::Stale, Origin::Live];

/// Every kind of worker with a lifeline that can be found after its directory was removed.
const GUARDED: [Kind; 5] = [Kind::Polite, Kind::Hung, Kind::Stubborn, Kind::Daemonising, Kind::Leaving];

type Did = HashSet<(Next, Choice)>;

/// Walks one configuration and prints its size.
fn holds(name: &str, scenario: &Scenario) -> Report {
    let report = explore(scenario, &Promise::ALL);
    if let Some(broken) = &report.broken {
        panic!("{name}: {broken}");
    }
    println!("{name}: {} states, {} transitions, {} ends", report.states, report.transitions, report.ends);
    report
}

/// Every kind of worker on every origin; returns the choices of all actors.
fn holds_everywhere(name: &str, launchers: usize, kinds: &[Kind], adversity: Adversity) -> Did {
    holds_at(|scenario| scenario, name, launchers, kinds, adversity)
}

/// The same, with workers at another endpoint.
fn holds_at(
    endpoint: impl Fn(Scenario) -> Scenario,
    name: &str,
    launchers: usize,
    kinds: &[Kind],
    adversity: Adversity,
) -> Did {
    let mut did = HashSet::new();
    let (mut states, mut transitions) = (0, 0);
    for kind in kinds {
        for origin in ORIGINS {
            let scenario = endpoint(Scenario::new(launchers, origin, *kind).with(adversity));
            let report = holds(&format!("{name}, {kind:?} on {origin:?}"), &scenario);
            states += report.states;
            transitions += report.transitions;
            did.extend(report.did);
        }
    }
    println!("{name}: {states} states, {transitions} transitions in all");
    did
}

/// T01, T02, T13, T19: a launcher is killed, a future dropped, a worker dies, each at every step; every kind of worker.
#[test]
fn two_launchers_with_a_crash_a_drop_and_a_death() {
    let adversity = Adversity { crashes: 1, drops: 1, deaths: 1, ..NONE };
    let did = holds_everywhere("crash, drop, death", 2, &Kind::ALL, adversity);
    // The walk covered everything that a launcher can do.
    let ensure = [
        ensure::Effect::Look,
        ensure::Effect::CheckTarget,
        ensure::Effect::Probe,
        ensure::Effect::InspectClaim,
        ensure::Effect::ClearClaim,
        ensure::Effect::Acquire,
        ensure::Effect::AwaitClaim,
        ensure::Effect::LookUnderClaim,
        ensure::Effect::Complete,
        ensure::Effect::Start(ensure::StartPath::Fresh),
        ensure::Effect::Start(ensure::StartPath::Adopted),
        ensure::Effect::Release,
        ensure::Effect::AwaitAnswer,
    ];
    let claim = [
        AcquireEffect::Lock,
        AcquireEffect::CheckPlace,
        AcquireEffect::Describe,
        AcquireEffect::Judge,
        AcquireEffect::WriteEvidence,
    ];
    let order = [
        OrderEffect::RenewLifeline,
        OrderEffect::LookAtSocket,
        OrderEffect::RemoveSocket,
        OrderEffect::WriteStarting,
        OrderEffect::Provide,
        OrderEffect::Fork,
        OrderEffect::WriteIdentity,
    ];
    let given_up = [
        GiveUpEffect::CheckPlace,
        GiveUpEffect::ReadEvidence,
        GiveUpEffect::RemoveEvidence,
        GiveUpEffect::MarkRetained,
        GiveUpEffect::Unlock,
    ];
    for next in
        ensure.map(Next::Ensure).into_iter().chain(claim.map(Next::Acquire)).chain(order.map(Next::Order))
    {
        assert!(did.contains(&(next, Choice::Go)), "no launcher came to {next:?}");
    }
    for effect in given_up {
        let next = Next::Settle(SettleEffect::GiveUp(effect));
        assert!(did.contains(&(next, Choice::Go)), "no launcher came to {next:?}");
    }
    for heard in [Choice::Exit, Choice::Socket, Choice::Time] {
        assert!(did.contains(&(Next::Other, heard)), "no launcher heard {heard:?}");
    }
}

/// T13: the same with two crashes and two dropped futures.
#[test]
fn two_launchers_with_two_crashes_and_two_drops() {
    let adversity = Adversity { crashes: 2, drops: 2, ..NONE };
    let kinds = [Kind::Polite, Kind::Hung, Kind::FdClosing, Kind::Daemonising];
    holds_everywhere("two crashes, two drops", 2, &kinds, adversity);
}

/// L14: a `stop` at every step, with crashes of the stop. A stop signals the observed generation only.
#[test]
fn two_launchers_and_a_stop() {
    holds_everywhere("stop", 2, &[Kind::Hung], STOP);
    let killed = Adversity { crashes: 1, deaths: 1, ..STOP };
    let did = holds_everywhere("stop, crash, death, one launcher", 1, &Kind::ALL, killed);
    for effect in [
        session::Effect::AskClaim,
        session::Effect::Look,
        session::Effect::Pause,
        session::Effect::Probe,
        session::Effect::Pin,
        session::Effect::End,
        session::Effect::Acquire,
        session::Effect::LookUnderClaim,
        session::Effect::LookAtSocket,
        session::Effect::RemoveSocket,
        session::Effect::WriteExited(session::EndedBy::Stop),
        session::Effect::WriteExited(session::EndedBy::Worker),
        session::Effect::Release,
    ] {
        assert!(did.contains(&(Next::Stop(effect), Choice::Go)), "no stop came to {effect:?}");
    }
}

/// L14: an `unlock --force` at every step, with crashes of the unlock.
#[test]
fn two_launchers_and_an_unlock() {
    let adversity = Adversity { crashes: 1, drops: 1, ..UNLOCK };
    let kinds = [Kind::Polite, Kind::Hung, Kind::FdClosing];
    let did = holds_everywhere("unlock, crash, drop", 2, &kinds, adversity);
    for effect in
        [unlock::Effect::Lock, unlock::Effect::Judge, unlock::Effect::RemoveEvidence, unlock::Effect::Unlock]
    {
        assert!(did.contains(&(Next::Unlock(effect), Choice::Go)), "no unlock came to {effect:?}");
    }
    holds_everywhere("unlock", 2, &Kind::ALL, UNLOCK);
}

/// A collection at every step, with crashes of the collection.
#[test]
fn two_launchers_and_a_collection() {
    holds_everywhere("gc", 2, &[Kind::Polite, Kind::Hung], GC);
    let killed = Adversity { crashes: 1, deaths: 1, ..GC };
    let did = holds_everywhere("gc, crash, death, one launcher", 1, &Kind::ALL, killed);
    for effect in [
        gc::Effect::Lock,
        gc::Effect::Sweep,
        gc::Effect::Recognise,
        gc::Effect::Judge,
        gc::Effect::Look,
        gc::Effect::AskLastRun,
        gc::Effect::LookAtSocket,
        gc::Effect::RemoveSocket,
        gc::Effect::Remove(gc::File::Claim),
        gc::Effect::Remove(gc::File::Record),
        gc::Effect::Remove(gc::File::Lifeline),
        gc::Effect::Remove(gc::File::Logs),
        gc::Effect::RemoveDirectory,
        gc::Effect::Unlock,
    ] {
        assert!(did.contains(&(Next::Collect(effect), Choice::Go)), "no collection came to {effect:?}");
    }
}

/// A stop beside a collection, and both beside a launcher.
/// A restart beside a launcher: never two workers, and nothing that a crash or a drop in between leaves behind.
#[test]
fn a_restart_and_a_launcher() {
    let adversity = Adversity { crashes: 1, ..RESTART };
    let kinds = [Kind::Polite, Kind::Stubborn, Kind::FdClosing, Kind::Daemonising, Kind::Leaving];
    let did = holds_everywhere("restart, crash", 2, &kinds, adversity);
    assert!(did.contains(&(Next::Other, Choice::Exit)), "no worker was seen to end");
    holds_everywhere("restart, drop, death", 1, &Kind::ALL, Adversity { drops: 1, deaths: 1, ..RESTART });
    holds_everywhere("restart, stop", 1, &[Kind::Hung], Adversity { stops: 1, ..RESTART });
}

/// A restart of a running session alone, beside a launcher, a stop and a crash.
#[test]
fn a_restart_if_running_and_a_launcher() {
    let if_running = Adversity { restarts_if_running: 1, stops: 1, ..NONE };
    holds_everywhere("restart if running, launcher, stop", 2, &[Kind::Polite], if_running);
    let crash = Adversity { restarts_if_running: 1, ..CRASH };
    holds_everywhere("restart if running, launcher, crash", 2, &[Kind::Polite, Kind::Leaving], crash);
}

/// A claim for a send is exclusive among claimers and launchers, also if a claimer is killed and its program goes on; any
/// remains are no obstacle to the next launcher.
#[test]
fn claimers_and_a_launcher() {
    let adversity = Adversity { claimers: 2, crashes: 1, ..NONE };
    let did =
        holds_everywhere("two claimers, a launcher, a crash", 3, &[Kind::Polite, Kind::Hung], adversity);
    let hold = [
        hold::Effect::Acquire,
        hold::Effect::AwaitClaim,
        hold::Effect::Look,
        hold::Effect::Send,
        hold::Effect::Release,
    ];
    for next in hold.map(Next::Hold) {
        assert!(did.contains(&(next, Choice::Go)), "no claimer came to {next:?}");
    }
}

/// Kinds of workers and of trouble, with one claimer.
#[test]
fn a_claimer_among_others() {
    let adversity = Adversity { stops: 1, crashes: 1, ..CLAIMER };
    holds_everywhere("a claimer, a launcher, a stop, a crash", 2, &[Kind::Polite], adversity);
    let adversity = Adversity { dir_removals: 1, ..CLAIMER };
    holds_everywhere("a claimer, a launcher, a removal", 2, &[Kind::Polite], adversity);
    let adversity = Adversity { collections: 1, ..CLAIMER };
    holds_everywhere("a claimer, a launcher, a collection", 2, &[Kind::Polite], adversity);
    let adversity = Adversity { unlocks: 1, crashes: 1, ..CLAIMER };
    holds_everywhere("a claimer, a launcher, an unlock, a crash", 2, &[Kind::Polite], adversity);
}

#[test]
fn a_stop_and_a_collection() {
    let both = Adversity { collections: 1, ..STOP };
    holds_everywhere("stop, gc", 1, &[Kind::Polite, Kind::Hung, Kind::Daemonising], both);
}

/// T26: the socket is removed at every step.
#[test]
fn two_launchers_and_a_socket_that_vanishes() {
    let removed = Adversity { socket_removals: 1, ..CRASH };
    holds_everywhere("socket removed, crash", 2, &Kind::ALL, removed);
}

/// The directory is removed at every step.
#[test]
fn two_launchers_and_a_directory_that_vanishes() {
    let did = holds_everywhere("directory removed", 2, &[Kind::Hung, Kind::Stubborn], RM);
    assert!(did.contains(&(Next::Ensure(ensure::Effect::Pause), Choice::Go)), "no start was abandoned");
    holds_everywhere("directory removed, crash", 1, &GUARDED, Adversity { crashes: 1, ..RM });
}

/// Three launchers; one of them is killed or dropped.
#[test]
fn three_launchers() {
    holds_everywhere("three", 3, &[Kind::Polite], NONE);
    holds_everywhere("three, crash", 3, &[Kind::Hung], CRASH);
    holds_everywhere("three, drop", 3, &[Kind::Hung], DROP);
    let mixed = |kinds: [Kind; 3]| {
        let mut scenario = Scenario::new(3, Origin::Absent, Kind::Polite).with(CRASH);
        scenario.setting.kinds[1..4].copy_from_slice(&kinds);
        holds(&format!("three, crash, {kinds:?}"), &scenario);
    };
    mixed([Kind::FdClosing, Kind::Hung, Kind::Polite]);
    mixed([Kind::Stubborn, Kind::FdClosing, Kind::Hung]);
}

fn at_port(scenario: Scenario) -> Scenario {
    scenario.on_port(PortChoice::Caller)
}

fn at_any_port(scenario: Scenario) -> Scenario {
    scenario.on_port(PortChoice::Launcher)
}

fn nowhere(scenario: Scenario) -> Scenario {
    scenario.nowhere()
}

/// A stranger takes the caller's own port at any step, and may leave again: a conflict, and never the worker.
#[test]
fn two_launchers_and_a_stranger_on_their_port() {
    let kinds = [Kind::Polite, Kind::Hung];
    let did = holds_at(at_port, "port, stranger", 2, &kinds, STRANGER);
    assert!(did.contains(&(Next::Other, Choice::Stranger)), "no launcher heard of the stranger");
    let killed = Adversity { crashes: 1, deaths: 1, ..STRANGER };
    holds_at(at_port, "port, stranger, crash, death", 1, &Kind::ALL, killed);
    for proof in [Proof::Answer, Proof::Watch] {
        let proved = |scenario| at_port(scenario).proved_by(proof);
        let name = format!("port, {proof:?}, stranger, crash");
        holds_at(proved, &name, 1, &Kind::ALL, Adversity { crashes: 1, ..STRANGER });
    }
}

/// A stranger takes the chosen port at any step: the call chooses another.
#[test]
fn two_launchers_and_a_stranger_on_a_chosen_port() {
    let did = holds_at(at_any_port, "any port, stranger", 2, &[Kind::Polite], STRANGER);
    assert!(did.contains(&(Next::Ensure(ensure::Effect::Pause), Choice::Go)), "no other port was chosen");
    let thrice = Adversity { strangers: 3, ..CRASH };
    holds_at(at_any_port, "any port, three strangers, crash", 1, &Kind::ALL, thrice);
}

/// A port is no file: nothing stays of a dead worker, and no stale socket stands in the way.
#[test]
fn launchers_on_a_port_with_a_stop_a_collection_and_a_restart() {
    holds_at(at_port, "port, crash", 2, &[Kind::Polite, Kind::FdClosing, Kind::Daemonising], CRASH);
    let kinds = [Kind::Polite, Kind::Leaving];
    holds_at(at_port, "port, stranger, stop", 1, &kinds, Adversity { stops: 1, ..STRANGER });
    holds_at(at_port, "port, stranger, gc", 1, &kinds, Adversity { collections: 1, ..STRANGER });
    holds_at(at_any_port, "any port, stranger, restart", 1, &kinds, Adversity { restarts: 1, ..STRANGER });
}

/// A worker that its process shows to be live: a stranger on its port stays a conflict.
#[test]
fn launchers_of_a_worker_that_need_not_listen() {
    let beside = |scenario| at_port(scenario).shown_by_the_process();
    let adversity = Adversity { deaths: 1, ..STRANGER };
    holds_at(beside, "running beside a port, stranger, death", 1, &Kind::ALL, adversity);
    let beside = |scenario: Scenario| scenario.shown_by_the_process();
    holds_at(beside, "running beside a socket, crash", 1, &Kind::ALL, CRASH);
}

/// Without an endpoint, the lifeline and the processes alone show the worker.
#[test]
fn two_launchers_without_an_endpoint() {
    let adversity = Adversity { crashes: 1, drops: 1, deaths: 1, ..NONE };
    let kinds = [Kind::Polite, Kind::FdClosing, Kind::Daemonising];
    holds_at(nowhere, "none, crash, drop, death", 2, &kinds, adversity);
    holds_at(nowhere, "none, stop, crash", 1, &Kind::ALL, Adversity { crashes: 1, ..STOP });
    holds_at(nowhere, "none, gc, crash", 1, &Kind::ALL, Adversity { crashes: 1, ..GC });
    holds_at(nowhere, "none, restart, crash", 1, &Kind::ALL, Adversity { crashes: 1, ..RESTART });
}

/// Ports, strangers and workers without an endpoint at length.
#[test]
#[ignore = "minutes in release"]
fn other_endpoints_at_length() {
    let killed = Adversity { crashes: 1, deaths: 1, ..STRANGER };
    let kinds = [Kind::Polite, Kind::Hung];
    holds_at(at_port, "two, port, stranger, crash, death", 2, &Kind::ALL, killed);
    holds_at(at_port, "two, port, stranger, stop", 2, &kinds, Adversity { stops: 1, ..STRANGER });
    holds_at(at_port, "two, port, stranger, restart", 2, &Kind::ALL, Adversity { restarts: 1, ..STRANGER });
    holds_at(
        at_any_port,
        "two, any port, stranger, crash",
        2,
        &Kind::ALL,
        Adversity { crashes: 1, ..STRANGER },
    );
    holds_at(at_any_port, "two, any port, three strangers", 2, &kinds, Adversity { strangers: 3, ..NONE });
    let every = Adversity { crashes: 1, drops: 1, deaths: 1, ..NONE };
    holds_at(nowhere, "two, none, crash, drop, death", 2, &Kind::ALL, every);
    holds_at(nowhere, "two, none, stop, crash", 2, &Kind::ALL, Adversity { crashes: 1, ..STOP });
    holds_at(nowhere, "two, none, gc, crash", 2, &Kind::ALL, Adversity { crashes: 1, ..GC });
    holds_at(nowhere, "three, none, crash", 3, &[Kind::Polite], CRASH);
}

/// A restart beside two other launchers and a stop: whoever comes first, two workers never live for one session.
#[test]
#[ignore = "minutes in release"]
fn a_restart_two_launchers_and_a_stop() {
    holds_everywhere("restart, two launchers, stop", 3, &[Kind::Polite], Adversity { stops: 1, ..RESTART });
}

/// Launchers and stops at length.
#[test]
#[ignore = "minutes in release"]
fn launchers_at_length() {
    holds_everywhere("three, two crashes", 3, &Kind::ALL, Adversity { crashes: 2, ..NONE });
    holds_everywhere("three, crash, death", 3, &Kind::ALL, Adversity { deaths: 1, ..CRASH });
    holds_everywhere("three, drop", 3, &Kind::ALL, DROP);
    holds_everywhere("three, stop", 3, &[Kind::Hung], STOP);
    holds_everywhere("two, stop", 2, &Kind::ALL, STOP);
    holds_everywhere("two, restart, crash", 2, &Kind::ALL, Adversity { crashes: 1, deaths: 1, ..RESTART });
    holds_everywhere(
        "two, two crashes, two drops",
        2,
        &Kind::ALL,
        Adversity { crashes: 2, drops: 2, ..NONE },
    );
    holds_everywhere("two, stop, crash, death", 2, &Kind::ALL, Adversity { crashes: 1, deaths: 1, ..STOP });
}

/// Collections and removed directories at length.
#[test]
#[ignore = "minutes in release"]
fn what_removes_files_at_length() {
    holds_everywhere("two, gc, crash, death", 2, &Kind::ALL, Adversity { crashes: 1, deaths: 1, ..GC });
    holds_everywhere("two, directory, crash", 2, &GUARDED, Adversity { crashes: 1, ..RM });
}

/// Every two kinds of adversity at once, beside a launcher that may be killed.
#[test]
#[ignore = "minutes in release"]
fn two_launchers_with_two_adversities() {
    let (drop, death) = (Adversity { drops: 1, ..CRASH }, Adversity { deaths: 1, ..CRASH });
    let kinds = [Kind::Polite, Kind::Hung, Kind::FdClosing];
    holds_everywhere("crash, drop, socket", 2, &kinds, Adversity { socket_removals: 1, ..drop });
    holds_everywhere("crash, drop, stop", 2, &kinds, Adversity { stops: 1, ..drop });
    holds_everywhere("crash, drop, unlock", 2, &kinds, Adversity { unlocks: 1, ..drop });
    holds_everywhere("crash, death, socket", 2, &kinds, Adversity { socket_removals: 1, ..death });
    holds_everywhere("crash, death, unlock", 2, &kinds, Adversity { unlocks: 1, ..death });
    holds_everywhere("crash, stop, unlock", 2, &kinds, Adversity { stops: 1, unlocks: 1, ..CRASH });
    holds_everywhere("crash, stop, socket", 2, &kinds, Adversity { stops: 1, socket_removals: 1, ..CRASH });
}

/// Performs effects wrongly, and expects `promise` to break.
fn breaks(promise: Promise, scenario: Scenario, conduct: Conduct) {
    let report = explore(&scenario.by(conduct), &[promise]);
    let Some(broken) = report.broken else {
        panic!("{promise:?} holds in all {} states", report.states);
    };
    assert_eq!(broken.promise, promise);
    println!("after {} states, {broken}", report.states);
}

/// Performs effects wrongly, and expects no broken promise.
fn still_holds(promises: &[Promise], kinds: &[Kind], adversity: Adversity, conduct: Conduct) {
    for kind in kinds {
        for origin in ORIGINS {
            let scenario = Scenario::new(2, origin, *kind).with(adversity).by(conduct);
            let report = explore(&scenario, promises);
            if let Some(broken) = report.broken {
                panic!("{kind:?} on {origin:?}: {broken}");
            }
        }
    }
}

fn two(origin: Origin, kind: Kind, adversity: Adversity) -> Scenario {
    Scenario::new(2, origin, kind).with(adversity)
}

fn child(steps: [ChildStep; 4]) -> Conduct {
    let [one, two, three, four] = steps;
    Conduct::child([Some(one), Some(two), Some(three), Some(four), Some(ChildStep::Exec)])
}

#[test]
fn wrong_a_lock_file_that_unlock_removes_without_its_lock() {
    let file = Conduct::wrong(Sabotage::LockOnEvidence).and(Sabotage::UnlockWithoutLock);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, UNLOCK), file);
}

#[test]
fn wrong_a_lock_file_that_stop_removes_without_its_lock() {
    let file = Conduct::wrong(Sabotage::LockOnEvidence).and(Sabotage::StopWithoutClaim);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Hung, STOP), file);
}

/// The program of a killed claimer would send beside a launcher.
#[test]
fn wrong_a_program_without_the_lock_of_its_claim() {
    let scenario = two(Origin::Stale, Kind::Polite, Adversity { crashes: 1, ..CLAIMER });
    breaks(Promise::SendsAlone, scenario, Conduct::wrong(Sabotage::ProgramWithoutAnchor));
}

/// A directory is not removed by removing a file: the same `unlock` then takes the evidence, but not the lock.
#[test]
fn wrong_an_unlock_without_the_lock() {
    let unlock = Conduct::wrong(Sabotage::UnlockWithoutLock);
    breaks(Promise::EvidenceStays, two(Origin::Absent, Kind::Polite, UNLOCK), unlock);
    let safe = [Promise::OneWorker, Promise::OneClaim, Promise::NextLauncherSucceeds];
    still_holds(&safe, &[Kind::Polite, Kind::Hung], UNLOCK, unlock);
}

/// A restart looks again after the end, so that an end which did not happen starts no second worker.
#[test]
fn wrong_a_restart_that_ends_nobody_is_guarded_twice() {
    let wrong = Conduct::wrong(Sabotage::ReplaceUnended);
    still_holds(&Promise::ALL, &[Kind::Polite, Kind::Stubborn, Kind::Daemonising], RESTART, wrong);
}

#[test]
fn wrong_a_stop_that_cleans_up_without_the_claim() {
    let stop = Conduct::wrong(Sabotage::StopWithoutClaim);
    breaks(Promise::EvidenceStays, two(Origin::Absent, Kind::Polite, STOP), stop);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, STOP), stop);
}

#[test]
fn wrong_a_collection_without_the_lock() {
    let gc = Conduct::wrong(Sabotage::GcWithoutLock);
    breaks(Promise::EvidenceStays, two(Origin::Stale, Kind::Polite, GC), gc);
}

#[test]
fn wrong_a_lost_lifeline_that_is_not_searched_for() {
    let blind = Conduct::wrong(Sabotage::LostLifelineUnsearched);
    breaks(Promise::OneWorker, two(Origin::Live, Kind::Polite, RM), blind);
}

#[test]
fn wrong_a_child_that_lets_go_of_the_claim_before_it_has_its_lifeline() {
    use ChildStep::{CheckPlace, LetGoOfClaim, Mark, TakeLifeline};
    let child = child([LetGoOfClaim, TakeLifeline, Mark, CheckPlace]);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, CRASH), child);
}

#[test]
fn wrong_a_child_without_a_lifeline() {
    let mut conduct = Conduct::RIGHT;
    conduct.child[0] = None;
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Daemonising, CRASH), conduct);
}

#[test]
fn wrong_a_child_that_does_not_say_who_it_is() {
    let mut conduct = Conduct::RIGHT;
    conduct.child[1] = None;
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::FdClosing, CRASH), conduct);
}

/// The previous start's record names a once ready, now dead worker, so the holder of the lifeline is taken for a
/// leftover.
#[test]
fn wrong_a_record_that_is_written_after_the_fork() {
    let late = Conduct::wrong(Sabotage::RecordAfterFork);
    breaks(Promise::OneWorker, two(Origin::Stale, Kind::Polite, CRASH), late);
    let blind = late.and(Sabotage::GoneByRecord);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, CRASH), blind);
}

#[test]
fn wrong_gone_by_the_record_alone() {
    let blind = Conduct::wrong(Sabotage::GoneByRecord);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, CRASH), blind);
}

#[test]
fn wrong_a_start_on_a_refused_connect() {
    let refused = Conduct::wrong(Sabotage::GoneByRefusedConnect);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Polite, CRASH), refused);
}

/// The exit of a daemonising leader is no exit of the worker; the evidence still guards the worker, unless the record
/// is believed as well.
#[test]
fn wrong_an_exit_of_the_leader_alone() {
    let leader = Conduct::wrong(Sabotage::ExitOfLeader);
    breaks(Promise::NextLauncherSucceeds, two(Origin::Absent, Kind::Daemonising, CRASH), leader);
    let believed = leader.and(Sabotage::GoneByExitedRecord);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Daemonising, CRASH), believed);
}

/// The release is wrong, but the lifeline prevents a second worker.
#[test]
fn wrong_a_time_out_that_releases() {
    let releases = Conduct::wrong(Sabotage::TimeoutReleases);
    breaks(Promise::ReleasedOnAnObservation, two(Origin::Absent, Kind::Hung, NONE), releases);
    still_holds(&[Promise::OneWorker], &Kind::ALL[..4], CRASH, releases);
    let blind = releases.and(Sabotage::GoneByRefusedConnect);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Hung, NONE), blind);
}

#[test]
fn wrong_a_kill_of_the_leader_alone() {
    let leader = Conduct::wrong(Sabotage::KillOfLeader);
    breaks(Promise::NextLauncherSucceeds, two(Origin::Absent, Kind::Leaving, NONE), leader);
}

#[test]
fn wrong_a_launcher_that_unlocks_the_lifeline() {
    let unlocks = Conduct::wrong(Sabotage::LifelineOfLauncher);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Daemonising, NONE), unlocks);
}

/// A leftover of the previous start is taken for a process of this start.
#[test]
fn wrong_a_lifeline_that_is_used_again() {
    let reused = Conduct::wrong(Sabotage::LifelineReused);
    breaks(Promise::SignalsItsGeneration, two(Origin::Absent, Kind::Leaving, CRASH), reused);
}

#[test]
fn wrong_a_record_that_is_completed_after_the_release() {
    let late = Conduct::wrong(Sabotage::RecordAfterRelease);
    breaks(Promise::OneWorker, two(Origin::Absent, Kind::Leaving, CRASH), late);
}

#[test]
fn wrong_a_dropped_claim_that_is_left_held() {
    let held = Conduct::wrong(Sabotage::DroppedLeftHeld);
    breaks(Promise::NoClaimIsLeft, two(Origin::Absent, Kind::Polite, DROP), held);
    breaks(Promise::NextLauncherSucceeds, two(Origin::Absent, Kind::Polite, DROP), held);
}

/// The reads of `stop` without the claim are torn: a lifeline may be of a later start than the record, even if opened
/// only once. Only the mark in the lifeline names the start.
#[test]
fn wrong_a_stop_that_takes_the_lifeline_by_its_name() {
    for wrong in [Sabotage::StopPinsByName, Sabotage::StopPinsOpenedOnce] {
        let scenario = two(Origin::Stale, Kind::Polite, STOP);
        breaks(Promise::SignalsItsGeneration, scenario, Conduct::wrong(wrong));
    }
}

/// An accepted connection proves nothing: every user can listen on a port.
#[test]
fn wrong_a_stranger_that_is_believed() {
    let believed = Conduct::wrong(Sabotage::StrangerBelieved);
    breaks(Promise::NoStrangerAttached, at_port(two(Origin::Absent, Kind::Polite, STRANGER)), believed);
    breaks(Promise::NoStrangerAttached, at_any_port(two(Origin::Absent, Kind::Hung, STRANGER)), believed);
}

#[test]
fn wrong_a_chosen_port_that_is_kept_after_a_stranger_took_it() {
    let kept = Conduct::wrong(Sabotage::PortKept);
    breaks(Promise::LostPortIsReplaced, at_any_port(two(Origin::Absent, Kind::Polite, STRANGER)), kept);
}

/// No process listens for a worker without an endpoint, so silence proves nothing.
#[test]
fn wrong_a_start_on_silence_without_an_endpoint() {
    let silent = Conduct::wrong(Sabotage::GoneByRefusedConnect);
    breaks(Promise::OneWorker, nowhere(two(Origin::Absent, Kind::Polite, NONE)), silent);
}

/// Steps without effect on the promises in this model: each is guarded a second time.
#[test]
fn steps_that_are_guarded_twice() {
    use ChildStep::{CheckPlace, LetGoOfClaim, Mark, TakeLifeline};
    let harmless = [
        // The evidence file as the lock: safe as long as only a holder removes the file.
        Conduct::wrong(Sabotage::LockOnEvidence),
        // A held lifeline is enough for an adoption; the holder's identity is known by the time it is needed.
        child([TakeLifeline, LetGoOfClaim, Mark, CheckPlace]),
        // The claim's copy guards both.
        child([Mark, TakeLifeline, CheckPlace, LetGoOfClaim]),
        // The lifeline's mark has the identity as well.
        Conduct::wrong(Sabotage::IdentityWhenObserved),
        // A record says `exited` only after an exit; a wrong `exited` needs another mistake first.
        Conduct::wrong(Sabotage::GoneByExitedRecord),
        // The start fails, and cleans up.
        Conduct::wrong(Sabotage::StaleSocketLeft),
    ];
    for conduct in harmless {
        still_holds(&Promise::ALL, &[Kind::Polite, Kind::FdClosing, Kind::Daemonising], CRASH, conduct);
    }
    // On this kernel a locked lifeline is found at once; on a real kernel, only at the final descriptor.
    let mut does_not_look_again = Conduct::RIGHT;
    does_not_look_again.child[2] = None;
    still_holds(&[Promise::OneWorker], &[Kind::Hung, Kind::Stubborn], RM, does_not_look_again);
}
