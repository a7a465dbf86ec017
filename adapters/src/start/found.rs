//! Takes over a running worker.
//!
//! Checked by `smoke/tests/smoke/session/adoption.rs`.

use super::progress::Start;
use crate::spawn::env_file;
use crate::worker::Worker;
use async_trait::async_trait;
use rekindle_core::seams::Spawner;
use rekindle_core::{Readiness, SpawnBgPlan, SpawnError};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Takes over a worker with a dead launcher, instead of starting one.
///
/// A worker with `--ready notify` may have sent READY=1 without a launcher, and will not repeat the message: the worker
/// counts as ready once a process listens on its socket. Later messages are received.
#[derive(Debug)]
pub struct FoundWorker {
    start: Start,
    worker: Mutex<Option<Worker>>,
}

impl FoundWorker {
    /// A running worker.
    pub fn new(start: &Start, worker: Worker) -> Self {
        Self { start: start.clone(), worker: Mutex::new(Some(worker)) }
    }
}

#[async_trait]
impl Spawner<Worker> for FoundWorker {
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Worker, SpawnError> {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let worker =
            worker.ok_or_else(|| SpawnError::Abandoned { why: "the worker was adopted already".into() })?;
        if plan.target().tcp().is_some() {
            self.start.note_worker(&worker);
        }
        // The worker runs already: without a file's values only a readiness command may fail.
        let of_files = env_file::read(&plan.env_files).unwrap_or_else(|error| {
            tracing::warn!(session = %plan.session_id, %error, "a readiness command goes without these variables");
            BTreeMap::new()
        });
        self.start.note_place(&plan.with_variables(of_files));
        if self.start.readiness() == Readiness::Notify
            && let Err(error) = self.start.hear_again(&worker, plan)
        {
            tracing::warn!(session = %plan.session_id, %error, "what the adopted worker says is not heard");
        }
        Ok(worker)
    }
}
