//! What is known of a session right now: its record, its lifeline, its processes and its socket, read without any lock.
//!
//! Every verb that shows a session or decides about it takes a snapshot, and all words for how it stands come from here.

use crate::error::Error;
use rekindle_adapters::lifeline::{self, LifelineMark, LifelineProbe, Located, Worksite};
use rekindle_adapters::probe::{self, Probed};
use rekindle_adapters::record_file;
use rekindle_adapters::socket_file::{self, Tenancy};
use rekindle_adapters::socket_table::ListeningSockets;
use rekindle_adapters::{SessionDir, Worker, procfs, worker};
use rekindle_core::evidence::{Endpoint, Listener};
use rekindle_core::identity::{PidStatus, ProcessLiveness, judge};
use rekindle_core::plan::Role;
use rekindle_core::readiness::Connects;
use rekindle_core::record::{NewerRecord, RecordFile, SocketFile};
use rekindle_core::state::{Listening, session_state};
use rekindle_core::view::assembly::{Assembly, FoundBy, Marked, Recorded as RecordedFacts};
use rekindle_core::view::{Contact, RecordIs, View};
use rekindle_core::{
    Evidence, Generation, Host, LastWorker, Lifeline, Nonce, OsFailure, Pid, ProcessIdentity, ReadyKind,
    RecordState, SessionId, SessionRecord, SessionState, last_worker,
};
use std::path::{Path, PathBuf};

/// All that is known of a session's last worker.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) record: Option<SessionRecord>,
    /// A record that this version may not rewrite.
    pub(crate) newer: Option<NewerRecord>,
    /// A record that cannot be read, and why. What the lifeline says is known all the same.
    pub(crate) corrupt: Option<String>,
    /// Record, lifeline and mark, put together.
    assembly: Assembly<ProcessIdentity, Nonce>,
    pub(crate) evidence: Evidence,
    /// What the worker wrote into its lifeline, if that is of the start that was recorded.
    pub(crate) mark: Option<LifelineMark>,
    /// Why the lifeline could not be searched for everywhere.
    pub(crate) gap: Option<OsFailure>,
    /// The lifeline that was asked, whatever its name comes to mean.
    lifeline: Option<LifelineProbe>,
    /// Who holds the lifeline or the socket where none of those lives who were written down.
    successor: Option<Pid>,
}

/// What the record's file holds.
#[derive(Debug, Default)]
struct Recorded {
    record: Option<SessionRecord>,
    newer: Option<NewerRecord>,
    corrupt: Option<String>,
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

    /// What it says, as far as a decision depends on that. What cannot be read, or was written by a later version, is of a
    /// worker that was ready, for all that this version may do about it.
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

impl Snapshot {
    /// Of a session that has no directory.
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

    /// Reads everything about a session.
    ///
    /// # Errors
    /// If anything cannot be read. That the record is corrupt is no error: the lifeline may know the worker.
    pub(crate) fn take(dir: &SessionDir, here: &Host) -> Result<Self, OsFailure> {
        let recorded = Recorded::read(dir)?;
        let (lifeline, gap) = match lifeline::locate(dir)? {
            Located::Named(probe) => match another_session(&probe, dir.session())? {
                Some(gap) => (None, Some(gap)),
                None => (Some((probe, FoundBy::Name)), None),
            },
            Located::Lost(probe) => (Some((probe, FoundBy::Search)), None),
            Located::Nowhere => (None, None),
            Located::Unsearched { why } => (None, Some(why)),
        };
        let mut snapshot = Self::of(recorded, lifeline, gap, here)?;
        snapshot.look_for_successor(dir.path());
        Ok(snapshot)
    }

    /// Of a session whose files are gone, from the lifeline that its worker still holds.
    ///
    /// # Errors
    /// If the lifeline cannot be read.
    pub(crate) fn of_lost(lifeline: LifelineProbe, here: &Host) -> Result<Self, OsFailure> {
        Self::of(Recorded::default(), Some((lifeline, FoundBy::Search)), None, here)
    }

    /// Where nobody who was written down lives, somebody else may: a daemon that forked after it had begun to listen, a
    /// leftover, or a worker that replaced itself and closed what it had inherited.
    fn look_for_successor(&mut self, dir: &Path) {
        if self.evidence.is_held_by_others() {
            let listens = self.socket().is_some_and(|socket| ListeningSockets::read().contains(socket));
            self.evidence =
                self.evidence.heard_of(if listens { Listener::Present } else { Listener::Absent });
            // One that cannot be seen has no pid to show; that it lives, its lock says.
            let holders = self.lifeline.as_ref().and_then(|lifeline| lifeline.holders().ok());
            self.successor = holders.and_then(|holders| holders.first().copied());
        }
        let lost = self.evidence.was_lost_sight_of();
        if let Some(socket) = self.socket().filter(|_| lost).map(ToOwned::to_owned) {
            self.evidence.endpoint = endpoint(&socket, dir);
            if self.evidence.endpoint == Endpoint::Ours {
                self.successor = worker::listener_at(&socket);
            }
        }
    }

    fn of(
        recorded: Recorded,
        located: Option<(LifelineProbe, FoundBy)>,
        gap: Option<OsFailure>,
        here: &Host,
    ) -> Result<Self, OsFailure> {
        let asked = match (&located, &gap) {
            (Some((lifeline, found_by)), _) => (lifeline.ask(), *found_by),
            (None, Some(_)) => (Lifeline::Unreadable, FoundBy::Name),
            (None, None) => (Lifeline::Missing, FoundBy::Name),
        };
        let mark = located.as_ref().map(|(lifeline, _)| lifeline.mark()).transpose()?.flatten();
        let marked = mark.as_ref().map(|mark| Marked {
            generation: mark.generation,
            nonce: mark.nonce.clone(),
            worker: mark.worker.clone(),
        });
        let assembly = Assembly::new(recorded.facts(), asked, marked);
        let mark = mark.filter(|_| assembly.is_marked());
        let lifeline = located.map(|(lifeline, _)| lifeline);
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
        Ok(Self { record, newer, corrupt, assembly, evidence, mark, gap, lifeline, successor: None })
    }

    /// What a transaction decides by.
    pub(crate) fn view(&self, contact: Contact) -> View {
        self.assembly.view(&self.evidence, contact)
    }

    /// Which start it is about.
    pub(crate) fn generation(&self) -> Generation {
        self.assembly.generation()
    }

    /// The process that was started, as far as that is known.
    pub(crate) fn leader(&self) -> Option<&ProcessIdentity> {
        self.assembly.leader.as_ref()
    }

    /// The process that answered, as far as that is known.
    pub(crate) fn peer(&self) -> Option<&ProcessIdentity> {
        self.assembly.peer.as_ref()
    }

    /// Whether there ever was a worker.
    pub(crate) fn is_known(&self) -> bool {
        self.view(Contact::Connect).is_known()
    }

    /// The record of a worker that is taken over, with the process that its lifeline names where the record names none.
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

    /// What it amounts to.
    pub(crate) fn last_worker(&self) -> LastWorker {
        last_worker(&self.evidence)
    }

    /// How the session stands, in the word that every list uses.
    pub(crate) fn state(&self, listening: &ListeningSockets) -> SessionState {
        if self.corrupt.is_some() {
            return SessionState::Corrupt;
        }
        let listens = self.last_worker() != LastWorker::Gone
            && self.socket().is_some_and(|socket| self.is_listened_on(socket, listening));
        let listens = if listens { Listening::Yes } else { Listening::No };
        session_state(self.last_worker(), self.evidence.recorded, listens)
    }

    /// Whether somebody listens on a socket that stands where it belongs. Nobody is connected to who was not when he became
    /// ready.
    fn is_listened_on(&self, socket: &Path, listening: &ListeningSockets) -> bool {
        if listening.contains(socket) {
            return probe::stands_trusted(socket);
        }
        // The table knows the path as the worker gave it; a relative one has to be asked for itself.
        match self.evidence.recorded {
            Some(RecordState::Starting | RecordState::Retained) => false,
            Some(RecordState::Ready | RecordState::Exited) | None if self.may_be_connected_to(socket) => {
                matches!(probe::probe_once(socket), Probed::Live(_))
            }
            Some(RecordState::Ready | RecordState::Exited) | None => {
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

    /// Whether whatever answers on the session's socket can be a worker of ours.
    pub(crate) fn may_answer(&self) -> bool {
        self.view(Contact::Connect).may_answer()
    }

    /// The pid to show: the leader's; that of the process that answers, if the leader has ended; or that of one that
    /// holds the lifeline or the socket, if both have.
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

    /// What cannot be proved, one sentence a fact.
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

    /// What the worker was started for, as it wrote it into its lifeline.
    pub(crate) fn worksite(&self) -> Option<&Worksite> {
        self.mark.as_ref().and_then(|mark| mark.worksite.as_ref())
    }

    /// Where its worker answers, as far as that was written down.
    pub(crate) fn socket(&self) -> Option<&Path> {
        let of_record = self.record.as_ref().map(SessionRecord::socket);
        let of_mark = || self.worksite().map(|site| site.socket.as_path());
        of_record.or_else(|| self.newer.as_ref().and_then(NewerRecord::socket)).or_else(of_mark)
    }

    /// The socket file that the worker is known to have made.
    pub(crate) fn socket_file(&self) -> Option<SocketFile> {
        self.record.as_ref().and_then(|record| record.socket_file)
    }

    /// When the start began.
    pub(crate) fn started_at(&self) -> Option<String> {
        let of_record = self.record.as_ref().map(|record| record.started_at);
        of_record.or_else(|| self.worksite().map(|site| site.started_at)).map(|at| at.to_string())
    }

    /// What the worker is for, where a record says so.
    pub(crate) fn role(&self) -> Option<Role> {
        let of_record = self.record.as_ref().map(SessionRecord::role);
        of_record.or_else(|| self.newer.as_ref().and_then(NewerRecord::role))
    }

    /// What counted as ready, if a worker of ours may answer on `socket` and was to do so there.
    pub(crate) fn readiness_on(&self, socket: &Path) -> Option<ReadyKind> {
        if self.socket() != Some(socket) || !self.may_answer() {
            return None;
        }
        let of_record = self.record.as_ref().map(SessionRecord::readiness);
        of_record.or_else(|| self.worksite().map(|site| site.readiness))
    }

    /// Probes a session's socket. A worker that was not connected to when it became ready is not connected to now.
    pub(crate) async fn probe(&self, socket: &Path) -> Probed {
        if self.may_be_connected_to(socket) {
            probe::probe(socket).await
        } else {
            probe::probe_gently(socket).await
        }
    }

    /// Whether the worker was connected to when it became ready, so that it can be connected to for a look.
    pub(crate) fn may_be_connected_to(&self, socket: &Path) -> bool {
        match self.readiness_on(socket).map(|kind| kind.row().connects) {
            Some(Connects::Nobody) => false,
            Some(Connects::Launcher) | None => true,
        }
    }

    /// The worker, pinned, to be watched or signalled: of the very start that was looked at. Who is not proved to be of it is
    /// not pinned.
    ///
    /// # Errors
    /// If a process of it runs and cannot be pinned.
    pub(crate) fn worker(&self, here: &Host) -> Result<Worker, OsFailure> {
        let lifeline = self.lifeline.as_ref().map(LifelineProbe::try_clone).transpose()?;
        let worker = Worker::adopt(self.assembly.leader.clone(), self.assembly.peer.clone(), lifeline, here)?;
        let listener = self.socket().filter(|_| self.evidence.endpoint == Endpoint::Ours);
        Ok(match listener.map(PathBuf::from) {
            Some(socket) => worker.listening_at(socket),
            None => worker,
        })
    }

    /// Those who can be seen to hold the lifeline.
    ///
    /// # Errors
    /// If the processes cannot be listed.
    pub(crate) fn holders(&self) -> Result<Vec<Pid>, OsFailure> {
        let held = self.lifeline.as_ref().filter(|_| self.evidence.lifeline == Lifeline::Held);
        held.map_or(Ok(Vec::new()), LifelineProbe::holders)
    }
}

/// A directory that was moved to another session's name brings its lifeline along, which is not that session's.
fn another_session(lifeline: &LifelineProbe, session: &SessionId) -> Result<Option<OsFailure>, OsFailure> {
    let named = lifeline.mark()?.and_then(|mark| mark.session).filter(|named| named != session);
    Ok(named.map(|named| OsFailure::new("judge the lifeline", format!("it is that of session `{named}`"))))
}

/// Who has the socket of a session whose directory is `dir`. Nobody but us can put a socket into that directory.
fn endpoint(socket: &Path, dir: &Path) -> Endpoint {
    match socket_file::tenancy(socket) {
        Tenancy::Vacant => Endpoint::Vacant,
        Tenancy::Taken if socket.parent() == Some(dir) => Endpoint::Ours,
        Tenancy::Taken | Tenancy::Shut | Tenancy::Unclear => Endpoint::Unclear,
    }
}

/// How a leader stands that took the lifeline, which is held. That it has it open still is proof enough that it runs.
fn standing_of_taker(leader: &ProcessIdentity, lifeline: &LifelineProbe, here: &Host) -> ProcessLiveness {
    if lifeline.is_kept_by(leader.pid) {
        judge(leader, here, PidStatus::Running { start_time: leader.start_time })
    } else {
        procfs::standing_of_leader(leader, here)
    }
}
