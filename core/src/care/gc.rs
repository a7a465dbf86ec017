//! Removing one session whose worker is provably gone.
//!
//! ```text
//! Locking → Sweeping → Recognising → (Repairing) → Judging → Looking → Remembering
//!         → LookingAtSocket → RemovingSocket → Removing(claim, record, lifeline, logs) → RemovingDirectory → Unlocking
//! ```
//!
//! # Invariants
//! 1. Only under the session's kernel lock, which nobody else holds.
//! 2. Only files of ours are removed; a directory that holds anything else stays.
//! 3. The last run of a session that failed stays, with its logs, unless the caller says otherwise.
//! 4. The record goes before the lifeline: without a record a free lifeline means that nothing was ever started.
//! 5. A dry run changes nothing.
//!
//! Walked by `gates/tests/transactions.rs` over a simulated kernel; each rule has a test in `gates/tests/care.rs`.

use crate::claim::acquire::Judgement;
use crate::session::view::{RecordIs, View};
use crate::start::order::Room;

/// A collection of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Collect {
    options: GcOptions,
    phase: Phase,
}

/// Options of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct GcOptions {
    /// Whether files that cannot be read are set aside.
    pub repair: Repair,
    /// Whether anything is changed.
    pub mode: GcMode,
}

/// Whether files that cannot be read are set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Repair {
    /// They stay where they are, and so does their session.
    #[default]
    No,
    /// They get another name in the same directory, so that the session can be used again. The session itself stays.
    Yes,
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum GcMode {
    /// Files are removed.
    #[default]
    Remove,
    /// Nothing is changed: the result names the files that would be removed.
    DryRun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Locking,
    Sweeping,
    Recognising,
    Repairing,
    Judging,
    Looking,
    Remembering,
    Foreseeing,
    LookingAtSocket,
    RemovingSocket,
    Removing(File),
    RemovingDirectory,
    Unlocking(Conclusion),
    Done(Conclusion),
}

/// Files of a session that are removed, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum File {
    /// The evidence of a claim.
    Claim,
    /// The record.
    Record,
    /// The lifeline.
    Lifeline,
    /// What the workers wrote.
    Logs,
}

/// What is to be done next, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the session as it is"]
pub enum Effect {
    /// Lock the session's directory without waiting. Answer: [`Event::Did`] or [`Event::Refused`].
    Lock,
    /// Remove what interrupted writes of ours left. Answer: [`Event::Did`].
    Sweep,
    /// Ask whether it is the directory of a session. Answer: [`Event::Did`] or [`Event::Refused`].
    Recognise,
    /// Set files aside that cannot be read; in a dry run only say which. Answer: [`Event::Did`] if there were any, else
    /// [`Event::Refused`].
    Repair,
    /// Read the evidence of a claim and judge it. Answer: [`Event::Judged`].
    Judge,
    /// Read what is known of the worker, writing a lost record anew unless it is a dry run. Answer: [`Event::Looked`].
    Look,
    /// Ask whether the last run may still be wanted. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    AskLastRun,
    /// Ask whether anything that is not ours would be left. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    Foresee,
    /// Look at the worker's socket. Answer: [`Event::Room`].
    LookAtSocket,
    /// Remove that socket. Answer: [`Event::Did`].
    RemoveSocket,
    /// Remove a file of ours. Answer: [`Event::Did`].
    Remove(File),
    /// Remove the directory, if it is empty. Answer: [`Event::Did`], or [`Event::Refused`] if it is not.
    RemoveDirectory,
    /// Unlock the directory. Answer: [`Event::Did`].
    Unlock,
    /// Nothing: it is over.
    Done(Conclusion),
}

/// What came of the present effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was done; of a question, the answer is yes.
    Did,
    /// The answer is no.
    Refused,
    /// Whether the claim may be taken over.
    Judged(Judgement),
    /// What was seen.
    Looked(View),
    /// What stands at the socket's path.
    Room(Room),
    /// It failed.
    Failed,
}

/// How the collection of one session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// It is removed, or would be.
    Removed,
    /// A launcher is at work on it.
    AtWork,
    /// Its claim is not ours to clear.
    Claimed,
    /// It is the directory of no session.
    NoSession,
    /// A file of it could not be read, and has another name.
    Repaired,
    /// Its record cannot be read.
    RecordCorrupt,
    /// A later version wrote its record.
    RecordNewer,
    /// Its worker runs, or may run.
    Running,
    /// Its last run may still be wanted.
    LastRunWanted,
    /// Files that are not ours are left in its directory.
    OtherFiles,
    /// A step failed.
    Failed,
}

impl Collect {
    /// A collection that has not begun.
    pub const fn new(options: GcOptions) -> Self {
        Self { options, phase: Phase::Locking }
    }

    /// What is to be done next.
    pub fn effect(self) -> Effect {
        match self.phase {
            Phase::Locking => Effect::Lock,
            Phase::Sweeping => Effect::Sweep,
            Phase::Recognising => Effect::Recognise,
            Phase::Repairing => Effect::Repair,
            Phase::Judging => Effect::Judge,
            Phase::Looking => Effect::Look,
            Phase::Remembering => Effect::AskLastRun,
            Phase::Foreseeing => Effect::Foresee,
            Phase::LookingAtSocket => Effect::LookAtSocket,
            Phase::RemovingSocket => Effect::RemoveSocket,
            Phase::Removing(file) => Effect::Remove(file),
            Phase::RemovingDirectory => Effect::RemoveDirectory,
            Phase::Unlocking(_) => Effect::Unlock,
            Phase::Done(conclusion) => Effect::Done(conclusion),
        }
    }
}

fn judge(view: &View) -> Phase {
    match view.record {
        RecordIs::Corrupt => Phase::Unlocking(Conclusion::RecordCorrupt),
        RecordIs::Newer => Phase::Unlocking(Conclusion::RecordNewer),
        RecordIs::Absent | RecordIs::NamesWorker | RecordIs::NamesNobody => {
            if view.is_all_gone() {
                Phase::Remembering
            } else {
                Phase::Unlocking(Conclusion::Running)
            }
        }
    }
}

/// Takes what came of the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "the collection goes on from where this leads"]
pub fn step(collect: Collect, event: Event) -> Collect {
    use {Conclusion as C, Event as Ev, Phase as At};
    let Collect { options, phase } = collect;
    let phase = match (phase, event) {
        (At::Locking, Ev::Did) if options.mode == GcMode::DryRun => At::Recognising,
        (At::Locking, Ev::Did) => At::Sweeping,
        (At::Locking, Ev::Refused) => At::Done(C::AtWork),
        (At::Locking, Ev::Failed) => At::Done(C::Failed),
        (At::Sweeping, Ev::Did) => At::Recognising,
        (At::Recognising, Ev::Did) if options.repair == Repair::Yes => At::Repairing,
        (At::Recognising, Ev::Did) | (At::Repairing, Ev::Refused) => At::Judging,
        (At::Recognising, Ev::Refused) => At::Unlocking(C::NoSession),
        (At::Repairing, Ev::Did) => At::Unlocking(C::Repaired),
        (At::Judging, Ev::Judged(Judgement::Takeable)) => At::Looking,
        (At::Judging, Ev::Judged(Judgement::NotOurs)) => At::Unlocking(C::Claimed),
        (At::Looking, Ev::Looked(view)) => judge(&view),
        (At::Remembering, Ev::Did) => At::Unlocking(C::LastRunWanted),
        (At::Remembering, Ev::Refused) if options.mode == GcMode::DryRun => At::Foreseeing,
        (At::Remembering, Ev::Refused) => At::LookingAtSocket,
        (At::Foreseeing, Ev::Did) | (At::RemovingDirectory, Ev::Refused) => At::Unlocking(C::OtherFiles),
        (At::Foreseeing, Ev::Refused) | (At::RemovingDirectory, Ev::Did) => At::Unlocking(C::Removed),
        (At::LookingAtSocket, Ev::Room(Room::Stale)) => At::RemovingSocket,
        (At::LookingAtSocket, Ev::Room(Room::Free | Room::Taken)) | (At::RemovingSocket, Ev::Did) => {
            At::Removing(File::Claim)
        }
        (At::Removing(File::Claim), Ev::Did) => At::Removing(File::Record),
        (At::Removing(File::Record), Ev::Did) => At::Removing(File::Lifeline),
        (At::Removing(File::Lifeline), Ev::Did) => At::Removing(File::Logs),
        (At::Removing(File::Logs), Ev::Did) => At::RemovingDirectory,
        (At::Unlocking(conclusion), Ev::Did | Ev::Failed) => At::Done(conclusion),
        (
            At::Sweeping
            | At::Recognising
            | At::Repairing
            | At::Judging
            | At::Looking
            | At::Remembering
            | At::Foreseeing
            | At::LookingAtSocket
            | At::RemovingSocket
            | At::Removing(_)
            | At::RemovingDirectory,
            Ev::Failed,
        ) => At::Unlocking(C::Failed),
        (
            phase @ (At::Locking
            | At::Sweeping
            | At::Recognising
            | At::Repairing
            | At::Judging
            | At::Looking
            | At::Remembering
            | At::Foreseeing
            | At::LookingAtSocket
            | At::RemovingSocket
            | At::Removing(_)
            | At::RemovingDirectory
            | At::Unlocking(_)
            | At::Done(_)),
            Ev::Did | Ev::Refused | Ev::Judged(_) | Ev::Looked(_) | Ev::Room(_) | Ev::Failed,
        ) => phase,
    };
    Collect { options, phase }
}
