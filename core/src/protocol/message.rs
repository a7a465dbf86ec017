//! Requests and answers, in their exact shapes on the wire.

use super::feed::FeedResult;
use super::malformed::{Excerpt, Malformed};
use super::name::WorkerName;
use super::strict::read_json;
use super::version::Version;
use crate::prelude::*;
use core::fmt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

/// The greatest length of a shown refusal, in characters.
const REFUSAL_CHARS_MAX: usize = 4096;

/// A request of a client to a worker.
///
/// ```
/// use rekindle_core::protocol::{Handshake, Request};
///
/// let hello = Request::Handshake(Handshake { version: "1".parse()? });
/// assert_eq!(hello.to_line(), r#"{"op":"handshake","version":"1"}"#);
/// assert_eq!(Request::read(hello.to_line().as_bytes())?, hello);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Request {
    /// The first request on every connection.
    Handshake(Handshake),
    /// Begin the session.
    Run(Run),
    /// Go on with an answer.
    Continue(Continue),
    /// Report the state of the session.
    Status(StatusRequest),
    /// End the worker.
    Shutdown,
}

/// The client's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The client's version.
    pub version: Version,
}

/// The work that begins a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The code to run, in the worker's language.
    pub code: String,
    /// The context of the code; null if none.
    #[serde(default)]
    pub ctx: Value,
    /// The library paths of the code.
    #[serde(default, deserialize_with = "null_is_default")]
    pub lib_paths: Vec<String>,
}

/// An answer to a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Continue {
    /// The session, by the worker's name.
    pub sid: WorkerName,
    /// The answer.
    pub response: String,
    /// The query of the answer; optional if a single query is open.
    #[serde(default)]
    pub query_id: Option<String>,
    /// The usage of the answer (tokens, cost); null if not counted.
    #[serde(default)]
    pub usage: Value,
}

/// A request for the state of the session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {
    /// Whether the report is to include the conversation so far.
    #[serde(default, deserialize_with = "null_is_default")]
    pub include_history: bool,
}

fn null_is_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl Request {
    /// The request as a line, without the newline.
    pub fn to_line(&self) -> String {
        line(self)
    }

    /// The request's name on the wire.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::Run(_) => "run",
            Self::Continue(_) => "continue",
            Self::Status(_) => "status",
            Self::Shutdown => "shutdown",
        }
    }

    /// Reads a line without the newline.
    ///
    /// # Errors
    /// [`Malformed`] if the line is no request.
    pub fn read(line: &[u8]) -> Result<Self, Malformed> {
        interpret(read_json(line)?, line)
    }
}

/// A worker's response to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// The worker fulfilled the request.
    Answer(Answer),
    /// The worker refused the request.
    Refused(Refusal),
}

/// The data of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Answer {
    /// The answer to a handshake.
    Handshake(Greeting),
    /// The answer to `run` and `continue`.
    Feed(Feed),
    /// The answer to `status`.
    Status(StatusReport),
    /// The answer to `shutdown`: the worker is about to end.
    Shutdown,
}

/// A worker's report about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Greeting {
    /// The worker's version.
    pub version: Version,
    /// All other fields of the report.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Greeting {
    /// The version, without other fields.
    pub fn new(version: Version) -> Self {
        Self { version, more: Map::new() }
    }
}

/// The state of a session after a feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    /// The name of the session: the worker's own, or ours; absent if the worker names no session.
    #[serde(default)]
    pub session_id: Option<WorkerName>,
    /// The state, in the worker's form; [`FeedResult::read`] interprets the value.
    pub feed_result: Value,
}

impl Feed {
    /// The state of a session.
    pub fn new(session: WorkerName, result: &FeedResult) -> Self {
        Self { session_id: Some(session), feed_result: json!(result) }
    }
}

/// The state of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Whether the worker has an unfinished session.
    pub has_session: bool,
    /// The session's name, if there is a session.
    #[serde(default)]
    pub session_id: Option<WorkerName>,
    /// The conversation so far, if requested and kept by the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_history: Option<Value>,
}

/// The worker's reason for a refusal, in the worker's words. `Display` escapes control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    /// A refusal for a reason.
    pub fn new(error: impl Into<String>) -> Self {
        Self(error.into())
    }

    /// The unchanged words of the worker.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Excerpt::up_to(&self.0, REFUSAL_CHARS_MAX).fmt(f)
    }
}

impl core::error::Error for Refusal {}

impl Answer {
    /// The answer's name on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::Feed(_) => "feed",
            Self::Status(_) => "status",
            Self::Shutdown => "shutdown",
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    ok: bool,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    error: Value,
}

impl Response {
    /// The response as a line, without the newline.
    pub fn to_line(&self) -> String {
        match self {
            Self::Answer(answer) => line(&json!({ "ok": true, "data": answer })),
            Self::Refused(refusal) => line(&json!({ "ok": false, "error": refusal.as_str() })),
        }
    }

    /// Reads a line without the newline.
    ///
    /// # Errors
    /// [`Malformed`] if the line is no response. A refusal is a response, whatever the reason looks like.
    pub fn read(line: &[u8]) -> Result<Self, Malformed> {
        let Envelope { ok, data, error } = interpret(read_json(line)?, line)?;
        if ok {
            return interpret(data, line).map(Self::Answer);
        }
        Ok(Self::Refused(Refusal(match error {
            Value::Null => "it gave no reason".to_owned(),
            Value::String(error) => error,
            other => other.to_string(),
        })))
    }
}

impl From<Result<Answer, Refusal>> for Response {
    fn from(result: Result<Answer, Refusal>) -> Self {
        result.map_or_else(Self::Refused, Self::Answer)
    }
}

/// Interprets a value as a `T`. `line` is the line of the value.
fn interpret<T: DeserializeOwned>(value: Value, line: &[u8]) -> Result<T, Malformed> {
    // Serde would also read an array as a struct, by the position of the fields.
    if !value.is_object() {
        return Err(Malformed::not_protocol("an object is missing where a message has one", line));
    }
    serde_json::from_value(value).map_err(|error| Malformed::not_protocol(&error.to_string(), line))
}

fn line(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("messages are plain data with text for keys")
}
