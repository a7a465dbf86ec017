//! The description of a start: the program, its options, and the time-outs.

mod command;

pub use command::Command;
pub(crate) use command::{command_setters, holds};
use rekindle_core::plan::{OBSERVE_TIMEOUT_DEFAULT, Role, Withheld};
use rekindle_core::protocol::Speaking;
use rekindle_core::readiness::Provides;
use rekindle_core::{Intent, KillPolicy, ReadyKind, SessionId, SpawnBgPlan};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A program to run for a session, with its options.
///
/// ```
/// use rekindle::Launch;
/// use std::time::Duration;
///
/// let launch = Launch::new("my-worker").args(["--listen", "{socket}"]).timeout(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
pub struct Launch {
    pub(crate) command: Command,
    pub(crate) intent: Intent,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) prompt: Option<OsString>,
    pub(crate) ready: ReadyKind,
    pub(crate) speaking: Option<Speaking>,
    pub(crate) timeout: Duration,
    pub(crate) kill_policy: KillPolicy,
    pub(crate) role: Role,
    pub(crate) withheld: BTreeSet<Withheld>,
}

impl Launch {
    /// A launch of `program`: looked up in PATH, or relative to the working directory if `program` contains a slash.
    ///
    /// `{session}`, `{socket}` and `{prompt}` in the arguments are replaced by their values.
    pub fn new(program: impl Into<OsString>) -> Self {
        Command::new(program).into()
    }

    /// A launch without a program: only for [`Intent::Attach`].
    pub fn attach() -> Self {
        Self {
            command: Command::nothing(),
            intent: Intent::Attach,
            socket: None,
            prompt: None,
            ready: ReadyKind::default(),
            speaking: None,
            timeout: OBSERVE_TIMEOUT_DEFAULT,
            kill_policy: KillPolicy::default(),
            role: Role::default(),
            withheld: BTreeSet::new(),
        }
    }

    command_setters!();

    /// The intent; the default of a launch with a program is [`Intent::Ensure`].
    #[must_use]
    pub fn intent(mut self, intent: Intent) -> Self {
        self.intent = intent;
        self
    }

    /// The socket of the worker; the default is `sock` in the session's directory.
    #[must_use]
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// The condition for ready; the default is a socket that accepts a connection.
    ///
    /// [`ReadyKind::Notify`] is for workers with their own readiness message, and for workers that end when their first
    /// client leaves: nobody connects to the worker. [`ReadyKind::Listen`] is for workers that take an inherited
    /// socket.
    #[must_use]
    pub fn ready(mut self, kind: ReadyKind) -> Self {
        self.ready = kind;
        self
    }

    /// The value of `{prompt}`.
    #[must_use]
    pub fn prompt(mut self, text: impl Into<OsString>) -> Self {
        self.prompt = Some(text.into());
        self
    }

    /// The version for the worker's host to speak. The record has the version before the worker exists, so that a later
    /// host can speak to the worker if the present host dies.
    #[must_use]
    pub fn speaking(mut self, speaking: Speaking) -> Self {
        self.speaking = Some(speaking);
        self
    }

    /// The worker counts as ready when it answers a handshake of the pool protocol with a compatible version. The
    /// handed-out connection has been greeted: [`PoolClient::open`](crate::PoolClient::open) does not repeat the
    /// handshake.
    ///
    /// If this call started a worker of another version, the worker is ended and the start has failed. A worker that
    /// ran before is rejected and left alone.
    #[must_use]
    pub fn handshake(mut self, speaking: Speaking) -> Self {
        self.ready = ReadyKind::Handshake;
        self.speaking = Some(speaking);
        self
    }

    /// The time for waiting and starting together; the default is 30 s. Ending a worker that was not ready in time
    /// takes up to the graces of the kill policy in addition. A worker started with [`ReadyKind::Notify`] may request
    /// an extension, up to ten times the time-out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The way to end a worker that was not ready in time.
    #[must_use]
    pub fn kill_policy(mut self, policy: KillPolicy) -> Self {
        self.kill_policy = policy;
        self
    }

    /// Keeps a secret value out of the session's record. The worker gets the value; the next launcher has to supply the
    /// value again. An argument with `{prompt}` contains the prompt, and is recorded.
    #[must_use]
    pub fn withhold(mut self, value: Withheld) -> Self {
        self.withheld.insert(value);
        self
    }

    /// The role of the worker.
    pub(crate) fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Whether the program has to open its socket, but no argument contains the path. Then only `REKINDLE_SOCKET`
    /// contains the path, and the program may not read the variable.
    pub fn leaves_socket_unnamed(&self) -> bool {
        let opens_it = self.ready.row().provides != Provides::BoundSocket;
        let named = self.socket.as_deref().map(Path::as_os_str);
        let mut names = [OsStr::new("{socket}"), OsStr::new("REKINDLE_SOCKET")].into_iter().chain(named);
        opens_it && !self.command.words().is_empty() && !names.any(|name| self.command.mentions(name))
    }

    /// The version spoken in the readiness handshake, if readiness is a handshake.
    pub(crate) fn handshake_spoken(&self) -> Option<&Speaking> {
        self.speaking.as_ref().filter(|_| self.ready == ReadyKind::Handshake)
    }

    /// The plan of a start with the socket `socket`.
    pub(crate) fn plan(&self, session: &SessionId, socket: &Path) -> SpawnBgPlan {
        // Only a start needs the directory; a start with an empty directory is refused.
        let cwd = self.command.absolute_cwd().unwrap_or_default();
        let (words, prompt) = (self.command.resolved_words(), self.prompt.clone());
        let mut plan = SpawnBgPlan::new(session.clone(), socket.to_owned(), cwd, &words, prompt);
        plan.env = self.command.environment_ref().clone();
        plan.ready = self.ready;
        plan.speaking.clone_from(&self.speaking);
        plan.observe_timeout = self.timeout;
        plan.kill_policy = self.kill_policy;
        plan.role = self.role;
        plan.withheld.clone_from(&self.withheld);
        plan
    }
}

impl From<Command> for Launch {
    fn from(command: Command) -> Self {
        Self { command, intent: Intent::Ensure, ..Self::attach() }
    }
}
