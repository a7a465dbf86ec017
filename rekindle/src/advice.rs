//! Advice after a refusal or a failure: a command to paste, or a plain instruction.
//!
//! # Invariants
//! 1. A pasted [`Step`] does what its name says, in the caller's state directory. A step destroys nothing that a person
//!    may still want: logs, paused work, a worker that cannot be judged from here or speaks another version.
//! 2. An instruction without a command is a hint. A hint is never a command.
//! 3. Every verb gives the same advice for the same fault.
//!
//! The library chooses the step. The front end spells the command, since only the front end knows how it was called.
//! Checked by `smoke/tests/smoke/command/advice.rs`.

use rekindle_adapters::StateRootError;
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::probe;
use rekindle_adapters::remedy;
use rekindle_adapters::way::{self, Mend};
use rekindle_core::claim::ConflictReason;
use rekindle_core::plan::ForeignListener;
use rekindle_core::protocol::Version;
use rekindle_core::shown::Shown;
use rekindle_core::target::BadTarget;
use rekindle_core::{Address, Endpoint, Lifeline, OsFailure, Readiness, SessionId, Shortage, SpawnError};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A command to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// List the sessions.
    List,
    /// Show all facts about a session.
    Show(SessionId),
    /// Show all facts about a session in another state directory.
    ShowIn {
        /// The session.
        session: SessionId,
        /// The state directory.
        dir: PathBuf,
    },
    /// Diagnose a session.
    Doctor(SessionId),
    /// Diagnose every session.
    DoctorAll,
    /// Show the logs of a session.
    Logs(SessionId),
    /// End a session's worker, if it runs, and start it as recorded.
    Restart(SessionId),
    /// End a session's worker.
    Stop(SessionId),
    /// Connect to the running worker, without starting a worker.
    Attach {
        /// The session.
        session: SessionId,
        /// The address, if unknown to the session.
        address: Option<Address>,
        /// The version of the pool protocol, if the worker has to be spoken to.
        speak: Option<Version>,
    },
    /// Start a session's worker as before, or adopt the worker of a dead launcher.
    Up(Box<Startup>),
    /// Write an example of a project file.
    Init,
    /// Repeat the call.
    Again,
    /// Repeat the call, with this address besides. The call named no address.
    AgainAt(Endpoint),
    /// Clear a claim whose holder cannot be judged.
    UnlockByForce(SessionId),
    /// Forget a session whose worker cannot be judged.
    Forget(SessionId),
    /// Remove a session with a failed run.
    RemoveByForce(SessionId),
    /// Set the unreadable files of a session aside.
    Repair(SessionId),
    /// Judge a socket path.
    Probe(PathBuf),
    /// Judge a TCP port.
    ProbePort(SocketAddr),
    /// Remove the write permission of other users from a directory.
    Chmod(PathBuf),
    /// Create a directory.
    MakeDirectory(PathBuf),
    /// List the sessions of the pool.
    PoolList,
    /// Ask the worker of a pool session for its status.
    PoolStatus(SessionId),
    /// Show the holder of a lifecycle lock.
    LifecycleStatus(PathBuf),
    /// Clear a lifecycle lock with an unreadable marker.
    LifecycleForceUnlock(PathBuf),
    /// Show the help of a verb, or of the whole command.
    Help(Option<&'static str>),
}

/// An endpoint as the value of `--address`. A port of the loopback interface needs no host.
pub fn as_option(endpoint: &Endpoint) -> OsString {
    match endpoint {
        Endpoint::Tcp(at) if at.ip() == Ipv4Addr::LOCALHOST => format!("tcp:{}", at.port()).into(),
        Endpoint::Unix(_) | Endpoint::Tcp(_) | Endpoint::None => endpoint.to_text(),
    }
}

/// The recorded start of a session's worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The session.
    pub session: SessionId,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The address, if not the session's own socket.
    pub address: Option<Address>,
    /// The condition for ready, if not the default for the address.
    pub ready: Option<Readiness>,
    /// For [`Readiness::Running`]: the time for which the program has to run, if not the default.
    pub settle: Option<Duration>,
    /// The treatment of a listener on the port that is no process of the worker.
    pub foreign_listener: ForeignListener,
    /// The version of the pool protocol spoken by the host.
    pub speak: Option<Version>,
}

/// The next step after a refusal or a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// The command to type next, if any.
    pub step: Option<Step>,
    /// Further facts or instructions in words; may be empty.
    pub hint: String,
}

impl From<Step> for Advice {
    fn from(step: Step) -> Self {
        Self { step: Some(step), hint: String::new() }
    }
}

impl Advice {
    /// No advice.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// An instruction without a command.
    pub fn by_hand(hint: impl Into<String>) -> Self {
        Self { step: None, hint: hint.into() }
    }

    /// The same step, with a hint.
    #[must_use]
    pub fn knowing(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Whether there is neither a step nor a hint.
    pub fn is_nothing(&self) -> bool {
        self.step.is_none() && self.hint.is_empty()
    }

    /// For a session claimed by another launcher.
    pub(crate) fn wait(session: &SessionId) -> Self {
        Self::from(Step::Doctor(session.clone()))
            .knowing("a launcher is at work on the session: wait until it is done, then repeat the command")
    }

    /// For a session without any facts; `similar` is the session that was probably meant.
    pub(crate) fn of_unknown_session(similar: Option<&SessionId>) -> Self {
        Self::of_unknown_name(Step::List, similar.map(SessionId::as_str))
    }

    /// For an unknown name; `list` lists the names.
    pub(crate) fn of_unknown_name(list: Step, similar: Option<&str>) -> Self {
        let hint = similar.map(|name| format!("did you mean `{}`?", Shown(name)));
        Self::from(list).knowing(hint.unwrap_or_default())
    }

    /// For a record of a later version.
    pub(crate) fn use_its_version() -> Self {
        Self::by_hand("use the version of rekindle that started the worker")
    }

    /// For an unreadable record.
    pub(crate) fn repair(session: &SessionId) -> Self {
        Self::from(Step::Repair(session.clone()))
            .knowing("the record is kept under another name, and the logs stay")
    }

    /// For a claim that must not be taken.
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

    /// For a worker if nothing proves whether it runs. Depends on the lifeline, and on the failure of the search for
    /// the lifeline.
    pub(crate) fn of_unjudged(session: &SessionId, lifeline: Lifeline, gap: Option<&OsFailure>) -> Self {
        if let Some(advice) = gap.and_then(Self::of_shortage) {
            return advice;
        }
        // A holder lives, so the session must not be forgotten.
        if lifeline == Lifeline::Held {
            return Self::from(Step::Doctor(session.clone()))
                .knowing("somebody keeps the lifeline: look at it from where the worker was started");
        }
        Self::from(Step::Forget(session.clone()))
            .knowing("only once you know that the worker is gone: nobody is signalled")
    }

    /// For a failed system call.
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

    /// For an exhausted resource: make room, or raise a limit. `None` if no resource is exhausted.
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

    /// For a program that could not be started.
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
            SpawnError::EnvironmentFile { path, .. } => {
                Self::by_hand(format!("mend `{}`, or name another file with --env-file", Shown(path)))
            }
            SpawnError::HoldsNul { .. } => Self::by_hand("leave the NUL byte out"),
            SpawnError::Abandoned { .. } => {
                Self::from(Step::Again).knowing("somebody removed or moved the session's files meanwhile")
            }
            SpawnError::Os(failure) => Self::of_failure(failure),
        }
    }

    /// For an unusable state directory.
    pub(crate) fn of_state_root(error: &StateRootError) -> Self {
        match error {
            StateRootError::Nowhere { .. } => Self::by_hand("set HOME, or name a state directory with --dir"),
            StateRootError::Relative { .. } => Self::by_hand("name the state directory by an absolute path"),
            StateRootError::NoLocks { .. } => {
                Self::by_hand("name a state directory on a local disk with --dir")
            }
            StateRootError::Untrusted { fault, .. } => Self::of_mend(fault.mend()),
            StateRootError::NoteCorrupt { path, .. } => {
                Self::by_hand(format!("move `{}` away: the next `up` writes a new note", Shown(path)))
            }
            StateRootError::OfOtherProject { .. } => Self::by_hand("name another state directory with --dir"),
            StateRootError::Os(failure) => Self::of_failure(failure),
        }
    }

    /// For an untrusted place.
    pub fn of_mend(mend: &Mend) -> Self {
        match mend {
            Mend::Tighten(dir) => {
                Self::from(Step::Chmod(dir.clone())).knowing("only if nobody else is meant to write there")
            }
            Mend::ByHand(hint) => Self::by_hand(hint),
        }
    }

    /// For a socket path with an untrusted file, or with an untrusted directory above.
    pub fn of_socket_place(socket: &Path) -> Self {
        match probe::mend(socket) {
            Some(mend) => Self::of_mend(&mend),
            None => Self::by_hand(format!(
                "look at what stands at `{}`, or name another path with --socket",
                Shown(socket)
            )),
        }
    }

    /// For a TCP port with a listener that is no process of the worker.
    pub(crate) fn of_foreign_listener() -> Self {
        Self::by_hand(
            "end that program, or choose another port with --address tcp:PORT; --address tcp:0 takes a free port; if that \
             program is the worker's relay, add --allow-foreign-listener",
        )
    }

    /// For a socket path that no worker could use: the caller's path `named`, or the path in the session's directory.
    pub(crate) fn of_bad_target(bad: &BadTarget, named: Option<&Address>) -> Self {
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
            BadTarget::Unsuited { .. } => {
                Self::by_hand("name another condition with --ready, or another address with --address")
            }
            BadTarget::Pattern { .. } => Self::by_hand("mend the pattern of --ready line=REGEX"),
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
}
