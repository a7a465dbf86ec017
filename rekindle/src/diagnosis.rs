//! What is held, by whom, since when, why that is believed, and what to type next.

use crate::error::Error;
use crate::listing::{SessionState, state_of};
use crate::survey::Survey;
use rekindle_adapters::claim_lock::{CLAIM_FILE, holder_standing, is_locked, read_evidence};
use rekindle_adapters::socket_table::ListeningSockets;
use rekindle_adapters::{SessionDir, StateRoot, lifeline, procfs};
use rekindle_core::claim::Found;
use rekindle_core::identity::Standing;
use rekindle_core::{Host, LastWorker, Lifeline, Pid, ProcessIdentity, SessionId};
use serde::Serialize;

/// What is to be said about one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The session.
    pub session: SessionId,
    /// How it stands; `null` if there never was a worker.
    pub state: Option<SessionState>,
    /// What is known, one fact a line, each with what it is known from.
    pub findings: Vec<String>,
    /// Processes that hold the lifeline although their worker is gone.
    pub leftovers: Vec<Pid>,
    /// The next command to type; `null` if all is well.
    pub next: Option<String>,
}

pub(crate) fn diagnose(
    root: &StateRoot,
    here: &Host,
    only: Option<&SessionId>,
) -> Result<Vec<Diagnosis>, Error> {
    let sessions = match only {
        Some(session) => vec![session.clone()],
        None => root.sessions()?,
    };
    let mut diagnoses = Vec::new();
    for session in sessions {
        match root.session(&session)? {
            Some(dir) => diagnoses.push(diagnose_one(&dir, here)?),
            None if only.is_some() => return Err(Error::UnknownSession { session }),
            None => {}
        }
    }
    Ok(diagnoses)
}

fn diagnose_one(dir: &SessionDir, here: &Host) -> Result<Diagnosis, Error> {
    let session = dir.session().clone();
    let mut findings = Vec::new();
    let claim_next = claim_findings(dir, here, &mut findings)?;
    let survey = match Survey::take(dir, here) {
        Ok(survey) => survey,
        Err(error) => {
            findings.push(error.to_string());
            let (state, leftovers) = (Some(SessionState::Corrupt), Vec::new());
            return Ok(Diagnosis {
                session,
                state,
                findings,
                leftovers,
                next: Some("rekindle gc --repair".into()),
            });
        }
    };
    process_findings(&survey, &mut findings);
    let holders = lifeline::open(dir)?.filter(|_| survey.evidence.lifeline == Lifeline::Held);
    let holders = holders.map(|probe| probe.holders()).unwrap_or_default();
    lifeline_finding(&survey, &holders, &mut findings);
    let gone = survey.last_worker() == LastWorker::Gone;
    let leftovers = if gone { holders } else { Vec::new() };
    let state = survey.is_known().then(|| state_of(&survey, &ListeningSockets::read()));
    let next = claim_next.or_else(|| next(&session, state, &leftovers));
    Ok(Diagnosis { session, state, findings, leftovers, next })
}

/// Says who holds the claim, and what to do about it if nobody should.
fn claim_findings(
    dir: &SessionDir,
    here: &Host,
    findings: &mut Vec<String>,
) -> Result<Option<String>, Error> {
    let session = dir.session();
    let locked = is_locked(dir)?;
    let found = read_evidence(dir)?;
    let standing = holder_standing(&found, here);
    let kernel = if locked { "the kernel's lock is held" } else { "nobody holds the kernel's lock" };
    match found {
        Found::Nothing if locked => {
            findings.push(format!("claim: {kernel}, and its holder has not written down who it is"));
        }
        Found::Nothing => {}
        Found::Empty => findings.push("claim: an empty file, which means nothing".into()),
        Found::Corrupt { why } => {
            findings.push(format!(
                "claim: `{}` cannot be read: {why}; {kernel}",
                dir.path_of(CLAIM_FILE).display()
            ));
            return Ok(Some("rekindle gc --repair".into()));
        }
        Found::OtherSession { named } => {
            findings.push(format!("claim: the file is about session `{named}`; {kernel}"));
            return Ok(Some("rekindle gc --repair".into()));
        }
        Found::Held(claim) | Found::Retained(claim) => {
            let (owner, host) = (claim.owner.escape_debug(), claim.hostname.escape_debug());
            let what = if claim.retained_at.is_some() { "retained" } else { "taken" };
            findings.push(format!(
                "claim: {what} by {owner} (pid {} on {host}) at {}; {}; {kernel}",
                claim.holder.pid,
                claim.created_at,
                describe(standing),
            ));
            return Ok(match standing {
                _ if locked => None,
                Standing::Unjudged(_) => {
                    Some(format!("rekindle unlock {session} --force, once you are sure that it is gone"))
                }
                Standing::Dead(_) | Standing::Alive => None,
            });
        }
    }
    Ok(None)
}

fn process_findings(survey: &Survey, findings: &mut Vec<String>) {
    let mut process = |role: &str, identity: Option<&ProcessIdentity>, standing: Option<Standing>| {
        if let (Some(identity), Some(standing)) = (identity, standing) {
            let name = procfs::name(identity.pid).filter(|_| standing.is_alive());
            let name = name.map(|name| format!(" ({})", name.escape_debug())).unwrap_or_default();
            findings.push(format!("{role}: process {}{name}; {}", identity.pid, describe(standing)));
        }
    };
    process("started", survey.leader.as_ref(), survey.evidence.leader);
    if survey.peer != survey.leader {
        process("answered", survey.peer.as_ref(), survey.evidence.peer);
    }
    if let Some(record) = &survey.record {
        let ready = record
            .ready_at
            .map_or_else(|| "it was never seen ready".to_owned(), |at| format!("ready at {at}"));
        findings.push(format!(
            "record: generation {}, started at {}, {ready}",
            record.generation, record.started_at
        ));
    }
}

fn lifeline_finding(survey: &Survey, holders: &[Pid], findings: &mut Vec<String>) {
    let text = match survey.evidence.lifeline {
        Lifeline::Free => "lifeline: free, so no process of the worker that kept it is left".to_owned(),
        Lifeline::Held if holders.is_empty() => {
            "lifeline: held, by a process that the system does not let us see".to_owned()
        }
        Lifeline::Held => {
            let pids: Vec<String> = holders.iter().map(ToString::to_string).collect();
            format!("lifeline: held by process {}", pids.join(", "))
        }
        Lifeline::Missing if survey.is_known() => {
            "lifeline: the file is missing, which proves nothing".to_owned()
        }
        Lifeline::Missing => return,
        Lifeline::Unreadable => "lifeline: the kernel does not say whether it is held".to_owned(),
    };
    findings.push(text);
}

fn describe(standing: Standing) -> String {
    match standing {
        Standing::Alive => "it runs: pid, start time and boot are those written down".to_owned(),
        Standing::Dead(proof) => format!("it is gone: {}", proof.describe()),
        Standing::Unjudged(doubt) => format!("it cannot be judged: {}", doubt.describe()),
    }
}

fn next(session: &SessionId, state: Option<SessionState>, leftovers: &[Pid]) -> Option<String> {
    match state {
        _ if !leftovers.is_empty() => Some(format!("rekindle stop {session}, to end what is left over")),
        Some(SessionState::Live) => None,
        Some(SessionState::Starting) => {
            Some(format!("rekindle up {session} -- PROGRAM [ARG]..., which waits for it or adopts it"))
        }
        Some(SessionState::Unresponsive | SessionState::Retained) => Some(format!("rekindle stop {session}")),
        Some(SessionState::Exited) | None => Some("rekindle gc, or start it again".to_owned()),
        Some(SessionState::Corrupt) => Some("rekindle gc --repair".to_owned()),
    }
}
