//! What can be done after a refusal or a failure: one command that can be typed as it stands, or a plain instruction.
//!
//! # Invariants
//! 1. A [`Step`] does what it says where it is typed, in the caller's own state directory, and destroys nothing that a person
//!    may still want: logs, paused work, a worker that cannot be judged from here or speaks another version.
//! 2. What cannot be typed is a hint. A hint is never a command.
//! 3. The same fault gets the same advice from every verb.
//!
//! The library says what, and the front end how that is typed: it knows how it was called. Checked by
//! `smoke/tests/smoke/command/advice.rs`.

use crate::launch::{Launch, holds};
use crate::outcome::SaidReady;
use crate::snapshot::Snapshot;
use rekindle_adapters::StateRootError;
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::probe;
use rekindle_adapters::remedy;
use rekindle_adapters::way::{self, Mend};
use rekindle_core::claim::ConflictReason;
use rekindle_core::execute::Cause;
use rekindle_core::plan::{EnvironmentBase, Withheld};
use rekindle_core::protocol::Version;
use rekindle_core::shown::Shown;
use rekindle_core::target::BadTarget;
use rekindle_core::{
    Lifeline, OsFailure, ReadyKind, SessionId, SessionRecord, Shortage, SpawnError, WatchError,
};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// One command that can be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// List the sessions.
    List,
    /// Show all that is known of a session.
    Show(SessionId),
    /// Diagnose a session.
    Doctor(SessionId),
    /// Diagnose every session.
    DoctorAll,
    /// End a session's worker.
    Stop(SessionId),
    /// Connect to the worker that runs, starting none.
    Attach {
        /// The session.
        session: SessionId,
        /// Its socket, where the session does not know it.
        socket: Option<PathBuf>,
        /// The version of the pool protocol to speak, where it is to be spoken.
        speak: Option<Version>,
    },
    /// Start a session's worker as it was started before, or watch the one whose launcher died.
    Up(Box<Startup>),
    /// The call that was made, once more.
    Again,
    /// Clear a claim whose holder cannot be judged.
    UnlockByForce(SessionId),
    /// Forget a session whose worker cannot be judged.
    Forget(SessionId),
    /// Set the files of a session aside that cannot be read.
    Repair(SessionId),
    /// Judge a socket path.
    Probe(PathBuf),
    /// Take the write permission on a directory from everybody else.
    Chmod(PathBuf),
    /// Create a directory.
    MakeDirectory(PathBuf),
    /// List the sessions of the pool.
    PoolList,
    /// Ask the worker of a session of the pool how it is.
    PoolStatus(SessionId),
    /// Say who holds a lifecycle lock.
    LifecycleStatus(PathBuf),
    /// Clear a lifecycle lock whose marker cannot be read.
    LifecycleForceUnlock(PathBuf),
    /// Show what a verb takes; the whole command without one.
    Help(Option<&'static str>),
}

/// How a session's worker was started, as its record knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The session.
    pub session: SessionId,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Where it started.
    pub cwd: PathBuf,
    /// Where it answers, if that is not the session's own socket.
    pub socket: Option<PathBuf>,
    /// What counts as ready.
    pub ready: ReadyKind,
    /// The version of the pool protocol that its host spoke.
    pub speak: Option<Version>,
}

/// What to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// The command to type next, if there is one.
    pub step: Option<Step>,
    /// What else there is to know or to do, in words; empty if there is nothing.
    pub hint: String,
}

impl From<Step> for Advice {
    fn from(step: Step) -> Self {
        Self { step: Some(step), hint: String::new() }
    }
}

impl Advice {
    /// Nothing has to be done.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// What no command can do.
    pub fn by_hand(hint: impl Into<String>) -> Self {
        Self { step: None, hint: hint.into() }
    }

    /// The same step, with something to know about it.
    #[must_use]
    pub fn knowing(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Whether there is nothing to do.
    pub fn is_nothing(&self) -> bool {
        self.step.is_none() && self.hint.is_empty()
    }

    /// A launcher is at work on the session.
    pub(crate) fn wait(session: &SessionId) -> Self {
        Self::from(Step::Doctor(session.clone()))
            .knowing("a launcher is at work on the session: wait until it is done, then repeat the command")
    }

    /// A later version wrote the record.
    pub(crate) fn use_its_version() -> Self {
        Self::by_hand("use the version of rekindle that started the worker")
    }

    /// A record that cannot be read.
    pub(crate) fn repair(session: &SessionId) -> Self {
        Self::from(Step::Repair(session.clone()))
            .knowing("the record is kept under another name, and the logs stay")
    }

    /// A claim that is not to be taken.
    pub(crate) fn of_claim(session: &SessionId, why: &ConflictReason) -> Self {
        match why {
            ConflictReason::KernelLockHeld | ConflictReason::HolderAlive => Self::wait(session),
            ConflictReason::HolderUnjudged(_) => Self::from(Step::UnlockByForce(session.clone()))
                .knowing("only once you know that no launcher is at work on the session"),
            ConflictReason::Corrupt { .. } | ConflictReason::OtherSession { .. } => {
                Self::from(Step::Repair(session.clone()))
                    .knowing(format!("`{CLAIM_FILE}` is kept under another name"))
            }
        }
    }

    /// A worker of which it cannot be told whether it runs.
    pub(crate) fn of_unknown(session: &SessionId, snapshot: &Snapshot) -> Self {
        Self::of_unjudged(session, snapshot.evidence.lifeline, snapshot.gap.as_ref())
    }

    /// The same, from what is known of its lifeline, and of why that could not be searched for.
    pub(crate) fn of_unjudged(session: &SessionId, lifeline: Lifeline, gap: Option<&OsFailure>) -> Self {
        if let Some(advice) = gap.and_then(Self::of_shortage) {
            return advice;
        }
        match lifeline {
            // Who keeps it lives, and is not forgotten.
            Lifeline::Held => Self::from(Step::Doctor(session.clone()))
                .knowing("somebody keeps the lifeline: look at it from where the worker was started"),
            Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable => {
                Self::from(Step::Forget(session.clone()))
                    .knowing("only once you know that the worker is gone: nobody is signalled")
            }
        }
    }

    /// A system call that failed.
    pub fn of_failure(failure: &OsFailure) -> Self {
        if let Some(advice) = Self::of_shortage(failure) {
            return advice;
        }
        match failure.path() {
            Some(path) if way::can_be_tightened(path) => Self::of_mend(&Mend::Tighten(path.to_owned())),
            Some(path) if remedy::is_denied(failure) || failure.raw_errno().is_none() => {
                Self::by_hand(format!("look at the owner and the mode of `{}`", Shown(path)))
            }
            Some(_) | None => Step::DoctorAll.into(),
        }
    }

    /// What is to be had again by making room, or by raising a limit; `None` where nothing has run out.
    fn of_shortage(failure: &OsFailure) -> Option<Self> {
        let mount = || remedy::mount_of(failure.path().unwrap_or(Path::new("/")));
        if remedy::is_read_only(failure) {
            return Some(Self::by_hand(format!("the file system on `{}` is read-only", Shown(&mount()))));
        }
        let hint = match failure.shortage()? {
            Shortage::DiskFull => {
                format!(
                    "the file system on `{}` is full, or your quota of it: make room there",
                    Shown(&mount())
                )
            }
            Shortage::FileSizeLimit => {
                "this process may not write longer files: raise its limit (`ulimit -f`)".to_owned()
            }
            Shortage::TooManyOpenFiles => {
                "no more files may be open: raise the limit (`ulimit -n`; for all processes `fs.file-max`)"
                    .to_owned()
            }
            Shortage::TooManyProcesses => {
                "no more processes are allowed (`ulimit -u`, or the control group's \
                 `pids.max`): end some or raise the limit"
                    .to_owned()
            }
            Shortage::OutOfMemory => "there is no memory left: make room".to_owned(),
        };
        Some(Self::by_hand(format!("{hint}, then repeat the command")))
    }

    /// A program that could not be started.
    pub fn of_start(error: &SpawnError) -> Self {
        match error {
            SpawnError::NoProgram => Self::by_hand("name the program after `--`"),
            SpawnError::ProgramNotFound { .. } => {
                Self::by_hand("install the program, or name it by its path after `--`")
            }
            SpawnError::InterpreterNotFound { interpreter, .. } => {
                Self::by_hand(format!("install `{}`, or name it before the program", Shown(interpreter)))
            }
            SpawnError::NotExecutable { .. } => {
                Self::by_hand("name a program that can be executed after `--`")
            }
            SpawnError::NoWorkingDirectory => Self::by_hand("name a directory that exists with --cwd"),
            SpawnError::Directory { cwd, .. } => {
                Self::by_hand(format!("create `{}`, or name another directory with --cwd", Shown(cwd)))
            }
            SpawnError::HoldsNul { .. } => Self::by_hand("leave the NUL byte out"),
            SpawnError::Abandoned { .. } => {
                Self::from(Step::Again).knowing("somebody removed or moved the session's files meanwhile")
            }
            SpawnError::Os(failure) => Self::of_failure(failure),
        }
    }

    /// A worker that ended before it was ready.
    pub(crate) fn of_early_end(
        session: &SessionId,
        cause: Option<&Cause>,
        said: SaidReady,
        launch: &Launch,
    ) -> Self {
        let look = Self::from(Step::Show(session.clone()));
        match (cause, said) {
            (Some(Cause::ObserveTimeout { .. }), _) if launch.leaves_socket_unnamed() => look.knowing(
                "no argument names {socket}, and only REKINDLE_SOCKET told the program where to listen; if it knows, and \
                 needs more time, name a longer --timeout",
            ),
            (Some(Cause::ObserveTimeout { .. }), SaidReady::WithoutListener) => look.knowing(
                "with --ready notify the worker has to listen on its socket when it says READY=1; if it listens later, \
                 name a longer --timeout",
            ),
            (Some(Cause::ObserveTimeout { .. }), SaidReady::No) => {
                look.knowing("name a longer --timeout, if it needs more time to be ready")
            }
            (Some(Cause::Seam(WatchError::Os(failure))), _) => Self::of_failure(failure),
            (Some(Cause::Seam(_)) | None, _) => look,
        }
    }

    /// A state directory that cannot be used.
    pub(crate) fn of_state_root(error: &StateRootError) -> Self {
        match error {
            StateRootError::Nowhere { .. } => Self::by_hand("set HOME, or name a state directory with --dir"),
            StateRootError::Relative { .. } => Self::by_hand("name the state directory by an absolute path"),
            StateRootError::NoLocks { .. } => {
                Self::by_hand("name a state directory on a local disk with --dir")
            }
            StateRootError::Untrusted { fault, .. } => Self::of_mend(fault.mend()),
            StateRootError::Os(failure) => Self::of_failure(failure),
        }
    }

    /// A place that is not trusted.
    pub fn of_mend(mend: &Mend) -> Self {
        match mend {
            Mend::Tighten(dir) => {
                Self::from(Step::Chmod(dir.clone())).knowing("only if nobody else is meant to write there")
            }
            Mend::ByHand(hint) => Self::by_hand(hint),
        }
    }

    /// A socket path at which something stands that is not trusted, or to which an untrusted way leads.
    pub fn of_socket_place(socket: &Path) -> Self {
        match probe::mend(socket) {
            Some(mend) => Self::of_mend(&mend),
            None => Self::by_hand(format!(
                "look at what stands at `{}`, or name another path with --socket",
                Shown(socket)
            )),
        }
    }

    /// A socket path that no worker could use. `named` by the caller, or in the session's own directory.
    pub(crate) fn of_bad_target(bad: &BadTarget, named: Option<&Path>) -> Self {
        match bad {
            BadTarget::NotifyTooLong { .. } => Self::by_hand(
                "the state directory's path is too long for --ready notify: name a shorter one with --dir",
            ),
            BadTarget::TooLong { .. } if named.is_none() => Self::by_hand(
                "the state directory's path is too long for a socket: name a socket with --socket",
            ),
            BadTarget::Directory { path, .. } => match path.parent() {
                Some(dir) if !dir.exists() && dir.symlink_metadata().is_err() => {
                    Step::MakeDirectory(dir.to_owned()).into()
                }
                Some(_) | None => Self::by_hand("name a socket in a directory of your own with --socket"),
            },
            BadTarget::TooLong { .. } | BadTarget::NameTooLong { .. } => {
                Self::by_hand("name a shorter path with --socket")
            }
            BadTarget::Empty
            | BadTarget::Relative { .. }
            | BadTarget::NoFileName { .. }
            | BadTarget::HoldsNul { .. } => {
                Self::by_hand("name a file in a directory of your own with --socket")
            }
        }
    }

    /// Starting a session anew, as its record knows how; in words where there is none, or it cannot be typed.
    pub(crate) fn start(session: &SessionId, snapshot: &Snapshot, own_socket: &Path) -> Self {
        match startup(session, snapshot, own_socket) {
            Some(startup) => Self::from(Step::Up(Box::new(startup))).knowing(named_again(snapshot)),
            None => Self::by_hand("start it with `up`, and name its program after `--`"),
        }
    }
}

/// What the command does not name: values of variables are not for a terminal.
fn named_again(snapshot: &Snapshot) -> String {
    let Some(plan) = snapshot.record.as_ref().and_then(SessionRecord::whole_plan) else {
        return "variables that were set with --env are not recorded: name them again".to_owned();
    };
    let withheld = plan.withheld.iter().filter_map(|withheld| match withheld {
        Withheld::Variable(name) => Some(name),
        Withheld::Prompt => None,
    });
    let variables: BTreeSet<&String> = plan.env.set.keys().chain(withheld).collect();
    let variables: Vec<String> = variables.into_iter().map(|name| format!("`{}`", Shown(name))).collect();
    let base = match plan.env.base {
        EnvironmentBase::Inherit => None,
        EnvironmentBase::Clear => Some("use --clear-env again".to_owned()),
        EnvironmentBase::Only(_) => Some("pass the same variables on again".to_owned()),
    };
    let variables =
        (!variables.is_empty()).then(|| format!("set its variables again: {}", variables.join(", ")));
    base.into_iter().chain(variables).collect::<Vec<_>>().join("; ")
}

fn startup(session: &SessionId, snapshot: &Snapshot, own_socket: &Path) -> Option<Startup> {
    let record = snapshot.record.as_ref()?;
    let program = Some(record.program().as_os_str().to_owned()).filter(|program| !program.is_empty())?;
    let command: Vec<OsString> = std::iter::once(program).chain(record.arguments().iter().cloned()).collect();
    // What was filled in would be filled in once more.
    let is_literal =
        |word: &OsString| !["{session}", "{socket}", "{prompt}"].iter().any(|it| holds(word, OsStr::new(it)));
    let speak = record.speak().cloned().filter(|_| record.readiness() == ReadyKind::Handshake);
    let can_be_typed = record.readiness() != ReadyKind::Handshake || speak.is_some();
    (command.iter().all(is_literal) && can_be_typed).then(|| Startup {
        session: session.clone(),
        command,
        cwd: record.cwd().to_owned(),
        socket: Some(record.socket().to_owned()).filter(|socket| socket != own_socket),
        ready: record.readiness(),
        speak,
    })
}
