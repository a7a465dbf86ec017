//! What is known of a session right now: its record, its lifeline and its processes, read without any lock.

use crate::error::Error;
use rekindle_adapters::lifeline::{self, LifelineProbe};
use rekindle_adapters::probe::{self, Probed};
use rekindle_adapters::record_file::{self, RECORD_FILE};
use rekindle_adapters::socket_table::ListeningSockets;
use rekindle_adapters::{SessionDir, Worker, procfs};
use rekindle_core::evidence::{Listener, standing_of_peer};
use rekindle_core::identity::{Sighting, Standing, judge};
use rekindle_core::record::{NewerRecord, RecordFile};
use rekindle_core::{
    Evidence, Generation, Host, LastWorker, Lifeline, OsFailure, Pid, ProcessIdentity, ReadyKind,
    RecordState, SessionRecord, last_worker,
};
use std::path::Path;

/// All that is known of a session's last worker.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) record: Option<SessionRecord>,
    /// A record that this version may not rewrite.
    pub(crate) newer: Option<NewerRecord>,
    pub(crate) generation: Generation,
    pub(crate) leader: Option<ProcessIdentity>,
    pub(crate) peer: Option<ProcessIdentity>,
    pub(crate) evidence: Evidence,
    /// The lifeline that was asked, whatever its name comes to mean.
    lifeline: Option<LifelineProbe>,
    /// Whether record and lifeline are of two different starts: a launcher is between two steps.
    torn: bool,
    /// Who holds the lifeline where neither of them lives: a worker that daemonised after it had begun to listen.
    daemon: Option<Pid>,
}

impl Survey {
    /// Of a session that has no directory.
    pub(crate) fn nothing() -> Self {
        Self {
            record: None,
            newer: None,
            generation: Generation::UNMANAGED,
            leader: None,
            peer: None,
            evidence: Evidence::NONE,
            lifeline: None,
            torn: false,
            daemon: None,
        }
    }

    /// Reads everything about a session.
    ///
    /// # Errors
    /// If the record is corrupt, or anything cannot be read.
    pub(crate) fn take(dir: &SessionDir, here: &Host) -> Result<Self, Error> {
        let (record, newer) = match record_file::read(dir)? {
            RecordFile::Absent => (None, None),
            RecordFile::Whole(record) => (Some(*record), None),
            RecordFile::Newer(newer) => (None, Some(newer)),
            RecordFile::Corrupt { why } => {
                let path = dir.path_of(RECORD_FILE);
                return Err(Error::RecordCorrupt { session: dir.session().clone(), path, why });
            }
        };
        let mut survey = Self::of(record, newer, lifeline::open(dir)?, here);
        if survey.evidence.lifeline == Lifeline::Held && survey.pid().is_none() {
            survey.look_for_daemon();
        }
        Ok(survey)
    }

    /// Nobody who was written down lives, and somebody holds the lifeline: a daemon that forked after it had begun to
    /// listen, or a leftover.
    fn look_for_daemon(&mut self) {
        let listens = self.socket().is_some_and(|socket| ListeningSockets::read().contains(socket));
        let listener = if listens { Listener::Present } else { Listener::Absent };
        self.evidence.peer = standing_of_peer(self.evidence.peer, listener);
        self.daemon = self.lifeline.as_ref().and_then(|lifeline| lifeline.holders().first().copied());
    }

    fn of(
        record: Option<SessionRecord>,
        newer: Option<NewerRecord>,
        lifeline: Option<LifelineProbe>,
        here: &Host,
    ) -> Self {
        // A record of a later version is of a worker that was ready, for all that this one may do about it. So is a
        // worker whose files were removed: nobody can reach it, and it is not ours to end unasked.
        let unwritten = newer.is_some() || lifeline.as_ref().is_some_and(LifelineProbe::was_removed);
        let mark = lifeline.as_ref().and_then(LifelineProbe::mark);
        let asked = lifeline.as_ref().map_or(Lifeline::Missing, LifelineProbe::ask);
        let recorded = record
            .as_ref()
            .map(|record| record.generation)
            .or_else(|| newer.as_ref().and_then(NewerRecord::generation));
        // The lifeline of another start speaks of that other start.
        let nonce = record.as_ref().map(|record| &record.nonce);
        let mark = mark.filter(|mark| recorded.is_none_or(|recorded| recorded == mark.generation));
        let mark =
            mark.filter(|mark| nonce.is_none() || mark.nonce.is_none() || nonce == mark.nonce.as_ref());
        let torn = recorded.is_some() && asked == Lifeline::Held && mark.is_none();
        let generation =
            recorded.or(mark.as_ref().map(|mark| mark.generation)).unwrap_or(Generation::UNMANAGED);
        let held = lifeline.as_ref().filter(|_| asked == Lifeline::Held);
        let taker = mark.map(|mark| mark.worker);
        let leader = record.as_ref().and_then(|it| it.worker.clone()).or_else(|| taker.clone());
        let peer = record.as_ref().and_then(|it| it.peer.clone());
        let of_leader = leader.as_ref().map(|it| match held {
            Some(lifeline) if taker.as_ref() == Some(it) => standing_of_taker(it, lifeline, here),
            Some(_) | None => procfs::standing_of_leader(it, here),
        });
        let of_peer = match &peer {
            peer if *peer == leader => of_leader,
            peer => peer.as_ref().map(|it| procfs::standing(it, here)),
        };
        let evidence = Evidence {
            recorded: record.as_ref().map(|it| it.state).or(unwritten.then_some(RecordState::Ready)),
            start_observed: record.as_ref().is_some_and(SessionRecord::start_observed),
            lifeline: asked,
            leader: of_leader,
            peer: of_peer,
        };
        Self { record, newer, generation, leader, peer, evidence, lifeline, torn, daemon: None }
    }

    /// Whether there ever was a worker.
    pub(crate) fn is_known(&self) -> bool {
        self.generation != Generation::UNMANAGED || self.last_worker() != LastWorker::Gone
    }

    /// What it amounts to.
    pub(crate) fn last_worker(&self) -> LastWorker {
        last_worker(&self.evidence)
    }

    /// Whether whatever answers on the session's socket can be a worker of ours.
    pub(crate) fn may_answer(&self) -> bool {
        (self.record.is_some() || self.newer.is_some()) && self.last_worker() != LastWorker::Gone
    }

    /// The pid to show: the leader's; that of the process that answers, if the leader has ended; or that of one that
    /// holds the lifeline, if both have.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let lives = |standing: Option<Standing>| standing.is_some_and(|standing| !standing.is_dead());
        let leader = self.leader.as_ref().map(|it| it.pid);
        let peer = self.peer.as_ref().map(|it| it.pid);
        if lives(self.evidence.leader) {
            leader
        } else if lives(self.evidence.peer) {
            peer
        } else {
            self.daemon
        }
    }

    /// Where its worker answers, as far as that was written down.
    pub(crate) fn socket(&self) -> Option<&Path> {
        let of_record = self.record.as_ref().map(|record| record.socket.as_path());
        of_record.or_else(|| self.newer.as_ref().and_then(NewerRecord::socket))
    }

    /// What counted as ready, if a worker of ours may answer on `socket` and was to do so there.
    pub(crate) fn readiness_on(&self, socket: &Path) -> Option<ReadyKind> {
        let record = self.record.as_ref().filter(|record| record.socket == socket);
        record.filter(|_| self.may_answer()).map(|record| record.readiness)
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
        !matches!(self.readiness_on(socket), Some(ReadyKind::Notify | ReadyKind::Listen))
    }

    /// Whether what was read is of two different starts. It passes: whoever is between two steps takes the next.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// The worker, pinned, to be watched or signalled: of the very start that was surveyed.
    ///
    /// # Errors
    /// If a process of it runs and cannot be pinned.
    pub(crate) fn worker(&self, here: &Host) -> Result<Worker, OsFailure> {
        let lifeline = self.lifeline.as_ref().map(LifelineProbe::try_clone).transpose()?;
        Worker::adopt(self.leader.clone(), self.peer.clone(), lifeline, here)
    }
}

/// How a leader stands that took the lifeline, which is held. That it has it open still is proof enough that it runs.
fn standing_of_taker(leader: &ProcessIdentity, lifeline: &LifelineProbe, here: &Host) -> Standing {
    if lifeline.is_kept_by(leader.pid) {
        judge(leader, here, Sighting::Running { start_time: leader.start_time })
    } else {
        procfs::standing_of_leader(leader, here)
    }
}
