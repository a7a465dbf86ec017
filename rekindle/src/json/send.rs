//! The JSON of `rekindle claim`, on stderr: stdout belongs to the program.

use crate::json::Next;
use rekindle_core::{Endpoint, Generation, SessionId, SessionState};
use serde::Serialize;
use serde_json::Value;

/// `rekindle claim`, once the claim is held and before the program begins.
#[derive(Debug, Serialize)]
pub struct ClaimJson<'a> {
    /// `claimed`.
    pub outcome: &'static str,
    /// The session.
    pub session: &'a SessionId,
    /// The state of the session under the claim.
    pub state: SessionState,
    /// The recorded address; `null` if no worker was ever started.
    pub address: Option<&'a Endpoint>,
    /// The generation of the worker; 0 if no worker was ever started.
    pub generation: Generation,
    /// With `--probe`: `alive`, `dead`, `indeterminate` or `forged`; else `null`.
    pub liveness: Option<&'static str>,
}

/// `rekindle claim`, if the program was not run.
#[derive(Debug, Serialize)]
pub struct ClaimRefusedJson<'a> {
    /// `error`.
    pub outcome: &'static str,
    /// `target-locked`, or `timeout` if the wait was over.
    pub reason: &'static str,
    /// The conflict in words.
    pub message: &'a str,
    /// The evidence of the claim's holder, without the nonce; `null` if unreadable.
    pub holder: Option<Value>,
    /// What to do next.
    #[serde(flatten)]
    pub next: Next,
}
