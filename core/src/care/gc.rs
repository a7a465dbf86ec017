//! Removes a session whose worker is provably gone.
//!
//! ```text
//! Locking → Sweeping → Recognising → (Repairing) → Judging → Looking → Remembering
//!         → LookingAtSocket → RemovingSocket → Removing(claim, record, lifeline, logs) → RemovingDirectory → Unlocking
//! ```
//!
//! # Invariants
//! 1. A collection works only under the session's kernel lock.
//! 2. Only files of ours are removed; a directory with other files stays.
//! 3. The last run of a failed session stays, with its logs, unless the caller says otherwise.
//! 4. The record goes before the lifeline: without a record a free lifeline means that no worker was ever started.
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
    /// Whether unreadable files are set aside.
    pub repair: Repair,
    /// Whether files are removed.
    pub mode: GcMode,
}

/// Whether unreadable files are set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Repair {
    /// Unreadable files stay in place, and the session stays too.
    #[default]
    No,
    /// Unreadable files are renamed in the same directory, so that the session can be used again. The session itself
    /// stays.
    Yes,
}

/// Whether files are removed.
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

/// The files of a session, in the order of removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum File {
    /// The evidence of a claim.
    Claim,
    /// The record.
    Record,
    /// The lifeline.
    Lifeline,
    /// The output of the workers.
    Logs,
}

/// The next step, or the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the session as it is"]
pub enum Effect {
    /// Lock the session's directory without waiting. Answer: [`Event::Did`] or [`Event::Refused`].
    Lock,
    /// Remove the leftovers of our interrupted writes. Answer: [`Event::Did`].
    Sweep,
    /// Ask whether the directory belongs to a session. Answer: [`Event::Did`] or [`Event::Refused`].
    Recognise,
    /// Set unreadable files aside; in a dry run only name the files. Answer: [`Event::Did`] if there were any, else
    /// [`Event::Refused`].
    Repair,
    /// Read and judge the evidence of a claim. Answer: [`Event::Judged`].
    Judge,
    /// Read the state of the worker; restore a lost record, except in a dry run. Answer: [`Event::Looked`].
    Look,
    /// Ask whether the last run may still be wanted. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    AskLastRun,
    /// Ask whether foreign files would be left. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    Foresee,
    /// Look at the worker's socket. Answer: [`Event::Room`].
    LookAtSocket,
    /// Remove that socket. Answer: [`Event::Did`].
    RemoveSocket,
    /// Remove a file of ours. Answer: [`Event::Did`].
    Remove(File),
    /// Remove the directory, if empty. Answer: [`Event::Did`], or [`Event::Refused`] if not empty.
    RemoveDirectory,
    /// Unlock the directory. Answer: [`Event::Did`].
    Unlock,
    /// Nothing: the collection is over.
    Done(Conclusion),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The effect was performed; of a question, the answer is yes.
    Did,
    /// The answer is no.
    Refused,
    /// Whether the claim may be taken over.
    Judged(Judgement),
    /// The state of the session.
    Looked(View),
    /// The file at the socket's path.
    Room(Room),
    /// The effect failed.
    Failed,
}

/// The end of a session's collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// The session is removed; in a dry run, would be removed.
    Removed,
    /// A launcher is at work on the session.
    AtWork,
    /// The claim may not be cleared by a collection.
    Claimed,
    /// The directory belongs to no session.
    NoSession,
    /// An unreadable file of the session was renamed.
    Repaired,
    /// The record cannot be read.
    RecordCorrupt,
    /// A later version wrote the record.
    RecordNewer,
    /// The worker runs, or may run.
    Running,
    /// The last run may still be wanted.
    LastRunWanted,
    /// Foreign files are left in the directory.
    OtherFiles,
    /// A step failed.
    Failed,
}

impl Collect {
    /// A collection that has not begun.
    pub const fn new(options: GcOptions) -> Self {
        Self { options, phase: Phase::Locking }
    }

    /// The next step.
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

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
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
