//! How a session stands after it was fed.

use super::malformed::Excerpt;
use crate::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long an answer to a query may be where the worker does not say, in tokens.
pub const MAX_TOKENS_DEFAULT: u64 = 1024;

/// How a session stands after `run` or `continue`, as a worker says it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum FeedResult {
    /// It waits for answers to these queries, at least one.
    Paused {
        /// What it wants to know.
        queries: Vec<Query>,
    },
    /// It is over.
    Finished {
        /// How it ended.
        state: Finish,
        /// What the worker counted on the way; null if nothing.
        metrics: Value,
    },
    /// The answer was taken, and others are still missing.
    Accepted {
        /// How many.
        remaining: u64,
    },
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Finish {
    /// With a result.
    Completed {
        /// What it came to.
        result: Value,
    },
    /// With an error.
    Failed {
        /// What went wrong, if the worker says so.
        error: Option<String>,
    },
    /// Somebody ended it.
    Cancelled,
}

/// One question of a session to its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Query {
    /// Its name within the session, which the answer names.
    pub id: String,
    /// The question.
    pub prompt: String,
    /// How it should be answered.
    pub system: Option<String>,
    /// How long the answer may be, in tokens.
    pub max_tokens: u64,
    /// Whether the answer should be looked up rather than known.
    #[serde(skip_serializing_if = "is_false")]
    pub grounded: bool,
    /// Whether the question leaves something open on purpose.
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

/// A `feed_result` that is none of those that are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unrecognised feed_result shape: {shape}")]
pub struct UnrecognisedShape {
    /// Its beginning.
    pub shape: Excerpt,
}

impl FeedResult {
    /// Reads the `feed_result` of a feed response.
    ///
    /// A query without an id is named by its place: `q-0`, `q-1` and so on.
    ///
    /// # Errors
    /// [`UnrecognisedShape`] if it is none of those that are known.
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

/// The one tag of `tags` that a value has, with its body: `"Tag"` or `{"Tag": body}`, other keys beside it ignored.
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
    // An array would be read as a struct too, by the place of its fields.
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
