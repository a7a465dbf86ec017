//! Which steps are taken, and the wrong ways to take them.

use super::world::SLOTS;

/// One configuration: how the protocol goes, who takes part, and what may happen to them.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// How the protocol goes.
    pub protocol: Protocol,
    /// What is there before anybody moves.
    pub origin: Origin,
    /// How many launchers take part, [`SLOTS`] - 2 at most: one slot is the origin's, one is for the launcher that
    /// comes afterwards.
    pub launchers: usize,
    /// What each start's program is like; the last one's is polite.
    pub kinds: [Kind; SLOTS],
    /// What may happen.
    pub adversity: Adversity,
}

impl Model {
    /// `launchers` of them on `origin`, with every worker of `kind` and nothing in their way.
    pub fn new(launchers: usize, origin: Origin, kind: Kind) -> Self {
        let mut kinds = [kind; SLOTS];
        kinds[SLOTS - 1] = Kind::Polite;
        Self { protocol: Protocol::RIGHT, origin, launchers, kinds, adversity: Adversity::NONE }
    }

    /// The same, with adversity.
    #[must_use]
    pub fn with(self, adversity: Adversity) -> Self {
        Self { adversity, ..self }
    }

    /// The same, by another protocol.
    #[must_use]
    pub fn by(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }
}

/// What is there before anybody moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nothing at all.
    Absent,
    /// A worker that had been ready and is dead: its record says so no more than its socket.
    Stale,
    /// A worker that is ready.
    Live,
}

/// What a program is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It binds, listens, and ends on SIGTERM. It may be slow.
    Polite,
    /// It never binds, and ends on SIGTERM.
    Hung,
    /// It binds and listens, and ends only on SIGKILL.
    Stubborn,
    /// It closes every inherited descriptor first, its lifeline among them.
    FdClosing,
    /// It forks a process that binds and listens, and exits 0.
    Daemonising,
    /// It forks a process that does nothing, then binds and listens; the other stays when it ends.
    Leaving,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Polite, Self::Hung, Self::Stubborn, Self::FdClosing, Self::Daemonising, Self::Leaving];
}

/// What may happen, and how often in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Adversity {
    /// A launcher, a `stop` or an `unlock` is killed.
    pub crashes: u8,
    /// A caller's runtime goes away under a launcher.
    pub drops: u8,
    /// A process of a worker dies by itself.
    pub deaths: u8,
    /// Somebody removes the socket.
    pub removals: u8,
    /// A `stop` is run.
    pub stops: u8,
    /// An `unlock --force` is run.
    pub unlocks: u8,
}

impl Adversity {
    /// Nothing happens but time-outs.
    pub const NONE: Self = Self { crashes: 0, drops: 0, deaths: 0, removals: 0, stops: 0, unlocks: 0 };
}

/// How the protocol goes. Each field names the right way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// What is locked.
    pub lock: Lock,
    /// What the child does between fork and exec.
    pub child: [ChildStep; 4],
    /// Whether a start has a lifeline of its own.
    pub lifeline: Lifelines,
    /// Whose the lock on it is.
    pub lifeline_lock: LifelineLock,
    /// When a start is first written down.
    pub record: RecordWritten,
    /// What "gone" is concluded from.
    pub gone: GoneBy,
    /// When an exit is believed.
    pub exit: ExitBelieved,
    /// What a time-out does.
    pub timeout: Timeout,
    /// Whom a signal reaches.
    pub kill: Killed,
    /// When the record is completed.
    pub completion: Completion,
    /// What becomes of the claim of a dropped future.
    pub dropped: Dropped,
    /// How a stale socket is treated before a start.
    pub stale_socket: StaleSocket,
    /// When the child's identity comes into the record.
    pub identity: Identity,
    /// What `stop` cleans up under.
    pub stop: StopCleans,
    /// Whom `stop` takes for the worker that it saw.
    pub stop_pins: StopPins,
    /// How `unlock --force` goes.
    pub unlock: Unlock,
}

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// The session directory.
    Directory,
    /// The evidence file itself.
    File,
}

/// A step of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildStep {
    /// Opens and locks its lifeline.
    Lock,
    /// Writes itself into it.
    Mark,
    /// Lets go of the inherited claim.
    DropClaim,
    /// Becomes its program.
    Exec,
    /// Does nothing.
    Nothing,
}

/// Whether a start has a lifeline of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifelines {
    /// A fresh file each.
    Fresh,
    /// The file that is there.
    Reused,
}

/// Whose the lock on a lifeline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifelineLock {
    /// The child's own.
    Childs,
    /// The launcher's, which the child inherits, and which the launcher unlocks once it is done.
    Launchers,
}

/// When a start is first written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordWritten {
    /// Before the fork.
    BeforeFork,
    /// After the child runs.
    AfterFork,
}

/// What "gone" is concluded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoneBy {
    /// Record, lifeline and identities together.
    Evidence,
    /// The identities in the record; the lifeline is not asked.
    Record,
    /// Evidence, but a record that says `exited` is believed.
    ExitedRecord,
    /// A refused connection.
    RefusedConnect,
}

/// When an exit is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitBelieved {
    /// When the processes are gone and the lifeline is free.
    WithItsLifeline,
    /// When the leader is gone.
    OfTheLeader,
}

/// What a time-out does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// It kills, and an observation is waited for.
    Kills,
    /// It releases the claim.
    Releases,
}

/// Whom a signal reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    /// Every process of the start.
    EveryHolder,
    /// The leader.
    LeaderAlone,
}

/// When the record is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Before the claim is released.
    UnderTheClaim,
    /// After it was released.
    Afterwards,
}

/// What becomes of the claim of a dropped future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is marked retained, then unlocked.
    Retained,
    /// It is unlocked and stays as it is.
    LeftHeld,
}

/// How a stale socket is treated before a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleSocket {
    /// It is removed.
    Removed,
    /// It stays.
    Left,
}

/// When the child's identity comes into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// As soon as the child runs.
    OnceItRuns,
    /// With the observation.
    OnceObserved,
}

/// What `stop` cleans up under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCleans {
    /// The claim.
    UnderTheClaim,
    /// Nothing.
    WithoutTheClaim,
}

/// Whom `stop` takes for the worker that it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopPins {
    /// The holders of the lifeline that it opened once, if what is written in it names the generation of the record.
    OfItsGeneration,
    /// The holders of the lifeline that it opened once.
    OpenedOnce,
    /// The holders of whatever lifeline stands there when it is about to signal.
    ByName,
}

/// How `unlock --force` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlock {
    /// It takes the lock, then removes the evidence.
    UnderTheLock,
    /// It removes the evidence.
    WithoutTheLock,
}

impl Protocol {
    /// The protocol of the design.
    pub const RIGHT: Self = Self {
        lock: Lock::Directory,
        child: [ChildStep::Lock, ChildStep::Mark, ChildStep::DropClaim, ChildStep::Exec],
        lifeline: Lifelines::Fresh,
        lifeline_lock: LifelineLock::Childs,
        record: RecordWritten::BeforeFork,
        gone: GoneBy::Evidence,
        exit: ExitBelieved::WithItsLifeline,
        timeout: Timeout::Kills,
        kill: Killed::EveryHolder,
        completion: Completion::UnderTheClaim,
        dropped: Dropped::Retained,
        stale_socket: StaleSocket::Removed,
        identity: Identity::OnceItRuns,
        stop: StopCleans::UnderTheClaim,
        stop_pins: StopPins::OfItsGeneration,
        unlock: Unlock::UnderTheLock,
    };
}
