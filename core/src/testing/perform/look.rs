//! The facts of a look: record, lifeline, processes and socket.

use crate::ensure::decide::Liveness;
use crate::process::id::Generation;
use crate::process::identity::{DeathProof, ProcessLiveness};
use crate::session::endpoint::EndpointKind;
use crate::session::evidence::{Evidence, LastWorker, Lifeline, LifelineHistory};
use crate::session::plan::PortChoice;
use crate::session::readiness::ShownBy;
use crate::session::record::RecordState;
use crate::session::view::assembly::{Assembly, FoundBy, Marked, Recorded};
use crate::session::view::{RecordIs, View};
use crate::start::order::Room;
use crate::testing::actor::{Actor, Pinned, ReadMark, ReadRecord, Seen, Task};
use crate::testing::kernel::Kernel;
use crate::testing::objects::{Files, InodeId, Life, PORTS, Place, Process, Record, Role, Socket, StartId};
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
        let start = &kernel.starts[usize::from(worker)];
        let (generation, place, worker) = (start.generation, start.place, Some(worker));
        let (state, observed, peer) = (RecordState::Ready, true, None);
        kernel.write_record(Record { state, generation, worker, peer, observed, place });
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
        let mut view = assembly.view(&evidence, self.endpoint);
        view.last = self.believed(kernel, &evidence, view);
        Seen { record, lifeline, leader: assembly.leader.map(|process| process.start), view }
    }

    /// The believed state of the last worker.
    pub(super) fn believed(&self, kernel: &Kernel, evidence: &Evidence, view: View) -> LastWorker {
        let exited = evidence.recorded == Some(RecordState::Exited);
        let asked = |place| kernel.answers(place).is_some();
        let is_silent = !asked(Place::Path) && !(0..PORTS as u8).map(Place::Port).any(asked);
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

impl Setting {
    /// Keeps the facts of a look, and plans the endpoint anew: a running worker keeps its endpoint.
    pub(super) fn note_look(&self, kernel: &mut Kernel, id: usize, seen: Seen) {
        let place = self.planned(kernel, id, &seen);
        let actor = &mut kernel.actors[id];
        (actor.seen, actor.place) = (seen, place);
        if let Place::Port(_) = place {
            actor.worker = self.known_worker(&seen);
        }
    }

    fn planned(&self, kernel: &mut Kernel, id: usize, seen: &Seen) -> Place {
        let of_mark = || seen.leader.map(|start| kernel.starts[usize::from(start)].place);
        let running = || seen.record.map(|record| record.place).or_else(of_mark);
        match (self.endpoint.kind, self.port) {
            (EndpointKind::Unix, _) => Place::Path,
            (EndpointKind::None, _) => Place::Nowhere,
            (EndpointKind::Tcp, PortChoice::Caller) => Place::Port(0),
            (EndpointKind::Tcp, PortChoice::Launcher) => match running() {
                Some(place) if seen.view.may_answer() => place,
                last => self.chosen(kernel, id, last),
            },
        }
    }

    /// The port of a new start: chosen only under the claim, and then looked at again each time. Before, no port may
    /// stand for the port to choose.
    fn chosen(&self, kernel: &mut Kernel, id: usize, last: Option<Place>) -> Place {
        let Actor { task, chosen, .. } = kernel.actors[id];
        let holds_claim = matches!(task, Task::Ensure(call) if call.holds_claim());
        let wanted = chosen.map(Place::Port).or(last);
        let free = wanted.into_iter().find(|place| kernel.socket_at(*place) == Socket::Absent);
        match chosen {
            _ if !holds_claim => free.unwrap_or(Place::Nowhere),
            Some(chosen) if self.conduct.has(Sabotage::PortKept) => Place::Port(chosen),
            Some(_) | None => {
                let port = free_port(kernel, free);
                kernel.actors[id].chosen = Some(port);
                Place::Port(port)
            }
        }
    }

    /// The worker in whose descriptors a listener is looked for.
    pub(super) fn known_worker(&self, seen: &Seen) -> Pinned {
        if seen.view.last == LastWorker::Gone { Pinned::NOBODY } else { seen.pin(seen.lifeline) }
    }

    /// The finding at an endpoint.
    pub(super) fn probe(&self, kernel: &Kernel, place: Place, worker: &Pinned) -> Liveness {
        match (place, kernel.socket_at(place)) {
            (_, Socket::Absent | Socket::Stale | Socket::Bound(_)) => Liveness::Dormant,
            (Place::Path, Socket::Listening(_)) => Liveness::Live,
            (Place::Port(_), Socket::Listening(by)) if self.is_member(kernel, worker, by) => Liveness::Live,
            (Place::Port(_), _) if self.conduct.has(Sabotage::StrangerBelieved) => Liveness::Live,
            (Place::Path | Place::Port(_) | Place::Nowhere, Socket::Listening(_) | Socket::Stranger) => {
                Liveness::Forged
            }
        }
    }

    /// What a watched worker shows: live if ready, forged if a stranger listens in its place.
    pub(super) fn shows(&self, kernel: &Kernel, place: Place, worker: &Pinned) -> Liveness {
        match self.endpoint.shown_by {
            ShownBy::Process => Liveness::Live,
            ShownBy::Listener => self.probe(kernel, place, worker),
        }
    }

    /// The place of a new worker.
    pub(super) fn room_at(&self, kernel: &Kernel, place: Place) -> Room {
        match place {
            Place::Path => room(kernel),
            Place::Nowhere => Room::Free,
            Place::Port(_) => match self.probe(kernel, place, &Pinned::NOBODY) {
                Liveness::Dormant | Liveness::Indeterminate => Room::Free,
                Liveness::Live | Liveness::Forged => Room::Taken,
            },
        }
    }
}

/// A free port: the wanted port, else any.
fn free_port(kernel: &Kernel, wanted: Option<Place>) -> u8 {
    let is_free = |place: &Place| kernel.socket_at(*place) == Socket::Absent;
    let ports = (0..PORTS as u8).map(Place::Port);
    match wanted.into_iter().chain(ports).find(is_free) {
        Some(Place::Port(port)) => port,
        Some(Place::Path | Place::Nowhere) | None => 0,
    }
}

pub(super) fn room(kernel: &Kernel) -> Room {
    match kernel.socket {
        Socket::Absent => Room::Free,
        Socket::Stale | Socket::Bound(_) => Room::Stale,
        Socket::Listening(_) | Socket::Stranger => Room::Taken,
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
