//! What an actor learns of the last worker, as `rekindle/src/survey.rs` does.

use super::protocol::{GoneBy, Model};
use super::world::{InodeId, Process, Record, Role, StartId, World};
use rekindle_core::evidence::{Endpoint, LifelineHistory};
use rekindle_core::identity::{DeathProof, Standing};
use rekindle_core::{Evidence, LastWorker, Lifeline, RecordState, last_worker};

/// What was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Survey {
    /// The record.
    pub record: Option<Record>,
    /// The generation that it is about.
    pub generation: u8,
    /// The process that it began with.
    pub leader: Option<StartId>,
    /// What it amounts to.
    pub last: LastWorker,
    /// What the kernel said of the lifeline.
    pub lifeline: Lifeline,
}

/// Whom a launcher or a `stop` watches and signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pinned {
    /// The process that it began with.
    pub leader: Option<StartId>,
    /// The process that answered.
    pub peer: Option<Process>,
    /// The lifeline that was opened.
    pub lifeline: Option<InodeId>,
    /// Its generation.
    pub generation: u8,
    /// Whether it is a child of ours.
    pub ours: bool,
}

impl Survey {
    /// Nothing is there.
    pub const NOTHING: Self = Self {
        record: None,
        generation: 0,
        leader: None,
        last: LastWorker::Gone,
        lifeline: Lifeline::Missing,
    };

    /// Reads everything at one instant.
    pub fn take(model: &Model, world: &World) -> Self {
        let mark = world.lifeline.and_then(|inode| world.marks[usize::from(inode)]);
        Self::of(model, world, world.record, mark, world.lifeline)
    }

    /// Judges what was read: the record and the mark earlier, the lifeline and the processes now.
    pub fn of(
        model: &Model,
        world: &World,
        record: Option<Record>,
        mark: Option<StartId>,
        lifeline: Option<InodeId>,
    ) -> Self {
        let marked = |start: &StartId| world.starts[usize::from(*start)].generation;
        let mark = mark.filter(|start| record.is_none_or(|record| record.generation == marked(start)));
        let generation = record.map(|record| record.generation).or(mark.as_ref().map(marked)).unwrap_or(0);
        let recorded = record.and_then(|record| record.worker);
        let by_record_alone = model.protocol.gone == GoneBy::Record;
        let leader = recorded.or(mark.filter(|_| !by_record_alone));
        let lifeline = match lifeline {
            _ if by_record_alone => Lifeline::Free,
            None => Lifeline::Missing,
            Some(inode) if world.is_held(inode) => Lifeline::Held,
            Some(_) => Lifeline::Free,
        };
        let standing = |process| match world.life(process) {
            life if life.is_alive() => Standing::Alive,
            _ => Standing::Dead(DeathProof::NoSuchProcess),
        };
        let evidence = Evidence {
            recorded: record.map(|record| record.state),
            start_observed: record.is_some_and(|record| record.observed),
            lifeline,
            history: LifelineHistory::NotKnown,
            endpoint: Endpoint::Unclear,
            leader: leader.map(|start| standing(Process { start, role: Role::Leader })),
            peer: record.and_then(|record| record.peer).map(standing),
        };
        let believed =
            model.protocol.gone == GoneBy::ExitedRecord && evidence.recorded == Some(RecordState::Exited);
        let last = if believed { LastWorker::Gone } else { last_worker(&evidence) };
        Self { record, generation, leader, last, lifeline }
    }

    /// Whether what answers can be a worker of ours.
    pub fn may_answer(&self) -> bool {
        self.record.is_some() && self.last != LastWorker::Gone
    }

    /// The worker, pinned through `lifeline`.
    pub fn pin(&self, lifeline: Option<InodeId>) -> Pinned {
        let peer = self.record.and_then(|record| record.peer);
        Pinned { leader: self.leader, peer, lifeline, generation: self.generation, ours: false }
    }
}

impl Pinned {
    /// Whether every known process of it is gone.
    pub fn processes_are_gone(&self, world: &World) -> bool {
        let leader = self.leader.map(|start| Process { start, role: Role::Leader });
        leader.into_iter().chain(self.peer).all(|process| !world.life(process).is_alive())
    }
}
