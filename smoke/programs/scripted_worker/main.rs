//! The live suite's worker of the pool protocol in Rust: runs [scripts](script) with any number of questions to the
//! host, and reports any version.
//!
//! Usage: `scripted-worker [VERSION]`. VERSION is the version in a handshake, `1` by default. The socket is
//! `REKINDLE_SOCKET`; the session's name is `REKINDLE_SESSION`, or `session`.

mod script;

use rekindle::protocol::{
    Continue, Feed, FeedResult, Refusal, Run, StatusReport, StatusRequest, Version, WorkerName,
};
use rekindle::serve::{Ended, Handler, async_trait, serve};
use script::Session;
use std::env;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One session at a time, under one name.
#[derive(Debug)]
struct ScriptedWorker {
    version: Version,
    name: WorkerName,
    session: Mutex<Option<Session>>,
}

impl ScriptedWorker {
    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        // A script changes a session only where nothing can panic any more.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn feed(&self, result: &FeedResult) -> Feed {
        Feed::new(self.name.clone(), result)
    }
}

#[async_trait]
impl Handler for ScriptedWorker {
    fn version(&self) -> Version {
        self.version.clone()
    }

    async fn run(&self, run: Run) -> Result<Feed, Refusal> {
        let mut session = self.session();
        if session.as_ref().is_some_and(Session::is_paused) {
            return Err(Refusal::new(format!("session `{}` is not over", self.name)));
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let version = env::args().nth(1).unwrap_or_else(|| "1".to_owned()).parse()?;
    let name = env::var("REKINDLE_SESSION").unwrap_or_else(|_| "session".to_owned()).parse()?;
    match serve(ScriptedWorker { version, name, session: Mutex::new(None) }).await? {
        Ended::Shutdown | Ended::Terminated | Ended::Idle => Ok(()),
    }
}
