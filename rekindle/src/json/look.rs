//! The JSON of the verbs that look.

use crate::json::Next;
use rekindle_core::Endpoint;
use rekindle_core::byte_text::ByteText;
use serde::Serialize;

/// `rekindle probe`
#[derive(Debug, Serialize)]
pub struct ProbeJson<'a> {
    /// The path as given; `null` for a TCP port.
    pub path: Option<ByteText<'a>>,
    /// The probed address.
    pub address: &'a Endpoint,
    /// `alive`, `dead`, `indeterminate` or `forged`.
    pub verdict: &'static str,
    /// The reason for the verdict.
    pub why: &'a str,
    /// What to do next.
    #[serde(flatten)]
    pub next: Next,
}
