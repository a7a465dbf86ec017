//! What is to be run, and how long that may take.

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

/// A program to run for a session, with the choices that go with it.
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
    /// A launch of `program`, which is looked up in PATH, or relative to the working directory if it has a slash.
    ///
    /// `{session}`, `{socket}` and `{prompt}` in its arguments are filled in.
    pub fn new(program: impl Into<OsString>) -> Self {
        Command::new(program).into()
    }

    /// No program: only for [`Intent::Attach`].
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

    /// What is wanted; [`Intent::Ensure`] for a launch with a program.
    #[must_use]
    pub fn intent(mut self, intent: Intent) -> Self {
        self.intent = intent;
        self
    }

    /// Where the worker answers; the session's own `sock` unless this says otherwise.
    #[must_use]
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// What counts as ready; that its socket accepts a connection unless this says otherwise.
    ///
    /// [`ReadyKind::Notify`] is for workers that say so themselves, and for those that end when their first client leaves:
    /// nobody connects to them. [`ReadyKind::Listen`] is for workers that take an inherited socket.
    #[must_use]
    pub fn ready(mut self, kind: ReadyKind) -> Self {
        self.ready = kind;
        self
    }

    /// What `{prompt}` stands for.
    #[must_use]
    pub fn prompt(mut self, text: impl Into<OsString>) -> Self {
        self.prompt = Some(text.into());
        self
    }

    /// What its host speaks to it: written down before the worker exists, so that whoever comes after a host that died
    /// can speak to it too.
    #[must_use]
    pub fn speaking(mut self, speaking: Speaking) -> Self {
        self.speaking = Some(speaking);
        self
    }

    /// The worker counts as ready when it answers a handshake of the pool protocol, and goes together with what we
    /// speak. The connection that is handed out has been greeted:
    /// [`PoolClient::open`](crate::PoolClient::open) does not ask again.
    ///
    /// A worker of another version that this call started is ended, and its start has failed; any other is left as it
    /// is, and rejected.
    #[must_use]
    pub fn handshake(mut self, speaking: Speaking) -> Self {
        self.ready = ReadyKind::Handshake;
        self.speaking = Some(speaking);
        self
    }

    /// How long waiting and starting may take together; 30 s unless this says otherwise. Ending a worker that was
    /// not ready by then takes up to the graces of the kill policy on top. A worker that was started with
    /// [`ReadyKind::Notify`] may ask for more, up to ten times as much.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How a worker that was not ready in time is ended.
    #[must_use]
    pub fn kill_policy(mut self, policy: KillPolicy) -> Self {
        self.kill_policy = policy;
        self
    }

    /// Keeps a secret value out of the session's record: the worker gets the value, and whoever starts the worker again
    /// has to give the value again. An argument with `{prompt}` shows the prompt, and is recorded.
    #[must_use]
    pub fn withhold(mut self, value: Withheld) -> Self {
        self.withheld.insert(value);
        self
    }

    /// What the worker is for.
    pub(crate) fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Whether the program has to open its socket, and no argument tells it where: then only `REKINDLE_SOCKET` does, and whether
    /// the program looks at that cannot be known.
    pub fn leaves_socket_unnamed(&self) -> bool {
        let opens_it = self.ready.row().provides != Provides::BoundSocket;
        let named = self.socket.as_deref().map(Path::as_os_str);
        let mut names = [OsStr::new("{socket}"), OsStr::new("REKINDLE_SOCKET")].into_iter().chain(named);
        opens_it && !self.command.words().is_empty() && !names.any(|name| self.command.mentions(name))
    }

    /// What we speak in the handshake that makes the worker ready, where one does.
    pub(crate) fn handshake_spoken(&self) -> Option<&Speaking> {
        self.speaking.as_ref().filter(|_| self.ready == ReadyKind::Handshake)
    }

    /// The plan of a start that answers on `socket`.
    pub(crate) fn plan(&self, session: &SessionId, socket: &Path) -> SpawnBgPlan {
        // Only a start needs it, and is refused without it.
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
