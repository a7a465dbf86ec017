//! The description of a start, as plain data that can be printed, stored and replayed.
//!
//! # Invariants
//! 1. The plan is the only source of the endpoint: the watcher reads the endpoint from the plan and never derives one.
//! 2. A stored plan is read back with exactly the written meaning: unknown words are errors, not defaults. A field
//!    may be absent only if absence means the behaviour before the field; a release with a new field needs a new schema.
//! 3. The path of the expected socket is the target's, in Rust by construction and in JSON by a check.
//! 4. Withheld values are in no record: [`SpawnBgPlan::for_record`] leaves the values out, and keeps their names.
//!
//! Checked by `gates/tests/plan.rs`.

use crate::claim::release::ReleasePolicy;
use crate::logs::LogMax;
use crate::prelude::*;
use crate::process::id::SessionId;
use crate::process::stop_signal::StopSignal;
use crate::protocol::Speaking;
use crate::session::endpoint::Endpoint;
use crate::session::readiness::{Readiness, ReadyKind};
use crate::text::byte_text;
use crate::text::duration_ms;
use alloc::collections::{BTreeMap, BTreeSet};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The default time for observing a start.
pub const OBSERVE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// The default time for which a program has to run, for [`ReadyKind::Running`].
pub const SETTLE_DEFAULT: Duration = Duration::from_millis(200);
/// The default grace after SIGTERM.
pub const TERM_GRACE_DEFAULT: Duration = Duration::from_secs(5);
/// The default grace after SIGKILL.
pub const KILL_GRACE_DEFAULT: Duration = Duration::from_secs(5);

/// How the worker runs: as a separate process in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// The launcher starts the worker, and the worker outlives the launcher.
    #[serde(rename = "spawn-bg")]
    SpawnBg,
}

/// The action on the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Start the session's worker, for the first time or again.
    #[serde(rename = "resume")]
    Resume,
}

/// The condition for releasing the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseWhen {
    /// Either of the two observations, and nothing else.
    #[serde(rename = "socket-alive-or-child-exited")]
    SocketAliveOrChildExited,
}

/// The worker's environment, besides the `REKINDLE_*` variables that every worker gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The base of the environment.
    pub base: EnvironmentBase,
    /// Variables set on top. They replace inherited variables.
    #[serde(default, with = "byte_text")]
    pub set: BTreeMap<String, OsString>,
    /// Variables removed from the base.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub remove: BTreeSet<String>,
}

/// The base of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentBase {
    /// All variables of the launcher.
    #[default]
    Inherit,
    /// No variables.
    Clear,
    /// Only these variables of the launcher, if set.
    Only(Vec<String>),
}

/// The role of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The worker serves the session and all clients.
    #[default]
    Service,
    /// The worker does one piece of work of a [pool](crate::protocol::pool). The pool lists and ends the worker.
    PoolWorker,
}

impl Role {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A plan's value read from a file, so that no argument shows the value. The record leaves the value out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withheld {
    /// The prompt.
    Prompt,
    /// The value of the named variable.
    Variable(String),
}

/// The way to end a worker. Graces are upper bounds: the exit itself ends the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KillPolicy {
    /// The stop signal, and no stronger signal.
    TermOnly {
        /// The grace after the stop signal.
        #[serde(rename = "grace_ms", with = "duration_ms")]
        grace: Duration,
        /// The stop signal.
        #[serde(default, skip_serializing_if = "StopSignal::is_default")]
        signal: StopSignal,
    },
    /// The stop signal, then SIGKILL if the worker has not ended.
    TermThenKill {
        /// The stop signal.
        #[serde(default, skip_serializing_if = "StopSignal::is_default")]
        signal: StopSignal,
        /// The grace after the stop signal.
        #[serde(rename = "term_grace_ms", with = "duration_ms")]
        term_grace: Duration,
        /// The grace after SIGKILL.
        #[serde(rename = "kill_grace_ms", with = "duration_ms")]
        kill_grace: Duration,
    },
}

impl Default for KillPolicy {
    fn default() -> Self {
        Self::TermThenKill {
            signal: StopSignal::TERM,
            term_grace: TERM_GRACE_DEFAULT,
            kill_grace: KILL_GRACE_DEFAULT,
        }
    }
}

/// The parts of a [`KillPolicy`] that a caller named; the other parts stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KillChange {
    /// The stop signal.
    pub signal: Option<StopSignal>,
    /// The grace after the stop signal.
    pub term_grace: Option<Duration>,
    /// The grace after SIGKILL. A policy without SIGKILL gets SIGKILL.
    pub kill_grace: Option<Duration>,
    /// Whether SIGKILL is forbidden; wins over `kill_grace`.
    pub no_kill: bool,
}

impl KillChange {
    /// Whether no part was named.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Both changes; the later one wins.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            signal: later.signal.or(self.signal),
            term_grace: later.term_grace.or(self.term_grace),
            kill_grace: later.kill_grace.or(self.kill_grace),
            no_kill: later.no_kill || (self.no_kill && later.kill_grace.is_none()),
        }
    }
}

/// A change to exactly this policy.
impl From<KillPolicy> for KillChange {
    fn from(policy: KillPolicy) -> Self {
        let (signal, term_grace) = (Some(policy.signal()), Some(policy.term_grace()));
        match policy {
            KillPolicy::TermOnly { .. } => Self { signal, term_grace, kill_grace: None, no_kill: true },
            KillPolicy::TermThenKill { kill_grace, .. } => {
                Self { signal, term_grace, kill_grace: Some(kill_grace), no_kill: false }
            }
        }
    }
}

impl KillPolicy {
    /// The upper bound for ending a worker under this policy.
    pub fn total_grace(&self) -> Duration {
        match *self {
            Self::TermOnly { grace, .. } => grace,
            Self::TermThenKill { term_grace, kill_grace, .. } => term_grace.saturating_add(kill_grace),
        }
    }

    /// The stop signal.
    pub fn signal(&self) -> StopSignal {
        match *self {
            Self::TermOnly { signal, .. } | Self::TermThenKill { signal, .. } => signal,
        }
    }

    /// The grace after the stop signal.
    pub fn term_grace(&self) -> Duration {
        match *self {
            Self::TermOnly { grace, .. } => grace,
            Self::TermThenKill { term_grace, .. } => term_grace,
        }
    }

    /// The same policy, but for the named parts.
    ///
    /// ```
    /// use rekindle_core::{KillChange, KillPolicy};
    ///
    /// let gentle = KillPolicy::default().changed(&KillChange { no_kill: true, ..KillChange::default() });
    /// assert!(matches!(gentle, KillPolicy::TermOnly { .. }));
    /// ```
    #[must_use]
    pub fn changed(self, by: &KillChange) -> Self {
        let signal = by.signal.unwrap_or(self.signal());
        let term_grace = by.term_grace.unwrap_or(self.term_grace());
        let recorded = match self {
            Self::TermOnly { .. } => None,
            Self::TermThenKill { kill_grace, .. } => Some(kill_grace),
        };
        match by.kill_grace.or(recorded) {
            Some(kill_grace) if !by.no_kill => Self::TermThenKill { signal, term_grace, kill_grace },
            Some(_) | None => Self::TermOnly { grace: term_grace, signal },
        }
    }
}

/// The choice of a worker's TCP port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortChoice {
    /// The caller named the port, or there is none.
    #[default]
    Caller,
    /// A launcher chose a free port; a launcher may choose another for the next start.
    Launcher,
}

impl PortChoice {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The treatment of a listener that is no process of the worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForeignListener {
    /// A conflict.
    #[default]
    Refused,
    /// Taken for the worker's, on the caller's word: a relay listens in the worker's place.
    Allowed,
}

impl ForeignListener {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn settle_default() -> Duration {
    SETTLE_DEFAULT
}

fn is_settle_default(settle: &Duration) -> bool {
    *settle == SETTLE_DEFAULT
}

/// One start of a session's worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct SpawnBgPlan {
    /// How the worker runs.
    pub transport: Transport,
    /// The action on the session.
    pub action: Action,
    /// The address for clients.
    target: Endpoint,
    /// The session of the worker.
    pub session_id: SessionId,
    /// The working directory of the worker; absolute. Empty if the caller's working directory was removed and no other
    /// directory was named: then no worker can be started.
    #[serde(with = "byte_text")]
    pub cwd: PathBuf,
    /// The first request to the worker, for programs with a prompt argument.
    #[serde(with = "byte_text")]
    pub prompt: Option<OsString>,
    /// The program, then the arguments, with all placeholders replaced.
    #[serde(with = "byte_text")]
    pub launch_args: Vec<OsString>,
    /// The program and the arguments with the placeholders, from which the next start makes its own arguments; empty if there
    /// was no placeholder to replace.
    #[serde(default, with = "byte_text", skip_serializing_if = "Vec::is_empty")]
    template: Vec<OsString>,
    /// The worker's environment.
    pub env: Environment,
    /// Files with further variables, read at every start: absolute paths, the later file wins over the earlier one. The
    /// values are in no record. A variable of `env.set` wins over the files.
    #[serde(default, with = "byte_text", skip_serializing_if = "Vec::is_empty")]
    pub env_files: Vec<PathBuf>,
    /// The condition for ready.
    pub ready: Readiness,
    /// The time for which the program has to run, for [`ReadyKind::Running`].
    #[serde(
        rename = "settle_ms",
        with = "duration_ms",
        default = "settle_default",
        skip_serializing_if = "is_settle_default"
    )]
    pub settle: Duration,
    /// The version to speak, if the worker's protocol has versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaking: Option<Speaking>,
    /// The path of the target, if the target is a Unix socket.
    #[serde(default, with = "byte_text", skip_serializing_if = "Option::is_none")]
    expected_socket_path: Option<PathBuf>,
    /// The choice of the target's port.
    #[serde(default, skip_serializing_if = "PortChoice::is_default")]
    pub port: PortChoice,
    /// The treatment of a listener that is no process of the worker.
    #[serde(default, skip_serializing_if = "ForeignListener::is_default")]
    pub foreign_listener: ForeignListener,
    /// The time for observing the start; then the start is ended.
    #[serde(rename = "observe_timeout_ms", with = "duration_ms")]
    pub observe_timeout: Duration,
    /// The way to end a start that was not observed in time.
    pub kill_policy: KillPolicy,
    /// The condition for releasing the claim.
    pub release_when: ReleaseWhen,
    /// The bound of each log. A plan from before the bound has none.
    #[serde(default = "LogMax::none", skip_serializing_if = "LogMax::is_none")]
    pub log_max: LogMax,
    /// The role of the worker.
    #[serde(default, skip_serializing_if = "Role::is_default")]
    pub role: Role,
    /// The values that are in no record. The next launcher has to supply these values again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<Withheld>,
}

impl Serialize for SpawnBgPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SpawnBgPlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let plan = Self::deserialize(deserializer)?;
        if plan.expected_socket_path.as_deref() == plan.target.socket() {
            Ok(plan)
        } else {
            Err(serde::de::Error::custom("`expected_socket_path` is not the path of `target`"))
        }
    }
}

impl SpawnBgPlan {
    /// A plan with the default environment, readiness, time-out and kill policy.
    ///
    /// `launch_args` may contain placeholders after the program: `{session}`, `{address}` and `{prompt}`; `{socket}` if
    /// the target is a Unix socket; `{host}` and `{port}` if the target is a TCP port. This call replaces the
    /// placeholders, once. An argument is never split, and other braces stay unchanged.
    ///
    /// ```
    /// use rekindle_core::{Endpoint, SpawnBgPlan};
    ///
    /// let plan = SpawnBgPlan::new(
    ///     "cache".parse()?,
    ///     Endpoint::Unix("/run/cache.sock".into()),
    ///     "/".into(),
    ///     &["/usr/bin/redis-server", "--unixsocket", "{socket}"],
    ///     None,
    /// );
    /// assert_eq!(plan.launch_args[2], "/run/cache.sock");
    /// # Ok::<(), rekindle_core::id::InvalidSessionId>(())
    /// ```
    pub fn new(
        session_id: SessionId,
        target: Endpoint,
        cwd: PathBuf,
        launch_args: &[impl AsRef<OsStr>],
        prompt: Option<OsString>,
    ) -> Self {
        let mut values = target.placeholders();
        values.push(("{session}", session_id.as_str().into()));
        values.push(("{prompt}", prompt.clone().unwrap_or_default()));
        let fill = |(index, arg): (usize, &OsStr)| match index {
            0 => arg.to_owned(),
            _ => fill_placeholders(arg, &values),
        };
        let given = launch_args.iter().map(AsRef::as_ref);
        let launch_args: Vec<OsString> = given.clone().enumerate().map(fill).collect();
        let template: Vec<OsString> = given.map(ToOwned::to_owned).collect();
        let template = if template == launch_args { Vec::new() } else { template };
        let expected_socket_path = target.socket().map(ToOwned::to_owned);
        Self {
            transport: Transport::SpawnBg,
            action: Action::Resume,
            target,
            session_id,
            cwd,
            prompt,
            launch_args,
            template,
            env: Environment::default(),
            env_files: Vec::new(),
            ready: Readiness::default(),
            settle: SETTLE_DEFAULT,
            speaking: None,
            expected_socket_path,
            port: PortChoice::default(),
            foreign_listener: ForeignListener::default(),
            observe_timeout: OBSERVE_TIMEOUT_DEFAULT,
            kill_policy: KillPolicy::default(),
            release_when: ReleaseWhen::SocketAliveOrChildExited,
            log_max: LogMax::DEFAULT,
            role: Role::default(),
            withheld: BTreeSet::new(),
        }
    }

    /// The endpoint of the worker.
    pub fn target(&self) -> &Endpoint {
        &self.target
    }

    /// The path of the worker's socket, if the endpoint is a Unix socket.
    pub fn expected_socket_path(&self) -> Option<&Path> {
        self.expected_socket_path.as_deref()
    }

    /// The program, if the plan names a program.
    pub fn program(&self) -> Option<&OsStr> {
        self.launch_args.first().map(OsString::as_os_str)
    }

    /// The program and the arguments, with the placeholders.
    pub fn template(&self) -> &[OsString] {
        if self.template.is_empty() { &self.launch_args } else { &self.template }
    }

    /// The plan with the values of its environment files, for one start. Not for the record.
    #[must_use]
    pub fn with_variables(&self, of_files: BTreeMap<String, OsString>) -> Self {
        let mut plan = self.clone();
        plan.env_files = Vec::new();
        plan.env.set = of_files.into_iter().chain(plan.env.set).collect();
        plan
    }

    /// The plan for the record: without the withheld values, but with their names.
    #[must_use]
    pub fn for_record(&self) -> Self {
        let mut plan = self.clone();
        for withheld in &self.withheld {
            match withheld {
                Withheld::Prompt => plan.prompt = None,
                Withheld::Variable(name) => drop(plan.env.set.remove(name)),
            }
        }
        plan
    }

    /// The version for the readiness handshake, if readiness is a handshake.
    pub fn handshake(&self) -> Option<&Speaking> {
        self.speaking.as_ref().filter(|_| self.ready.kind() == ReadyKind::Handshake)
    }

    /// The release policy of the plan.
    pub fn release_policy(&self) -> ReleasePolicy {
        match self.release_when {
            ReleaseWhen::SocketAliveOrChildExited => ReleasePolicy::ReleaseAfterSpawnObservation,
        }
    }
}

/// Replaces the placeholders of an argument in a single pass: a placeholder inside a value is not replaced.
fn fill_placeholders(arg: &OsStr, values: &[(&str, OsString)]) -> OsString {
    let mut filled = Vec::with_capacity(arg.len());
    let mut rest = arg.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let named =
            values.iter().find_map(|(name, it)| Some((it.as_bytes(), rest.strip_prefix(name.as_bytes())?)));
        let (value, behind) = named.unwrap_or((core::slice::from_ref(first), tail));
        filled.extend_from_slice(value);
        rest = behind;
    }
    byte_text::from_bytes(filled)
}
