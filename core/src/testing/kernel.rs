//! The files, locks and processes of one session, as the kernel keeps them.
//!
//! A directory that was removed keeps the descriptors that are open on it, and nothing else: what is written there is lost.

use super::actor::{Actor, Pinned};
use super::objects::{Files, InodeId, Life, Process, Record, Role, Socket, Start, StartId};
use alloc::vec::Vec;

/// How many starts there can be: a launcher makes one at most. The first is the origin's, the last is of the launcher that
/// comes afterwards.
pub const SLOTS: usize = 5;
/// Everybody who may hold the claim: a launcher for each slot, a stop, an unlock and a collection.
pub const ACTORS: usize = SLOTS + 3;
/// The stop.
pub const STOP: usize = SLOTS;
/// The unlock.
pub const UNLOCK: usize = SLOTS + 1;
/// The collection.
pub const GC: usize = SLOTS + 2;

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The directory that has the session's name.
    pub dir: Option<InodeId>,
    /// The number that the next directory, or the next file that is locked, gets.
    pub next_inode: InodeId,
    /// What the directory holds.
    pub files: Files,
    /// What is locked where the evidence is the lock, which is wrong.
    pub evidence_inode: InodeId,
    /// The lock that each actor's descriptor holds.
    pub locks: [Option<InodeId>; ACTORS],
    /// What was written into each lifeline.
    pub marks: [Option<StartId>; SLOTS],
    /// What stands at the socket's path.
    pub socket: Socket,
    /// Every start.
    pub starts: [Start; SLOTS],
    /// Every actor.
    pub actors: [Actor; ACTORS],
    /// The promises that the last step broke.
    pub broken: Broken,
}

/// What a step may break by itself, whatever the state that it leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Broken {
    /// A claim was given up that was not held.
    pub released_twice: bool,
    /// A claim was released without an observation, although something had been begun.
    pub released_blindly: bool,
    /// A process of another generation than the one that was seen was signalled.
    pub signalled_a_stranger: bool,
}

impl Kernel {
    /// A machine on which nothing ever happened.
    pub fn new() -> Self {
        Self {
            dir: None,
            // Below stand the numbers of the starts, which their lifelines have.
            next_inode: SLOTS as InodeId,
            files: Files::NONE,
            evidence_inode: 0,
            locks: [None; ACTORS],
            marks: [None; SLOTS],
            socket: Socket::Absent,
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

    /// Removes the session's directory with all that is in it, as `rm -rf` does.
    pub fn remove_dir(&mut self) {
        self.dir = None;
        self.files = Files::NONE;
        self.socket = Socket::Absent;
    }

    /// Whether somebody holds the lock on `inode`.
    pub fn is_locked(&self, inode: InodeId) -> bool {
        let inode = Some(inode);
        self.locks.contains(&inode) || self.starts.iter().any(|start| start.claim == inode)
    }

    /// Whether a lifeline is held.
    pub fn is_held(&self, lifeline: InodeId) -> bool {
        self.starts.iter().any(|start| start.inode == lifeline && start.holds_lifeline())
    }

    /// The lifeline that is found where none has its name: the newest of this session that somebody is seen to hold.
    pub fn lost_lifeline(&self) -> Option<InodeId> {
        let holds = |start: &&Start| start.holds_lifeline() && Some(start.inode) != self.files.lifeline;
        self.starts.iter().filter(holds).max_by_key(|start| start.generation).map(|start| start.inode)
    }

    /// Puts a record in place.
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

    /// Who accepts connections at the socket's path.
    pub fn answers(&self) -> Option<Process> {
        match self.socket {
            Socket::Listening(process) => Some(process),
            Socket::Absent | Socket::Stale | Socket::Bound(_) => None,
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

    /// An actor is killed: the kernel closes its descriptors; a child that has a copy of one keeps the lock.
    pub fn crash(&mut self, actor: usize) {
        self.locks[actor] = None;
        self.actors[actor] = Actor::CRASHED;
    }

    /// Every process of every start.
    pub fn processes() -> impl Iterator<Item = Process> {
        (0..SLOTS as u8).flat_map(|start| [Role::Leader, Role::Second].map(|role| Process { start, role }))
    }

    /// The processes that run.
    pub fn running(&self) -> Vec<Process> {
        Self::processes().filter(|process| self.life(*process).is_alive()).collect()
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}
