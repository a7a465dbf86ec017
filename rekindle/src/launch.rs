//! The description of a start: the program, its options, and the time-outs.

mod command;

pub use command::Command;
pub(crate) use command::{command_setters, holds};
use rekindle_core::again::Part;
use rekindle_core::decide::Unrecorded;
use rekindle_core::logs::LogMax;
use rekindle_core::plan::{
    ForeignListener, KillChange, OBSERVE_TIMEOUT_DEFAULT, PortChoice, Role, SETTLE_DEFAULT, Withheld,
};
use rekindle_core::protocol::Speaking;
use rekindle_core::readiness::{Provides, ShownBy};
use rekindle_core::{Address, Endpoint, EndpointKind, Intent, KillPolicy, Readiness, SessionId, SpawnBgPlan};
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
    pub(crate) source: Source,
    pub(crate) intent: Intent,
    pub(crate) address: Option<Address>,
    pub(crate) prompt: Option<OsString>,
    pub(crate) ready: Option<Readiness>,
    settle: Option<Duration>,
    foreign_listener: Option<ForeignListener>,
    pub(crate) speaking: Option<Speaking>,
    timeout: Option<Duration>,
    pub(crate) kill: KillChange,
    log_max: Option<LogMax>,
    env_files: Option<Vec<PathBuf>>,
    pub(crate) unrecorded: Unrecorded,
    pub(crate) role: Role,
    pub(crate) withheld: BTreeSet<Withheld>,
    /// What the caller named, if this launch was completed from a record.
    named: Option<Vec<Part>>,
}

/// Where the parts of a plan come from that the caller does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// From the defaults.
    Defaults,
    /// From the session's record.
    Record,
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
            source: Source::Defaults,
            intent: Intent::Attach,
            address: None,
            prompt: None,
            ready: None,
            settle: None,
            foreign_listener: None,
            speaking: None,
            timeout: None,
            kill: KillChange::default(),
            log_max: None,
            env_files: None,
            unrecorded: Unrecorded::default(),
            role: Role::default(),
            withheld: BTreeSet::new(),
            named: None,
        }
    }

    /// A launch as the session's record says: the program, the options and the endpoint of the last start. Each setter
    /// replaces one recorded part; [`env`](Self::env) replaces one variable. A port chosen by a launcher stays, if free.
    ///
    /// The record is read when the call decides, under the claim if a worker is started. Without a record of a whole plan,
    /// and without a value that the record leaves out, nothing is started: [`Error::NoPlan`](crate::Error::NoPlan).
    ///
    /// ```no_run
    /// use rekindle::{Launch, Sessions};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = Sessions::open_default()?;
    /// // The same as last time, with one variable more.
    /// let worker = sessions.ensure(&"web".parse()?, Launch::recorded().env("LOG", "debug")).await?;
    /// println!("{worker}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn recorded() -> Self {
        Self { source: Source::Record, intent: Intent::Ensure, ..Self::attach() }
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
        self.settle = Some(time);
        self
    }

    /// Takes a listener on the worker's TCP port for the worker's, even if no process of the worker holds the socket: for a
    /// relay that listens in the worker's place, as of a container.
    #[must_use]
    pub fn allow_foreign_listener(mut self) -> Self {
        self.foreign_listener = Some(ForeignListener::Allowed);
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
        self.timeout = Some(timeout);
        self
    }

    /// The way to end the worker: if it is not ready in time, at a stop, and before a restart.
    #[must_use]
    pub fn kill_policy(mut self, policy: KillPolicy) -> Self {
        self.kill = policy.into();
        self
    }

    /// Parts of the way to end the worker; the other parts stay as they are.
    ///
    /// ```
    /// use rekindle::{KillChange, Launch};
    ///
    /// let by_interrupt = KillChange { signal: Some("INT".parse()?), ..KillChange::default() };
    /// let launch = Launch::new("my-worker").kill_change(by_interrupt);
    /// # Ok::<(), rekindle::InvalidStopSignal>(())
    /// ```
    #[must_use]
    pub fn kill_change(mut self, change: KillChange) -> Self {
        self.kill = self.kill.then(change);
        self
    }

    /// Adds a file with variables for the worker, in the syntax of dotenv. Every start reads the file. The record has the
    /// absolute path, and never a value. A variable of [`env`](Self::env) wins over the files, a later file over an earlier
    /// one, and a file over an inherited variable. A file that cannot be used is
    /// [`SpawnError::EnvironmentFile`](crate::SpawnError::EnvironmentFile).
    ///
    /// In a value, `$NAME` stands for a variable of the caller or of a line before; single quotes prevent that.
    #[must_use]
    pub fn env_file(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        self.env_files.get_or_insert_default().push(path);
        self
    }

    /// Refuses an answering process that no record names, with
    /// [`RejectReason::RecordLessSocket`](crate::RejectReason::RecordLessSocket). The default is to attach to it, as not
    /// managed.
    #[must_use]
    pub fn managed_only(mut self) -> Self {
        self.unrecorded = Unrecorded::Refused;
        self
    }

    /// The bound of each of the worker's two logs; the default is 64 MiB, and [`LogMax::NONE`] is no bound. Whichever
    /// call of rekindle passes by cuts the head of a log that is over its bound.
    #[must_use]
    pub fn log_max(mut self, max: LogMax) -> Self {
        self.log_max = Some(max);
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

    /// Whether the running worker is to be ended first.
    pub fn is_restart(&self) -> bool {
        self.intent.is_restart()
    }

    /// The time for waiting and starting together.
    pub(crate) fn observe_timeout(&self) -> Duration {
        self.timeout.unwrap_or(OBSERVE_TIMEOUT_DEFAULT)
    }

    /// The way to end the worker.
    pub(crate) fn planned_kill_policy(&self) -> KillPolicy {
        KillPolicy::default().changed(&self.kill)
    }

    /// The withheld values that the caller gives.
    pub(crate) fn supplied(&self) -> BTreeSet<Withheld> {
        let variables = self.command.environment_ref().set.keys().cloned().map(Withheld::Variable);
        variables.chain(self.prompt.is_some().then_some(Withheld::Prompt)).collect()
    }

    /// The parts of the plan that the caller named.
    pub(crate) fn named_parts(&self) -> Vec<Part> {
        if let Some(named) = &self.named {
            return named.clone();
        }
        let environment = self.command.environment_ref();
        let parts = [
            (Part::Args, !self.command.words().is_empty()),
            (Part::Env, !environment.set.is_empty() || !environment.remove.is_empty()),
            (Part::EnvBase, self.command.named_base().is_some()),
            (Part::EnvFile, self.env_files.is_some()),
            (Part::Cwd, self.command.named_cwd().is_some()),
            (Part::Endpoint, self.address.is_some()),
            (Part::Ready, self.ready.is_some()),
            (Part::Settle, self.settle.is_some()),
            (Part::Speak, self.speaking.is_some()),
            (Part::ForeignListener, self.foreign_listener.is_some()),
            (Part::Prompt, self.prompt.is_some()),
            (Part::KillPolicy, !self.kill.is_nothing()),
        ];
        parts.into_iter().filter_map(|(part, is_named)| is_named.then_some(part)).collect()
    }

    /// The launch that the record describes, with the parts that the caller named. `own_socket` is the socket in the
    /// session's directory.
    pub(crate) fn over(&self, plan: &SpawnBgPlan, own_socket: &Path) -> Self {
        let recorded = || match (plan.port, plan.target()) {
            (PortChoice::Launcher, Endpoint::Tcp(at)) => Address::AnyPort(at.ip()),
            (_, Endpoint::Unix(socket)) if socket == own_socket => Address::OwnSocket,
            (_, endpoint) => Address::At(endpoint.clone()),
        };
        // Another kind of address has another default.
        let is_default = plan.ready == Readiness::default_for(plan.target().kind());
        let ready = (!is_default).then(|| plan.ready.clone());
        Self {
            command: self.command.over(plan.template(), &plan.env, &plan.cwd),
            source: Source::Defaults,
            intent: self.intent,
            address: self.address.clone().or_else(|| Some(recorded())),
            prompt: self.prompt.clone().or_else(|| plan.prompt.clone()),
            ready: self.ready.clone().or(ready),
            settle: self.settle.or(Some(plan.settle)),
            foreign_listener: self.foreign_listener.or(Some(plan.foreign_listener)),
            speaking: self.speaking.clone().or_else(|| plan.speaking.clone()),
            timeout: self.timeout.or(Some(plan.observe_timeout)),
            kill: plan.kill_policy.changed(&self.kill).into(),
            log_max: self.log_max.or(Some(plan.log_max)),
            env_files: self.env_files.clone().or_else(|| Some(plan.env_files.clone())),
            unrecorded: self.unrecorded,
            role: plan.role,
            withheld: self.withheld.union(&plan.withheld).cloned().collect(),
            named: Some(self.named_parts()),
        }
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
        plan.settle = self.settle.unwrap_or(SETTLE_DEFAULT);
        plan.port = self.port_choice();
        plan.foreign_listener = self.foreign_listener.unwrap_or_default();
        plan.speaking.clone_from(&self.speaking);
        plan.observe_timeout = self.observe_timeout();
        plan.kill_policy = self.planned_kill_policy();
        plan.log_max = self.log_max.unwrap_or(LogMax::DEFAULT);
        plan.env_files = self.env_files.clone().unwrap_or_default();
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
