//! Starts workers through the adapters, as the library does, for tests of a single step.

use crate::test_env::{CANARY, TestEnv};
use rekindle::{KillPolicy, SessionId, StopSignal};
use rekindle_adapters::claim_lock::{ClaimAttempt, try_claim};
use rekindle_adapters::spawn::{Provision, SpawnRequest, spawn};
use rekindle_adapters::{HeldClaim, StateRoot, Worker, clock, lifeline, procfs, random};
use rekindle_core::{Generation, Host, SpawnBgPlan, SpawnError};
use std::sync::Arc;
use std::time::Duration;

/// A test environment with workers started by this process.
#[derive(Debug)]
pub struct Starts {
    /// The directory and the processes.
    pub env: TestEnv,
    /// The state directory.
    pub root: StateRoot,
    /// This machine, boot and namespaces.
    pub here: Arc<Host>,
}

impl Default for Starts {
    fn default() -> Self {
        Self::new()
    }
}

impl Starts {
    /// An empty test environment.
    ///
    /// # Panics
    /// If the state directory is refused.
    pub fn new() -> Self {
        let env = TestEnv::new();
        let root = StateRoot::open(env.state()).expect("a test environment's state directory can be used");
        Self { env, root, here: Arc::new(procfs::this_host()) }
    }

    /// A plan to run `command` in the test environment.
    ///
    /// # Panics
    /// If `session` is an invalid name.
    pub fn plan(&self, session: &str, command: &[&str]) -> SpawnBgPlan {
        let command: Vec<String> = command.iter().map(|arg| (*arg).to_owned()).collect();
        let (socket, dir) = (self.env.socket(session), self.env.dir().to_owned());
        let mut plan =
            SpawnBgPlan::new(id(session), rekindle_core::Endpoint::Unix(socket), dir, &command, None);
        plan.env.set.insert(CANARY.into(), self.env.dir().into());
        plan.kill_policy = KillPolicy::TermThenKill {
            signal: StopSignal::TERM,
            term_grace: Duration::from_secs(1),
            kill_grace: Duration::from_secs(30),
        };
        plan
    }

    /// Tries to acquire the claim on a session.
    ///
    /// # Panics
    /// If the state directory cannot be used.
    pub fn try_claim(&self, session: &str) -> ClaimAttempt {
        try_claim(&self.root, &id(session), &self.here).expect("the state directory can be used")
    }

    /// Takes the claim on a session.
    ///
    /// # Panics
    /// If another process holds the claim.
    pub fn claim(&self, session: &str) -> HeldClaim {
        match self.try_claim(session) {
            ClaimAttempt::Held(held) => *held,
            ClaimAttempt::Conflict { why, holder } => panic!("the claim is in conflict: {why:?}, {holder:?}"),
        }
    }

    /// Starts a plan under a claim, with a fresh lifeline.
    ///
    /// # Errors
    /// If the worker does not start.
    pub fn spawn(&self, plan: &SpawnBgPlan, claim: &HeldClaim) -> Result<Worker, SpawnError> {
        let lifeline = lifeline::renew(claim.dir())?;
        let (generation, nonce) =
            (Generation::new(1), random::nonce().expect("the kernel has random numbers"));
        let (nonce, host, provision) = (&nonce, &*self.here, Provision::Nothing);
        spawn(SpawnRequest {
            plan,
            claim,
            generation,
            nonce,
            lifeline,
            host,
            started_at: clock::now(),
            provision,
        })
    }

    /// Starts a command under a claim, then releases the claim.
    ///
    /// # Panics
    /// If the worker does not start.
    pub fn start(&self, session: &str, command: &[&str]) -> Worker {
        let claim = self.claim(session);
        let worker = self.spawn(&self.plan(session, command), &claim);
        claim.release().expect("our claim can be released");
        worker.unwrap_or_else(|error| panic!("{command:?} did not start: {error}"))
    }
}

/// A session id from its name.
///
/// # Panics
/// If the name is invalid.
pub fn id(session: &str) -> SessionId {
    session.parse().expect("the name is a valid session id")
}

/// The pid of a worker.
///
/// # Panics
/// If the pid is unknown.
pub fn pid_of(worker: &Worker) -> i32 {
    worker.pid().expect("a started worker has a pid").as_raw()
}
