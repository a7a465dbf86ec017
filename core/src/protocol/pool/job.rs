//! The steps of a pool's calls: reach the worker, shake hands, speak, and record.
//!
//! ```text
//! Run:      Starting ───────────→ Greeting → Feeding ────────────→ Remembering → Done(Fed)
//!               └ no handshake, or the worker refused the run ─→ Ending → Done
//! Continue: Attaching ⇄ Pausing → Greeting → (Naming) → Feeding → (Remembering) → Done(Fed)
//! Status:   Attaching ⇄ Pausing → Greeting → Asking → Done(Told)
//! Settle:   Attaching ⇄ Pausing → Greeting → Naming ┬ has a session ─→ Remembering → Done(Settled)
//!                                                   └ has none ─→ Ending → Done(Settled)
//! Shutdown: Attaching ⇄ Pausing → Greeting → AskingToEnd → Stopping → Done(Stopped)
//! ```
//!
//! # Invariants
//! 1. A worker is ended only if this run started the worker, or if the host died before the worker had a session. A
//!    worker that ran before a call is never ended because of its answer, least of all because of its version.
//! 2. A failure to update the record changes no result.
//! 3. A shutdown stops the worker whether or not the worker agreed.
//! 4. After the start, [`Purpose::Run`] always leaves a worker that answered, or no worker.
//!
//! Each step has a row in `gates/tests/pool_job.rs`; the same test kills hosts at every step.

/// A call of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    purpose: Purpose,
    phase: Phase,
}

/// The purpose of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Start a worker for a new session and give it a piece of work.
    Run,
    /// Give a paused session an answer.
    Continue,
    /// Ask a worker for its status.
    Status,
    /// Decide about a worker whose host died before the session's name was recorded.
    Settle,
    /// End the worker of a session.
    Shutdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Starting,
    Attaching,
    AskingWhetherGone,
    Pausing,
    Greeting,
    Naming,
    Feeding(Name),
    Asking,
    Remembering,
    Ending(End),
    AskingToEnd,
    Stopping(Agreed),
    Done(End),
}

/// Whether the record has the worker's name for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    /// The record has the name.
    Recorded,
    /// The host died before recording the name, or the session is new.
    New,
}

/// Whether the worker agreed to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Agreed {
    Yes,
    No,
}

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The worker took the work or the answer, and reported the session's status.
    Fed,
    /// The worker reported its status.
    Told,
    /// A worker without a host was recorded or ended.
    Settled,
    /// The worker was stopped, or had ended before.
    Stopped(Stopped),
    /// The worker did not come up.
    NotStarted,
    /// The worker is provably gone.
    Gone,
    /// The worker lives, but did not accept a connection in time.
    Silent,
    /// The worker cannot be reached; the last rejection gives the reason.
    Unreachable,
    /// The worker failed the handshake.
    NoHandshake,
    /// The worker has no session to continue.
    NoSession,
    /// The worker refused; nothing began.
    Refused,
    /// A step failed: the step's error is the outcome.
    Failed,
}

/// The result of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stopped {
    /// The stop found the worker; or found no worker, and the worker had not agreed to end.
    AsReported,
    /// The worker had agreed to end, and ended before the stop could send a signal.
    ByItself,
}

/// The next step of a call, or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the call where it is"]
pub enum Effect {
    /// Start a worker for a new session. Answer: [`Event::Did`], or [`Event::Refused`] if the worker does not run.
    Start,
    /// Connect to the worker. Answer: [`Event::Attached`].
    Attach,
    /// Ask whether the worker is provably gone. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    AskWhetherGone,
    /// Wait a moment. Answer: [`Event::Did`], or [`Event::Late`] once the time for connecting is over.
    Pause,
    /// Shake hands. Answer: [`Event::Greeted`].
    Greet,
    /// Ask the worker for its name of the session. Answer: [`Event::Did`], or [`Event::Refused`] if the worker has no
    /// session.
    AskName,
    /// Send the work or the answer. Answer: [`Event::Did`], or [`Event::Refused`] if the worker refused.
    Feed,
    /// Ask for the status. Answer: [`Event::Did`].
    AskStatus,
    /// Record the worker's name for the session. Answer: [`Event::Did`].
    Remember,
    /// End a worker that cannot be used. Answer: [`Event::Did`].
    EndWorker,
    /// Ask the worker to end. Answer: [`Event::Did`].
    AskToEnd,
    /// Stop the session. Answer: [`Event::Stopped`].
    Stop,
    /// Nothing: the call is over.
    Done(End),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The effect was performed; of a question, the answer is yes.
    Did,
    /// The answer is no.
    Refused,
    /// The result of the attempt to attach.
    Attached(Attached),
    /// The worker shook hands.
    Greeted(Name),
    /// The result of the stop.
    Stopped(WasRunning),
    /// Time is up.
    Late,
    /// The effect failed.
    Failed,
}

/// The result of an attempt to attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attached {
    /// The worker accepted a connection.
    Running,
    /// No worker accepts connections.
    NotRunning,
    /// The attempt was rejected for another reason.
    Rejected,
    /// The worker is in another state.
    Other,
}

/// Whether a stop found the worker running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WasRunning {
    /// The stop found a running worker.
    Yes,
    /// The worker had ended.
    No,
}

impl Job {
    /// A call that has not begun.
    pub const fn new(purpose: Purpose) -> Self {
        let phase = match purpose {
            Purpose::Run => Phase::Starting,
            Purpose::Continue | Purpose::Status | Purpose::Settle | Purpose::Shutdown => Phase::Attaching,
        };
        Self { purpose, phase }
    }

    /// The next step.
    pub fn effect(self) -> Effect {
        match self.phase {
            Phase::Starting => Effect::Start,
            Phase::Attaching => Effect::Attach,
            Phase::AskingWhetherGone => Effect::AskWhetherGone,
            Phase::Pausing => Effect::Pause,
            Phase::Greeting => Effect::Greet,
            Phase::Naming => Effect::AskName,
            Phase::Feeding(_) => Effect::Feed,
            Phase::Asking => Effect::AskStatus,
            Phase::Remembering => Effect::Remember,
            Phase::Ending(_) => Effect::EndWorker,
            Phase::AskingToEnd => Effect::AskToEnd,
            Phase::Stopping(_) => Effect::Stop,
            Phase::Done(end) => Effect::Done(end),
        }
    }

    /// The worker cannot be spoken to. A shutdown continues with the stop.
    fn gives_up(self, end: End) -> Phase {
        match self.purpose {
            Purpose::Shutdown => Phase::Stopping(Agreed::No),
            Purpose::Run | Purpose::Continue | Purpose::Status | Purpose::Settle => Phase::Done(end),
        }
    }

    fn attached(self, attached: Attached) -> Phase {
        match attached {
            Attached::Running => Phase::Greeting,
            Attached::NotRunning => Phase::AskingWhetherGone,
            Attached::Rejected => self.gives_up(End::Unreachable),
            Attached::Other => self.gives_up(End::NotStarted),
        }
    }

    fn greeted(self, name: Name) -> Phase {
        match (self.purpose, name) {
            (Purpose::Run, _) => Phase::Feeding(Name::New),
            (Purpose::Continue, Name::Recorded) => Phase::Feeding(name),
            (Purpose::Continue, Name::New) | (Purpose::Settle, _) => Phase::Naming,
            (Purpose::Status, _) => Phase::Asking,
            (Purpose::Shutdown, _) => Phase::AskingToEnd,
        }
    }

    fn not_greeted(self) -> Phase {
        match self.purpose {
            // Started for this call, and cannot be used.
            Purpose::Run => Phase::Ending(End::NoHandshake),
            Purpose::Continue | Purpose::Status | Purpose::Settle | Purpose::Shutdown => {
                self.gives_up(End::NoHandshake)
            }
        }
    }

    fn named(self) -> Phase {
        match self.purpose {
            Purpose::Settle => Phase::Remembering,
            Purpose::Run | Purpose::Continue | Purpose::Status | Purpose::Shutdown => {
                Phase::Feeding(Name::New)
            }
        }
    }

    fn nameless(self) -> Phase {
        match self.purpose {
            Purpose::Settle => Phase::Ending(End::Settled),
            Purpose::Run | Purpose::Continue | Purpose::Status | Purpose::Shutdown => {
                Phase::Done(End::NoSession)
            }
        }
    }

    fn refused(self) -> Phase {
        match self.purpose {
            // The worker reported that nothing began, and no caller will return to the worker.
            Purpose::Run => Phase::Ending(End::Refused),
            Purpose::Continue | Purpose::Status | Purpose::Settle | Purpose::Shutdown => {
                Phase::Done(End::Refused)
            }
        }
    }

    fn remembered(self) -> End {
        match self.purpose {
            Purpose::Settle => End::Settled,
            Purpose::Run | Purpose::Continue | Purpose::Status | Purpose::Shutdown => End::Fed,
        }
    }
}

fn stopped(agreed: Agreed, was_running: WasRunning) -> Stopped {
    match (agreed, was_running) {
        (Agreed::Yes, WasRunning::No) => Stopped::ByItself,
        (Agreed::Yes, WasRunning::Yes) | (Agreed::No, WasRunning::Yes | WasRunning::No) => {
            Stopped::AsReported
        }
    }
}

/// Takes the answer to the present effect. An answer that does not fit the effect changes nothing.
#[must_use = "the call continues from here"]
pub fn step(job: Job, event: Event) -> Job {
    use {Event as Ev, Phase as At};
    let phase = match (job.phase, event) {
        (At::Starting, Ev::Did) => At::Greeting,
        (At::Starting, Ev::Refused) => At::Done(End::NotStarted),
        (At::Attaching, Ev::Attached(attached)) => job.attached(attached),
        (At::AskingWhetherGone, Ev::Did) => job.gives_up(End::Gone),
        (At::AskingWhetherGone, Ev::Refused) => At::Pausing,
        (At::Pausing, Ev::Did) => At::Attaching,
        (At::Pausing, Ev::Late) => job.gives_up(End::Silent),
        (At::Greeting, Ev::Greeted(name)) => job.greeted(name),
        (At::Greeting, Ev::Failed) => job.not_greeted(),
        (At::Naming, Ev::Did) => job.named(),
        (At::Naming, Ev::Refused) => job.nameless(),
        (At::Feeding(Name::New), Ev::Did) => At::Remembering,
        (At::Feeding(Name::Recorded), Ev::Did) => At::Done(End::Fed),
        (At::Feeding(_), Ev::Refused) => job.refused(),
        (At::Asking, Ev::Did) => At::Done(End::Told),
        (At::Remembering, Ev::Did | Ev::Failed) => At::Done(job.remembered()),
        (At::Ending(end), Ev::Did | Ev::Failed) => At::Done(end),
        (At::AskingToEnd, Ev::Did) => At::Stopping(Agreed::Yes),
        (At::AskingToEnd, Ev::Failed) => At::Stopping(Agreed::No),
        (At::Stopping(agreed), Ev::Stopped(running)) => At::Done(End::Stopped(stopped(agreed, running))),
        (At::Attaching | At::AskingWhetherGone, Ev::Failed) => job.gives_up(End::Failed),
        (At::Starting | At::Naming | At::Feeding(_) | At::Asking | At::Stopping(_), Ev::Failed) => {
            At::Done(End::Failed)
        }
        // Late or foreign answers change nothing.
        (
            At::Starting
            | At::Attaching
            | At::AskingWhetherGone
            | At::Pausing
            | At::Greeting
            | At::Naming
            | At::Feeding(_)
            | At::Asking
            | At::Remembering
            | At::Ending(_)
            | At::AskingToEnd
            | At::Stopping(_)
            | At::Done(_),
            Ev::Did | Ev::Refused | Ev::Attached(_) | Ev::Greeted(_) | Ev::Stopped(_) | Ev::Late | Ev::Failed,
        ) => job.phase,
    };
    Job { phase, ..job }
}
