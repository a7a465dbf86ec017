//! The outcomes of a pool's calls, in words and as JSON.

use super::error::PoolError;
use super::outcome::{PoolEntry, PoolStatus, RunOutcome};
use crate::json::failure::ErrorJson;
use crate::json::programs::{PoolStatusJson, RunJson};
use crate::json::word::described_as;
use serde::{Serialize, Serializer};
use serde_json::Map;
use std::fmt;

described_as!(
    RunOutcome => RunJson<'static>,
    PoolStatus => PoolStatusJson<'static>,
    PoolError => ErrorJson<'static>,
);

impl Serialize for RunOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nothing = Map::new();
        // The host's view of a feed is always an object.
        let host = self.host.as_object().unwrap_or(&nothing);
        RunJson { host, save_error: self.save_error.as_deref() }.serialize(serializer)
    }
}

/// The same JSON on one line.
impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        on_one_line(self, f)
    }
}

impl Serialize for PoolStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { session, name, report } = self;
        let fields = PoolStatusJson {
            session_id: report.session_id.clone().or_else(|| name.clone()).unwrap_or_else(|| session.into()),
            session,
            has_session: report.has_session,
            conversation_history: report.conversation_history.as_ref(),
        };
        fields.serialize(serializer)
    }
}

/// The same JSON on one line.
impl fmt::Display for PoolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        on_one_line(self, f)
    }
}

fn on_one_line(answer: &impl Serialize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fmt::Display::fmt(&serde_json::to_value(answer).unwrap_or_default(), f)
}

impl fmt::Display for PoolEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary.fmt(f)?;
        self.worker_name.as_ref().map_or(Ok(()), |name| write!(f, ", called {name} by its worker"))
    }
}

impl Serialize for PoolError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = ErrorJson::new(self.reason(), self.to_string());
        ErrorJson { session: Some(self.session()), ..fields }.serialize(serializer)
    }
}
