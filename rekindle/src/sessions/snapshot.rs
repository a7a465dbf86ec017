//! The present facts about a session: record, lifeline, processes and socket, read without any lock.
//!
//! Every verb that shows a session or decides about a session takes a snapshot. Only this file names a session's state.

use crate::error::Error;
use rekindle_adapters::lifeline::{self, LifelineMark, LifelineProbe, Located, Worksite};
use rekindle_adapters::probe::{self, Probed};
use rekindle_adapters::record_file;
use rekindle_adapters::socket_file::{self, Tenancy};
use rekindle_adapters::socket_table::ListeningSockets;
use rekindle_adapters::tcp::{self, Asked, Listeners};
use rekindle_adapters::{SessionDir, Worker, procfs, worker};
use rekindle_core::evidence::{EndpointHolder, Listener};
use rekindle_core::identity::{PidStatus, ProcessLiveness, judge};
use rekindle_core::plan::{ForeignListener, Role};
use rekindle_core::readiness::Proof;
use rekindle_core::record::{NewerRecord, RecordFile, SocketFile};
use rekindle_core::state::{Listening, OtherSpelling, session_state};
use rekindle_core::view::assembly::{Assembly, FoundBy, Marked, Recorded as RecordedFacts};
use rekindle_core::view::{Contact, EndpointView, RecordIs, View};
use rekindle_core::{
    Endpoint, Evidence, Generation, Host, LastWorker, Lifeline, Nonce, OsFailure, Pid, ProcessIdentity,
    Readiness, ReadyKind, RecordState, SessionId, SessionRecord, SessionState, SpawnBgPlan, last_worker,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// All facts about a session's last worker.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) record: Option<SessionRecord>,
    /// A record of a later version: this version must not rewrite the record.
    pub(crate) newer: Option<NewerRecord>,
    /// The reason why the record is unreadable. The facts from the lifeline are known nevertheless.
    pub(crate) corrupt: Option<String>,
    /// Record, lifeline and mark combined.
    assembly: Assembly<ProcessIdentity, Nonce>,
    pub(crate) evidence: Evidence,
    /// The mark in the lifeline, if written by the recorded start.
    pub(crate) mark: Option<LifelineMark>,
    /// The reason why the search for the lifeline was incomplete.
    pub(crate) gap: Option<OsFailure>,
    /// The open lifeline, independent of the file name.
    lifeline: Option<LifelineProbe>,
    /// A holder of the lifeline or the socket, if no recorded process lives.
    successor: Option<Pid>,
}

/// The content of the record file.
#[derive(Debug, Default)]
struct Recorded {
    record: Option<SessionRecord>,
    newer: Option<NewerRecord>,
    corrupt: Option<String>,
}

/// The listeners of this machine, read once for many sessions.
#[derive(Debug)]
pub(crate) struct ListenerTables {
    sockets: ListeningSockets,
    /// Read at the first session with a port.
    ports: Listeners,
}

impl ListenerTables {
    pub(crate) fn read() -> Self {
        Self { sockets: ListeningSockets::read(), ports: Listeners::default() }
    }
}

impl Recorded {
    fn read(dir: &SessionDir) -> Result<Self, OsFailure> {
        Ok(match record_file::read(dir)? {
            RecordFile::Absent => Self::default(),
            RecordFile::Whole(record) => Self { record: Some(*record), ..Self::default() },
            RecordFile::Newer(newer) => Self { newer: Some(newer), ..Self::default() },
            RecordFile::Corrupt { why } => Self { corrupt: Some(why), ..Self::default() },
        })
    }

    /// The recorded facts for a decision. An unreadable record and a record of a later version count as the record of a
    /// ready worker: the cautious assumption.
    fn facts(&self) -> RecordedFacts<ProcessIdentity, Nonce> {
        let unread = |is| RecordedFacts { is, state: Some(RecordState::Ready), ..RecordedFacts::ABSENT };
        match (&self.record, &self.newer, &self.corrupt) {
            (Some(record), ..) => RecordedFacts::of(record),
            (None, Some(newer), _) => {
                RecordedFacts { generation: newer.generation(), ..unread(RecordIs::Newer) }
            }
            (None, None, Some(_)) => unread(RecordIs::Corrupt),
            (None, None, None) => RecordedFacts::ABSENT,
        }
    }
}

/// A lifeline that was found, with its content.
struct FoundLifeline {
    probe: LifelineProbe,
    by: FoundBy,
    state: Lifeline,
    mark: Option<LifelineMark>,
}

impl FoundLifeline {
    /// Asks for the lock, then reads the mark: the order in which a worker takes the lock and writes the mark.
    fn read(probe: LifelineProbe, by: FoundBy) -> Result<Self, OsFailure> {
        let state = probe.ask();
        let mark = probe.mark()?;
        Ok(Self { probe, by, state, mark })
    }

    /// Detects the lifeline of another session: a directory renamed to another session's name still contains the old
    /// lifeline.
    fn another_session(&self, session: &SessionId) -> Option<OsFailure> {
        let named = self.mark.as_ref()?.session.as_ref().filter(|named| *named != session)?;
        Some(OsFailure::new("judge the lifeline", format!("it is that of session `{named}`")))
    }
}

impl Snapshot {
    /// The snapshot of a session without a directory.
    pub(crate) fn nothing() -> Self {
        Self {
            record: None,
            newer: None,
            corrupt: None,
            assembly: Assembly::new(RecordedFacts::ABSENT, (Lifeline::Missing, FoundBy::Name), None),
            evidence: Evidence::NONE,
            mark: None,
            gap: None,
            lifeline: None,
            successor: None,
        }
    }

    /// Reads all facts about a session.
    ///
    /// # Errors
    /// If a fact cannot be read. A corrupt record is no error: the lifeline may identify the worker.
    pub(crate) fn take(dir: &SessionDir, here: &Host) -> Result<Self, OsFailure> {
        let recorded = Recorded::read(dir)?;
        let (found, gap) = match lifeline::locate(dir)? {
            Located::Named(probe) => {
                let found = FoundLifeline::read(probe, FoundBy::Name)?;
                match found.another_session(dir.session()) {
                    Some(gap) => (None, Some(gap)),
                    None => (Some(found), None),
                }
            }
            Located::Lost(probe) => (Some(FoundLifeline::read(probe, FoundBy::Search)?), None),
            Located::Nowhere => (None, None),
            Located::Unsearched { why } => (None, Some(why)),
        };
        let mut snapshot = Self::of(recorded, found, gap, here);
        snapshot.look_for_successor(dir.path(), here);
        Ok(snapshot)
    }

    /// The snapshot of a session without files, from the lifeline that the worker still holds.
    ///
    /// # Errors
    /// If the lifeline cannot be read.
    pub(crate) fn of_lost(lifeline: LifelineProbe, here: &Host) -> Result<Self, OsFailure> {
        let found = FoundLifeline::read(lifeline, FoundBy::Search)?;
        Ok(Self::of(Recorded::default(), Some(found), None, here))
    }

    /// Looks for another process of the worker if no recorded process lives: a daemon that forked after listening, a
    /// leftover, or a worker that replaced itself and closed the inherited descriptors.
    fn look_for_successor(&mut self, dir: &Path, here: &Host) {
        if self.evidence.is_held_by_others() {
            let listens = match self.endpoint() {
                Some(Endpoint::Unix(socket)) => ListeningSockets::read().contains(&socket),
                Some(Endpoint::Tcp(at)) => self.is_port_listened_at(at, &Listeners::default(), here),
                Some(Endpoint::None) | None => false,
            };
            self.evidence =
                self.evidence.heard_of(if listens { Listener::Present } else { Listener::Absent });
            // An invisible holder has no pid to show; the held lock proves that the holder lives.
            let holders = self.lifeline.as_ref().and_then(|lifeline| lifeline.holders().ok());
            self.successor = holders.and_then(|holders| holders.first().copied());
        }
        let lost = self.evidence.was_lost_sight_of();
        match self.endpoint().filter(|_| lost) {
            Some(Endpoint::Unix(socket)) => {
                self.evidence.endpoint = holder(&socket, dir);
                if self.evidence.endpoint == EndpointHolder::Ours {
                    self.successor = worker::listener_at(&socket);
                }
            }
            Some(Endpoint::Tcp(at)) => self.evidence.endpoint = holder_of_port(at),
            Some(Endpoint::None) => self.evidence.endpoint = EndpointHolder::Vacant,
            None => {}
        }
    }

    fn of(recorded: Recorded, found: Option<FoundLifeline>, gap: Option<OsFailure>, here: &Host) -> Self {
        let asked = match (&found, &gap) {
            (Some(found), _) => (found.state, found.by),
            (None, Some(_)) => (Lifeline::Unreadable, FoundBy::Name),
            (None, None) => (Lifeline::Missing, FoundBy::Name),
        };
        let (lifeline, mark) = found.map(|found| (found.probe, found.mark)).unzip();
        let mark = mark.flatten();
        let marked = mark.as_ref().map(|mark| Marked {
            generation: mark.generation,
            nonce: mark.nonce.clone(),
            worker: mark.worker.clone(),
        });
        let assembly = Assembly::new(recorded.facts(), asked, marked);
        let mark = mark.filter(|_| assembly.is_marked());
        let lifeline = lifeline.filter(|_| assembly.lifeline() != Lifeline::Missing);
        let of_leader = assembly.leader.as_ref().map(|leader| match &lifeline {
            Some(lifeline) if assembly.leader_took_lifeline() => standing_of_taker(leader, lifeline, here),
            Some(_) | None => procfs::standing_of_leader(leader, here),
        });
        let of_peer = match &assembly.peer {
            peer if *peer == assembly.leader => of_leader,
            peer => peer.as_ref().map(|it| procfs::standing(it, here)),
        };
        let evidence = assembly.evidence(of_leader, of_peer);
        let Recorded { record, newer, corrupt } = recorded;
        Self { record, newer, corrupt, assembly, evidence, mark, gap, lifeline, successor: None }
    }

    /// The facts for the machine's decision.
    pub(crate) fn view(&self, endpoint: EndpointView) -> View {
        self.assembly.view(&self.evidence, endpoint)
    }

    /// The facts for a decision about the recorded endpoint, without a connection.
    pub(crate) fn view_of_record(&self) -> View {
        let endpoint = self.endpoint();
        self.view(
            endpoint.as_ref().map_or(EndpointView::SOCKET, |endpoint| self.endpoint_view(endpoint, None)),
        )
    }

    /// An endpoint, as far as a decision depends on it. The caller's condition counts for an endpoint that no worker of
    /// ours was started for.
    pub(crate) fn endpoint_view(&self, endpoint: &Endpoint, asked: Option<&Readiness>) -> EndpointView {
        let kind = endpoint.kind();
        let started = self.readiness_at(endpoint);
        let contact = match &started {
            Some(ready) if !ready.kind().row().connects.allows_probes() => Contact::Gentle,
            Some(_) | None => Contact::Connect,
        };
        let condition = started.as_ref().or(asked).map_or(ReadyKind::default(), Readiness::kind);
        // A caller who speaks to the worker needs its answer, whatever the worker was started for.
        let needs_answer = asked == Some(&Readiness::Handshake);
        let of_kind = EndpointView::of(condition, kind);
        let proof = if needs_answer { Proof::Answer } else { of_kind.proof };
        EndpointView { contact, proof, ..of_kind }
    }

    /// The generation of the recorded or marked start.
    pub(crate) fn generation(&self) -> Generation {
        self.assembly.generation()
    }

    /// The process that was started, if known.
    pub(crate) fn leader(&self) -> Option<&ProcessIdentity> {
        self.assembly.leader.as_ref()
    }

    /// The process that answered, if known.
    pub(crate) fn peer(&self) -> Option<&ProcessIdentity> {
        self.assembly.peer.as_ref()
    }

    /// Whether there ever was a worker.
    pub(crate) fn is_known(&self) -> bool {
        self.view_of_record().is_known()
    }

    /// The record of a worker to adopt. If the record has no leader, the lifeline's leader is used.
    pub(crate) fn adopted_record(&self) -> Option<SessionRecord> {
        let leader = || self.assembly.leader.clone();
        self.record
            .clone()
            .map(|record| SessionRecord { worker: record.worker.clone().or_else(leader), ..record })
    }

    /// Whether the worker lives without a record.
    pub(crate) fn lacks_record(&self) -> bool {
        self.assembly.lacks_record()
    }

    /// The verdict on the last worker, from the evidence.
    pub(crate) fn last_worker(&self) -> LastWorker {
        last_worker(&self.evidence)
    }

    /// The state of the session, as every list shows it.
    pub(crate) fn state(&self, listening: &ListenerTables, here: &Host) -> SessionState {
        if self.corrupt.is_some() {
            return SessionState::Corrupt;
        }
        let endpoint = self.endpoint();
        let listens = self.last_worker() != LastWorker::Gone
            && endpoint.as_ref().is_some_and(|endpoint| self.is_listened_at(endpoint, listening, here));
        let listens = if listens { Listening::Yes } else { Listening::No };
        let listens = Listening::of(&self.view_of_record(), listens);
        session_state(self.last_worker(), self.evidence.recorded, listens)
    }

    fn is_listened_at(&self, endpoint: &Endpoint, listening: &ListenerTables, here: &Host) -> bool {
        match endpoint {
            Endpoint::Unix(socket) => self.is_listened_on(socket, &listening.sockets),
            Endpoint::Tcp(at) => self.is_port_listened_at(*at, &listening.ports, here),
            Endpoint::None => false,
        }
    }

    /// Whether the worker listens on its port, or its relay. The worker is not connected to.
    fn is_port_listened_at(&self, at: SocketAddr, ports: &Listeners, here: &Host) -> bool {
        let worker = self.worker(here).ok();
        Asked { at, worker: worker.as_ref(), foreign: self.foreign_listener() }.is_listened_at(ports)
    }

    /// Whether a process listens on a socket in the right place. A worker that became ready without a connection is
    /// asked without a connection here too.
    fn is_listened_on(&self, socket: &Path, listening: &ListeningSockets) -> bool {
        if listening.contains(socket) {
            return probe::stands_trusted(socket);
        }
        // The kernel's table has the path as the worker wrote it. A listener with a relative path needs a separate
        // probe.
        match OtherSpelling::of(self.evidence.recorded) {
            OtherSpelling::Ignored => false,
            OtherSpelling::Asked if self.view_of_record().contact == Contact::Connect => {
                matches!(probe::probe_once(socket), Probed::Live(_))
            }
            OtherSpelling::Asked => {
                probe::stands_trusted(socket) && socket_file::tenancy(socket) == Tenancy::Taken
            }
        }
    }

    /// Fails if the record cannot be read.
    pub(crate) fn require_readable(&self, dir: &Path, session: &SessionId) -> Result<(), Error> {
        let corrupt = |why: &String| {
            let path = dir.join(record_file::RECORD_FILE);
            Err(Error::RecordCorrupt { session: session.clone(), path, why: why.clone() })
        };
        self.corrupt.as_ref().map_or(Ok(()), corrupt)
    }

    /// Whether a process that answers on the session's socket may be a worker of ours.
    pub(crate) fn may_answer(&self) -> bool {
        self.view_of_record().may_answer()
    }

    /// The pid to show: the leader's; if the leader has ended, the pid of the process that answered; if both have
    /// ended, a holder of the lifeline or the socket.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let lives = |standing: Option<ProcessLiveness>| standing.is_some_and(ProcessLiveness::is_alive);
        let leader = self.assembly.leader.as_ref().map(|it| it.pid);
        let peer = self.assembly.peer.as_ref().map(|it| it.pid);
        if lives(self.evidence.leader) {
            leader
        } else if lives(self.evidence.peer) {
            peer
        } else {
            self.successor
        }
    }

    /// The unproven facts, one sentence each.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let of_process = |identity: &Option<ProcessIdentity>, standing: Option<ProcessLiveness>| {
            let (Some(identity), Some(ProcessLiveness::Unjudged(doubt))) = (identity, standing) else {
                return None;
            };
            Some(format!("process {} cannot be judged: {}", identity.pid, doubt.describe()))
        };
        let leader = of_process(&self.assembly.leader, self.evidence.leader);
        let peer = of_process(&self.assembly.peer, self.evidence.peer)
            .filter(|_| self.assembly.peer != self.assembly.leader);
        let unsearched =
            self.gap.as_ref().map(|why| format!("its lifeline could not be searched for: {why}"));
        let unread = (self.evidence.lifeline == Lifeline::Unreadable && self.gap.is_none())
            .then(|| "the kernel does not say whether its lifeline is held".to_owned());
        leader.into_iter().chain(peer).chain(unsearched).chain(unread).collect()
    }

    /// The launch details in the lifeline's mark.
    pub(crate) fn worksite(&self) -> Option<&Worksite> {
        self.mark.as_ref().and_then(|mark| mark.worksite.as_ref())
    }

    /// The worker's endpoint, if recorded.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let of_record = self.record.as_ref().map(SessionRecord::endpoint);
        let of_newer = || self.newer.as_ref().and_then(NewerRecord::endpoint).cloned();
        of_record.or_else(of_newer).or_else(|| self.worksite().map(Worksite::endpoint))
    }

    /// Whether the worker answers at `endpoint`, or was started for `endpoint`: a worker that was told one loopback address
    /// may answer at the other.
    fn is_worker_at(&self, endpoint: &Endpoint) -> bool {
        self.endpoint().as_ref() == Some(endpoint) || self.planned_endpoint() == Some(endpoint)
    }

    /// The endpoint for which the worker was started, if recorded.
    pub(crate) fn planned_endpoint(&self) -> Option<&Endpoint> {
        self.record.as_ref().and_then(SessionRecord::whole_plan).map(SpawnBgPlan::target)
    }

    /// The path of the worker's socket, if recorded.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match (&self.record, &self.newer) {
            (Some(record), _) => record.socket(),
            (None, Some(newer)) => newer.endpoint().and_then(Endpoint::socket),
            (None, None) => self.worksite().and_then(|site| site.socket.as_deref()),
        }
    }

    /// The socket file made by the worker, if recorded.
    pub(crate) fn socket_file(&self) -> Option<SocketFile> {
        self.record.as_ref().and_then(|record| record.socket_file)
    }

    /// The time of the start.
    pub(crate) fn started_at(&self) -> Option<String> {
        let of_record = self.record.as_ref().map(|record| record.started_at);
        of_record.or_else(|| self.worksite().map(|site| site.started_at)).map(|at| at.to_string())
    }

    /// The worker's role, if recorded.
    pub(crate) fn role(&self) -> Option<Role> {
        let of_record = self.record.as_ref().map(SessionRecord::role);
        of_record.or_else(|| self.newer.as_ref().and_then(NewerRecord::role))
    }

    /// The condition for ready, if a worker of ours may run and was started for `endpoint`.
    pub(crate) fn readiness_at(&self, endpoint: &Endpoint) -> Option<Readiness> {
        if !self.is_worker_at(endpoint) || self.last_worker() == LastWorker::Gone {
            return None;
        }
        let of_record = self.record.as_ref().map(SessionRecord::readiness);
        of_record.or_else(|| self.worksite().map(|site| &site.readiness)).cloned()
    }

    /// Probes an endpoint. A worker that became ready without a connection is probed without a connection.
    pub(crate) async fn probe(&self, endpoint: &Endpoint, foreign: ForeignListener, here: &Host) -> Probed {
        let contact = self.endpoint_view(endpoint, None).contact;
        match (endpoint, contact) {
            (Endpoint::Unix(socket), Contact::Connect) => probe::probe(socket).await,
            (Endpoint::Unix(socket), Contact::Gentle) => probe::probe_gently(socket).await,
            (Endpoint::Tcp(at), contact) => self.probe_port(*at, contact, foreign, here),
            (Endpoint::None, _) => no_endpoint(),
        }
    }

    /// Probes an endpoint without waiting.
    pub(crate) fn probe_once(&self, endpoint: &Endpoint, foreign: ForeignListener, here: &Host) -> Probed {
        match endpoint {
            Endpoint::Unix(socket) => probe::probe_once(socket),
            Endpoint::Tcp(at) => {
                self.probe_port(*at, self.endpoint_view(endpoint, None).contact, foreign, here)
            }
            Endpoint::None => no_endpoint(),
        }
    }

    /// Probes a TCP port: whether this session's worker listens there.
    pub(crate) fn probe_port(
        &self,
        at: SocketAddr,
        contact: Contact,
        foreign: ForeignListener,
        here: &Host,
    ) -> Probed {
        // A worker that cannot be pinned cannot be recognised; its listener is then foreign.
        let worker = self.may_run().then(|| self.worker(here).ok()).flatten();
        Asked { at, worker: worker.as_ref(), foreign }.probe(contact)
    }

    /// The recorded treatment of a listener that is no process of the worker.
    pub(crate) fn foreign_listener(&self) -> ForeignListener {
        let plan = self.record.as_ref().and_then(SessionRecord::whole_plan);
        plan.map(|plan| plan.foreign_listener).unwrap_or_default()
    }

    /// Whether a worker of ours may run.
    fn may_run(&self) -> bool {
        self.last_worker() != LastWorker::Gone
    }

    /// The worker of this snapshot's start, pinned for watching or signalling. A process that is not proved to belong
    /// to that start is not pinned.
    ///
    /// # Errors
    /// If a process of the worker runs and cannot be pinned.
    pub(crate) fn worker(&self, here: &Host) -> Result<Worker, OsFailure> {
        let lifeline = self.lifeline.as_ref().map(LifelineProbe::try_clone).transpose()?;
        let worker = Worker::adopt(self.assembly.leader.clone(), self.assembly.peer.clone(), lifeline, here)?;
        let listener = self.socket().filter(|_| self.evidence.endpoint == EndpointHolder::Ours);
        Ok(match listener.map(PathBuf::from) {
            Some(socket) => worker.listening_at(socket),
            None => worker,
        })
    }

    /// The visible holders of the lifeline.
    ///
    /// # Errors
    /// If the processes cannot be listed.
    pub(crate) fn holders(&self) -> Result<Vec<Pid>, OsFailure> {
        let held = self.lifeline.as_ref().filter(|_| self.evidence.lifeline == Lifeline::Held);
        held.map_or(Ok(Vec::new()), LifelineProbe::holders)
    }
}

fn no_endpoint() -> Probed {
    Probed::Dormant { why: "the session has no endpoint".to_owned() }
}

/// The owner of the socket of a session with directory `dir`. Only this user can put a socket into `dir`.
fn holder(socket: &Path, dir: &Path) -> EndpointHolder {
    match socket_file::tenancy(socket) {
        Tenancy::Vacant => EndpointHolder::Vacant,
        Tenancy::Taken if socket.parent() == Some(dir) => EndpointHolder::Ours,
        Tenancy::Taken | Tenancy::Shut | Tenancy::Unclear => EndpointHolder::Unclear,
    }
}

/// The holder of a port: any user can listen there, so a listener is not known to be ours.
fn holder_of_port(at: SocketAddr) -> EndpointHolder {
    match tcp::is_taken(at) {
        Ok(false) => EndpointHolder::Vacant,
        Ok(true) | Err(_) => EndpointHolder::Unclear,
    }
}

/// The standing of a leader that took a held lifeline. An open lifeline in the leader proves that the leader runs.
fn standing_of_taker(leader: &ProcessIdentity, lifeline: &LifelineProbe, here: &Host) -> ProcessLiveness {
    if lifeline.is_kept_by(leader.pid) {
        judge(leader, here, PidStatus::Running { start_time: leader.start_time })
    } else {
        procfs::standing_of_leader(leader, here)
    }
}
