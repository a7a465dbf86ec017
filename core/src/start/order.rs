//! The order of a start: what is done under the claim, up to the process that runs.
//!
//! ```text
//! Placing → Renewing → Looking ┬→ Describing → Providing → Forking → Identifying → Done(Started)
//!                              └→ Clearing ──↑
//! ```
//!
//! # Invariants
//! 1. A fresh lifeline stands under its name before anything else changes, so that no holder of an older one is taken
//!    for a process of this start.
//! 2. The record says `starting` before the process exists, so that nobody believes the record of the start before.
//! 3. A socket on which somebody listens is not removed.
//! 4. What fails before the fork leaves no process.
//!
//! The steps of the child are [`CHILD`]. Each line taken back breaks a promise: `gates/tests/transactions.rs`.

/// A start, up to the process that runs.
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

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Begun {
    /// Its process runs.
    Started,
    /// Nothing of it runs.
    NotStarted,
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the start where it is"]
pub enum OrderEffect {
    /// Ask whether the directory that is held still has its name.
    CheckPlace,
    /// Put a fresh lifeline under its name, by rename.
    RenewLifeline,
    /// Look at what stands at the socket's path. Answer: [`OrderEvent::Room`].
    LookAtSocket,
    /// Remove the socket that the last worker left behind.
    RemoveSocket,
    /// Write the record as `starting`, with the new generation and without an identity.
    WriteStarting,
    /// Make what the worker is handed: a bound socket, a socket to tell its state to.
    Provide,
    /// Fork; the child takes the steps of [`CHILD`]. Answer: [`OrderEvent::Did`] once its program runs.
    Fork,
    /// Write the identity of the process into the record.
    WriteIdentity,
    /// Nothing: it is over.
    Done(Begun),
}

/// What came of the present effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderEvent {
    /// It was done; of a question, the answer is yes.
    Did,
    /// What stands at the socket's path.
    Room(Room),
    /// It failed, or the answer is no.
    Failed,
}

/// What stands at the path of a socket that a worker is about to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// Nothing.
    Free,
    /// A socket of ours on which nobody listens.
    Stale,
    /// Something that is not ours to remove, or on which somebody listens.
    Taken,
}

/// A step of the child between fork and exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildStep {
    /// Open the lifeline by its name and lock it.
    TakeLifeline,
    /// Write who it is into the lifeline.
    Mark,
    /// Look once more: the lifeline still has its name, and the directory its place. Else leave.
    CheckPlace,
    /// Let go of the inherited copy of the claim.
    LetGoOfClaim,
    /// Become the program.
    Exec,
}

/// The steps of the child, in their order. From fork to [`ChildStep::LetGoOfClaim`] its copy of the claim keeps the claim
/// held even if the launcher is killed; from [`ChildStep::TakeLifeline`] on, its lifeline guards it.
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
    /// What is to be done next.
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

/// Takes what came of the present effect. An answer that the effect cannot have changes nothing.
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
        // Its lifeline says who it is, also if the record could not be completed.
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
