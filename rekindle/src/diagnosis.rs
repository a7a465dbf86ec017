//! What is held, by whom, since when, why that is believed, and what to type next.

use crate::error::Error;
use crate::listing::{self, LeftOut, Listed};
use crate::survey::Survey;
use rekindle_adapters::claim_lock::{CLAIM_FILE, holder_standing, is_locked, read_evidence};
use rekindle_adapters::socket_table::ListeningSockets;
use rekindle_adapters::{SessionDir, StateRoot, procfs};
use rekindle_core::claim::Found;
use rekindle_core::identity::{Doubt, Standing};
use rekindle_core::shown::Shown;
use rekindle_core::{Host, LastWorker, Lifeline, Pid, ProcessIdentity, SessionId, SessionState};
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

/// What is to be said about several sessions.
#[derive(Debug, Default)]
pub struct Diagnoses {
    /// One for each session.
    pub sessions: Vec<Diagnosis>,
    /// What could not be looked at, and why.
    pub left_out: Vec<LeftOut>,
}

pub(crate) fn diagnose(root: &StateRoot, here: &Host, only: Option<&SessionId>) -> Result<Diagnoses, Error> {
    if let Some(session) = only {
        let dir = root.session(session)?;
        let survey = match &dir {
            Some(dir) => Survey::take(dir, here)?,
            None => listing::lost_survey(root, here, session)?,
        };
        return Ok(Diagnoses {
            sessions: vec![diagnose_one(session, dir.as_ref(), &survey, here)?],
            left_out: Vec::new(),
        });
    }
    let mut all = Diagnoses::default();
    let (surveys, left_out) = listing::surveys(root, here, |_| true)?;
    all.left_out = left_out;
    for Listed { session, survey } in surveys {
        let diagnosed = root
            .session(&session)
            .map_err(Error::from)
            .and_then(|dir| diagnose_one(&session, dir.as_ref(), &survey, here));
        match diagnosed {
            Ok(diagnosis) => all.sessions.push(diagnosis),
            Err(error) => all.left_out.push(LeftOut { session: Some(session), why: error.to_string() }),
        }
    }
    Ok(all)
}

fn diagnose_one(
    session: &SessionId,
    dir: Option<&SessionDir>,
    survey: &Survey,
    here: &Host,
) -> Result<Diagnosis, Error> {
    let session = session.clone();
    let mut findings = Vec::new();
    let claim_next = dir.map(|dir| claim_findings(dir, here, &mut findings)).transpose()?.flatten();
    if dir.is_none() {
        findings.push(
            "files: its directory was removed or moved, and a process still keeps its lifeline".to_owned(),
        );
    }
    if let Some(why) = &survey.corrupt {
        findings.push(format!("record: it cannot be read: {why}"));
    }
    process_findings(survey, &mut findings);
    let holders = survey.holders()?;
    lifeline_finding(survey, &holders, &mut findings);
    let gone = survey.last_worker() == LastWorker::Gone;
    let leftovers = if gone { holders.clone() } else { Vec::new() };
    let state = survey.is_known().then(|| survey.state(&ListeningSockets::read()));
    let next = claim_next.or_else(|| next(&session, survey, state, &holders, &leftovers));
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
                Shown(&dir.path_of(CLAIM_FILE))
            ));
            return Ok(Some("rekindle gc --repair".into()));
        }
        Found::OtherSession { named } => {
            findings.push(format!("claim: the file is about session `{named}`; {kernel}"));
            return Ok(Some("rekindle gc --repair".into()));
        }
        Found::Held(claim) | Found::Retained(claim) => {
            let (owner, host) = (Shown(&claim.owner), Shown(&claim.hostname));
            let what = if claim.retained_at.is_some() { "retained" } else { "taken" };
            findings.push(format!(
                "claim: {what} by {owner} (pid {} on {host}) at {}; {}; {kernel}",
                claim.holder.pid,
                claim.created_at,
                describe(standing),
            ));
            return Ok(match standing {
                _ if locked => None,
                // A process that merely has the holder's pid is waited for like the holder.
                Standing::Unjudged(Doubt::Unproven | Doubt::OtherPidNamespace) => None,
                Standing::Unjudged(_) => Some(format!("rekindle unlock {session} --force")),
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
            let name = name.map(|name| format!(" ({})", Shown(&name))).unwrap_or_default();
            findings.push(format!("{role}: process {}{name}; {}", identity.pid, describe(standing)));
        }
    };
    process("started", survey.leader.as_ref(), survey.evidence.leader);
    if survey.peer != survey.leader {
        process("answered", survey.peer.as_ref(), survey.evidence.peer);
    }
    let alive = survey.evidence.leader.is_some_and(Standing::is_alive);
    if let Some(leader) = survey.leader.as_ref().filter(|leader| alive && procfs::lost_its_cwd(leader.pid)) {
        findings.push(format!("cwd: the working directory of process {} was removed", leader.pid));
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
            "lifeline: the file is missing, and no process keeps it".to_owned()
        }
        Lifeline::Missing => return,
        Lifeline::Unreadable => match &survey.gap {
            Some(why) => format!("lifeline: the file is missing, and could not be searched for: {why}"),
            None => "lifeline: the kernel does not say whether it is held".to_owned(),
        },
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

fn next(
    session: &SessionId,
    survey: &Survey,
    state: Option<SessionState>,
    holders: &[Pid],
    leftovers: &[Pid],
) -> Option<String> {
    // Nobody is to be ended who cannot be judged: a stop is named only where it reaches who holds the lifeline.
    if survey.last_worker() == LastWorker::Unknown && survey.corrupt.is_none() {
        return match survey.evidence.lifeline {
            Lifeline::Held if holders.is_empty() => None,
            Lifeline::Held => Some(format!("rekindle stop {session}")),
            Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable => {
                Some(format!("rekindle unlock {session} --forget"))
            }
        };
    }
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
