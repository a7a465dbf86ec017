//! The JSON of `rekindle claim`, on stderr: stdout belongs to the program.

use rekindle_core::{Endpoint, Generation, SessionId, SessionState};
use serde::Serialize;

/// `rekindle claim`, once the claim is held and before the program begins.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClaimJson<'a> {
    /// `claimed`.
    pub outcome: &'static str,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The state of the session under the claim.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::SessionState"))]
    pub state: SessionState,
    /// The recorded address; `null` if no worker was ever started.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub address: Option<&'a Endpoint>,
    /// The generation of the worker; 0 if no worker was ever started.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub generation: Generation,
    /// With `--probe`: `alive`, `dead`, `indeterminate` or `forged`; else `null`.
    pub liveness: Option<&'static str>,
}
