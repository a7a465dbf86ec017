//! The files, locks and processes of one session.

use super::launcher::{At, Launcher};
use super::operator::{Stopper, StopperAt, Unlocker};
use super::promises::Promises;
use super::protocol::{Adversity, Kind, Model, Origin};
use rekindle_core::RecordState;

/// How many starts there can be: a launcher starts one worker at most. The first is the origin's, the last is of the
/// launcher that comes afterwards.
pub const SLOTS: usize = 5;
/// Everybody who may hold the claim: a launcher for each slot, `stop` and `unlock`.
pub const ACTORS: usize = SLOTS + 2;

/// The number of an actor: a launcher's is its slot.
pub type Actor = u8;
/// The number of a start, and of the process that it began with.
pub type StartId = u8;
/// The number of a file under a name that may come to mean another.
pub type InodeId = u8;

/// The `stop`.
pub const STOP: Actor = SLOTS as u8;
/// The `unlock --force`.
pub const UNLOCK: Actor = STOP + 1;

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    /// The evidence of a claim.
    pub evidence: Paper,
    /// What is locked: the directory, or the file that stands there now.
    pub lock_inode: InodeId,
    /// The lock that each actor's descriptor holds.
    pub locks: [Option<InodeId>; ACTORS],
    /// The lifeline that stands under its name.
    pub lifeline: Option<InodeId>,
    /// What was written into each lifeline.
    pub marks: [Option<StartId>; SLOTS],
    /// The record.
    pub record: Option<Record>,
    /// What stands at the socket's path.
    pub socket: Socket,
    /// Every start.
    pub starts: [Start; SLOTS],
    /// Every launcher.
    pub launchers: [Launcher; SLOTS],
    /// The `stop`.
    pub stopper: Stopper,
    /// The `unlock --force`.
    pub unlocker: Unlocker,
    /// What may still happen.
    pub left: Adversity,
    /// The promises that the last step broke.
    pub broken: Promises,
}

/// The evidence of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Paper {
    /// There is none.
    Absent,
    /// Held by this actor.
    Held(Actor),
    /// Given up unreleased by this actor.
    Retained(Actor),
}

/// The record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    /// How far the start had come.
    pub state: RecordState,
    /// Which start.
    pub generation: u8,
    /// Its leader.
    pub worker: Option<StartId>,
    /// The process that answered.
    pub peer: Option<Process>,
    /// Whether it ever answered.
    pub observed: bool,
}

/// What stands at the socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Socket {
    /// Nothing.
    Absent,
    /// A socket of a process that is gone.
    Stale,
    /// A socket on which its process does not listen yet.
    Bound(Process),
    /// A socket on which its process listens.
    Listening(Process),
}

/// One process of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// The start.
    pub start: StartId,
    /// Which of its processes.
    pub role: Role,
}

/// Which process of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one that was forked.
    Leader,
    /// The one that it forked itself.
    Second,
}

/// One start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Start {
    /// Its generation.
    pub generation: u8,
    /// Its lifeline.
    pub inode: InodeId,
    /// The child's copy of the claim's descriptor, with the lock that it shares.
    pub claim: Option<InodeId>,
    /// Whether its program runs.
    pub executed: bool,
    /// Whether it was ever written down as ready.
    pub observed: bool,
    /// Whether somebody unlocked its lifeline, which all of its processes share.
    pub unlocked: bool,
    /// The process that was forked.
    pub leader: Life,
    /// The process that it forked itself.
    pub second: Life,
}

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// It does not exist yet.
    Unborn,
    /// It runs.
    Alive {
        /// How many of its steps it has taken.
        steps: u8,
        /// Whether it holds the lifeline.
        holds: bool,
        /// The signal that it is dying of.
        signal: Pending,
    },
    /// It is gone.
    Dead,
}

/// A signal on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pending {
    /// None.
    None,
    /// SIGTERM: it will end, and may do something before.
    Term,
    /// SIGKILL: it will end.
    Kill,
}

impl Life {
    /// A process that has just been forked.
    pub fn born(holds: bool) -> Self {
        Self::Alive { steps: 0, holds, signal: Pending::None }
    }

    /// Whether it runs.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Alive { .. })
    }

    /// Whether it holds the lifeline.
    pub fn holds(self) -> bool {
        matches!(self, Self::Alive { holds: true, .. })
    }
}

impl Start {
    const NONE: Self = Self {
        generation: 0,
        inode: 0,
        claim: None,
        executed: false,
        observed: false,
        unlocked: false,
        leader: Life::Unborn,
        second: Life::Unborn,
    };

    /// Whether any process of it holds its lifeline.
    pub fn holds_lifeline(&self) -> bool {
        !self.unlocked && (self.leader.holds() || self.second.holds())
    }

    /// Whether any process of it runs.
    pub fn is_alive(&self) -> bool {
        self.leader.is_alive() || self.second.is_alive()
    }
}

impl World {
    /// The world before anybody moves.
    pub fn new(model: &Model) -> Self {
        let mut world = Self {
            evidence: Paper::Absent,
            lock_inode: 0,
            locks: [None; ACTORS],
            lifeline: None,
            marks: [None; SLOTS],
            record: None,
            socket: Socket::Absent,
            starts: [Start::NONE; SLOTS],
            launchers: [Launcher::at(At::Absent); SLOTS],
            stopper: Stopper::at(if model.adversity.stops > 0 { StopperAt::Record } else { StopperAt::Done }),
            unlocker: if model.adversity.unlocks > 0 { Unlocker::Lock } else { Unlocker::Done },
            left: model.adversity,
            broken: Promises::NONE,
        };
        for launcher in &mut world.launchers[1..=model.launchers] {
            *launcher = Launcher::at(At::Look);
        }
        if model.origin != Origin::Absent {
            world.begin_with(model);
        }
        world
    }

    /// A worker that became ready and whose launcher is done.
    fn begin_with(&mut self, model: &Model) {
        let leader = Process { start: 0, role: Role::Leader };
        let second = Process { start: 0, role: Role::Second };
        let life = |steps, holds| Life::Alive { steps, holds, signal: Pending::None };
        let alive = model.origin == Origin::Live;
        let forks = matches!(model.kinds[0], Kind::Daemonising | Kind::Leaving);
        let peer = if model.kinds[0] == Kind::Daemonising { second } else { leader };
        let steps = match model.kinds[0] {
            Kind::FdClosing | Kind::Leaving => 3,
            Kind::Polite | Kind::Hung | Kind::Stubborn | Kind::Daemonising => 2,
        };
        self.lifeline = Some(0);
        self.marks[0] = Some(0);
        let state = RecordState::Ready;
        self.record =
            Some(Record { state, generation: 1, worker: Some(0), peer: Some(peer), observed: true });
        self.socket = if alive { Socket::Listening(peer) } else { Socket::Stale };
        let start = &mut self.starts[0];
        (start.generation, start.executed, start.observed) = (1, true, true);
        start.leader = Life::Dead;
        if alive && model.kinds[0] != Kind::Daemonising {
            start.leader = life(steps, model.kinds[0] != Kind::FdClosing);
        }
        if forks && (alive || model.kinds[0] == Kind::Leaving) {
            start.second = life(steps, true);
        }
    }

    /// Puts a record in place, if there is one to be written.
    pub fn write_record(&mut self, record: Option<Record>) {
        let Some(record) = record else { return };
        self.record = Some(record);
        let described = |start: &&mut Start| start.generation == record.generation && start.executed;
        for start in self.starts.iter_mut().filter(described) {
            start.observed |= record.observed;
        }
    }

    /// The start that `launcher` makes.
    pub fn start(&self, launcher: usize) -> &Start {
        &self.starts[launcher]
    }

    /// How a process stands.
    pub fn life(&self, process: Process) -> Life {
        let start = &self.starts[usize::from(process.start)];
        match process.role {
            Role::Leader => start.leader,
            Role::Second => start.second,
        }
    }

    /// A process, to be changed.
    pub fn life_mut(&mut self, process: Process) -> &mut Life {
        let start = &mut self.starts[usize::from(process.start)];
        match process.role {
            Role::Leader => &mut start.leader,
            Role::Second => &mut start.second,
        }
    }

    /// Whether a lifeline is held.
    pub fn is_held(&self, lifeline: InodeId) -> bool {
        self.starts.iter().any(|start| start.inode == lifeline && start.holds_lifeline())
    }

    /// Whether somebody accepts connections at the socket's path, and who.
    pub fn answers(&self) -> Option<Process> {
        match self.socket {
            Socket::Listening(process) => Some(process),
            Socket::Absent | Socket::Stale | Socket::Bound(_) => None,
        }
    }

    /// Whether an actor was killed.
    pub fn is_dead(&self, actor: Actor) -> bool {
        match actor {
            STOP => self.stopper.at == StopperAt::Crashed,
            UNLOCK => self.unlocker == Unlocker::Crashed,
            launcher => self.launchers[usize::from(launcher)].at == At::Crashed,
        }
    }

    /// A process ends.
    pub fn end(&mut self, process: Process) {
        *self.life_mut(process) = Life::Dead;
        let start = &mut self.starts[usize::from(process.start)];
        if process.role == Role::Leader {
            start.claim = None;
        }
        if !start.is_alive() {
            start.unlocked = false;
        }
        if matches!(self.socket, Socket::Bound(by) | Socket::Listening(by) if by == process) {
            self.socket = Socket::Stale;
        }
    }
}
