//! The facts of a look: record, lifeline, processes and socket.

use crate::ensure::decide::Liveness;
use crate::process::id::Generation;
use crate::process::identity::{DeathProof, ProcessLiveness};
use crate::session::evidence::{Evidence, LastWorker, Lifeline, LifelineHistory};
use crate::session::record::RecordState;
use crate::session::view::assembly::{Assembly, FoundBy, Marked, Recorded};
use crate::session::view::{EndpointView, RecordIs, View};
use crate::start::order::Room;
use crate::testing::actor::{ReadMark, ReadRecord, Seen};
use crate::testing::kernel::Kernel;
use crate::testing::objects::{Files, InodeId, Life, Process, Record, Role, Socket, StartId};
use crate::testing::program::Setting;
use crate::testing::sabotage::Sabotage;

impl Setting {
    /// The files of the actor's open directory.
    pub(super) fn files_of(&self, kernel: &Kernel, id: usize) -> Files {
        if Self::is_in_place(kernel, id) { kernel.files } else { Files::NONE }
    }

    /// The lifeline under the name, or a lifeline of this session that a process holds.
    pub(super) fn open_lifeline(&self, kernel: &Kernel) -> Option<InodeId> {
        let searched = !self.conduct.has(Sabotage::LostLifelineUnsearched);
        kernel.files.lifeline.or_else(|| kernel.lost_lifeline().filter(|_| searched))
    }

    /// Reads all facts at a single instant, and restores a lost record.
    pub(super) fn look_under_claim(&self, kernel: &mut Kernel, id: usize) -> Seen {
        let files = self.files_of(kernel, id);
        let seen = self.look(kernel, files);
        let by_record = self.conduct.has(Sabotage::GoneByRecord);
        let lifeline = seen.lifeline.filter(|inode| kernel.is_held(*inode) && !by_record);
        let mark = lifeline.and_then(|inode| kernel.marks[usize::from(inode)]);
        let (Some(worker), None, true) = (mark, files.record, Self::is_in_place(kernel, id)) else {
            return seen;
        };
        let generation = kernel.starts[usize::from(worker)].generation;
        let (state, observed) = (RecordState::Ready, true);
        kernel.write_record(Record { state, generation, worker: Some(worker), peer: None, observed });
        self.look(kernel, kernel.files)
    }

    /// Reads all facts at a single instant.
    pub fn look(&self, kernel: &Kernel, files: Files) -> Seen {
        let lifeline = files.lifeline.or_else(|| self.open_lifeline(kernel));
        let mark = lifeline.and_then(|inode| kernel.marks[usize::from(inode)]);
        self.assemble(kernel, files.record, mark, lifeline)
    }

    /// Combines the facts: record and mark from earlier, lifeline and processes from now.
    pub(super) fn assemble(
        &self,
        kernel: &Kernel,
        record: Option<Record>,
        mark: Option<StartId>,
        lifeline: Option<InodeId>,
    ) -> Seen {
        let by_record = self.conduct.has(Sabotage::GoneByRecord);
        let asked = match lifeline {
            _ if by_record => Lifeline::Free,
            None => Lifeline::Missing,
            Some(inode) if kernel.is_held(inode) => Lifeline::Held,
            Some(_) => Lifeline::Free,
        };
        let mark = mark.filter(|_| !by_record).map(|start| read_mark(kernel, start));
        let is_named = lifeline.is_some() && lifeline == kernel.files.lifeline;
        let found_by = if is_named { FoundBy::Name } else { FoundBy::Search };
        let assembly = Assembly::new(record.map_or(ReadRecord::ABSENT, read_record), (asked, found_by), mark);
        let lifeline = lifeline.filter(|_| assembly.lifeline() != Lifeline::Missing);
        let standing = |process: Process| match kernel.life(process) {
            Life::Alive { .. } => ProcessLiveness::Alive,
            Life::Unborn | Life::Dead => ProcessLiveness::Dead(DeathProof::NoSuchProcess),
        };
        let evidence = assembly.evidence(assembly.leader.map(standing), assembly.peer.map(standing));
        let mut view = assembly.view(&evidence, EndpointView::SOCKET);
        view.last = self.believed(kernel, &evidence, view);
        Seen { record, lifeline, leader: assembly.leader.map(|process| process.start), view }
    }

    /// The believed state of the last worker.
    pub(super) fn believed(&self, kernel: &Kernel, evidence: &Evidence, view: View) -> LastWorker {
        let exited = evidence.recorded == Some(RecordState::Exited);
        let is_silent = kernel.answers().is_none();
        if (self.conduct.has(Sabotage::GoneByExitedRecord) && exited)
            || (self.conduct.has(Sabotage::GoneByRefusedConnect) && is_silent)
        {
            LastWorker::Gone
        } else {
            view.last
        }
    }

    /// The stop's view of a look.
    pub(super) fn stop_view(&self, view: View) -> View {
        let careless =
            self.conduct.has(Sabotage::StopPinsOpenedOnce) || self.conduct.has(Sabotage::StopPinsByName);
        let coherence = if careless { crate::session::view::Coherence::OneStart } else { view.coherence };
        View { coherence, ..view }
    }
}

pub(super) fn probe(kernel: &Kernel) -> Liveness {
    if kernel.answers().is_some() { Liveness::Live } else { Liveness::Dormant }
}

pub(super) fn room(kernel: &Kernel) -> Room {
    match kernel.socket {
        Socket::Absent => Room::Free,
        Socket::Stale | Socket::Bound(_) => Room::Stale,
        Socket::Listening(_) => Room::Taken,
    }
}

pub(super) fn read_record(record: Record) -> ReadRecord {
    let leader = |start| Process { start, role: Role::Leader };
    let was_observed = record.observed.then_some(LifelineHistory::NotKnown);
    Recorded {
        is: if record.worker.is_some() { RecordIs::NamesWorker } else { RecordIs::NamesNobody },
        generation: Some(Generation::new(u64::from(record.generation))),
        nonce: None,
        state: Some(record.state),
        start_observed: record.observed,
        history: was_observed,
        worker: record.worker.map(leader),
        peer: record.peer,
    }
}

pub(super) fn read_mark(kernel: &Kernel, start: StartId) -> ReadMark {
    let generation = Generation::new(u64::from(kernel.starts[usize::from(start)].generation));
    Marked { generation, nonce: None, worker: Process { start, role: Role::Leader } }
}
