//! Requests and answers, with exactly their shapes on the wire.

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

/// How much of a worker's refusal is shown, in characters.
const REFUSAL_CHARS_MAX: usize = 4096;

/// What a client asks of a worker.
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
    /// Comes first on every connection.
    Handshake(Handshake),
    /// Begin the session.
    Run(Run),
    /// Go on with an answer.
    Continue(Continue),
    /// Say how the session stands.
    Status(StatusRequest),
    /// End the worker.
    Shutdown,
}

/// Which version the client speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The client's version.
    pub version: Version,
}

/// What a session begins with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What to run, in the worker's language.
    pub code: String,
    /// What it is given; null if nothing.
    #[serde(default)]
    pub ctx: Value,
    /// Where it finds what it builds on.
    #[serde(default, deserialize_with = "null_is_default")]
    pub lib_paths: Vec<String>,
}

/// An answer to a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Continue {
    /// The session, by the name that the worker gave it.
    pub sid: WorkerName,
    /// The answer.
    pub response: String,
    /// Which query it answers; may be left out where only one is open.
    #[serde(default)]
    pub query_id: Option<String>,
    /// What answering took; null if nobody counted.
    #[serde(default)]
    pub usage: Value,
}

/// A question for how the session stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {
    /// Whether all that was said so far is to come with it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub include_history: bool,
}

fn null_is_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl Request {
    /// The request as a line, without its newline.
    pub fn to_line(&self) -> String {
        line(self)
    }

    /// Its name on the wire.
    pub fn op(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::Run(_) => "run",
            Self::Continue(_) => "continue",
            Self::Status(_) => "status",
            Self::Shutdown => "shutdown",
        }
    }

    /// Reads a line without its newline.
    ///
    /// # Errors
    /// [`Malformed`] if it is no request.
    pub fn read(line: &[u8]) -> Result<Self, Malformed> {
        interpret(read_json(line)?, line)
    }
}

/// What a worker says to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// It did what was asked.
    Answer(Answer),
    /// It did not.
    Refused(Refusal),
}

/// The data of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Answer {
    /// To a handshake.
    Handshake(Greeting),
    /// To `run` and `continue`.
    Feed(Feed),
    /// To `status`.
    Status(StatusReport),
    /// To `shutdown`: the worker is about to end.
    Shutdown,
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Greeting {
    /// The version that it speaks.
    pub version: Version,
    /// What else it says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Greeting {
    /// The version, and nothing else.
    pub fn new(version: Version) -> Self {
        Self { version, more: Map::new() }
    }
}

/// How a session stands after it was fed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    /// The name of the session: one of the worker's own, or ours; none if it names no session.
    #[serde(default)]
    pub session_id: Option<WorkerName>,
    /// How it stands, as the worker put it; [`FeedResult::read`] tells what it means.
    pub feed_result: Value,
}

impl Feed {
    /// A session, and how it stands.
    pub fn new(session: WorkerName, result: &FeedResult) -> Self {
        Self { session_id: Some(session), feed_result: json!(result) }
    }
}

/// How a session stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Whether there is a session that is not over.
    pub has_session: bool,
    /// Its name, if there is one.
    #[serde(default)]
    pub session_id: Option<WorkerName>,
    /// All that was said so far, if that was asked for and the worker keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_history: Option<Value>,
}

/// Why a worker did not do what was asked, in its words. `Display` shows control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    /// A refusal for this reason.
    pub fn new(error: impl Into<String>) -> Self {
        Self(error.into())
    }

    /// The words as they came.
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
    /// Its name on the wire.
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
    /// The response as a line, without its newline.
    pub fn to_line(&self) -> String {
        match self {
            Self::Answer(answer) => line(&json!({ "ok": true, "data": answer })),
            Self::Refused(refusal) => line(&json!({ "ok": false, "error": refusal.as_str() })),
        }
    }

    /// Reads a line without its newline.
    ///
    /// # Errors
    /// [`Malformed`] if it is no response. A refusal is one, whatever its reason looks like.
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

/// Takes a value for what it should be. `line` is where it stood.
fn interpret<T: DeserializeOwned>(value: Value, line: &[u8]) -> Result<T, Malformed> {
    // An array would be read as a struct too, by the place of its fields.
    if !value.is_object() {
        return Err(Malformed::not_protocol("an object is missing where a message has one", line));
    }
    serde_json::from_value(value).map_err(|error| Malformed::not_protocol(&error.to_string(), line))
}

fn line(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("messages are plain data with text for keys")
}
