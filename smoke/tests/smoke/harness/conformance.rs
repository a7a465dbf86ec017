//! The conformance body of the gates on the production adapters.

use async_trait::async_trait;
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::claim_lock::is_locked;
use rekindle_adapters::seams::SharedClaim;
use rekindle_adapters::start::{FreshWorker, Start};
use rekindle_adapters::{ProductionSpawnBgResumeDeps, Worker};
use rekindle_core::seams::Spawner;
use rekindle_core::{Generation, Pid, SpawnBgPlan, SpawnError};
use rekindle_gates::conformance::{self, Conduct, EARLY_EXIT_CODE, Harness, Prepared};
use rekindle_smoke::{Starts, cli, procs, tests, wait};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

tests![
    started_worker_is_alive_and_claim_released_once,
    hung_worker_is_killed_observed_and_released_once,
    stubborn_worker_is_escalated,
    early_exit_is_observed,
    missing_program_never_starts,
    claims_on_files_conform,
    records_on_files_conform,
];

fn claims_on_files_conform() {
    let starts = Starts::new();
    let session = "s".parse().expect("it is a name");
    let dir = starts.root.create_session(&session).expect("a session can have a directory");
    conformance::stores::claims_conform(dir.claims(), &dir);
}

fn records_on_files_conform() {
    let starts = Starts::new();
    let session = "s".parse().expect("it is a name");
    let dir = starts.root.create_session(&session).expect("a session can have a directory");
    conformance::stores::records_conform(dir.records(), &dir);
}

/// How long a silent worker is watched.
const OBSERVE_TIMEOUT: Duration = Duration::from_millis(200);

/// Starts of real processes; the remains end with the test environment.
struct OnProcesses {
    starts: Starts,
    sessions: AtomicU32,
}

impl OnProcesses {
    fn new() -> Self {
        Self { starts: Starts::new(), sessions: AtomicU32::new(0) }
    }

    /// The file that a stubborn worker creates once stubborn.
    fn marker(&self) -> PathBuf {
        self.starts.env.path("stubborn")
    }

    fn command(&self, conduct: Conduct) -> Vec<String> {
        let sh = |script: String| vec!["sh".into(), "-c".into(), script];
        match conduct {
            Conduct::Polite => vec![cli::binary_arg(), "worker".into()],
            Conduct::Hung => vec!["sleep".into(), "1000".into()],
            Conduct::Stubborn => {
                sh(format!("trap '' TERM; : > '{}'; while :; do sleep 1000; done", self.marker().display()))
            }
            Conduct::ExitsAtOnce => sh(format!("exit {EARLY_EXIT_CODE}")),
            Conduct::MissingProgram => vec![self.starts.env.path("no-such-program").display().to_string()],
        }
    }
}

/// The production spawner, but it returns only once the worker behaves as required.
struct OnceStubborn {
    spawner: FreshWorker,
    marker: PathBuf,
}

#[async_trait]
impl Spawner<Worker> for OnceStubborn {
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Worker, SpawnError> {
        let worker = self.spawner.spawn_child(plan).await?;
        wait::until_there(&self.marker);
        Ok(worker)
    }
}

#[async_trait]
impl Harness for OnProcesses {
    type Deps = ProductionSpawnBgResumeDeps;

    async fn prepare(&self, conduct: Conduct) -> Prepared<Self::Deps> {
        let session = format!("s{}", self.sessions.fetch_add(1, Ordering::Relaxed));
        let command = self.command(conduct);
        let mut plan = self.starts.plan(&session, &command.iter().map(String::as_str).collect::<Vec<_>>());
        if matches!(conduct, Conduct::Hung | Conduct::Stubborn) {
            plan.observe_timeout = OBSERVE_TIMEOUT;
        }
        let held = self.starts.claim(&session);
        let claim = held.claim().clone();
        let start = Start::new(SharedClaim::new(held), self.starts.here.clone(), None);
        let generation = Generation::new(1);
        let mut deps = ProductionSpawnBgResumeDeps::fresh(&start, generation);
        if conduct == Conduct::Stubborn {
            let spawner = FreshWorker::new(&start, generation);
            deps = deps.spawner(OnceStubborn { spawner, marker: self.marker() });
        }
        let deps = deps.build();
        Prepared { deps, plan, claim }
    }

    async fn is_alive(&self, _prepared: &Prepared<Self::Deps>, pid: Pid) -> bool {
        procs::is_running(pid.as_raw())
    }

    async fn is_claim_held(&self, prepared: &Prepared<Self::Deps>) -> bool {
        let dir = self.starts.root.session(&prepared.plan.session_id).expect("the session is ours");
        let dir = dir.expect("the session has a directory");
        is_locked(&dir).expect("the kernel answers") || dir.path_of(CLAIM_FILE).exists()
    }
}

fn started_worker_is_alive_and_claim_released_once() {
    wait::run(conformance::started_worker_is_alive_and_claim_released_once(&OnProcesses::new()));
}

fn hung_worker_is_killed_observed_and_released_once() {
    wait::run(conformance::hung_worker_is_killed_observed_and_released_once(&OnProcesses::new()));
}

fn stubborn_worker_is_escalated() {
    wait::run(conformance::stubborn_worker_is_escalated(&OnProcesses::new()));
}

fn early_exit_is_observed() {
    wait::run(conformance::early_exit_is_observed(&OnProcesses::new()));
}

fn missing_program_never_starts() {
    wait::run(conformance::missing_program_never_starts(&OnProcesses::new()));
}
