//! Sessions without a process, a socket or a clock, for tests of programs that use rekindle.
//!
//! A [`Machine`] is simulated: the kernel keeps locks, files and processes in memory, the programs behave as the test
//! prescribes, and time passes at once. [`Machine::sessions`] returns [`Sessions`](crate::Sessions) with the same
//! transactions and the same outcomes as on a real machine.
//!
//! ```
//! use rekindle::testing::{Machine, Program};
//! use rekindle::{Ensured, Launch};
//!
//! # async fn run() -> Result<(), rekindle::Error> {
//! let machine = Machine::new();
//! let (sessions, session) = (machine.sessions(), "web".parse().expect("a name"));
//! machine.runs(&session, Program::ExitsEarly);
//! let ensured = sessions.ensure(&session, Launch::new("server")).await?;
//! assert!(matches!(ensured, Ensured::Exited(_)));
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
//! ```
//!
//! # Limits
//! A [`Connection`] to a simulated worker cannot be opened. `show`, `diagnose`, `dry_run` and `forget` act as if
//! nothing had ever been started.

use crate::advice::{Advice, Step};
use crate::error::Error;
use crate::launch::{Launch, Source};
use crate::outcome::{
    Ensured, Exited, Rejection, Replaced, Restarted, Retained, Running, SaidReady, StartKind, StopOutcome,
    Stopped, Tidied,
};
use crate::sessions::gc::{Collected, Collection, Kept, KeptBecause};
use crate::sessions::list::{Listing, SessionSummary};
use crate::sessions::show::pass::LogPaths;
use crate::sessions::unlock::{Force, Unlocked};
use crate::sessions::watch::wait::WorkerWatch;
use rekindle_adapters::Connection;
use rekindle_core::again::NoPlan;
use rekindle_core::care::gc::{self, Collect};
use rekindle_core::care::unlock::{self, Unlock};
use rekindle_core::claim::ConflictReason;
use rekindle_core::ensure::{Conclusion, Depth, Ensure, Request, StartPath};
use rekindle_core::execute::{Cause, Diagnostic};
use rekindle_core::plan::PortChoice;
use rekindle_core::resume::RetainedReason;
use rekindle_core::state::{Listening, session_state};
use rekindle_core::stop::session::{self, StopSession};
use rekindle_core::stop::{StopEnd, StopStep};
use rekindle_core::testing::actor::{Actor, End, Task};
use rekindle_core::testing::kernel::{GC, Kernel, SLOTS, STOP, UNLOCK};
use rekindle_core::testing::objects::{Place, Process, Role, Socket};
use rekindle_core::testing::program::{Kind, Setting};
use rekindle_core::testing::sabotage::Conduct;
use rekindle_core::view::EndpointView;
use rekindle_core::{
    Address, ChildExit, Endpoint, EndpointKind, Generation, Liveness, OsFailure, Pid, RecordState,
    RejectReason, SessionId, SpawnError,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The first port for simulated sessions that leave the choice to the launcher.
const ANY_PORT: u16 = 49_152;
/// The port of a session that names none.
const NO_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ANY_PORT);

/// A simulated machine. Cheap to clone; all clones are the same machine.
#[derive(Debug, Clone, Default)]
pub struct Machine(Arc<Mutex<BTreeMap<SessionId, Simulated>>>);

/// The behaviour of a session's program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Program {
    /// Becomes ready, and ends on SIGTERM.
    #[default]
    BecomesReady,
    /// Becomes ready, and ends only on SIGKILL.
    IgnoresSigterm,
    /// Exits with status 1 before ready.
    ExitsEarly,
    /// Never becomes ready, and ends on SIGTERM.
    NeverReady,
    /// Never becomes ready, and survives every signal.
    Unkillable,
    /// The program does not exist.
    Missing,
}

impl Program {
    fn kind(self) -> Kind {
        match self {
            Self::BecomesReady => Kind::Polite,
            Self::IgnoresSigterm => Kind::Stubborn,
            Self::ExitsEarly => Kind::Failing,
            Self::NeverReady => Kind::Hung,
            Self::Unkillable => Kind::Unkillable,
            Self::Missing => Kind::Missing,
        }
    }
}

/// A session of a simulated machine.
#[derive(Debug)]
struct Simulated {
    kernel: Kernel,
    setting: Setting,
    program: Program,
    /// The address of the first port.
    port: SocketAddr,
    /// The socket path, if the caller named one.
    socket: Option<PathBuf>,
}

impl Default for Simulated {
    fn default() -> Self {
        let (kinds, conduct) = ([Kind::Polite; SLOTS], Conduct::RIGHT);
        let (endpoint, port) = (EndpointView::SOCKET, PortChoice::Caller);
        let setting = Setting { kinds, endpoint, port, conduct };
        Self { kernel: Kernel::new(), setting, program: Program::default(), port: NO_PORT, socket: None }
    }
}

impl Simulated {
    /// A slot without a living process, for a call that may start a worker.
    fn slot(&self) -> usize {
        (1..SLOTS).find(|slot| !self.kernel.starts[*slot].is_alive()).unwrap_or(SLOTS - 1)
    }

    /// Runs a transaction to the end.
    fn run(&mut self, actor: usize, task: Task) -> Option<End> {
        self.kernel.actors[actor] = Actor::of(task);
        self.setting.run(&mut self.kernel, |_| ());
        match self.kernel.actors[actor].task {
            Task::Done(end) => Some(end),
            Task::Absent
            | Task::Ensure(_)
            | Task::Stop(_)
            | Task::Unlock(_)
            | Task::Collect(_)
            | Task::Hold(_)
            | Task::Dropped
            | Task::Crashed => None,
        }
    }

    /// Takes the endpoint and the condition of a call. A call that names no address is for the running worker's.
    fn plan(&mut self, launch: &Launch) {
        let is_recorded = launch.source == Source::Record;
        if is_recorded || (launch.address.is_none() && self.worker().is_some()) {
            return;
        }
        let address = launch.address.clone().unwrap_or_default();
        let kind = address.kind();
        self.setting.endpoint = EndpointView::of(launch.condition().kind(), kind);
        self.setting.port = launch.port_choice();
        self.socket = match &address {
            Address::At(Endpoint::Unix(socket)) => Some(socket.clone()),
            Address::OwnSocket | Address::AnyPort(_) | Address::At(Endpoint::Tcp(_) | Endpoint::None) => None,
        };
        self.port = match address {
            Address::AnyPort(host) => SocketAddr::new(host, ANY_PORT),
            Address::At(Endpoint::Tcp(at)) => at,
            Address::OwnSocket | Address::At(Endpoint::Unix(_) | Endpoint::None) => self.port,
        };
    }

    /// The endpoint of the recorded start, else the endpoint of the last call.
    fn endpoint(&self, session: &SessionId, dir: &Path) -> Endpoint {
        let asked = match self.setting.endpoint.kind {
            EndpointKind::Unix => Place::Path,
            EndpointKind::Tcp => Place::Port(0),
            EndpointKind::None => Place::Nowhere,
        };
        match self.kernel.files.record.map_or(asked, |record| record.place) {
            Place::Path => {
                Endpoint::Unix(self.socket.clone().unwrap_or_else(|| dir.join(session.as_str()).join("sock")))
            }
            Place::Port(n) => {
                let port = self.port.port().saturating_add(n.into());
                Endpoint::Tcp(SocketAddr::new(self.port.ip(), port))
            }
            Place::Nowhere => Endpoint::None,
        }
    }

    fn generation(&self) -> Generation {
        self.kernel
            .files
            .record
            .map_or(Generation::UNMANAGED, |record| Generation::new(record.generation.into()))
    }

    /// The leader of the recorded start, if running.
    fn worker(&self) -> Option<Process> {
        let start = self.kernel.files.record?.worker?;
        let leader = Process { start, role: Role::Leader };
        self.kernel.life(leader).is_alive().then_some(leader)
    }

    fn pid(&self) -> Option<Pid> {
        Pid::new(1000 + i32::from(self.worker()?.start))
    }
}

impl Machine {
    /// A machine without any start so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the behaviour of a session's program from the next start on.
    pub fn runs(&self, session: &SessionId, program: Program) {
        self.with(session, |it| it.program = program);
    }

    /// Ends the worker of a session, without a stop by rekindle.
    pub fn kill_worker(&self, session: &SessionId) {
        self.with(session, |it| {
            if let Some(worker) = it.worker() {
                it.kernel.end(worker);
            }
        });
    }

    /// Removes the socket of a session, as another program might.
    pub fn remove_socket(&self, session: &SessionId) {
        self.with(session, |it| it.kernel.socket = Socket::Absent);
    }

    /// Lets a process that is no part of the session take the session's port, unless a worker has the port.
    pub fn take_port(&self, session: &SessionId) {
        self.with(session, |it| {
            let place = it.kernel.files.record.map_or(Place::Port(0), |record| record.place);
            if it.kernel.socket_at(place) == Socket::Absent {
                it.kernel.put_socket(place, Socket::Stranger);
            }
        });
    }

    /// Lets another launcher take and keep the claim on a session.
    pub fn claim_by_another(&self, session: &SessionId) {
        self.with(session, |it| {
            let dir = it.kernel.make_dir();
            it.kernel.locks[0] = Some(dir);
        });
    }

    fn with<T>(&self, session: &SessionId, act: impl FnOnce(&mut Simulated) -> T) -> T {
        // A panic elsewhere leaves the simulated state valid.
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(sessions.entry(session.clone()).or_default())
    }

    pub(crate) fn ensure(&self, session: &SessionId, launch: &Launch, dir: &Path) -> Result<Ensured, Error> {
        let ensured = self.call(session, launch, dir, Depth::Whole)?;
        ensured.ok_or_else(|| no_end(session))
    }

    pub(crate) fn attach_at_once(
        &self,
        session: &SessionId,
        launch: &Launch,
        dir: &Path,
    ) -> Result<Option<Ensured>, Error> {
        self.call(session, launch, dir, Depth::AtOnce)
    }

    /// A call of some depth; `None` if more steps are necessary than can be done at once.
    fn call(
        &self,
        session: &SessionId,
        launch: &Launch,
        dir: &Path,
        depth: Depth,
    ) -> Result<Option<Ensured>, Error> {
        let (intent, unrecorded) = (launch.intent, launch.unrecorded);
        self.with(session, |it| {
            let is_recorded = launch.source == Source::Record;
            if is_recorded && it.kernel.files.record.is_none() {
                let advice = Box::new(Advice::by_hand("name the program after `--`"));
                return Err(Error::NoPlan { session: session.clone(), why: NoPlan::NoRecord, advice });
            }
            let port = if is_recorded { it.setting.port } else { launch.port_choice() };
            let request = Request { intent, depth, port, unrecorded };
            let slot = it.slot();
            it.setting.kinds[slot] = it.program.kind();
            it.plan(launch);
            let end = it.run(slot, Task::Ensure(Ensure::new(request)));
            match end {
                Some(End::Ensure(Conclusion::NotAtOnce)) => Ok(None),
                Some(End::Ensure(conclusion)) => ensured(session, it, conclusion, launch, dir).map(Some),
                Some(_) | None => Err(no_end(session)),
            }
        })
    }

    pub(crate) fn restart(&self, session: &SessionId, launch: &Launch, dir: &Path) -> Restarted {
        let before = self.with(session, |it| it.worker().map(|_| (it.pid(), it.generation())));
        let started = self.ensure(session, launch, dir);
        let after = self.with(session, |it| it.generation());
        let replaced = before.filter(|(_, generation)| *generation != after);
        let outcome = StopOutcome::Stopped;
        let replaced = replaced.map(|(pid, generation)| Replaced { pid, generation, outcome });
        Restarted { replaced, started }
    }

    pub(crate) fn stop(&self, session: &SessionId) -> Result<Stopped, Error> {
        let unknown = || Error::UnknownSession { session: session.clone(), similar: None };
        self.with(session, |it| {
            let (pid, generation) = (it.pid(), it.generation());
            let outcome = match it.run(STOP, Task::Stop(StopSession::default())) {
                Some(End::Stop(session::Conclusion::NotRunning)) => StopOutcome::NotRunning,
                Some(End::Stop(session::Conclusion::Ended(end))) => match end {
                    StopEnd::Ended { by: StopStep::CloseStdin | StopStep::Terminate } => StopOutcome::Stopped,
                    StopEnd::Ended { by: StopStep::Kill } => StopOutcome::Killed,
                    StopEnd::GaveUp => StopOutcome::GaveUp,
                },
                Some(End::Stop(session::Conclusion::Unknown)) => return Err(unknown()),
                Some(_) | None => return Err(no_end(session)),
            };
            let survivors = it.pid().into_iter().collect();
            let (session, elapsed) = (session.clone(), Duration::ZERO);
            let (trouble, tidied, logs) = (Vec::new(), Tidied::Yes, LogPaths::default());
            Ok(Stopped { session, outcome, pid, generation, elapsed, survivors, trouble, tidied, logs })
        })
    }

    pub(crate) fn unlock(&self, session: &SessionId, force: Force) -> Result<Unlocked, Error> {
        self.with(session, |it| match it.run(UNLOCK, Task::Unlock(Unlock::new(force))) {
            Some(End::Unlock(unlock::Conclusion::NotLocked)) => Ok(Unlocked::NotLocked),
            Some(End::Unlock(unlock::Conclusion::Unlocked)) => Ok(Unlocked::Unlocked { previous: None }),
            Some(End::Unlock(unlock::Conclusion::Held)) => Err(claimed(session)),
            Some(_) | None => Err(no_end(session)),
        })
    }

    pub(crate) fn collect(&self, what: &Collection) -> Result<Collected, Error> {
        let options = gc::GcOptions { repair: what.repair, mode: what.mode };
        let mut collected = Collected { mode: what.mode, ..Collected::default() };
        let sessions: Vec<SessionId> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        for session in sessions.into_iter().filter(|it| what.only.is_empty() || what.only.contains(it)) {
            match self.with(&session, |it| it.run(GC, Task::Collect(Collect::new(options)))) {
                Some(End::Collect(gc::Conclusion::Removed)) => collected.removed.push(session),
                Some(End::Collect(gc::Conclusion::Running)) => {
                    let why = "its worker runs, or may run".to_owned();
                    collected.kept.push(Kept { session, why, because: KeptBecause::Running });
                }
                Some(_) | None => {
                    let why = "a launcher is at work on it".to_owned();
                    collected.kept.push(Kept { session, why, because: KeptBecause::Claimed });
                }
            }
        }
        Ok(collected)
    }

    pub(crate) fn list(&self, dir: &Path) -> Listing {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.iter().filter(|(_, it)| it.kernel.files.record.is_some());
        let summary = |(session, it): (&SessionId, &Simulated)| SessionSummary {
            session: session.clone(),
            state: it.state(),
            pid: it.pid(),
            socket: it.endpoint(session, dir).socket().map(ToOwned::to_owned),
            address: Some(it.endpoint(session, dir)),
            generation: it.generation(),
            started_at: None,
            exit: None,
            exited_at: None,
            ended_by: None,
            logs: LogPaths::default(),
            ended: None,
        };
        Listing { sessions: known.map(summary).collect(), left_out: Vec::new() }
    }
}

impl Simulated {
    fn state(&self) -> rekindle_core::SessionState {
        let recorded: Option<RecordState> = self.kernel.files.record.map(|record| record.state);
        let place = self.kernel.files.record.map_or(Place::Path, |record| record.place);
        let listens = if self.kernel.answers(place).is_some() { Listening::Yes } else { Listening::No };
        let view = self.setting.look(&self.kernel, self.kernel.files).view;
        session_state(view.last, recorded, Listening::of(&view, listens))
    }
}

fn no_end(session: &SessionId) -> Error {
    Error::CutShort { session: session.clone(), why: "the simulation came to no end that fits".into() }
}

fn claimed(session: &SessionId) -> Error {
    let claim = PathBuf::from(session.as_str()).join("claim");
    Error::claimed(session, &claim, &ConflictReason::KernelLockHeld, None, Force::No)
}

fn ensured(
    session: &SessionId,
    it: &mut Simulated,
    conclusion: Conclusion,
    launch: &Launch,
    dir: &Path,
) -> Result<Ensured, Error> {
    let (pid, generation) = (it.pid(), it.generation());
    let endpoint = it.endpoint(session, dir);
    let claim = || dir.join(session.as_str()).join("claim");
    let timed_out = || Cause::ObserveTimeout { after: launch.observe_timeout() };
    Ok(match conclusion {
        Conclusion::Running(kind) => {
            let kind = match kind {
                StartPath::Fresh => StartKind::Started,
                StartPath::Adopted | StartPath::AdoptedConnected => StartKind::Adopted,
                StartPath::Attached => StartKind::Attached,
            };
            let (managed, differs, after_kill) = (true, Vec::new(), false);
            let (connection, url) = (Connection::deferred(endpoint.clone()), None);
            let running = Running {
                kind,
                pid,
                endpoint,
                url,
                generation,
                managed,
                differs,
                after_kill,
                connection,
                logs: LogPaths::default(),
                watch: WorkerWatch::simulated(),
            };
            Ensured::Running(Box::new(running))
        }
        Conclusion::Exited => {
            let after_kill = it.program != Program::ExitsEarly;
            let cause = after_kill.then(timed_out);
            Ensured::Exited(Exited {
                exit: if after_kill { ChildExit::Signal(15) } else { ChildExit::Code(1) },
                pid: Pid::new(1000),
                generation,
                endpoint,
                last_seen: None,
                listened_at: None,
                after_kill,
                advice: Box::new(Advice::of_early_end(session, cause.as_ref(), SaidReady::No, None, launch)),
                cause,
                stderr_tail: String::new(),
                status_text: None,
                said: SaidReady::No,
                logs: Box::default(),
            })
        }
        Conclusion::NotStarted => {
            let program = launch.command.words().first().cloned().unwrap_or_default();
            Ensured::NotStarted(SpawnError::ProgramNotFound { program, searched: None })
        }
        Conclusion::Retained => Ensured::Retained(Box::new(Retained {
            reason: RetainedReason::KillUnconfirmed,
            cause: timed_out(),
            diagnostic: Diagnostic {
                session: session.clone(),
                pid,
                lock_path: claim(),
                socket_path: endpoint.socket().map(ToOwned::to_owned),
                address: endpoint,
                observe_timeout: launch.observe_timeout(),
                kill_grace: launch.planned_kill_policy().total_grace(),
                kill_error: None,
            },
            generation,
            status_text: None,
            logs: LogPaths::default(),
        })),
        Conclusion::NotEnded => {
            return Err(Error::NotEnded { session: session.clone(), survivors: pid.into_iter().collect() });
        }
        Conclusion::Locked => {
            let why = ConflictReason::KernelLockHeld;
            Ensured::Rejected(Box::new(Rejection::locked(session, &endpoint, &why, None, &claim())))
        }
        Conclusion::Rejected(reason) => {
            let liveness =
                if reason == RejectReason::AlreadyLive { Liveness::Live } else { Liveness::Dormant };
            let rejection = Rejection::new(reason, Some(liveness), &endpoint);
            let message = format!("session `{session}` is refused on this simulated machine");
            let rejection = rejection.saying(message, Step::Doctor(session.clone()));
            Ensured::Rejected(Box::new(Rejection { pid, ..rejection }))
        }
        Conclusion::BadTarget
        | Conclusion::RecordNewer
        | Conclusion::Failed
        | Conclusion::ReleaseFailed(_)
        | Conclusion::NotAtOnce
        | Conclusion::WouldBe(_) => {
            let why = OsFailure::new("simulate the call", format!("it ended with {conclusion:?}"));
            return Err(why.into());
        }
    })
}
