//! The outcomes of a pool's calls, in words and as JSON.

use super::error::PoolError;
use super::outcome::{PoolEntry, PoolStatus, RunOutcome};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt;

impl RunOutcome {
    /// The answer for the host, with `save_error` if recording failed.
    fn fields(&self) -> Value {
        let mut host = self.host.clone();
        if let (Some(error), Value::Object(fields)) = (&self.save_error, &mut host) {
            fields.insert("save_error".to_owned(), json!(error));
        }
        host
    }
}

impl Serialize for RunOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

/// The same JSON on one line.
impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

impl PoolStatus {
    fn fields(&self) -> Value {
        let Self { session, name, report } = self;
        let id = report.session_id.as_ref().or(name.as_ref());
        let id = id.map_or_else(|| json!(session), |name| json!(name));
        let mut fields = json!({ "session_id": id, "session": session, "has_session": report.has_session });
        if let Some(history) = &report.conversation_history {
            fields["conversation_history"] = history.clone();
        }
        fields
    }
}

impl Serialize for PoolStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

/// The same JSON on one line.
impl fmt::Display for PoolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

impl fmt::Display for PoolEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary.fmt(f)?;
        self.worker_name.as_ref().map_or(Ok(()), |name| write!(f, ", called {name} by its worker"))
    }
}

impl Serialize for PoolError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = json!({
            "outcome": "error",
            "reason": self.reason(),
            "message": self.to_string(),
            "session": self.session(),
        });
        fields.serialize(serializer)
    }
}
