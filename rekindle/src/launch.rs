//! The description of a start: the program, its options, and the time-outs.

mod command;

pub use command::Command;
pub(crate) use command::{command_setters, holds};
use rekindle_core::logs::LogMax;
use rekindle_core::plan::{
    ForeignListener, OBSERVE_TIMEOUT_DEFAULT, PortChoice, Role, SETTLE_DEFAULT, Withheld,
};
use rekindle_core::protocol::Speaking;
use rekindle_core::readiness::{Provides, ShownBy};
use rekindle_core::{Address, Endpoint, EndpointKind, Intent, KillPolicy, Readiness, SessionId, SpawnBgPlan};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
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
    pub(crate) address: Option<Address>,
    pub(crate) prompt: Option<OsString>,
    pub(crate) ready: Option<Readiness>,
    pub(crate) settle: Duration,
    pub(crate) foreign_listener: ForeignListener,
    pub(crate) speaking: Option<Speaking>,
    pub(crate) timeout: Duration,
    pub(crate) kill_policy: KillPolicy,
    pub(crate) log_max: LogMax,
    pub(crate) role: Role,
    pub(crate) withheld: BTreeSet<Withheld>,
}

impl Launch {
    /// A launch of `program`: looked up in PATH, or relative to the working directory if `program` contains a slash.
    ///
    /// `{session}`, `{address}` and `{prompt}` in the arguments are replaced by their values; so is `{socket}` for a Unix
    /// socket, and so are `{host}` and `{port}` for a TCP port.
    pub fn new(program: impl Into<OsString>) -> Self {
        Command::new(program).into()
    }

    /// A launch without a program: only for [`Intent::Attach`].
    pub fn attach() -> Self {
        Self {
            command: Command::nothing(),
            intent: Intent::Attach,
            address: None,
            prompt: None,
            ready: None,
            settle: SETTLE_DEFAULT,
            foreign_listener: ForeignListener::default(),
            speaking: None,
            timeout: OBSERVE_TIMEOUT_DEFAULT,
            kill_policy: KillPolicy::default(),
            log_max: LogMax::DEFAULT,
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

    /// The address of the worker; the default is the Unix socket `sock` in the session's directory.
    ///
    /// ```
    /// use rekindle::{Address, Endpoint, Launch, Readiness};
    ///
    /// // Any free port of the loopback interface; the session keeps it.
    /// let any = Address::AnyPort([127, 0, 0, 1].into());
    /// let web = Launch::new("python3").args(["-m", "http.server", "{port}"]).address(any);
    /// // No address at all: ready once the program runs.
    /// let bot = Launch::new("my-bot").address(Endpoint::None).ready(Readiness::Running);
    /// ```
    #[must_use]
    pub fn address(mut self, address: impl Into<Address>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The Unix socket of the worker: short for an [`address`](Self::address) of this path.
    #[must_use]
    pub fn socket(self, path: impl Into<PathBuf>) -> Self {
        self.address(Endpoint::Unix(path.into()))
    }

    /// The condition for ready. The default is an endpoint that accepts a connection; without an endpoint, a program
    /// that runs.
    ///
    /// [`Readiness::Notify`] is for workers with their own readiness message, and for workers that end when their first
    /// client leaves: nobody connects to the worker. [`Readiness::Listen`] is for workers that take an inherited
    /// socket.
    #[must_use]
    pub fn ready(mut self, condition: Readiness) -> Self {
        self.ready = Some(condition);
        self
    }

    /// For [`Readiness::Running`]: the time for which the program has to run; the default is 200 ms.
    #[must_use]
    pub fn settle(mut self, time: Duration) -> Self {
        self.settle = time;
        self
    }

    /// Takes a listener on the worker's TCP port for the worker's, even if no process of the worker holds the socket: for a
    /// relay that listens in the worker's place, as of a container.
    #[must_use]
    pub fn allow_foreign_listener(mut self) -> Self {
        self.foreign_listener = ForeignListener::Allowed;
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
        self.ready = Some(Readiness::Handshake);
        self.speaking = Some(speaking);
        self
    }

    /// The time for waiting and starting together; the default is 30 s. Ending a worker that was not ready in time
    /// takes up to the graces of the kill policy in addition. A worker started with [`Readiness::Notify`] may request
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

    /// The bound of each of the worker's two logs; the default is 64 MiB, and [`LogMax::NONE`] is no bound. Whichever
    /// call of rekindle passes by cuts the head of a log that is over its bound.
    #[must_use]
    pub fn log_max(mut self, max: LogMax) -> Self {
        self.log_max = max;
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

    /// Whether the program has to listen at its endpoint, but no argument names the endpoint. Then only variables tell the
    /// program where to listen, and the program may not read them.
    pub fn leaves_endpoint_unnamed(&self) -> bool {
        let row = self.condition().kind().row();
        let opens_it = row.provides != Provides::BoundSocket && row.shown_by == ShownBy::Listener;
        let (placeholders, named): (&[&str], _) = match &self.address {
            None | Some(Address::OwnSocket) => (&["{socket}", "{address}", "REKINDLE_SOCKET"], None),
            Some(Address::At(Endpoint::Unix(path))) => {
                (&["{socket}", "{address}", "REKINDLE_SOCKET"], Some(path.clone().into_os_string()))
            }
            // A server may well have the port in a file of its own.
            Some(Address::At(Endpoint::Tcp(_) | Endpoint::None)) => return false,
            Some(Address::AnyPort(_)) => (&["{port}", "{address}", "PORT"], None),
        };
        let mut names = placeholders.iter().map(OsStr::new).chain(named.as_deref());
        opens_it && !self.command.words().is_empty() && !names.any(|name| self.command.mentions(name))
    }

    /// What would tell the program its endpoint.
    pub fn unnamed(&self) -> Unnamed {
        match self.address.as_ref().map_or(EndpointKind::Unix, Address::kind) {
            EndpointKind::Unix => Unnamed { placeholder: "{socket}", variable: "REKINDLE_SOCKET" },
            EndpointKind::Tcp => Unnamed { placeholder: "{port}", variable: "PORT" },
            EndpointKind::None => Unnamed { placeholder: "{address}", variable: "REKINDLE_ADDRESS" },
        }
    }

    /// The caller's address, if named.
    pub fn named_address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// The condition for ready: the caller's, or the default for the endpoint.
    pub fn condition(&self) -> Readiness {
        let kind = self.address.as_ref().map_or(EndpointKind::Unix, Address::kind);
        self.ready.clone().unwrap_or_else(|| Readiness::default_for(kind))
    }

    /// The choice of the port.
    pub(crate) fn port_choice(&self) -> PortChoice {
        match self.address {
            Some(Address::AnyPort(_)) => PortChoice::Launcher,
            Some(Address::OwnSocket | Address::At(_)) | None => PortChoice::Caller,
        }
    }

    /// The version spoken in the readiness handshake, if readiness is a handshake.
    pub(crate) fn handshake_spoken(&self) -> Option<&Speaking> {
        self.speaking.as_ref().filter(|_| self.ready == Some(Readiness::Handshake))
    }

    /// The plan of a start at `endpoint`.
    pub(crate) fn plan(&self, session: &SessionId, endpoint: Endpoint) -> SpawnBgPlan {
        // Only a start needs the directory; a start with an empty directory is refused.
        let cwd = self.command.absolute_cwd().unwrap_or_default();
        let (words, prompt) = (self.command.resolved_words(), self.prompt.clone());
        let condition = self.ready.clone().unwrap_or_else(|| Readiness::default_for(endpoint.kind()));
        let mut plan = SpawnBgPlan::new(session.clone(), endpoint, cwd, &words, prompt);
        plan.env = self.command.environment_ref().clone();
        plan.ready = condition;
        plan.settle = self.settle;
        plan.port = self.port_choice();
        plan.foreign_listener = self.foreign_listener;
        plan.speaking.clone_from(&self.speaking);
        plan.observe_timeout = self.timeout;
        plan.kill_policy = self.kill_policy;
        plan.log_max = self.log_max;
        plan.role = self.role;
        plan.withheld.clone_from(&self.withheld);
        plan
    }
}

/// The two ways in which a program learns its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unnamed {
    /// The placeholder for an argument.
    pub placeholder: &'static str,
    /// The variable in the environment.
    pub variable: &'static str,
}

impl From<Command> for Launch {
    fn from(command: Command) -> Self {
        Self { command, intent: Intent::Ensure, ..Self::attach() }
    }
}
