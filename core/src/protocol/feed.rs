//! The state of a session after a feed.

use super::malformed::Excerpt;
use crate::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The greatest length of an answer to a query, in tokens, unless the worker sets a limit.
pub const MAX_TOKENS_DEFAULT: u64 = 1024;

/// The state of a session after `run` or `continue`, as reported by the worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum FeedResult {
    /// The session waits for answers to these queries, at least one.
    Paused {
        /// The session's questions.
        queries: Vec<Query>,
    },
    /// The session is over.
    Finished {
        /// The end of the session.
        state: Finish,
        /// The worker's metrics; null if nothing was counted.
        metrics: Value,
    },
    /// The answer was accepted, and other answers are still missing.
    Accepted {
        /// The number of missing answers.
        remaining: u64,
    },
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Finish {
    /// With a result.
    Completed {
        /// The result.
        result: Value,
    },
    /// With an error.
    Failed {
        /// The error, if the worker reports an error.
        error: Option<String>,
    },
    /// The session was cancelled.
    Cancelled,
}

/// A question of a session to its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Query {
    /// The query's name within the session; the answer names the query.
    pub id: String,
    /// The question.
    pub prompt: String,
    /// The system prompt of the query.
    pub system: Option<String>,
    /// The greatest length of the answer, in tokens.
    pub max_tokens: u64,
    /// Whether the answer should be looked up, not recalled.
    #[serde(skip_serializing_if = "is_false")]
    pub grounded: bool,
    /// Whether the question is open on purpose.
    #[serde(skip_serializing_if = "is_false")]
    pub underspecified: bool,
}

impl Query {
    /// A plain question: no system prompt, [`MAX_TOKENS_DEFAULT`], neither flag.
    pub fn new(id: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            prompt: prompt.into(),
            system: None,
            max_tokens: MAX_TOKENS_DEFAULT,
            grounded: false,
            underspecified: false,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A `feed_result` of an unknown shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unrecognised feed_result shape: {shape}")]
pub struct UnrecognisedShape {
    /// The beginning of the value.
    pub shape: Excerpt,
}

impl FeedResult {
    /// Reads the `feed_result` of a feed response.
    ///
    /// A query without an id is named by its place: `q-0`, `q-1` and so on.
    ///
    /// # Errors
    /// [`UnrecognisedShape`] if the value has no known shape.
    pub fn read(value: &Value) -> Result<Self, UnrecognisedShape> {
        Self::recognise(value).ok_or_else(|| UnrecognisedShape { shape: Excerpt::of(&value.to_string()) })
    }

    fn recognise(value: &Value) -> Option<Self> {
        match tagged(value, &["Paused", "Finished", "Accepted"])? {
            ("Paused", body) => {
                let RawPaused { queries } = body_of(body)?;
                let queries: Vec<Query> =
                    queries.into_iter().enumerate().map(|(place, query)| query.named_by(place)).collect();
                (!queries.is_empty()).then_some(Self::Paused { queries })
            }
            ("Finished", body) => {
                let RawFinished { state, metrics } = body_of(body)?;
                Some(Self::Finished { state: Finish::recognise(&state)?, metrics })
            }
            (_, body) => {
                let RawAccepted { remaining } = body_of(body)?;
                Some(Self::Accepted { remaining })
            }
        }
    }
}

impl Finish {
    fn recognise(state: &Value) -> Option<Self> {
        match tagged(state, &["Completed", "Failed", "Cancelled"])? {
            ("Completed", body) => {
                let RawCompleted { result } = body_of(body)?;
                Some(Self::Completed { result })
            }
            ("Failed", body) => {
                let RawFailed { error } = body_of(body)?;
                Some(Self::Failed { error })
            }
            _ => Some(Self::Cancelled),
        }
    }
}

/// The tag of `tags` in a value, with the tag's body: `"Tag"` or `{"Tag": body}`; other keys are ignored. `None` if no
/// tag or several tags are present.
fn tagged<'v, 't>(value: &'v Value, tags: &[&'t str]) -> Option<(&'t str, &'v Value)> {
    match value {
        Value::String(tag) => tags.iter().find(|known| *known == tag).map(|known| (*known, &Value::Null)),
        Value::Object(fields) => {
            let mut found = tags.iter().filter_map(|tag| Some((*tag, fields.get(*tag)?)));
            found.next().filter(|_| found.next().is_none())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn body_of<T: DeserializeOwned>(body: &Value) -> Option<T> {
    // Serde would also read an array as a struct, by the position of the fields.
    if body.is_object() { T::deserialize(body).ok() } else { None }
}

#[derive(Deserialize)]
struct RawPaused {
    queries: Vec<RawQuery>,
}

#[derive(Deserialize)]
struct RawQuery {
    id: Option<String>,
    prompt: String,
    system: Option<String>,
    max_tokens: Option<u64>,
    grounded: Option<bool>,
    underspecified: Option<bool>,
}

impl RawQuery {
    fn named_by(self, place: usize) -> Query {
        Query {
            id: self.id.unwrap_or_else(|| format!("q-{place}")),
            prompt: self.prompt,
            system: self.system,
            max_tokens: self.max_tokens.unwrap_or(MAX_TOKENS_DEFAULT),
            grounded: self.grounded.unwrap_or_default(),
            underspecified: self.underspecified.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
struct RawFinished {
    state: Value,
    #[serde(default)]
    metrics: Value,
}

#[derive(Deserialize)]
struct RawCompleted {
    #[serde(default)]
    result: Value,
}

#[derive(Deserialize)]
struct RawFailed {
    error: Option<String>,
}

#[derive(Deserialize)]
struct RawAccepted {
    remaining: u64,
}
