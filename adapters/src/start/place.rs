//! The worker's place, for a command that runs beside the worker ([`ReadyKind::Exec`]).
//!
//! Checked by `smoke/tests/smoke/ready/exec.rs`.

use crate::spawn::prepare::worker_environment;
use rekindle_core::plan::Withheld;
use rekindle_core::{Environment, ReadyKind, SessionRecord, SpawnBgPlan};
use std::path::PathBuf;

/// The directory and the environment of a worker.
#[derive(Debug)]
pub(crate) struct CommandPlace {
    pub(crate) cwd: PathBuf,
    pub(crate) environment: Environment,
}

impl CommandPlace {
    /// The place of a recorded worker; `None` if no command is the condition for ready.
    ///
    /// The record has no withheld values: those are the caller's. If the environment is based on the launcher's, an
    /// adopted worker's command has the variables of the present launcher.
    pub(crate) fn of(record: &SessionRecord, callers: &SpawnBgPlan) -> Option<Self> {
        let recorded = record.whole_plan().filter(|plan| plan.ready.kind() == ReadyKind::Exec)?;
        let mut plan = recorded.clone();
        for withheld in &recorded.withheld {
            if let Withheld::Variable(name) = withheld
                && let Some(value) = callers.env.set.get(name)
            {
                plan.env.set.insert(name.clone(), value.clone());
            }
        }
        // The record has only the paths of the environment files; the caller has the values.
        if !recorded.env_files.is_empty() {
            for (name, value) in &callers.env.set {
                plan.env.set.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        let environment = worker_environment(&plan, record.generation, &record.nonce);
        Some(Self { cwd: plan.cwd, environment })
    }
}
