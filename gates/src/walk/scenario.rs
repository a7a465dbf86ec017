//! The actors, the initial state, and every possible event: steps of actors and processes, and adversities.

use rekindle_core::Intent;
use rekindle_core::RecordState;
use rekindle_core::care::gc::{Collect, GcOptions};
use rekindle_core::care::unlock::{Force, Unlock};
use rekindle_core::claim::hold::{Hold, Patience};
use rekindle_core::decide::Unrecorded;
use rekindle_core::endpoint::EndpointKind;
use rekindle_core::ensure::{Depth, Ensure, Request};
use rekindle_core::plan::PortChoice;
use rekindle_core::readiness::{Proof, ShownBy};
use rekindle_core::stop::session::StopSession;
use rekindle_core::testing::actor::{Actor, End, Next, Task};
use rekindle_core::testing::kernel::{GC, Kernel, SLOTS, STOP, UNLOCK};
use rekindle_core::testing::objects::{Life, PORTS, Pending, Place, Process, Record, Role, Socket};
use rekindle_core::testing::perform::Choice;
use rekindle_core::testing::program::{Kind, Setting};
use rekindle_core::testing::sabotage::Conduct;
use rekindle_core::view::{Contact, EndpointView};

/// One configuration.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// The program of each start, and the conduct of the effects.
    pub setting: Setting,
    /// The state before the first step.
    pub origin: Origin,
    /// The number of launchers, [`SLOTS`] - 2 at most: one slot is the origin's, another is for the launcher after all
    /// others.
    pub launchers: usize,
    /// The possible adversities.
    pub adversity: Adversity,
}

/// The state before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// No files and no processes.
    Absent,
    /// A worker once ready and now dead; neither the record nor the socket shows the death.
    Stale,
    /// A ready worker.
    Live,
}

/// Adversities, and their maximal number in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Adversity {
    /// A transaction is killed.
    pub crashes: u8,
    /// A launcher's future is dropped, as when the caller's runtime goes away.
    pub drops: u8,
    /// A process of a worker dies by itself.
    pub deaths: u8,
    /// The socket is removed from outside.
    pub socket_removals: u8,
    /// The session's directory is removed from outside, with all files.
    pub dir_removals: u8,
    /// A stop is run.
    pub stops: u8,
    /// An `unlock --force` is run.
    pub unlocks: u8,
    /// A collection is run.
    pub collections: u8,
    /// The first launcher restarts the session.
    pub restarts: u8,
    /// The first launcher restarts the session if the session runs.
    pub restarts_if_running: u8,
    /// The first actors are claimers for a send, and no launchers.
    pub claimers: u8,
    /// A stranger takes a free port, if no port is taken by another. The stranger may leave at any time.
    pub strangers: u8,
}

impl Adversity {
    /// Only time-outs happen.
    pub const NONE: Self = Self {
        crashes: 0,
        drops: 0,
        deaths: 0,
        socket_removals: 0,
        dir_removals: 0,
        stops: 0,
        unlocks: 0,
        collections: 0,
        restarts: 0,
        restarts_if_running: 0,
        claimers: 0,
        strangers: 0,
    };
}

/// A state of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// The machine.
    pub kernel: Kernel,
    /// The adversities still possible.
    pub left: Adversity,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// An actor takes a step.
    Actor(u8, Choice),
    /// A process takes a step.
    Step(Process),
    /// A process ends because of its pending signal.
    Obeys(Process),
    /// An actor is killed.
    Crash(u8),
    /// A launcher's future is dropped.
    Drop(u8),
    /// A process dies by itself.
    Dies(Process),
    /// The socket is removed from outside.
    SocketVanishes,
    /// The directory is removed from outside.
    DirectoryVanishes,
    /// The program of a killed claimer ends.
    ProgramEnds(u8),
    /// A stranger takes a port.
    StrangerComes(u8),
    /// The stranger on a port leaves.
    StrangerLeaves(u8),
}

/// A finished transaction, whatever its end.
const OVER: Actor = Actor::of(Task::Done(End::Dropped));

/// A TCP port that may be connected to, for a worker that is live if it listens.
const PORT: EndpointView = EndpointView { kind: EndpointKind::Tcp, ..EndpointView::SOCKET };

impl Scenario {
    /// A launcher before its first step.
    pub fn launcher(&self) -> Task {
        self.with_intent(Intent::Ensure)
    }

    fn with_intent(&self, intent: Intent) -> Task {
        let (depth, unrecorded) = (Depth::Whole, Unrecorded::Taken);
        Task::Ensure(Ensure::new(Request { intent, depth, port: self.setting.port, unrecorded }))
    }

    /// `launchers` launchers on `origin`, with every worker of `kind` and without adversity.
    pub fn new(launchers: usize, origin: Origin, kind: Kind) -> Self {
        let mut kinds = [kind; SLOTS];
        kinds[SLOTS - 1] = Kind::Polite;
        let (endpoint, port) = (EndpointView::SOCKET, PortChoice::Caller);
        let setting = Setting { kinds, endpoint, port, conduct: Conduct::RIGHT };
        Self { setting, origin, launchers, adversity: Adversity::NONE }
    }

    /// The same scenario, with workers on a TCP port.
    #[must_use]
    pub fn on_port(self, port: PortChoice) -> Self {
        Self { setting: Setting { endpoint: PORT, port, ..self.setting }, ..self }
    }

    /// The same scenario, with workers that have to be asked, or watched from the start: a listener alone proves nothing.
    #[must_use]
    pub fn proved_by(self, proof: Proof) -> Self {
        let endpoint = EndpointView { proof, ..self.setting.endpoint };
        Self { setting: Setting { endpoint, ..self.setting }, ..self }
    }

    /// The same scenario, with workers that are live while they run, whether they listen or not.
    #[must_use]
    pub fn shown_by_the_process(self) -> Self {
        let (proof, shown_by, contact) = (Proof::Watch, ShownBy::Process, Contact::Gentle);
        let endpoint = EndpointView { proof, shown_by, contact, ..self.setting.endpoint };
        Self { setting: Setting { endpoint, ..self.setting }, ..self }
    }

    /// The same scenario, with workers without an endpoint.
    #[must_use]
    pub fn nowhere(self) -> Self {
        Self { setting: Setting { endpoint: EndpointView::NONE, ..self.setting }, ..self }
    }

    /// The endpoint of the first start.
    fn place(&self) -> Place {
        match self.setting.endpoint.kind {
            EndpointKind::Unix => Place::Path,
            EndpointKind::Tcp => Place::Port(0),
            EndpointKind::None => Place::Nowhere,
        }
    }

    /// The number of ports that a stranger may take.
    fn ports(&self) -> usize {
        match (self.setting.endpoint.kind, self.setting.port) {
            (EndpointKind::Tcp, PortChoice::Launcher) => PORTS,
            (EndpointKind::Tcp, PortChoice::Caller) => 1,
            (EndpointKind::Unix | EndpointKind::None, PortChoice::Launcher | PortChoice::Caller) => 0,
        }
    }

    /// The same scenario, with adversity.
    #[must_use]
    pub fn with(self, adversity: Adversity) -> Self {
        Self { adversity, ..self }
    }

    /// The same scenario with other conduct of the effects.
    #[must_use]
    pub fn by(self, conduct: Conduct) -> Self {
        Self { setting: Setting { conduct, ..self.setting }, ..self }
    }

    /// The state before the first step.
    pub fn begin(&self) -> State {
        let mut kernel = Kernel::new();
        for actor in &mut kernel.actors[1..=self.launchers] {
            *actor = Actor::of(self.launcher());
        }
        for claimer in &mut kernel.actors[1..=usize::from(self.adversity.claimers)] {
            *claimer = Actor::of(Task::Hold(Hold::new(Patience::UntilDeadline)));
        }
        if self.adversity.restarts > 0 {
            kernel.actors[1] = Actor::of(self.with_intent(Intent::Restart));
        }
        if self.adversity.restarts_if_running > 0 {
            kernel.actors[1] = Actor::of(self.with_intent(Intent::RestartIfRunning));
        }
        if self.adversity.stops > 0 {
            kernel.actors[STOP] = Actor::of(Task::Stop(StopSession::default()));
        }
        if self.adversity.unlocks > 0 {
            kernel.actors[UNLOCK] = Actor::of(Task::Unlock(Unlock::new(Force::Yes)));
        }
        if self.adversity.collections > 0 {
            kernel.actors[GC] = Actor::of(Task::Collect(Collect::new(GcOptions::default())));
        }
        if self.origin != Origin::Absent {
            self.begin_with(&mut kernel);
        }
        State { kernel, left: self.adversity }
    }

    /// A ready worker whose launcher is done.
    fn begin_with(&self, kernel: &mut Kernel) {
        let kind = self.setting.kinds[0];
        let leader = Process { start: 0, role: Role::Leader };
        let second = Process { start: 0, role: Role::Second };
        let place = self.place();
        let steps = kind.steps_to_ready(place);
        let life = |holds| Life::Alive { steps, holds, signal: Pending::None };
        let alive = self.origin == Origin::Live;
        let listener = if kind == Kind::Daemonising { second } else { leader };
        let peer = (self.setting.endpoint.shown_by == ShownBy::Listener).then_some(listener);
        let dir = kernel.make_dir();
        kernel.files.lifeline = Some(0);
        kernel.marks[0] = Some(0);
        let state = RecordState::Ready;
        kernel.files.record =
            Some(Record { state, generation: 1, worker: Some(0), peer, observed: true, place });
        let left = if place == Place::Path { Socket::Stale } else { Socket::Absent };
        kernel.put_socket(place, if alive { Socket::Listening(listener) } else { left });
        let start = &mut kernel.starts[0];
        (start.generation, start.executed, start.observed, start.dir) = (1, true, true, Some(dir));
        start.place = place;
        start.leader = Life::Dead;
        if alive && kind != Kind::Daemonising {
            start.leader = life(kind != Kind::FdClosing);
        }
        if kind == Kind::Leaving || (alive && kind == Kind::Daemonising) {
            start.second = life(true);
        }
    }

    /// Every possible next event.
    pub fn acts(&self, state: &State, acts: &mut Vec<Act>) {
        acts.clear();
        let kernel = &state.kernel;
        for id in 0..kernel.actors.len() {
            self.setting.choices(kernel, id, |choice| acts.push(Act::Actor(id as u8, choice)));
        }
        for process in Kernel::processes() {
            let Life::Alive { signal, .. } = kernel.life(process) else { continue };
            if self.setting.can_step(kernel, process) {
                acts.push(Act::Step(process));
            }
            if signal != Pending::None {
                acts.push(Act::Obeys(process));
            } else if state.left.deaths > 0 {
                acts.push(Act::Dies(process));
            }
        }
        self.befall(state, acts);
    }

    fn befall(&self, state: &State, acts: &mut Vec<Act>) {
        let State { kernel, left } = state;
        let living = || (0..).zip(&kernel.actors).filter(|(_, actor)| !actor.is_over());
        if left.crashes > 0 {
            acts.extend(living().map(|(id, _)| Act::Crash(id)));
        }
        if left.drops > 0 {
            let dropped = living().filter(|(_, actor)| self.setting.can_be_dropped(actor));
            acts.extend(dropped.map(|(id, _)| Act::Drop(id)));
        }
        if left.socket_removals > 0 && kernel.socket != Socket::Absent {
            acts.push(Act::SocketVanishes);
        }
        if left.dir_removals > 0 && kernel.dir.is_some() {
            acts.push(Act::DirectoryVanishes);
        }
        let orphaned = |id: &u8| {
            let id = usize::from(*id);
            kernel.programs[id].is_some() && kernel.actors[id].is_over()
        };
        acts.extend((0..kernel.programs.len() as u8).filter(orphaned).map(Act::ProgramEnds));
        let ports = &kernel.ports[..self.ports()];
        let is_taken = ports.contains(&Socket::Stranger);
        for (port, socket) in (0..).zip(ports) {
            match socket {
                Socket::Absent if left.strangers > 0 && !is_taken => acts.push(Act::StrangerComes(port)),
                Socket::Stranger => acts.push(Act::StrangerLeaves(port)),
                Socket::Absent | Socket::Stale | Socket::Bound(_) | Socket::Listening(_) => {}
            }
        }
    }

    /// Performs an event. The end of a transaction makes no difference to the others.
    pub fn apply(&self, state: &mut State, act: Act) {
        self.happen(state, act);
        for actor in &mut state.kernel.actors {
            if let Task::Done(_) = actor.task {
                *actor = OVER;
            }
        }
    }

    fn happen(&self, state: &mut State, act: Act) {
        let State { kernel, left } = state;
        match act {
            Act::Actor(id, choice) => self.setting.actor_step(kernel, usize::from(id), choice),
            Act::Step(process) => self.setting.process_step(kernel, process),
            Act::Obeys(process) => kernel.end(process),
            Act::Crash(id) => {
                left.crashes -= 1;
                kernel.crash(usize::from(id));
            }
            Act::Drop(id) => {
                left.drops -= 1;
                self.setting.drop_future(kernel, usize::from(id));
            }
            Act::Dies(process) => {
                left.deaths -= 1;
                kernel.end(process);
            }
            Act::SocketVanishes => {
                left.socket_removals -= 1;
                kernel.socket = Socket::Absent;
            }
            Act::DirectoryVanishes => {
                left.dir_removals -= 1;
                kernel.remove_dir();
            }
            Act::ProgramEnds(id) => kernel.end_program(usize::from(id)),
            Act::StrangerComes(port) => {
                left.strangers -= 1;
                kernel.put_socket(Place::Port(port), Socket::Stranger);
            }
            Act::StrangerLeaves(port) => kernel.put_socket(Place::Port(port), Socket::Absent),
        }
    }

    /// Whether all actors are done.
    pub fn is_over(&self, state: &State) -> bool {
        let no_program_runs = state.kernel.programs.iter().all(Option::is_none);
        no_program_runs && state.kernel.actors.iter().all(Actor::is_over)
    }
}

/// The actor and the action: a line of a history.
pub fn told(state: &State, act: Act) -> String {
    let process = |process: Process| format!("worker {} ({:?})", process.start, process.role).to_lowercase();
    match act {
        Act::Actor(id, choice) => {
            let actor = &state.kernel.actors[usize::from(id)];
            let heard = if choice == Choice::Go { String::new() } else { format!(": {choice:?}") };
            let at = match actor.next() {
                Next::Other => format!("{:?}", actor.sub),
                next => format!("{next:?}"),
            };
            format!("{}: {at}{heard}", name(id))
        }
        Act::Step(by) => {
            let start = &state.kernel.starts[usize::from(by.start)];
            let Life::Alive { steps, .. } = state.kernel.life(by) else { return process(by) };
            let what = if start.executed { "program" } else { "child" };
            format!("{}: step {} of its {what}", process(by), steps + 1)
        }
        Act::Obeys(by) => format!("{} ends of its signal", process(by)),
        Act::Crash(id) => format!("{} is killed", name(id)),
        Act::Drop(id) => format!("the future of {} is dropped", name(id)),
        Act::Dies(by) => format!("{} dies", process(by)),
        Act::SocketVanishes => "somebody removes the socket".to_owned(),
        Act::DirectoryVanishes => "somebody removes the directory".to_owned(),
        Act::ProgramEnds(id) => format!("the program of {} ends", name(id)),
        Act::StrangerComes(port) => format!("a stranger takes port {port}"),
        Act::StrangerLeaves(port) => format!("the stranger on port {port} leaves"),
    }
}

fn name(id: u8) -> String {
    match usize::from(id) {
        STOP => "the stop".to_owned(),
        UNLOCK => "the unlock".to_owned(),
        GC => "the collection".to_owned(),
        _ => format!("launcher {id}"),
    }
}
