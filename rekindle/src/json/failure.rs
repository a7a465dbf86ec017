//! The JSON of a failure.

use super::holder::HolderJson;
use super::word::constant;
use rekindle_core::SessionId;
use serde::Serialize;
use std::borrow::Cow;

constant! {
    /// The outcome of a failure.
    pub Failed = "error"
}

/// A failure of any verb.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorJson<'a> {
    /// Always `error`.
    pub outcome: Failed,
    /// The reason in one word; `docs/formats.md` lists the reasons.
    pub reason: &'a str,
    /// The problem in words.
    pub message: Cow<'a, str>,
    /// The session, in a failure of `pool`; `null` if the failure concerns no single session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub session: Option<Option<&'a SessionId>>,
    /// The holder of the blocking claim, if a claim blocks; `null` if the claim cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Option<HolderJson<'a>>>,
}

impl<'a> ErrorJson<'a> {
    /// A failure with a reason and a message only.
    pub fn new(reason: &'a str, message: impl Into<Cow<'a, str>>) -> Self {
        Self { outcome: Failed, reason, message: message.into(), session: None, holder: None }
    }
}
