//! Decides which processes belong to a guarded child, from a few facts about each process.
//!
//! Compiled twice, into the library and into the guardian's program, so a stop and its report cannot disagree.
//!
//! # Invariants
//! 1. A process belongs if it is in the guardian's process session. With [`Scope::Descendants`] a process also belongs
//!    if it descends from the guardian: the guardian is a child subreaper, so an orphan stays below the guardian.
//! 2. A pid reused during a walk never makes a foreign process belong: each link to a parent is read again after all
//!    links above it were read.
//! 3. A worker of rekindle never belongs by descent: a worker outlives its launcher on purpose.
//!
//! Checked by the tests in `stdio/guardian.rs` and by `smoke/tests/smoke/stdio/detached.rs`.

/// The descriptor at which a worker keeps its lifeline.
pub(crate) const LIFELINE_FD: i32 = 10;
/// The file name of a lifeline, with the slash before it.
const LIFELINE_NAME: &[u8] = b"/lifeline";
/// The kernel's suffix for the path of a removed file.
const DELETED: &[u8] = b" (deleted)";
/// The limit for a line of descent.
const DEPTH_MAX: u32 = 256;
/// How often a walk up a line of descent is repeated after a process of the line moved.
const WALKS_MAX: u32 = 3;
/// The number of foreign process sessions remembered in one pass over all processes.
const FOREIGN_MAX: usize = 128;

/// The processes that end with the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every descendant of the guardian, also in a process session of its own.
    Descendants,
    /// Only the processes of the guardian's process session.
    Session,
}

/// The relevant fields of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    state: u8,
    parent: i32,
    session: i32,
}

impl Stat {
    /// Reads the text of `/proc/PID/stat`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        // The name is in parentheses and may hold anything, parentheses included.
        let after_name = text.iter().rposition(|byte| *byte == b')')? + 1;
        let mut fields = text.get(after_name..)?.split(|byte| *byte == b' ').filter(|it| !it.is_empty());
        let state = *fields.next()?.first()?;
        let parent = number(fields.next()?)?;
        let _group = fields.next()?;
        Some(Self { state, parent, session: number(fields.next()?)? })
    }

    fn runs(&self) -> bool {
        !matches!(self.state, b'Z' | b'X')
    }
}

/// A decimal number without a sign.
pub(crate) fn number(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i32, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(i32::from(digit))
    })
}

/// Whether the link of a descriptor leads to a lifeline.
pub(crate) fn is_lifeline(target: &[u8]) -> bool {
    target.strip_suffix(DELETED).unwrap_or(target).ends_with(LIFELINE_NAME)
}

/// The facts about processes behind the decision.
pub(crate) trait Look {
    /// The process session, named by its leader's pid. Zero or less for a kernel thread, and if there is no process.
    fn session(&self, pid: i32) -> i32;
    /// The fields of `/proc/PID/stat`; `None` if there is no process.
    fn stat(&self, pid: i32) -> Option<Stat>;
    /// Whether a process has a lifeline open at [`LIFELINE_FD`].
    fn keeps_lifeline(&self, pid: i32) -> bool;
}

/// The process sessions found to be foreign in one pass. All processes of a session descend from the session's first
/// process, so one walk decides for all.
#[derive(Debug)]
pub(crate) struct Foreign {
    sessions: [i32; FOREIGN_MAX],
}

impl Foreign {
    /// An empty set, for a new pass.
    pub(crate) const fn new() -> Self {
        Self { sessions: [0; FOREIGN_MAX] }
    }

    fn slot(&mut self, session: i32) -> &mut i32 {
        // A later session may replace an earlier one; the earlier session then costs another walk.
        &mut self.sessions[session.unsigned_abs() as usize % FOREIGN_MAX]
    }
}

/// Whether `pid` runs and belongs to the child of `guardian`. The guardian does not belong.
pub(crate) fn belongs(
    pid: i32,
    guardian: i32,
    scope: Scope,
    look: &impl Look,
    foreign: &mut Foreign,
) -> bool {
    // The session comes first: one short system call, while `/proc` costs a hundred times as much.
    let session = look.session(pid);
    if pid == guardian || session <= 0 {
        return false;
    }
    if session == guardian {
        return look.stat(pid).is_some_and(|stat| stat.session == guardian && stat.runs());
    }
    if scope == Scope::Session || *foreign.slot(session) == session {
        return false;
    }
    // If a parent ends in the middle of a walk, its child has another parent in the next walk.
    let descent = (0..WALKS_MAX).find_map(|_| descends(pid, guardian, look, DEPTH_MAX));
    match descent {
        Some(true) => {
            look.stat(pid).is_some_and(|stat| stat.runs())
                && !look.keeps_lifeline(pid)
                && !look.keeps_lifeline(session)
        }
        Some(false) => {
            *foreign.slot(session) = session;
            false
        }
        None => false,
    }
}

/// Whether `pid` descends from `ancestor`, a running leader of a process session; `None` if a process moved meanwhile.
fn descends(pid: i32, ancestor: i32, look: &impl Look, depth: u32) -> Option<bool> {
    let parent = look.stat(pid)?.parent;
    if parent == ancestor {
        return Some(true);
    }
    if parent <= 1 || depth == 0 {
        return Some(false);
    }
    let descent = look.session(parent) == ancestor || descends(parent, ancestor, look, depth - 1)?;
    // The parent is unchanged, so the parent ran all the while, and the pid was not reused.
    (look.stat(pid)?.parent == parent).then_some(descent)
}
