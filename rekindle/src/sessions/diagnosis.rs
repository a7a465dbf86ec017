//! Diagnoses sessions: claim holders, evidence, and the next command.

use crate::advice::{Advice, Step};
use crate::error::Error;
use crate::sessions::ensure::SOCKET_FILE;
use crate::sessions::list::{self, LeftOut, Listed};
use crate::sessions::show::pass::pass_by;
use crate::sessions::snapshot::{ListenerTables, Snapshot};
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::claim_lock::{holder_standing, is_locked, read_evidence};
use rekindle_adapters::state_root::Origin;
use rekindle_adapters::{Probed, SessionDir, StateRoot, procfs};
use rekindle_core::care::diagnose::{self, Known};
use rekindle_core::claim::KernelLock;
use rekindle_core::identity::ProcessLiveness;
use rekindle_core::shown::Shown;
use rekindle_core::view::Contact;
use rekindle_core::{
    ClaimDecision, ClaimPolicy, Endpoint, Host, LastWorker, Owner, Pid, ProcessIdentity, SessionId,
    SessionRecord, SessionState, decide_claim,
};
use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

/// The diagnosis of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: SessionId,
    /// The state of the session; `null` if there never was a worker.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::SessionState>"))]
    pub state: Option<SessionState>,
    /// The facts, a line each, with the source of each fact.
    pub findings: Vec<String>,
    /// Processes that hold the lifeline although their worker is gone.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<u32>"))]
    pub leftovers: Vec<Pid>,
    /// The next command; empty if all is well.
    #[serde(skip)]
    pub advice: Advice,
}

/// A line with the state, then a line for each finding and for each leftover process.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.session)?;
        match self.state {
            Some(state) => state.fmt(f)?,
            None => f.write_str("never started")?,
        }
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))?;
        let mut leftovers = self.leftovers.iter();
        leftovers.try_for_each(|pid| write!(f, "\n  left over: process {pid} holds the lifeline"))
    }
}

/// The diagnoses of several sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnoses {
    /// One entry for each session.
    pub sessions: Vec<Diagnosis>,
    /// The sessions that could not be read, with the reasons.
    pub left_out: Vec<LeftOut>,
    /// Facts about the state directory, a sentence each: what the directory stands in for, and other directories of the
    /// same home that hold sessions.
    pub home: Vec<String>,
}

pub(crate) fn diagnose(root: &StateRoot, here: &Host, only: Option<&SessionId>) -> Result<Diagnoses, Error> {
    if let Some(session) = only {
        let dir = root.session(session)?;
        let snapshot = match &dir {
            Some(dir) => Snapshot::take(dir, here)?,
            None => list::lost_snapshot(root, here, session)?.ok_or_else(|| list::unknown(root, session))?,
        };
        return Ok(Diagnoses {
            sessions: vec![diagnose_one(session, root.path(), dir.as_ref(), &snapshot, here)?],
            left_out: Vec::new(),
            home: home_findings(root),
        });
    }
    let mut all = Diagnoses { home: home_findings(root), ..Diagnoses::default() };
    let (snapshots, left_out) = list::snapshots(root, here, |_| true)?;
    all.left_out = left_out;
    for Listed { session, snapshot, .. } in snapshots {
        let diagnosed = root
            .session(&session)
            .map_err(Error::from)
            .and_then(|dir| diagnose_one(&session, root.path(), dir.as_ref(), &snapshot, here));
        match diagnosed {
            Ok(diagnosis) => all.sessions.push(diagnosis),
            Err(error) => all.left_out.push(LeftOut { session: Some(session), why: error.to_string() }),
        }
    }
    Ok(all)
}

fn home_findings(root: &StateRoot) -> Vec<String> {
    let stands_in = match root.origin() {
        Origin::StandIn(stands_in) => Some(stands_in.told(root.path())),
        Origin::Named | Origin::Default => None,
    };
    let beside = root.beside().into_iter().map(|(dir, sessions)| {
        let names: Vec<&str> = sessions.iter().map(SessionId::as_str).collect();
        format!(
            "another state directory of this home, `{}`, has sessions: {}; look there with --dir",
            Shown(&dir),
            names.join(", ")
        )
    });
    stands_in.into_iter().chain(beside).collect()
}

fn diagnose_one(
    session: &SessionId,
    root: &Path,
    dir: Option<&SessionDir>,
    snapshot: &Snapshot,
    here: &Host,
) -> Result<Diagnosis, Error> {
    let session = session.clone();
    let mut findings = Vec::new();
    let claim = dir.map(|dir| claim_findings(dir, here, &mut findings)).transpose()?;
    if dir.is_none() {
        findings.push(
            "files: its directory was removed or moved, and a process still keeps its lifeline".to_owned(),
        );
    }
    if let Some(why) = &snapshot.corrupt {
        findings.push(format!("record: it cannot be read: {why}"));
    }
    process_findings(snapshot, &mut findings);
    let holders = snapshot.holders()?;
    let known = if snapshot.is_known() { Known::Yes } else { Known::No };
    findings.extend(diagnose::of_lifeline(
        snapshot.evidence.lifeline,
        known,
        &holders,
        snapshot.gap.as_ref(),
    ));
    let gone = snapshot.last_worker() == LastWorker::Gone;
    findings.extend(address_finding(snapshot, here));
    findings.extend(dir.map(|dir| pass_by(dir, snapshot.record.as_ref())).unwrap_or_default());
    let leftovers = if gone { holders.clone() } else { Vec::new() };
    let state = snapshot.is_known().then(|| snapshot.state(&ListenerTables::read(), here));
    let advice = match claim {
        Some(ClaimFinding { advice: Some(advice), .. }) => advice,
        Some(ClaimFinding { locked: true, .. }) if state != Some(SessionState::Live) => {
            Advice::by_hand("a launcher is at work on the session: wait until it is done")
        }
        Some(_) | None => {
            let own_socket = root.join(session.as_str()).join(SOCKET_FILE);
            advice(&session, snapshot, state, &leftovers, &own_socket)
        }
    };
    Ok(Diagnosis { session, state, findings, leftovers, advice })
}

/// The state of a session's claim.
struct ClaimFinding {
    /// Whether a launcher holds the kernel's lock.
    locked: bool,
    /// The advice about a claim that stays although no launcher holds the lock.
    advice: Option<Advice>,
}

/// Reports the holder of the claim, with advice if no launcher holds the lock but the claim stays.
fn claim_findings(dir: &SessionDir, here: &Host, findings: &mut Vec<String>) -> Result<ClaimFinding, Error> {
    let locked = is_locked(dir)?;
    let found = read_evidence(dir)?;
    let standing = holder_standing(&found, here);
    let lock = if locked { KernelLock::Held } else { KernelLock::Free };
    let advice = match decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, found.clone(), standing) {
        ClaimDecision::Conflict { why, .. } if !locked => Some(Advice::of_claim(dir.session(), &why)),
        ClaimDecision::Conflict { .. } | ClaimDecision::TakeOver { .. } | ClaimDecision::Fresh => None,
    };
    findings.extend(diagnose::of_claim(&found, lock, standing, &dir.path_of(CLAIM_FILE)));
    Ok(ClaimFinding { locked, advice })
}

fn process_findings(snapshot: &Snapshot, findings: &mut Vec<String>) {
    let mut process = |role: &str, identity: Option<&ProcessIdentity>, standing: Option<ProcessLiveness>| {
        if let (Some(identity), Some(standing)) = (identity, standing) {
            let name = procfs::name(identity.pid).filter(|_| standing.is_alive());
            let name = name.map(|name| format!(" ({})", Shown(&name))).unwrap_or_default();
            findings.push(format!(
                "{role}: process {}{name}; {}",
                identity.pid,
                diagnose::of_process(standing)
            ));
        }
    };
    process("started", snapshot.leader(), snapshot.evidence.leader);
    if snapshot.peer() != snapshot.leader() {
        process("answered", snapshot.peer(), snapshot.evidence.peer);
    }
    let alive = snapshot.evidence.leader.is_some_and(ProcessLiveness::is_alive);
    if let Some(leader) = snapshot.leader().filter(|leader| alive && procfs::lost_its_cwd(leader.pid)) {
        findings.push(format!("cwd: the working directory of process {} was removed", leader.pid));
    }
    if let Some(record) = &snapshot.record {
        let ready = record
            .ready_at
            .map_or_else(|| "it was never seen ready".to_owned(), |at| format!("ready at {at:.0}"));
        findings.push(format!(
            "record: generation {}, started at {:.0}, {ready}",
            record.generation, record.started_at
        ));
    }
}

/// Reports who listens on the session's TCP port; or that the session has no endpoint.
fn address_finding(snapshot: &Snapshot, here: &Host) -> Option<String> {
    match snapshot.endpoint()? {
        Endpoint::Unix(_) => None,
        Endpoint::Tcp(at) => {
            Some(format!("address: {}; {}", Endpoint::Tcp(at), listener(at, snapshot, here)))
        }
        Endpoint::None => Some("address: none; the session is live while its worker runs".to_owned()),
    }
}

/// The listener on a port, without a connection.
fn listener(at: SocketAddr, snapshot: &Snapshot, here: &Host) -> String {
    match snapshot.probe_port(at, Contact::Gentle, snapshot.foreign_listener(), here) {
        Probed::Live(connection) => match connection.owner() {
            Some(Owner::Verified) => {
                let process = connection.peer().map_or_else(String::new, |pid| format!(" (pid {pid})"));
                format!("a process of the worker{process} listens: the kernel shows its socket")
            }
            Some(Owner::Unverified) => {
                "a process listens that cannot be looked into from here; its user and the lifeline agree"
                    .to_owned()
            }
            None => "a process listens that need not be the worker's: --allow-foreign-listener was given"
                .to_owned(),
        },
        Probed::Dormant { why } => why,
        Probed::Foreign { who } => format!("a stranger listens: {who}"),
        Probed::Indeterminate { why } | Probed::Forged { why } => {
            format!("who listens cannot be told: {why}")
        }
    }
}

/// The advice for a session whose claim blocks no launcher.
fn advice(
    session: &SessionId,
    snapshot: &Snapshot,
    state: Option<SessionState>,
    leftovers: &[Pid],
    own_socket: &Path,
) -> Advice {
    if snapshot.last_worker() == LastWorker::Unknown && snapshot.corrupt.is_none() {
        // The advice "run the doctor" is useless here. No command ends a worker that cannot be judged.
        return match Advice::of_unknown(session, snapshot) {
            Advice { step: Some(Step::Doctor(_)), hint } => Advice::by_hand(hint),
            advice => advice,
        };
    }
    let stop = || Advice::from(Step::Stop(session.clone()));
    match state {
        Some(SessionState::Corrupt) => Advice::repair(session),
        Some(SessionState::Live | SessionState::Starting) if snapshot.newer.is_some() => Advice::nothing(),
        _ if snapshot.newer.is_some() => Advice::use_its_version(),
        _ if !leftovers.is_empty() => stop().knowing("it ends what is left over, and keeps record and logs"),
        Some(SessionState::Live) => Advice::nothing(),
        // The launcher is dead: the next launcher watches the worker.
        Some(SessionState::Starting) => Advice::start(session, snapshot, own_socket)
            .knowing("its launcher is gone: the next start waits for the worker, or adopts it"),
        Some(SessionState::Unresponsive | SessionState::Retained) => stop(),
        Some(SessionState::Exited) => match snapshot.record.as_ref().and_then(SessionRecord::failure) {
            Some(why) => Advice::from(Step::Show(session.clone()))
                .knowing(format!("{why}; its logs are kept, and `gc` keeps them too")),
            None => Advice::nothing(),
        },
        None => Advice::nothing(),
    }
}
