//! The end of a worker in words and in JSON: one spelling of an exit in all JSON, an older spelling in the record.
//!
//! | exit | JSON | record |
//! |---|---|---|
//! | status 3 | `{"code":3}` | `"exit":{"code":3}` |
//! | SIGTERM | `{"signal":"TERM","core":false}` | `"exit":{"signal":15}` |
//! | SIGSEGV with a core dump | `{"signal":"SEGV","core":true}` | `"exit":{"signal":11},"core_dumped":true` |
//! | not known | `null` | `"exit":"unknown"` |
//!
//! The record keeps the form of its first schema: an older version would take any other form for a corrupt record. Both
//! forms are read.
//!
//! Checked by `gates/tests/exits.rs` and `gates/tests/record_versions.rs`.

use crate::effects::ChildExit;
use crate::prelude::*;
use crate::process::signal::SignalNumber;
use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for ChildExit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (signal, core) = match self {
            Self::Code(code) => {
                let mut fields = serializer.serialize_struct("ChildExit", 1)?;
                fields.serialize_field("code", code)?;
                return fields.end();
            }
            Self::Signal(signal) => (*signal, false),
            Self::CoreDumped(signal) => (*signal, true),
            Self::Unknown => return serializer.serialize_none(),
        };
        let mut fields = serializer.serialize_struct("ChildExit", 2)?;
        fields.serialize_field("signal", &name(signal))?;
        fields.serialize_field("core", &core)?;
        fields.end()
    }
}

/// The name of a signal; the number if the number is no signal's.
fn name(signal: i32) -> String {
    SignalNumber::new(signal).map_or_else(|| signal.to_string(), |signal| signal.to_string())
}

/// The cause of a worker's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// A stop by rekindle.
    Stop,
    /// The worker itself, or any other process.
    Worker,
    /// Its launcher: the worker was not ready in time.
    Timeout,
    /// Its launcher: the worker could not be watched, or is not the worker that was asked for.
    WatchFailed,
}

impl EndedBy {
    /// The word for JSON and for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Worker => "worker",
            Self::Timeout => "timeout",
            Self::WatchFailed => "watch-failed",
        }
    }

    pub(crate) const fn is_known_to_older_versions(self) -> bool {
        match self {
            Self::Stop | Self::Worker => true,
            Self::Timeout | Self::WatchFailed => false,
        }
    }
}

/// Every form.
#[derive(Deserialize)]
#[serde(untagged)]
enum Spelling {
    Code { code: i32 },
    Signal { signal: SignalText, core: Option<bool> },
    Word(String),
    Null(()),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SignalText {
    Number(i32),
    Name(String),
}

impl<'de> Deserialize<'de> for ChildExit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (signal, core) = match Spelling::deserialize(deserializer)? {
            Spelling::Code { code } => return Ok(Self::Code(code)),
            Spelling::Signal { signal, core } => (signal, core),
            Spelling::Word(word) if word == "unknown" => return Ok(Self::Unknown),
            Spelling::Word(_) => return Err(D::Error::custom("it is no exit")),
            Spelling::Null(()) => return Ok(Self::Unknown),
        };
        let signal = match signal {
            SignalText::Number(number) => number,
            SignalText::Name(name) => name.parse::<SignalNumber>().map_err(D::Error::custom)?.as_raw(),
        };
        Ok(if core == Some(true) { Self::CoreDumped(signal) } else { Self::Signal(signal) })
    }
}

/// The form in a record.
pub(crate) mod stored {
    use super::{ChildExit, Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Stored {
        Code(i32),
        Signal(i32),
        Unknown,
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn serialize<S: Serializer>(
        exit: &Option<ChildExit>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let stored = exit.map(|exit| match exit {
            ChildExit::Code(code) => Stored::Code(code),
            // A field of its own says that there is a core dump.
            ChildExit::Signal(signal) | ChildExit::CoreDumped(signal) => Stored::Signal(signal),
            ChildExit::Unknown => Stored::Unknown,
        });
        stored.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ChildExit>, D::Error> {
        Option::deserialize(deserializer)
    }
}
