//! The common parts of the outcomes' JSON.
//!
//! # Invariants
//! 1. A holder's evidence is shown without the nonce: only the holder may release the claim.
//! 2. A path that is not UTF-8 is shown in bytes, without loss.
//!
//! Checked below and by the gates of `byte_text`.

use rekindle_core::byte_text::ByteText;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

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
