//! Attach, start, adopt or reject: the steps of one `ensure`, from the first look to the outcome.
//!
//! ```text
//! Look ─→ check the target ─→ (known to answer: probe, look again ─→ attached)
//!   ↑                │
//!   │          take the claim ─ held by another ─→ wait ─┐
//!   │                │                                   │
//!   ├────────────────┼───────────────────────────────────┘
//!   │        look and probe under the claim ─→ decide ─→ attach | start | adopt | release and reject
//!   │                ↑                           └─ restart: end the worker ─┐
//!   │                └────────────── from now on a resume ───────────────────┘
//!   └── an abandoned start, an adopted worker that ended, a silent worker that answers again
//! ```
//!
//! # Invariants
//! 1. Pure and total: facts enter as an [`Event`], and [`Ensure::effect`] names the next step.
//! 2. A start or an adoption happens only under the claim, and only by facts found under the claim.
//! 3. Every end gives the claim up: released on an observation or a rejection, retained without an observation.
//! 4. A silent worker that had been ready is awaited without the claim. The call never ends the worker, and never
//!    starts a second worker beside it.
//! 5. A call begins anew only before the deadline. A probe without a lock is repeated only if another start appeared
//!    meanwhile.
//! 6. A port that a stranger took is replaced only if a launcher chose it, and only [`PORTS_LOST_MAX`] times.
//! 7. A restart ends the worker and starts another under the same claim, so no other launcher can start a worker in
//!    between. After the end the call is a resume, and ends no other worker.
//!
//! Walked by `gates/tests/transactions.rs` over a simulated kernel; each rule has a test in `gates/tests/ensure.rs`.

pub mod decide;

use crate::effects::{ReleaseError, SpawnError, WatchError};
use crate::ensure::decide::{Finding, Intent, Liveness, RejectReason, Unrecorded, Verdict, decide};
use crate::process::id::Generation;
use crate::session::endpoint::EndpointKind;
use crate::session::evidence::LastWorker;
use crate::session::plan::PortChoice;
use crate::session::readiness::Proof;
use crate::session::view::{Contact, RecordIs, View};
use crate::start::execute::{Cause, ExecuteError, Outcome, Seen};

/// One call for one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ensure {
    request: Request,
    /// The number of chosen ports that strangers took, before or during a start.
    ports_lost: u8,
    phase: Phase,
}

/// The request of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request {
    /// The caller's intent.
    pub intent: Intent,
    /// The extent of the call.
    pub depth: Depth,
    /// The choice of the TCP port, if the endpoint is a TCP port.
    pub port: PortChoice,
    /// The treatment of an answering process that no record names.
    pub unrecorded: Unrecorded,
}

/// How many ports a call may lose to strangers, before the call gives up.
pub const PORTS_LOST_MAX: u8 = 3;

/// The extent of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// To an outcome.
    Whole,
    /// To an outcome, if the outcome needs no lock and no wait.
    AtOnce,
    /// To a verdict; the call takes and creates nothing.
    DryRun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Looking,
    CheckingTarget(View),
    Probing(Generation),
    LookingAgain(Liveness, Generation),
    Inspecting,
    Clearing,
    Acquiring,
    Waiting,
    LookingUnderClaim,
    ProbingUnderClaim(View),
    Settling,
    CheckingProgram,
    Replacing,
    Starting(StartPath),
    Releasing(After),
    Pausing,
    Silent(Silence),
    Done(Conclusion),
}

/// The step after the release of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum After {
    Conclude(Conclusion),
    WaitForAnswer,
    ChoosePort,
}

/// The steps of waiting for a worker that had been ready and does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Silence {
    Waiting,
    Looking,
    Probing(View),
}

/// The way in which a call gets its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartPath {
    /// The call starts the worker.
    Fresh,
    /// The worker runs, and the launcher died before observing readiness: the call watches the worker like its own
    /// child.
    Adopted,
    /// As `Adopted`; the worker has also accepted a connection, and has not answered yet.
    AdoptedConnected,
    /// The worker answers.
    Attached,
}

impl StartPath {
    fn is_adopted(self) -> bool {
        match self {
            Self::Adopted | Self::AdoptedConnected => true,
            Self::Fresh | Self::Attached => false,
        }
    }
}

/// The next step, or the end of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the call where it is"]
pub enum Effect {
    /// Read the state of the session, without a lock. Answer: [`Event::Looked`].
    Look,
    /// Judge whether the target can be used. Answer: [`Event::Did`] or [`Event::Refused`].
    CheckTarget,
    /// Probe the target. Answer: [`Event::Probed`].
    Probe,
    /// Look whether a claim was left behind. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    InspectClaim,
    /// Take that claim and release it. Answer: [`Event::Did`], also after a failure.
    ClearClaim,
    /// Take the claim. Answer: [`Event::Did`], [`Event::Conflict`].
    Acquire,
    /// Wait until the claim may have been given up. Answer: [`Event::Did`], or [`Event::Late`] at the deadline.
    AwaitClaim,
    /// Under the claim, restore a lost record and read the state. Answer: [`Event::Looked`].
    LookUnderClaim,
    /// Complete the record of an answering worker, and release the claim. Answer: [`Event::Did`].
    Complete,
    /// Judge whether the program can be started. Answer: [`Event::Did`] or [`Event::Refused`].
    CheckProgram,
    /// End the worker found under the claim. Answer: [`Event::Did`] once the worker is gone, or [`Event::Refused`] if
    /// the end was not observed in time.
    EndWorker,
    /// Start a worker, or watch a running worker, until an observation. Answer: [`Event::Ended`].
    Start(StartPath),
    /// Release the claim. No start was begun under the claim. Answer: [`Event::Did`].
    Release,
    /// Wait until the process that disturbed a start has finished. Answer: [`Event::Did`].
    Pause,
    /// Wait until a silent worker may answer again. Answer: [`Event::Did`], or [`Event::Late`] at the deadline.
    AwaitAnswer,
    /// Nothing: the call is over.
    Done(Conclusion),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The effect was performed; of a question, the answer is yes.
    Did,
    /// The answer is no.
    Refused,
    /// The state of the session.
    Looked(View),
    /// The result of the probe.
    Probed(Liveness),
    /// Another process holds the claim.
    Conflict(MayPass),
    /// A start ended.
    Ended(Ended, Deadline),
    /// The deadline has passed.
    Late,
    /// The effect failed.
    Failed,
}

/// Whether a conflict can end without help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MayPass {
    /// The holder is at work.
    Yes,
    /// A person has to investigate.
    No,
}

/// Whether the call has time to begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// There is time.
    Ahead,
    /// There is no time.
    Passed,
}

/// The end of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The worker answers, and the claim is released.
    Ready,
    /// The worker ended, and the claim is released.
    Exited,
    /// The start was never begun: a file or a socket of the start was removed, moved or taken.
    Abandoned,
    /// A stranger listens at the endpoint. The worker of this start has ended, and the claim is released.
    AddressTaken,
    /// The start was never begun.
    NotStarted,
    /// Nothing could be observed, and the claim is retained.
    Retained,
    /// The start was observed, and the claim could not be released.
    ReleaseFailed,
    /// The start was never begun, and the claim is still held: for example, the found worker could not be pinned.
    NotBegun,
}

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// A worker answers.
    Running(StartPath),
    /// The worker ended before it was ready.
    Exited,
    /// The worker was never started.
    NotStarted,
    /// Nothing could be observed.
    Retained,
    /// The target is unusable.
    BadTarget,
    /// Another process holds the claim.
    Locked,
    /// The facts found forbid the call.
    Rejected(RejectReason),
    /// The worker to replace was signalled, and its end was not observed in time.
    NotEnded,
    /// A later version wrote the record.
    RecordNewer,
    /// A step failed; the outcome is the error.
    Failed,
    /// The claim could not be released.
    ReleaseFailed(Before),
    /// The call needs a lock or a wait.
    NotAtOnce,
    /// The verdict of a dry run.
    WouldBe(Verdict),
}

/// The last fact before a failed release of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Before {
    /// A worker answers.
    Answering,
    /// Nothing was begun.
    Nothing,
    /// A start; the start's outcome has the details.
    Start,
}

/// Whether a stranger listens at the endpoint after a worker of ours has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stranger {
    /// A stranger listens: a worker that could not listen there may have ended for this reason.
    Listens,
    /// No process listens, or the endpoint is no TCP port.
    Absent,
}

impl Ended {
    /// The end of a start, from the outcome, and from a look at the endpoint after the outcome.
    pub fn of<C>(outcome: &Result<Outcome<C>, ExecuteError>, stranger: Stranger) -> Self {
        match outcome {
            Ok(Outcome::SocketAlive { .. }) => Self::Ready,
            Ok(Outcome::ChildExited { cause: Some(Cause::Seam(WatchError::Stranger { .. })), .. }) => {
                Self::AddressTaken
            }
            Ok(Outcome::ChildExited { cause: None, .. }) if stranger == Stranger::Listens => Self::AddressTaken,
            Ok(Outcome::ChildExited { .. }) => Self::Exited,
            Ok(Outcome::SpawnStartFailed { error: SpawnError::Abandoned { .. } })
            // Nothing was begun: the directory was replaced.
            | Err(ExecuteError::Release {
                observed: Seen::SpawnStartFailed,
                source: ReleaseError::DirectoryReplaced { .. },
            }) => Self::Abandoned,
            Ok(Outcome::SpawnStartFailed { .. }) => Self::NotStarted,
            Ok(Outcome::LockRetained { .. }) => Self::Retained,
            Err(ExecuteError::Release { .. } | ExecuteError::Pairing(_)) => Self::ReleaseFailed,
        }
    }
}

impl Ensure {
    /// A call that has not begun.
    pub const fn new(request: Request) -> Self {
        Self { request, ports_lost: 0, phase: Phase::Looking }
    }

    /// The same call, with another choice of the port: a call as the record says learns the choice from the record.
    #[must_use]
    pub fn on_port(self, port: PortChoice) -> Self {
        Self { request: Request { port, ..self.request }, ..self }
    }

    /// The next step.
    pub fn effect(self) -> Effect {
        match self.phase {
            Phase::Looking | Phase::LookingAgain(..) | Phase::Silent(Silence::Looking) => Effect::Look,
            Phase::CheckingTarget(_) => Effect::CheckTarget,
            Phase::Probing(_) | Phase::ProbingUnderClaim(_) | Phase::Silent(Silence::Probing(_)) => {
                Effect::Probe
            }
            Phase::Inspecting => Effect::InspectClaim,
            Phase::Clearing => Effect::ClearClaim,
            Phase::Acquiring => Effect::Acquire,
            Phase::Waiting => Effect::AwaitClaim,
            Phase::LookingUnderClaim => Effect::LookUnderClaim,
            Phase::Settling => Effect::Complete,
            Phase::CheckingProgram => Effect::CheckProgram,
            Phase::Replacing => Effect::EndWorker,
            Phase::Starting(kind) => Effect::Start(kind),
            Phase::Releasing(_) => Effect::Release,
            Phase::Pausing => Effect::Pause,
            Phase::Silent(Silence::Waiting) => Effect::AwaitAnswer,
            Phase::Done(conclusion) => Effect::Done(conclusion),
        }
    }

    /// Whether the call holds the claim, so that the claim's evidence has to be in place.
    pub fn holds_claim(self) -> bool {
        match self.phase {
            Phase::LookingUnderClaim
            | Phase::ProbingUnderClaim(_)
            | Phase::Settling
            | Phase::CheckingProgram
            | Phase::Replacing
            | Phase::Starting(_)
            | Phase::Releasing(_) => true,
            Phase::Looking
            | Phase::CheckingTarget(_)
            | Phase::Probing(_)
            | Phase::LookingAgain(..)
            | Phase::Inspecting
            | Phase::Clearing
            | Phase::Acquiring
            | Phase::Waiting
            | Phase::Pausing
            | Phase::Silent(_)
            | Phase::Done(_) => false,
        }
    }

    fn at(self, phase: Phase) -> Self {
        Self { phase, ..self }
    }

    fn concludes(self, conclusion: Conclusion) -> Self {
        self.at(Phase::Done(conclusion))
    }

    /// Decides, for a usable target, whether to go on without a lock.
    fn checked(self, view: &View) -> Self {
        let intent = self.request.intent;
        let is_restart = intent.is_restart();
        match self.request.depth {
            Depth::DryRun => self.at(Phase::Probing(view.generation)),
            // A worker with gentle contact must not be connected to for a mere look: only a whole call does more.
            Depth::AtOnce if is_restart || !view.is_known_to_answer() || view.contact == Contact::Gentle => {
                self.concludes(Conclusion::NotAtOnce)
            }
            // A call that may start nothing takes no claim and makes no directory.
            Depth::Whole if is_restart => self.at(Phase::Acquiring),
            Depth::Whole if !view.is_known_to_answer() && intent != Intent::Attach => {
                self.at(Phase::Acquiring)
            }
            Depth::AtOnce | Depth::Whole => self.at(Phase::Probing(view.generation)),
        }
    }

    fn decides(self, liveness: Liveness, view: &View) -> Verdict {
        let found = Finding::of(view.liveness(liveness), view.last);
        decide(self.request.intent, found.judged_by(self.request.unrecorded, view.may_answer()))
    }

    /// Decides after a probe and a second look without a lock: in between, the worker may have been replaced.
    fn without_lock(self, liveness: Liveness, view: &View) -> Self {
        let Request { intent, depth, .. } = self.request;
        let verdict = self.decides(liveness, view);
        match (depth, verdict) {
            (_, Verdict::Attach) if intent == Intent::Attach && view.endpoint == EndpointKind::None => self
                .concludes(match depth {
                    Depth::DryRun => Conclusion::WouldBe(Verdict::Reject(RejectReason::NoEndpoint)),
                    Depth::Whole | Depth::AtOnce => Conclusion::Rejected(RejectReason::NoEndpoint),
                }),
            (Depth::DryRun, verdict) => self.concludes(Conclusion::WouldBe(verdict)),
            (Depth::Whole | Depth::AtOnce, Verdict::Attach) if intent == Intent::Attach => {
                self.concludes(Conclusion::Running(StartPath::Attached))
            }
            (Depth::Whole | Depth::AtOnce, Verdict::Attach) => self.at(Phase::Inspecting),
            (Depth::AtOnce, Verdict::Spawn | Verdict::Adopt | Verdict::Replace | Verdict::Reject(_)) => {
                self.concludes(Conclusion::NotAtOnce)
            }
            (Depth::Whole, Verdict::Reject(reason))
                if intent == Intent::Attach
                    || reason == RejectReason::AlreadyLive
                    || reason == RejectReason::RecordLessSocket =>
            {
                self.concludes(Conclusion::Rejected(reason))
            }
            (Depth::Whole, Verdict::Spawn | Verdict::Adopt | Verdict::Replace | Verdict::Reject(_)) => {
                self.at(Phase::Acquiring)
            }
        }
    }

    /// Decides after a probe under the claim.
    fn under_claim(self, liveness: Liveness, view: &View) -> Self {
        let intent = self.request.intent;
        match self.decides(liveness, view) {
            Verdict::Spawn | Verdict::Adopt | Verdict::Replace if view.record == RecordIs::Newer => {
                self.releases(Conclusion::RecordNewer)
            }
            Verdict::Replace => match view.last {
                LastWorker::AliveUnobserved | LastWorker::AliveReady => self.at(Phase::CheckingProgram),
                // The answering process is no worker of this session.
                LastWorker::Gone => self.releases(Conclusion::Rejected(RejectReason::AlreadyLive)),
                LastWorker::Unknown => self.releases(Conclusion::Rejected(RejectReason::WorkerUnknown)),
            },
            // The worker accepts connections, and only its answer proves readiness: the launcher died before the
            // answer.
            Verdict::Attach if view.proof == Proof::Answer && view.last == LastWorker::AliveUnobserved => {
                self.at(Phase::Starting(StartPath::AdoptedConnected))
            }
            Verdict::Attach if view.is_unfinished() => self.at(Phase::Settling),
            Verdict::Attach => self.releases(Conclusion::Running(StartPath::Attached)),
            Verdict::Reject(RejectReason::WorkerUnresponsive) if intent == Intent::Ensure => {
                self.at(Phase::Releasing(After::WaitForAnswer))
            }
            // A stranger took the port since this call chose it.
            Verdict::Reject(RejectReason::TargetAddressConflict)
                if view.last == LastWorker::Gone && self.may_choose_again() =>
            {
                self.at(Phase::Releasing(After::ChoosePort))
            }
            Verdict::Reject(reason) => self.releases(Conclusion::Rejected(reason)),
            Verdict::Adopt => self.at(Phase::Starting(StartPath::Adopted)),
            Verdict::Spawn => self.at(Phase::Starting(StartPath::Fresh)),
        }
    }

    /// The worker is gone: the restart goes on as a resume.
    fn replaced(self) -> Self {
        let request = Request { intent: Intent::Resume, ..self.request };
        Self { request, phase: Phase::LookingUnderClaim, ..self }
    }

    fn releases(self, conclusion: Conclusion) -> Self {
        self.at(Phase::Releasing(After::Conclude(conclusion)))
    }

    fn ended(self, kind: StartPath, ended: Ended, deadline: Deadline) -> Self {
        match (ended, deadline) {
            (Ended::Ready, _) => self.concludes(Conclusion::Running(kind)),
            // The same call starts another worker, if there is time.
            (Ended::Exited, Deadline::Ahead) if kind.is_adopted() => self.at(Phase::Looking),
            (Ended::Exited, Deadline::Ahead | Deadline::Passed) => self.concludes(Conclusion::Exited),
            (Ended::Abandoned, Deadline::Ahead) => self.at(Phase::Pausing),
            (Ended::AddressTaken, Deadline::Ahead) if self.may_choose_again() => self.chooses_port(),
            (Ended::AddressTaken, Deadline::Ahead | Deadline::Passed) => {
                self.concludes(Conclusion::Rejected(RejectReason::TargetAddressConflict))
            }
            (Ended::Abandoned, Deadline::Passed) | (Ended::NotStarted, _) => {
                self.concludes(Conclusion::NotStarted)
            }
            (Ended::Retained, _) => self.concludes(Conclusion::Retained),
            (Ended::ReleaseFailed, _) => self.concludes(Conclusion::ReleaseFailed(Before::Start)),
            (Ended::NotBegun, _) => self.releases(Conclusion::Failed),
        }
    }

    /// A caller's own port is not replaced by another.
    fn may_choose_again(self) -> bool {
        self.request.port == PortChoice::Launcher && self.ports_lost < PORTS_LOST_MAX
    }

    fn chooses_port(self) -> Self {
        Self { ports_lost: self.ports_lost + 1, phase: Phase::Pausing, ..self }
    }

    fn released(self, after: After) -> Self {
        match after {
            After::Conclude(conclusion) => self.concludes(conclusion),
            After::WaitForAnswer => self.at(Phase::Silent(Silence::Waiting)),
            After::ChoosePort => self.chooses_port(),
        }
    }
}

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "the call goes on from where this leads"]
pub fn step(call: Ensure, event: Event) -> Ensure {
    use {Event as Ev, Phase as At};
    match (call.phase, event) {
        (At::Looking, Ev::Looked(view)) => call.at(At::CheckingTarget(view)),
        (At::CheckingTarget(view), Ev::Did) => call.checked(&view),
        (At::CheckingTarget(_), Ev::Refused) => call.concludes(Conclusion::BadTarget),
        (At::Probing(of), Ev::Probed(liveness)) => call.at(At::LookingAgain(liveness, of)),
        // Another start's worker may listen where the first look knew of none: the probe took it for a stranger.
        (At::LookingAgain(Liveness::Forged, of), Ev::Looked(view)) if of != view.generation => {
            call.at(At::CheckingTarget(view))
        }
        (At::LookingAgain(liveness, _), Ev::Looked(view)) => call.without_lock(liveness, &view),
        (At::Inspecting, Ev::Did) => call.at(At::Clearing),
        (At::Inspecting, Ev::Refused | Ev::Failed) | (At::Clearing, Ev::Did | Ev::Failed) => {
            call.concludes(Conclusion::Running(StartPath::Attached))
        }
        (At::Acquiring, Ev::Did) => call.at(At::LookingUnderClaim),
        (At::Acquiring, Ev::Conflict(MayPass::Yes)) => call.at(At::Waiting),
        (At::Acquiring, Ev::Conflict(MayPass::No)) | (At::Waiting, Ev::Late) => {
            call.concludes(Conclusion::Locked)
        }
        (At::LookingUnderClaim, Ev::Looked(view)) => call.at(At::ProbingUnderClaim(view)),
        (At::LookingUnderClaim, Ev::Failed) => call.releases(Conclusion::Failed),
        (At::ProbingUnderClaim(view), Ev::Probed(liveness)) => call.under_claim(liveness, &view),
        (At::Settling, Ev::Did) => call.concludes(Conclusion::Running(StartPath::Attached)),
        (At::CheckingProgram, Ev::Did) => call.at(At::Replacing),
        // No worker is ended for a program that cannot be started.
        (At::CheckingProgram, Ev::Refused) => call.releases(Conclusion::NotStarted),
        (At::Replacing, Ev::Did) => call.replaced(),
        (At::Replacing, Ev::Refused) => call.releases(Conclusion::NotEnded),
        (At::CheckingProgram | At::Replacing, Ev::Failed) => call.releases(Conclusion::Failed),
        (At::Starting(kind), Ev::Ended(ended, deadline)) => call.ended(kind, ended, deadline),
        (At::Releasing(after), Ev::Did) => call.released(after),
        // The earlier error matters more than an error of the release.
        (At::Releasing(After::Conclude(Conclusion::Failed)), Ev::Failed) => {
            call.concludes(Conclusion::Failed)
        }
        (
            At::Settling | At::Releasing(After::Conclude(Conclusion::Running(StartPath::Attached))),
            Ev::Failed,
        ) => call.concludes(Conclusion::ReleaseFailed(Before::Answering)),
        (At::Releasing(_), Ev::Failed) => call.concludes(Conclusion::ReleaseFailed(Before::Nothing)),
        (At::Pausing | At::Waiting, Ev::Did) => call.at(At::Looking),
        (At::Silent(Silence::Waiting), Ev::Did) => call.at(At::Silent(Silence::Looking)),
        (At::Silent(Silence::Waiting), Ev::Late) => {
            call.concludes(Conclusion::Rejected(RejectReason::WorkerUnresponsive))
        }
        (At::Silent(Silence::Looking), Ev::Looked(view)) => call.at(At::Silent(Silence::Probing(view))),
        (At::Silent(Silence::Probing(view)), Ev::Probed(liveness)) => {
            let found = Finding::of(view.liveness(liveness), view.last);
            let is_silent = found == Finding::Dormant(LastWorker::AliveReady);
            call.at(if is_silent { At::Silent(Silence::Waiting) } else { At::Looking })
        }
        (
            At::Looking
            | At::CheckingTarget(_)
            | At::LookingAgain(..)
            | At::Acquiring
            | At::Silent(Silence::Looking),
            Ev::Failed,
        ) => call.concludes(Conclusion::Failed),
        // Late or foreign answers change nothing.
        (
            At::Looking
            | At::CheckingTarget(_)
            | At::Probing(_)
            | At::LookingAgain(..)
            | At::Inspecting
            | At::Clearing
            | At::Acquiring
            | At::Waiting
            | At::LookingUnderClaim
            | At::ProbingUnderClaim(_)
            | At::Settling
            | At::CheckingProgram
            | At::Replacing
            | At::Starting(_)
            | At::Releasing(_)
            | At::Pausing
            | At::Silent(_)
            | At::Done(_),
            Ev::Did
            | Ev::Refused
            | Ev::Looked(_)
            | Ev::Probed(_)
            | Ev::Conflict(_)
            | Ev::Ended(..)
            | Ev::Late
            | Ev::Failed,
        ) => call,
    }
}
