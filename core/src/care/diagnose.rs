//! Diagnoses of a session: the evidence in words, one finding each.
//!
//! # Invariants
//! 1. A finding names its subject first: `claim:`, `lifeline:`.
//! 2. Foreign text is shown escaped.
//!
//! Every cell is checked by `gates/tests/diagnose.rs`.

use crate::claim::{Found, KernelLock, LockClaim};
use crate::effects::failure::OsFailure;
use crate::prelude::*;
use crate::process::id::Pid;
use crate::process::identity::ProcessLiveness;
use crate::session::lifeline::Lifeline;
use crate::text::shown::Shown;

/// The finding about a claim, with the liveness of its holder; `None` if there is no claim.
pub fn of_claim(
    found: &Found<LockClaim>,
    lock: KernelLock,
    holder: ProcessLiveness,
    file: &Path,
) -> Option<String> {
    let kernel = match lock {
        KernelLock::Held => "the kernel's lock is held",
        KernelLock::Free => "nobody holds the kernel's lock",
    };
    Some(match (found, lock) {
        (Found::Nothing, KernelLock::Held) => {
            format!("claim: {kernel}, and its holder has not written down who it is")
        }
        (Found::Nothing, KernelLock::Free) => return None,
        (Found::Empty, _) => "claim: an empty file, which means nothing".into(),
        (Found::Corrupt { why }, _) => format!("claim: `{}` cannot be read: {why}; {kernel}", Shown(file)),
        (Found::OtherSession { named }, _) => {
            format!("claim: the file is about session `{named}`; {kernel}")
        }
        (Found::Held(claim) | Found::Retained(claim), _) => {
            let (owner, host) = (Shown(&claim.owner), Shown(&claim.hostname));
            let what = if claim.retained_at.is_some() { "retained" } else { "taken" };
            format!(
                "claim: {what} by {owner} (pid {} on {host}) at {}; {}; {kernel}",
                claim.holder.pid,
                claim.created_at,
                of_process(holder),
            )
        }
    })
}

/// The liveness of a process, in words.
pub fn of_process(liveness: ProcessLiveness) -> String {
    match liveness {
        ProcessLiveness::Alive => "it runs: pid, start time and boot are those written down".into(),
        ProcessLiveness::Dead(proof) => format!("it is gone: {}", proof.describe()),
        ProcessLiveness::Unjudged(reason) => format!("it cannot be judged: {}", reason.describe()),
    }
}

/// Whether the session has any other trace: a record, or a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The session has.
    Yes,
    /// The lifeline would be the only trace.
    No,
}

/// The finding about a lifeline. `holders` are the holders seen from here, `gap` the failure of the search for a lifeline
/// without a name. `None` if there never was a lifeline.
pub fn of_lifeline(
    lifeline: Lifeline,
    known: Known,
    holders: &[Pid],
    gap: Option<&OsFailure>,
) -> Option<String> {
    Some(match (lifeline, known) {
        (Lifeline::Free, _) => "lifeline: free, so no process of the worker that kept it is left".into(),
        (Lifeline::Held, _) if holders.is_empty() => {
            "lifeline: held, by a process that the system does not let us see".into()
        }
        (Lifeline::Held, _) => {
            let pids: Vec<String> = holders.iter().map(ToString::to_string).collect();
            format!("lifeline: held by process {}", pids.join(", "))
        }
        (Lifeline::Missing, Known::Yes) => "lifeline: the file is missing, and no process keeps it".into(),
        (Lifeline::Missing, Known::No) => return None,
        (Lifeline::Unreadable, _) => match gap {
            Some(why) => format!("lifeline: the file is missing, and could not be searched for: {why}"),
            None => "lifeline: the kernel does not say whether it is held".into(),
        },
    })
}
