//! The JSON of every verb, as types: one object, with `schema_version` as its first field.
//!
//! Fields are added and never renamed or removed; a reader ignores fields that it does not know.
//!
//! # Invariants
//! 1. A holder's evidence is shown without the nonce: only the holder may release the claim.
//! 2. A path that is not UTF-8 is shown in bytes, without loss.
//!
//! Checked below and by the gates of `byte_text`.

pub mod look;
pub mod send;

use rekindle_core::byte_text::ByteText;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// The version of the JSON of all verbs.
pub const SCHEMA_VERSION: u32 = 1;

/// An object, with the version of its form in front.
#[derive(Debug, Serialize)]
pub struct Versioned<T> {
    schema_version: u32,
    #[serde(flatten)]
    answer: T,
}

impl<T> Versioned<T> {
    /// The answer, with the present version.
    pub fn new(answer: T) -> Self {
        Self { schema_version: SCHEMA_VERSION, answer }
    }
}

/// What to do next, in the words of the caller's shell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Next {
    /// A command to type as it stands, or empty.
    pub next: String,
    /// A sentence, or empty.
    pub hint: String,
}

/// A holder's stored evidence, without the nonce.
pub(crate) fn without_nonce(evidence: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(evidence).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        fields.shift_remove("nonce");
    }
    value
}

/// A path with arbitrary bytes.
pub(crate) fn path_text(path: &Path) -> ByteText<'_> {
    ByteText(path.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_nonce_is_not_shown() {
        let claim = json!({ "pid": 1, "nonce": "secret", "owner": "me" });
        assert_eq!(without_nonce(&claim).to_string(), r#"{"pid":1,"owner":"me"}"#);
    }
}
