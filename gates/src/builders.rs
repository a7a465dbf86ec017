//! Builders of plans, claims, hosts and identities, with distinct values.

use crate::fakes::FakeChild;
use jiff::Timestamp;
use rekindle_core::effects::{KillError, ReleaseError, SpawnError, WatchError};
use rekindle_core::identity::{BootId, NamespaceId, StartTime};
use rekindle_core::{
    Endpoint, Host, KillPolicy, LockClaim, Nonce, OsFailure, Pid, ProcessIdentity, SessionId, SpawnBgPlan,
    StopSignal,
};
use std::time::Duration;

/// The observe timeout of the built plan. The three times differ, so a log can tell them apart.
pub const OBSERVE: Duration = Duration::from_secs(30);
/// The grace after SIGTERM.
pub const TERM: Duration = Duration::from_secs(5);
/// The grace after SIGKILL.
pub const KILL: Duration = Duration::from_secs(3);

/// The pid of the built child.
pub const CHILD_PID: i32 = 4242;
/// The pid of the launcher in the built claim.
pub const LAUNCHER_PID: i32 = 77;

/// The session `cache`, used by every builder here.
pub fn session() -> SessionId {
    session_named("cache")
}

/// The session `name`.
///
/// # Panics
/// If `name` is no session id.
pub fn session_named(name: &str) -> SessionId {
    name.parse().expect("the test names a valid session")
}

/// A pid.
///
/// # Panics
/// If `raw` is not positive.
pub fn pid(raw: i32) -> Pid {
    Pid::new(raw).expect("the test names a positive pid")
}

/// SIGTERM, then SIGKILL.
pub fn then_kill() -> KillPolicy {
    KillPolicy::TermThenKill { signal: StopSignal::TERM, term_grace: TERM, kill_grace: KILL }
}

/// SIGTERM alone.
pub fn term_only() -> KillPolicy {
    KillPolicy::TermOnly { grace: TERM, signal: StopSignal::TERM }
}

/// A plan for the session [`session`].
pub fn plan() -> SpawnBgPlan {
    let launch_args = ["/usr/bin/worker", "--socket", "/run/cache/sock"].map(String::from);
    let mut plan = SpawnBgPlan::new(
        session(),
        Endpoint::Unix("/run/cache/sock".into()),
        "/srv".into(),
        &launch_args,
        None,
    );
    plan.observe_timeout = OBSERVE;
    plan.kill_policy = then_kill();
    plan
}

/// A plan with other values of some fields: `plan_with!(plan(); role: Role::PoolWorker)`. The endpoint of a plan cannot be
/// changed, so a plan has no update by `..`.
#[macro_export]
macro_rules! plan_with {
    ($plan:expr; $($field:ident: $value:expr),* $(,)?) => {{
        let mut plan = $plan;
        $(plan.$field = $value;)*
        plan
    }};
}

/// The same plan, with another kill policy.
pub fn plan_ending_by(kill_policy: KillPolicy) -> SpawnBgPlan {
    let mut plan = plan();
    plan.kill_policy = kill_policy;
    plan
}

/// The machine of the test: every judgement is made from here.
pub fn here() -> Host {
    Host {
        hostname: "box".into(),
        machine_id: Some("3f2c".into()),
        boot_id: Some(BootId::new("b00t")),
        pid_namespace: Some(NamespaceId::from_inode(4_026_531_836)),
        time_namespace: Some(NamespaceId::from_inode(4_026_531_834)),
    }
}

/// A process of [`here`], started at `ticks`.
pub fn process(raw_pid: i32, ticks: u64) -> ProcessIdentity {
    here().identify(pid(raw_pid), Some(StartTime::from_ticks(ticks)))
}

/// The instant of everything built here: 2026-01-02T03:04:05Z.
pub fn instant() -> Timestamp {
    Timestamp::from_second(1_767_323_045).expect("it lies within the range of a timestamp")
}

/// A claim on the session [`session`], held by a launcher of [`here`].
pub fn claim() -> LockClaim {
    let host = here();
    LockClaim {
        session_id: session(),
        holder: process(LAUNCHER_PID, 1_000),
        hostname: host.hostname,
        machine_id: host.machine_id,
        created_at: instant(),
        nonce: Nonce::from_random(0xc1a1),
        owner: "rekindle".into(),
        lock_path: "/state/cache/claim".into(),
        retained_at: None,
    }
}

/// The child of a fake spawn.
pub fn child() -> FakeChild {
    FakeChild { pid: Some(pid(CHILD_PID)) }
}

/// A refused system call, named `operation`.
pub fn os(operation: &str) -> OsFailure {
    OsFailure::new(operation, "input/output error").errno(5)
}

/// A failed spawn: the program does not exist.
pub fn spawn_error() -> SpawnError {
    SpawnError::ProgramNotFound { program: "worker".into(), searched: None }
}

/// A failed watch or timer, named `what`.
pub fn watch_error(what: &str) -> WatchError {
    WatchError::Os(os(what))
}

/// A failed signal.
pub fn kill_error() -> KillError {
    KillError::Os(os("signal the worker"))
}

/// A refused release.
pub fn release_error() -> ReleaseError {
    ReleaseError::NotOurs { path: "/state/cache/claim".into() }
}
