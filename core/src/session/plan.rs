//! What the decision engine says to do, as plain data that can be printed, stored and replayed.
//!
//! # Invariants
//! 1. The plan is the only source of the socket path: whoever watches reads it here and never derives it again.
//! 2. A plan that was read back means exactly what was written: unknown words in it are errors, not defaults. A new field
//!    therefore comes with a new schema of the record.
//! 3. What is withheld is in no record: [`SpawnBgPlan::for_record`] leaves the values out, and names them.
//!
//! Checked by `gates/tests/plan.rs`.

use crate::claim::release::ReleasePolicy;
use crate::prelude::*;
use crate::process::id::SessionId;
use crate::protocol::Speaking;
pub use crate::session::readiness::ReadyKind;
use crate::text::byte_text;
use crate::text::duration_ms;
use alloc::collections::{BTreeMap, BTreeSet};
use serde::{Deserialize, Serialize};

/// How long a start is watched unless the caller says otherwise.
pub const OBSERVE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How long a worker has to end after SIGTERM unless the caller says otherwise.
pub const TERM_GRACE_DEFAULT: Duration = Duration::from_secs(5);
/// How long the kernel has to end a worker after SIGKILL unless the caller says otherwise.
pub const KILL_GRACE_DEFAULT: Duration = Duration::from_secs(5);

/// How the worker is reached: a process of its own in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Started by the launcher, outliving it.
    #[serde(rename = "spawn-bg")]
    SpawnBg,
}

/// What is done to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Its worker is started, whether for the first time or again.
    #[serde(rename = "resume")]
    Resume,
}

/// When the claim may be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseWhen {
    /// On either of the two observations, and on nothing else.
    #[serde(rename = "socket-alive-or-child-exited")]
    SocketAliveOrChildExited,
}

/// What the worker's environment is made of, besides the `REKINDLE_*` variables that it always gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// What it starts from.
    pub base: EnvironmentBase,
    /// Variables set on top, which win over inherited ones.
    #[serde(default, with = "byte_text")]
    pub set: BTreeMap<String, OsString>,
    /// Variables that are not taken over from what it starts from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub remove: BTreeSet<String>,
}

/// What an environment starts from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentBase {
    /// All that the launcher has.
    #[default]
    Inherit,
    /// Nothing.
    Clear,
    /// Of the launcher's variables these, where they are set.
    Only(Vec<String>),
}

/// What a worker is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It serves its session, and whoever connects.
    #[default]
    Service,
    /// It does one piece of work of a [pool](crate::protocol::pool), which lists and ends it.
    PoolWorker,
}

impl Role {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A value of a plan that came by file, so that it stands in no argument; it is not stored either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withheld {
    /// The prompt.
    Prompt,
    /// The value of this variable.
    Variable(String),
}

/// How a worker that must go is ended. Graces are upper bounds: the exit itself ends the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KillPolicy {
    /// SIGTERM, and nothing stronger.
    TermOnly {
        /// How long it may take to end.
        #[serde(rename = "grace_ms", with = "duration_ms")]
        grace: Duration,
    },
    /// SIGTERM, and SIGKILL if that did not end it.
    TermThenKill {
        /// How long it may take to end after SIGTERM.
        #[serde(rename = "term_grace_ms", with = "duration_ms")]
        term_grace: Duration,
        /// How long the kernel may take to end it after SIGKILL.
        #[serde(rename = "kill_grace_ms", with = "duration_ms")]
        kill_grace: Duration,
    },
}

impl Default for KillPolicy {
    fn default() -> Self {
        Self::TermThenKill { term_grace: TERM_GRACE_DEFAULT, kill_grace: KILL_GRACE_DEFAULT }
    }
}

impl KillPolicy {
    /// The longest that ending a worker can take under this policy.
    pub fn total_grace(&self) -> Duration {
        match *self {
            Self::TermOnly { grace } => grace,
            Self::TermThenKill { term_grace, kill_grace } => term_grace.saturating_add(kill_grace),
        }
    }
}

/// One start of a session's worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnBgPlan {
    /// How the worker is reached.
    pub transport: Transport,
    /// What is done.
    pub action: Action,
    /// The address that callers will use, as a URI (`unix:/…/sock`).
    #[serde(with = "byte_text")]
    pub target: OsString,
    /// The session that the worker serves.
    pub session_id: SessionId,
    /// The directory in which the worker starts; absolute. Empty if the caller's working directory is gone and
    /// no other was named: then nothing can be started.
    #[serde(with = "byte_text")]
    pub cwd: PathBuf,
    /// What the worker is asked to do first, for programs that take it as an argument.
    #[serde(with = "byte_text")]
    pub prompt: Option<OsString>,
    /// The program, then its arguments, with all placeholders filled in.
    #[serde(with = "byte_text")]
    pub launch_args: Vec<OsString>,
    /// The worker's environment.
    pub env: Environment,
    /// What counts as ready.
    pub ready: ReadyKind,
    /// What we speak to it, where that is a protocol of versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaking: Option<Speaking>,
    /// The socket on which the worker will answer.
    #[serde(with = "byte_text")]
    pub expected_socket_path: PathBuf,
    /// How long the start is watched before it is ended.
    #[serde(rename = "observe_timeout_ms", with = "duration_ms")]
    pub observe_timeout: Duration,
    /// How it is ended then.
    pub kill_policy: KillPolicy,
    /// When the claim may be released.
    pub release_when: ReleaseWhen,
    /// What the worker is for.
    #[serde(default, skip_serializing_if = "Role::is_default")]
    pub role: Role,
    /// The values that are in no record, and have to be given again.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<Withheld>,
}

impl SpawnBgPlan {
    /// A plan with the default environment, readiness, timeout and kill policy.
    ///
    /// `launch_args` may hold the placeholders `{session}`, `{socket}` and `{prompt}` behind the program; they are
    /// filled in here, once. An argument is never split, and other braces stay as they are.
    ///
    /// ```
    /// use rekindle_core::SpawnBgPlan;
    ///
    /// let plan = SpawnBgPlan::new(
    ///     "cache".parse()?,
    ///     "/run/cache.sock".into(),
    ///     "/".into(),
    ///     &["/usr/bin/redis-server", "--unixsocket", "{socket}"],
    ///     None,
    /// );
    /// assert_eq!(plan.launch_args[2], "/run/cache.sock");
    /// # Ok::<(), rekindle_core::id::InvalidSessionId>(())
    /// ```
    pub fn new(
        session_id: SessionId,
        expected_socket_path: PathBuf,
        cwd: PathBuf,
        launch_args: &[impl AsRef<OsStr>],
        prompt: Option<OsString>,
    ) -> Self {
        let values = [
            ("{session}", session_id.as_str().as_bytes()),
            ("{socket}", expected_socket_path.as_os_str().as_bytes()),
            ("{prompt}", prompt.as_deref().unwrap_or_default().as_bytes()),
        ];
        let fill = |(index, arg): (usize, &OsStr)| match index {
            0 => arg.to_owned(),
            _ => fill_placeholders(arg, &values),
        };
        let launch_args = launch_args.iter().map(AsRef::as_ref).enumerate().map(fill).collect();
        let mut target = OsString::from("unix:");
        target.push(&expected_socket_path);
        Self {
            transport: Transport::SpawnBg,
            action: Action::Resume,
            target,
            session_id,
            cwd,
            prompt,
            launch_args,
            env: Environment::default(),
            ready: ReadyKind::default(),
            speaking: None,
            expected_socket_path,
            observe_timeout: OBSERVE_TIMEOUT_DEFAULT,
            kill_policy: KillPolicy::default(),
            release_when: ReleaseWhen::SocketAliveOrChildExited,
            role: Role::default(),
            withheld: BTreeSet::new(),
        }
    }

    /// The program, where the plan names one.
    pub fn program(&self) -> Option<&OsStr> {
        self.launch_args.first().map(OsString::as_os_str)
    }

    /// The plan as it may be stored: the values that are withheld are left out, and still named.
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

    /// What we speak in the handshake that makes the worker ready, where one does.
    pub fn handshake(&self) -> Option<&Speaking> {
        self.speaking.as_ref().filter(|_| self.ready == ReadyKind::Handshake)
    }

    /// The release policy that this plan asks for.
    pub fn release_policy(&self) -> ReleasePolicy {
        match self.release_when {
            ReleaseWhen::SocketAliveOrChildExited => ReleasePolicy::ReleaseAfterSpawnObservation,
        }
    }
}

/// Fills in one argument in a single pass, so that a value that looks like a placeholder is not filled in again.
fn fill_placeholders(arg: &OsStr, values: &[(&str, &[u8])]) -> OsString {
    let mut filled = Vec::with_capacity(arg.len());
    let mut rest = arg.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let named =
            values.iter().find_map(|(name, value)| Some((*value, rest.strip_prefix(name.as_bytes())?)));
        let (value, behind) = named.unwrap_or((core::slice::from_ref(first), tail));
        filled.extend_from_slice(value);
        rest = behind;
    }
    byte_text::from_bytes(filled)
}
