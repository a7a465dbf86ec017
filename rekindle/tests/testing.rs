//! Every outcome of a call, on a simulated machine: no process, no socket, no clock.

use rekindle::testing::{Machine, Program};
use rekindle::{
    Address, Collection, Ensured, Error, Force, Intent, Launch, RejectReason, SessionId, SessionState,
    Sessions, StartKind, StopOutcome, StopPolicy, Stopped, Unlocked,
};

struct World {
    machine: Machine,
    sessions: Sessions,
    session: SessionId,
}

impl World {
    fn running(program: Program) -> Self {
        let machine = Machine::new();
        let (sessions, session) = (machine.sessions(), "web".parse().expect("it is a name"));
        machine.runs(&session, program);
        Self { machine, sessions, session }
    }

    fn ensure(&self, intent: Intent) -> Ensured {
        self.launch(Launch::new("server").intent(intent))
    }

    fn launch(&self, launch: Launch) -> Ensured {
        block_on(self.sessions.ensure(&self.session, launch)).expect("it comes to an outcome")
    }

    /// A call for a worker at `address`.
    fn up_at(&self, address: &str) -> Ensured {
        let address = Address::from_text(address.as_ref()).expect("the test names an address");
        self.launch(Launch::new("server").address(address))
    }

    fn address(&self) -> Option<String> {
        let listing = self.sessions.list().expect("a simulated machine can be listed");
        listing.sessions[0].address.as_ref().map(ToString::to_string)
    }

    fn up(&self) -> Ensured {
        self.ensure(Intent::Ensure)
    }

    fn stop(&self) -> Result<Stopped, Error> {
        block_on(self.sessions.stop(&self.session, &StopPolicy::default()))
    }

    fn state(&self) -> SessionState {
        self.sessions.list().expect("a simulated machine can be listed").sessions[0].state
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn running(ensured: Ensured) -> (StartKind, u64) {
    match ensured {
        Ensured::Running(worker) => (worker.kind, worker.generation.number()),
        other => panic!("no worker: {other:?}"),
    }
}

fn rejected(ensured: Ensured) -> RejectReason {
    match ensured {
        Ensured::Rejected(rejection) => rejection.reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_worker_is_started_once_and_attached_to_afterwards() {
    let world = World::running(Program::BecomesReady);
    assert_eq!(running(world.up()), (StartKind::Started, 1));
    assert_eq!(running(world.up()), (StartKind::Attached, 1));
    assert_eq!(world.state(), SessionState::Live);
    assert_eq!(rejected(world.ensure(Intent::Resume)), RejectReason::AlreadyLive);
}

fn endpoint(ensured: Ensured) -> String {
    match ensured {
        Ensured::Running(worker) => worker.endpoint.to_string(),
        other => panic!("no worker: {other:?}"),
    }
}

#[test]
fn a_worker_answers_at_its_address() {
    for (address, expected) in [
        ("unix:/run/web", "unix:/run/web"),
        ("tcp:3000", "tcp:127.0.0.1:3000"),
        ("tcp:[::1]:3000", "tcp:[::1]:3000"),
        ("tcp:0", "tcp:127.0.0.1:49152"),
        ("none", "none"),
    ] {
        let world = World::running(Program::BecomesReady);
        assert_eq!(endpoint(world.up_at(address)), expected);
        assert_eq!(running(world.up_at(address)), (StartKind::Attached, 1), "{address}");
        assert_eq!(endpoint(world.up()), expected, "no address: the running worker's");
        assert_eq!((world.state(), world.address().as_deref()), (SessionState::Live, Some(expected)));
        assert_eq!(world.stop().expect("it stops").outcome, StopOutcome::Stopped);
        assert_eq!(world.state(), SessionState::Exited);
        assert_eq!(running(world.up_at(address)), (StartKind::Started, 2), "{address}");
    }
}

#[test]
fn a_stranger_on_a_port_is_a_conflict_and_a_chosen_port_is_replaced() {
    let world = World::running(Program::BecomesReady);
    world.machine.take_port(&world.session);
    assert_eq!(rejected(world.up_at("tcp:3000")), RejectReason::TargetAddressConflict);
    assert_eq!(endpoint(world.up_at("tcp:0")), "tcp:127.0.0.1:49153");
    // The port is kept while it is free.
    world.machine.kill_worker(&world.session);
    assert_eq!(endpoint(world.up_at("tcp:0")), "tcp:127.0.0.1:49153");
    // A stranger cannot take the port of a worker that listens.
    world.machine.take_port(&world.session);
    assert_eq!(running(world.up_at("tcp:0")), (StartKind::Attached, 2));
}

#[test]
fn a_worker_without_an_endpoint_is_live_while_it_runs() {
    let world = World::running(Program::NeverReady);
    assert_eq!(running(world.up_at("none")), (StartKind::Started, 1), "it need not listen");
    assert_eq!(rejected(world.ensure(Intent::Attach)), RejectReason::NoEndpoint);
    assert_eq!(rejected(world.ensure(Intent::Resume)), RejectReason::AlreadyLive);
    world.machine.kill_worker(&world.session);
    assert_eq!(rejected(world.ensure(Intent::Attach)), RejectReason::NotRunning);
    match World::running(Program::ExitsEarly).up_at("none") {
        Ensured::Exited(exited) => assert_eq!(exited.endpoint.to_string(), "none"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_can_be_done_at_once_starts_nothing() {
    let world = World::running(Program::BecomesReady);
    let at_once = || {
        let ensured = world.sessions.attach_at_once(&world.session, Launch::new("server"));
        ensured.expect("it comes to an outcome")
    };
    assert!(at_once().is_none() && world.sessions.list().expect("it can be listed").sessions.is_empty());
    assert_eq!(running(world.up()), (StartKind::Started, 1));
    assert_eq!(at_once().map(running), Some((StartKind::Attached, 1)));
}

#[test]
fn a_worker_that_died_is_started_anew() {
    let world = World::running(Program::BecomesReady);
    assert_eq!(running(world.up()), (StartKind::Started, 1));
    world.machine.kill_worker(&world.session);
    assert_eq!(world.state(), SessionState::Exited);
    assert_eq!(running(world.up()), (StartKind::Started, 2));
}

#[test]
fn a_restart_ends_the_worker_and_starts_another() {
    let world = World::running(Program::IgnoresSigterm);
    assert_eq!(running(world.ensure(Intent::Restart)), (StartKind::Started, 1));
    assert_eq!(running(world.ensure(Intent::Restart)), (StartKind::Started, 2));
    assert_eq!(running(world.up()), (StartKind::Attached, 2));
}

#[test]
fn a_stop_says_what_was_enough() {
    for (program, outcome) in
        [(Program::BecomesReady, StopOutcome::Stopped), (Program::IgnoresSigterm, StopOutcome::Killed)]
    {
        let world = World::running(program);
        assert_eq!(running(world.up()), (StartKind::Started, 1));
        assert_eq!(world.stop().expect("it stops").outcome, outcome);
        assert_eq!(world.stop().expect("it is known").outcome, StopOutcome::NotRunning);
        let collected = world.sessions.gc(&Collection::default()).expect("it can be collected");
        assert_eq!(collected.removed, std::slice::from_ref(&world.session));
        assert!(matches!(world.stop(), Err(Error::UnknownSession { .. })));
    }
}

#[test]
fn a_worker_that_exits_early_is_told() {
    match World::running(Program::ExitsEarly).up() {
        Ensured::Exited(exited) => assert_eq!((exited.exit.code(), exited.after_kill), (Some(1), false)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_that_is_never_ready_is_ended() {
    match World::running(Program::NeverReady).up() {
        Ensured::Exited(exited) => assert!(exited.after_kill && exited.cause.is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_that_no_signal_ends_retains_the_claim() {
    let world = World::running(Program::Unkillable);
    assert!(matches!(world.up(), Ensured::Retained(_)));
    assert_eq!(world.stop().expect("it is signalled").outcome, StopOutcome::GaveUp);
}

#[test]
fn a_program_that_is_missing_is_never_started() {
    assert!(matches!(World::running(Program::Missing).up(), Ensured::NotStarted(_)));
}

#[test]
fn a_call_is_refused_for_what_it_finds() {
    let world = World::running(Program::BecomesReady);
    assert_eq!(rejected(world.ensure(Intent::Attach)), RejectReason::NotRunning);
    assert_eq!(running(world.up()), (StartKind::Started, 1));
    world.machine.remove_socket(&world.session);
    assert_eq!(rejected(world.up()), RejectReason::WorkerUnresponsive);
    let claimed = World::running(Program::BecomesReady);
    claimed.machine.claim_by_another(&claimed.session);
    assert_eq!(rejected(claimed.up()), RejectReason::TargetLocked);
    assert!(matches!(claimed.sessions.unlock(&claimed.session, Force::Yes), Err(Error::Claimed { .. })));
}

#[test]
fn a_claim_that_nobody_left_is_not_unlocked() {
    let world = World::running(Program::BecomesReady);
    assert_eq!(running(world.up()), (StartKind::Started, 1));
    assert_eq!(world.sessions.unlock(&world.session, Force::No).expect("it is free"), Unlocked::NotLocked);
}
