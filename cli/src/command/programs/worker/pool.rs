//! The reference worker of the pool protocol: asks its host the code as a question, and completes with the answer.

use rekindle::protocol::{
    Continue, Feed, FeedResult, Finish, Query, Refusal, Run, StatusReport, StatusRequest, Version, WorkerName,
};
use rekindle::serve::{Handler, async_trait};
use serde_json::Value;
use std::iter;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The id of a session's only query.
const QUERY_ID: &str = "q-0";

/// One session at a time, under one name.
#[derive(Debug)]
pub(super) struct PoolWorker {
    name: WorkerName,
    session: Mutex<Option<Session>>,
}

/// A question, and the host's answer once the host has continued the session.
#[derive(Debug)]
struct Session {
    question: String,
    answer: Option<Continue>,
}

impl Session {
    fn is_paused(&self) -> bool {
        self.answer.is_none()
    }

    /// The question and the answer so far.
    fn history(&self) -> Value {
        let line = |role, text: &str, usage| {
            let words = [("role", role), ("query_id", QUERY_ID), ("text", text)];
            let words = words.map(|(name, word)| (name.to_owned(), Value::from(word)));
            let usage = Option::<&Value>::cloned(usage).map(|usage| ("usage".to_owned(), usage));
            words.into_iter().chain(usage).collect::<Value>()
        };
        let answer = self.answer.as_ref().map(|it| line("host", &it.response, Some(&it.usage)));
        iter::once(line("worker", &self.question, None)).chain(answer).collect()
    }
}

impl PoolWorker {
    pub(super) fn new(name: WorkerName) -> Self {
        Self { name, session: Mutex::new(None) }
    }

    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        // A session is replaced or completed by one assignment, so a panic leaves no half-changed session.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn feed(&self, result: &FeedResult) -> Feed {
        Feed::new(self.name.clone(), result)
    }
}

#[async_trait]
impl Handler for PoolWorker {
    fn version(&self) -> Version {
        "1".parse().expect("a short text is a version")
    }

    async fn run(&self, run: Run) -> Result<Feed, Refusal> {
        let mut session = self.session();
        if session.as_ref().is_some_and(Session::is_paused) {
            return Err(Refusal::new(format!("session `{}` is not over; continue it first", self.name)));
        }
        let queries = vec![Query::new(QUERY_ID, &run.code)];
        *session = Some(Session { question: run.code, answer: None });
        Ok(self.feed(&FeedResult::Paused { queries }))
    }

    async fn continue_session(&self, answer: Continue) -> Result<Feed, Refusal> {
        let mut session = self.session();
        let session = session
            .as_mut()
            .filter(|session| answer.sid == self.name && session.is_paused())
            .ok_or_else(|| Refusal::new(format!("no session `{}` waits for an answer", answer.sid)))?;
        if let Some(id) = answer.query_id.as_ref().filter(|id| *id != QUERY_ID) {
            return Err(Refusal::new(format!("query `{id}` is not open")));
        }
        let state = Finish::Completed { result: answer.response.clone().into() };
        session.answer = Some(answer);
        Ok(self.feed(&FeedResult::Finished { state, metrics: Value::from_iter([("queries", 1)]) }))
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
