//! The order of a start: the steps under the claim until the process runs.
//!
//! ```text
//! Placing → Renewing → Looking ┬→ Describing → Providing → Forking → Identifying → Done(Started)
//!                              └→ Clearing ──↑
//! ```
//!
//! # Invariants
//! 1. A fresh lifeline takes the name before any other change, so that no holder of an older lifeline is taken for a
//!    process of this start.
//! 2. The record says `starting` before the process exists, so that no reader believes the record of the previous
//!    start.
//! 3. A socket with a listener is not removed.
//! 4. A failure before the fork leaves no process.
//!
//! [`CHILD`] lists the steps of the child. If any step is left out, a promise breaks: `gates/tests/transactions.rs`.

/// A start, until the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Order {
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Placing,
    Renewing,
    Looking,
    Clearing,
    Describing,
    Providing,
    Forking,
    Identifying,
    Done(Begun),
}

/// The result of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Begun {
    /// The process runs.
    Started,
    /// No process of the start runs.
    NotStarted,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the start where it is"]
pub enum OrderEffect {
    /// Ask whether the held directory still has its name.
    CheckPlace,
    /// Put a fresh lifeline under the lifeline's name, by rename.
    RenewLifeline,
    /// Look at the file at the socket's path. Answer: [`OrderEvent::Room`].
    LookAtSocket,
    /// Remove the socket of the last worker.
    RemoveSocket,
    /// Write the record as `starting`, with the new generation and without an identity.
    WriteStarting,
    /// Make the descriptors for the worker: a bound socket, a socket for its notifications.
    Provide,
    /// Fork; the child takes the steps of [`CHILD`]. Answer: [`OrderEvent::Did`] once the program runs.
    Fork,
    /// Write the identity of the process into the record.
    WriteIdentity,
    /// Nothing: the start is over.
    Done(Begun),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderEvent {
    /// The effect was performed; of a question, the answer is yes.
    Did,
    /// The file at the socket's path.
    Room(Room),
    /// The effect failed, or the answer is no.
    Failed,
}

/// The file at the path of a socket, before a worker binds the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// No file.
    Free,
    /// A socket of ours without a listener.
    Stale,
    /// A foreign file, or a socket with a listener.
    Taken,
}

/// A step of the child between fork and exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildStep {
    /// Open the lifeline by its name and lock it.
    TakeLifeline,
    /// Write the child's identity into the lifeline.
    Mark,
    /// Look once more: the lifeline still has its name, and the directory its place. If not, leave.
    CheckPlace,
    /// Close the inherited copy of the claim.
    LetGoOfClaim,
    /// Become the program.
    Exec,
}

/// The steps of the child, in order. From fork to [`ChildStep::LetGoOfClaim`] the child's copy of the claim keeps the
/// claim held even if the launcher is killed. From [`ChildStep::TakeLifeline`] on, the child's lifeline guards the
/// child.
pub const CHILD: [ChildStep; 5] = [
    ChildStep::TakeLifeline,
    ChildStep::Mark,
    ChildStep::CheckPlace,
    ChildStep::LetGoOfClaim,
    ChildStep::Exec,
];

impl Default for Order {
    fn default() -> Self {
        Self { phase: Phase::Placing }
    }
}

impl Order {
    /// The next step.
    pub fn effect(self) -> OrderEffect {
        match self.phase {
            Phase::Placing => OrderEffect::CheckPlace,
            Phase::Renewing => OrderEffect::RenewLifeline,
            Phase::Looking => OrderEffect::LookAtSocket,
            Phase::Clearing => OrderEffect::RemoveSocket,
            Phase::Describing => OrderEffect::WriteStarting,
            Phase::Providing => OrderEffect::Provide,
            Phase::Forking => OrderEffect::Fork,
            Phase::Identifying => OrderEffect::WriteIdentity,
            Phase::Done(begun) => OrderEffect::Done(begun),
        }
    }
}

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "the start goes on from where this leads"]
pub fn step(start: Order, event: OrderEvent) -> Order {
    use {OrderEvent as Ev, Phase as At};
    let to = |phase| Order { phase };
    match (start.phase, event) {
        (At::Placing, Ev::Did) => to(At::Renewing),
        (At::Renewing, Ev::Did) => to(At::Looking),
        (At::Looking, Ev::Room(Room::Free)) | (At::Clearing, Ev::Did) => to(At::Describing),
        (At::Looking, Ev::Room(Room::Stale)) => to(At::Clearing),
        (At::Looking, Ev::Room(Room::Taken)) => to(At::Done(Begun::NotStarted)),
        (At::Describing, Ev::Did) => to(At::Providing),
        (At::Providing, Ev::Did) => to(At::Forking),
        (At::Forking, Ev::Did) => to(At::Identifying),
        // The lifeline's mark identifies the process, even if the record could not be completed.
        (At::Identifying, Ev::Did | Ev::Failed) => to(At::Done(Begun::Started)),
        (
            At::Placing
            | At::Renewing
            | At::Looking
            | At::Clearing
            | At::Describing
            | At::Providing
            | At::Forking,
            Ev::Failed,
        ) => to(At::Done(Begun::NotStarted)),
        (
            At::Placing
            | At::Renewing
            | At::Clearing
            | At::Describing
            | At::Providing
            | At::Forking
            | At::Identifying,
            Ev::Room(_),
        )
        | (At::Looking, Ev::Did)
        | (At::Done(_), Ev::Did | Ev::Room(_) | Ev::Failed) => start,
    }
}
