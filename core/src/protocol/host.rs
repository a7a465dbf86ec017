//! The host's view of a `feed_result`.

use super::feed::{FeedResult, Finish, Query};
use super::name::WorkerName;
use crate::prelude::*;
use serde_json::{Map, Value, json};

/// The error text for the host if a worker reports a failure without a text.
const FAILED_WITHOUT_A_WORD: &str = "execution failed";

/// Translates a `feed_result` for the host; an unrecognised result becomes an error with an excerpt.
///
/// ```
/// use rekindle_core::protocol::host_json;
/// use serde_json::json;
///
/// let finished = json!({"Finished": {"state": {"Completed": {"result": 7}}, "metrics": {"steps": 1}}});
/// let seen = host_json(&"s".parse()?, &finished);
/// assert_eq!(seen, json!({"status": "completed", "result": 7, "stats": {"steps": 1}}));
/// # Ok::<(), rekindle_core::protocol::InvalidName>(())
/// ```
pub fn host_json(session: &WorkerName, feed_result: &Value) -> Value {
    match FeedResult::read(feed_result) {
        Ok(result) => result.to_host_json(session),
        Err(unrecognised) => json!({ "status": "error", "error": unrecognised.to_string() }),
    }
}

impl FeedResult {
    /// The host's view of this result; `session` is the name for the next call.
    pub fn to_host_json(&self, session: &WorkerName) -> Value {
        match self {
            Self::Paused { queries } => match queries.as_slice() {
                [only] => {
                    let mut seen = only.to_host_json("query_id");
                    let mut all = json!({ "status": "needs_response", "session_id": session });
                    if let Value::Object(fields) = &mut all {
                        fields.append(&mut seen);
                    }
                    all
                }
                several => {
                    let queries: Vec<_> = several.iter().map(|query| query.to_host_json("id")).collect();
                    json!({ "status": "needs_response", "session_id": session, "queries": queries })
                }
            },
            Self::Finished { state, metrics } => match state {
                Finish::Completed { result } => {
                    json!({ "status": "completed", "result": result, "stats": metrics })
                }
                Finish::Failed { error } => {
                    json!({ "status": "error", "error": error.as_deref().unwrap_or(FAILED_WITHOUT_A_WORD) })
                }
                Finish::Cancelled => json!({ "status": "cancelled", "stats": metrics }),
            },
            Self::Accepted { remaining } => json!({ "status": "accepted", "remaining": remaining }),
        }
    }
}

impl Query {
    fn to_host_json(&self, id_key: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert(id_key.to_owned(), json!(self.id));
        fields.insert("prompt".to_owned(), json!(self.prompt));
        fields.insert("system".to_owned(), json!(self.system));
        fields.insert("max_tokens".to_owned(), json!(self.max_tokens));
        for (flag, set) in [("grounded", self.grounded), ("underspecified", self.underspecified)] {
            if set {
                fields.insert(flag.to_owned(), Value::Bool(true));
            }
        }
        fields
    }
}
