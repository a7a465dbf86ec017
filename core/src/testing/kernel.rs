//! The files, locks and processes of a session, as the kernel keeps them.
//!
//! A removed directory keeps only the open descriptors: writes into the directory are lost.

use super::actor::{Actor, Pinned};
use super::objects::{Files, InodeId, Life, PORTS, Place, Process, Record, Role, Socket, Start, StartId};
use alloc::vec::Vec;

/// The number of possible starts: a launcher makes at most one. The first start is the origin's, the last belongs to
/// the launcher after the others.
pub const SLOTS: usize = 5;
/// The number of possible claim holders: a launcher for each slot, a stop, an unlock and a collection.
pub const ACTORS: usize = SLOTS + 3;
/// The stop.
pub const STOP: usize = SLOTS;
/// The unlock.
pub const UNLOCK: usize = SLOTS + 1;
/// The collection.
pub const GC: usize = SLOTS + 2;

/// The whole simulated machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The directory under the session's name.
    pub dir: Option<InodeId>,
    /// The number of the next directory or locked file.
    pub next_inode: InodeId,
    /// The content of the directory.
    pub files: Files,
    /// The locked file if the lock is on the evidence, as a sabotage.
    pub evidence_inode: InodeId,
    /// The lock of each actor's descriptor.
    pub locks: [Option<InodeId>; ACTORS],
    /// The copy of each claimer's lock in the claimer's program.
    pub copies: [Option<InodeId>; ACTORS],
    /// The directory under whose claim the program of each claimer runs.
    pub programs: [Option<InodeId>; ACTORS],
    /// The mark in each lifeline.
    pub marks: [Option<StartId>; SLOTS],
    /// The file at the socket's path.
    pub socket: Socket,
    /// The socket at each TCP port. The socket of a dead process is gone.
    pub ports: [Socket; PORTS],
    /// Every start.
    pub starts: [Start; SLOTS],
    /// Every actor.
    pub actors: [Actor; ACTORS],
    /// The promises broken by the last step.
    pub broken: Broken,
}

/// The promises that a step itself may break, in addition to promises about the next state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Broken {
    /// An actor gave up a claim without holding the claim.
    pub released_twice: bool,
    /// A claim was released without an observation, although a start had begun.
    pub released_blindly: bool,
    /// A process of another generation than the observed generation was signalled.
    pub signalled_a_stranger: bool,
    /// A call took a stranger's listener for the worker's.
    pub attached_to_a_stranger: bool,
    /// A call without a worker gave up for a stranger on a port that a launcher had chosen.
    pub port_not_replaced: bool,
}

impl Kernel {
    /// A machine without any past.
    pub fn new() -> Self {
        Self {
            dir: None,
            // Lower numbers belong to the starts' lifelines.
            next_inode: SLOTS as InodeId,
            files: Files::NONE,
            evidence_inode: 0,
            locks: [None; ACTORS],
            copies: [None; ACTORS],
            programs: [None; ACTORS],
            marks: [None; SLOTS],
            socket: Socket::Absent,
            ports: [Socket::Absent; PORTS],
            starts: [Start::NONE; SLOTS],
            actors: [Actor::ABSENT; ACTORS],
            broken: Broken::default(),
        }
    }

    /// Makes the session's directory, if there is none.
    pub fn make_dir(&mut self) -> InodeId {
        if let Some(dir) = self.dir {
            return dir;
        }
        let dir = self.next_inode;
        self.next_inode += 1;
        self.dir = Some(dir);
        dir
    }

    /// Removes the session's directory with its content, like `rm -rf`.
    pub fn remove_dir(&mut self) {
        self.dir = None;
        self.files = Files::NONE;
        self.socket = Socket::Absent;
    }

    /// Whether a descriptor holds the lock on `inode`.
    pub fn is_locked(&self, inode: InodeId) -> bool {
        let inode = Some(inode);
        self.locks.contains(&inode)
            || self.copies.contains(&inode)
            || self.starts.iter().any(|start| start.claim == inode)
    }

    /// Whether a lifeline is held.
    pub fn is_held(&self, lifeline: InodeId) -> bool {
        self.starts.iter().any(|start| start.inode == lifeline && start.holds_lifeline())
    }

    /// The lifeline found by a search: the newest of this session that a process holds without a name.
    pub fn lost_lifeline(&self) -> Option<InodeId> {
        let holds = |start: &&Start| start.holds_lifeline() && Some(start.inode) != self.files.lifeline;
        self.starts.iter().filter(holds).max_by_key(|start| start.generation).map(|start| start.inode)
    }

    /// Writes a record.
    pub fn write_record(&mut self, record: Record) {
        self.files.record = Some(record);
        let described = |start: &&mut Start| start.generation == record.generation && start.executed;
        for start in self.starts.iter_mut().filter(described) {
            start.observed |= record.observed;
        }
    }

    /// Whether every known process of a worker is gone.
    pub fn are_gone(&self, worker: &Pinned) -> bool {
        let leader = worker.leader.map(|start| Process { start, role: Role::Leader });
        leader.into_iter().chain(worker.peer).all(|process| !self.life(process).is_alive())
    }

    /// The state of a process.
    pub fn life(&self, process: Process) -> Life {
        let start = &self.starts[usize::from(process.start)];
        match process.role {
            Role::Leader => start.leader,
            Role::Second => start.second,
        }
    }

    /// A process, for changes.
    pub fn life_mut(&mut self, process: Process) -> &mut Life {
        let start = &mut self.starts[usize::from(process.start)];
        match process.role {
            Role::Leader => &mut start.leader,
            Role::Second => &mut start.second,
        }
    }

    /// The socket at a place.
    pub fn socket_at(&self, place: Place) -> Socket {
        match place {
            Place::Path => self.socket,
            Place::Port(port) => self.ports[usize::from(port)],
            Place::Nowhere => Socket::Absent,
        }
    }

    /// Puts a socket at a place.
    pub fn put_socket(&mut self, place: Place, socket: Socket) {
        match place {
            Place::Path => self.socket = socket,
            Place::Port(port) => self.ports[usize::from(port)] = socket,
            Place::Nowhere => {}
        }
    }

    /// The process of the session that listens at a place.
    pub fn answers(&self, place: Place) -> Option<Process> {
        match self.socket_at(place) {
            Socket::Listening(process) => Some(process),
            Socket::Absent | Socket::Stale | Socket::Bound(_) | Socket::Stranger => None,
        }
    }

    /// Ends a process.
    pub fn end(&mut self, process: Process) {
        *self.life_mut(process) = Life::Dead;
        let start = &mut self.starts[usize::from(process.start)];
        if process.role == Role::Leader {
            start.claim = None;
        }
        if !start.is_alive() {
            start.unlocked = false;
        }
        let is_its = |socket| matches!(socket, Socket::Bound(by) | Socket::Listening(by) if by == process);
        if is_its(self.socket) {
            self.socket = Socket::Stale;
        }
        // A port has no file that could stay.
        for port in self.ports.iter_mut().filter(|port| is_its(**port)) {
            *port = Socket::Absent;
        }
    }

    /// Kills an actor: the kernel closes the actor's descriptors; a child or a program with a copy keeps the lock.
    pub fn crash(&mut self, actor: usize) {
        self.locks[actor] = None;
        self.actors[actor] = Actor::CRASHED;
    }

    /// Ends the program of a claimer.
    pub fn end_program(&mut self, actor: usize) {
        self.programs[actor] = None;
        self.copies[actor] = None;
    }

    /// Every process of every start.
    pub fn processes() -> impl Iterator<Item = Process> {
        (0..SLOTS as u8).flat_map(|start| [Role::Leader, Role::Second].map(|role| Process { start, role }))
    }

    /// The running processes.
    pub fn running(&self) -> Vec<Process> {
        Self::processes().filter(|process| self.life(*process).is_alive()).collect()
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}
