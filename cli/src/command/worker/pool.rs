//! A worker of the pool protocol, around the [engine](super::engine).

use super::engine::Session;
use rekindle::protocol::{
    Continue, Feed, FeedResult, Refusal, Run, StatusReport, StatusRequest, Version, WorkerName,
};
use rekindle::serve::{Handler, async_trait};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One session at a time, under one name.
#[derive(Debug)]
pub(super) struct PoolWorker {
    version: Version,
    name: WorkerName,
    session: Mutex<Option<Session>>,
}

impl PoolWorker {
    pub(super) fn new(version: Version, name: WorkerName) -> Self {
        Self { version, name, session: Mutex::new(None) }
    }

    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        // The engine changes a session only where nothing can panic any more.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn feed(&self, result: &FeedResult) -> Feed {
        Feed::new(self.name.clone(), result)
    }
}

#[async_trait]
impl Handler for PoolWorker {
    fn version(&self) -> Version {
        self.version.clone()
    }

    async fn run(&self, run: Run) -> Result<Feed, Refusal> {
        let mut session = self.session();
        if session.as_ref().is_some_and(Session::is_paused) {
            return Err(Refusal::new(format!("session `{}` is not over; go on with it", self.name)));
        }
        let (begun, result) = Session::begin(&run.code, run.ctx);
        *session = Some(begun);
        Ok(self.feed(&result))
    }

    async fn continue_session(&self, answer: Continue) -> Result<Feed, Refusal> {
        let mut session = self.session();
        let session = session
            .as_mut()
            .filter(|session| answer.sid == self.name && session.is_paused())
            .ok_or_else(|| Refusal::new(format!("no session `{}` waits for an answer", answer.sid)))?;
        let result = session.answer(answer.query_id.as_deref(), &answer.response, &answer.usage);
        result.map(|result| self.feed(&result)).map_err(Refusal::new)
    }

    async fn status(&self, request: StatusRequest) -> Result<StatusReport, Refusal> {
        let session = self.session();
        let history = session.as_ref().filter(|_| request.include_history).map(Session::history);
        Ok(StatusReport {
            has_session: session.as_ref().is_some_and(Session::is_paused),
            session_id: session.as_ref().map(|_| self.name.clone()),
            conversation_history: history,
        })
    }
}
