//! The holders of claims and of lifecycle locks, without the nonce.

use rekindle_core::byte_text::ByteText;
use rekindle_core::lifecycle::StartedAt;
use rekindle_core::{LifecyclePayload, LockClaim, ProcessIdentity, SessionId};
use serde::Serialize;
use serde_json::{Map, Value};

/// The field that no verb shows.
const NONCE: &str = "nonce";

/// The evidence of a claim: the launcher that holds or held it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HolderJson<'a> {
    /// The session of the claim.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session_id: &'a SessionId,
    /// The launcher.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Identity"))]
    pub holder: &'a ProcessIdentity,
    /// The launcher's host name.
    pub hostname: &'a str,
    /// The launcher's machine id; absent if the machine has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<&'a str>,
    /// The time at which the claim was taken, RFC 3339 in UTC.
    pub created_at: String,
    /// The name of the launcher's program.
    pub owner: &'a str,
    /// The path of the claim's file.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub lock_path: ByteText<'a>,
    /// The time at which the claim was retained, RFC 3339 in UTC; absent in a claim that is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retained_at: Option<String>,
}

impl<'a> From<&'a LockClaim> for HolderJson<'a> {
    fn from(claim: &'a LockClaim) -> Self {
        // Every field is named, so that a new field is shown or left out on purpose.
        let LockClaim {
            session_id,
            holder,
            hostname,
            machine_id,
            created_at,
            nonce: _,
            owner,
            lock_path,
            retained_at,
        } = claim;
        Self {
            session_id,
            holder,
            hostname,
            machine_id: machine_id.as_deref(),
            created_at: created_at.to_string(),
            owner,
            lock_path: super::path_text(lock_path),
            retained_at: retained_at.map(|at| at.to_string()),
        }
    }
}

/// The content of a lifecycle lock's marker. A marker of another program may have more fields.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MarkerJson<'a> {
    /// The schema of the marker.
    pub schema_version: u32,
    /// The holder.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Identity"))]
    pub holder: &'a ProcessIdentity,
    /// The holder's host name.
    pub hostname: &'a str,
    /// The holder's machine id; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<&'a str>,
    /// The time at which the holder took the lock, RFC 3339 in UTC; any value in a marker of another program.
    #[cfg_attr(feature = "schema", schemars(with = "Value"))]
    pub started_at: &'a StartedAt,
    /// Whether the holder keeps the flock beside the marker for as long as it lives; absent in a marker of another
    /// program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keeps_flock: Option<bool>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl<'a> From<&'a LifecyclePayload> for MarkerJson<'a> {
    fn from(marker: &'a LifecyclePayload) -> Self {
        let LifecyclePayload {
            schema_version,
            holder,
            hostname,
            machine_id,
            started_at,
            nonce: _,
            keeps_flock,
            unknown,
        } = marker;
        let unknown = unknown.iter().filter(|(name, _)| *name != NONCE);
        Self {
            schema_version: *schema_version,
            holder,
            hostname,
            machine_id: machine_id.as_deref(),
            started_at,
            keeps_flock: *keeps_flock,
            unknown: unknown.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle_core::Found;
    use serde_json::json;

    const CLAIM: &str = r#"{"session_id":"s","pid":1,"boot_id":"b","hostname":"h","created_at":"2026-01-02T03:04:05Z",
        "nonce":"00112233445566778899aabbccddeeff","owner":"me","lock_path":"/s/claim"}"#;

    #[test]
    fn a_claim_is_shown_as_stored_but_for_the_nonce() {
        let claim: LockClaim = serde_json::from_str(CLAIM).unwrap();
        let mut stored: Value = serde_json::from_str(CLAIM).unwrap();
        stored.as_object_mut().unwrap().shift_remove(NONCE);
        assert_eq!(serde_json::to_value(HolderJson::from(&claim)).unwrap(), stored);
    }

    #[test]
    fn a_marker_is_shown_as_stored_but_for_the_nonce() {
        let marker = |nonce: Value| json!({ "schema_version": 1, "pid": 1, "hostname": "h", "started_at": 7, "more": [1], "nonce": nonce });
        // A nonce in another form is a field of another program, and may still be a secret.
        for nonce in [json!("00112233445566778899aabbccddeeff"), json!({ "secret": 1 })] {
            let bytes = marker(nonce).to_string();
            let found = Found::read_lifecycle(Some(bytes.as_bytes()));
            let shown = serde_json::to_value(MarkerJson::from(found.payload().unwrap())).unwrap();
            let expected =
                json!({ "schema_version": 1, "pid": 1, "hostname": "h", "started_at": 7, "more": [1] });
            assert_eq!(shown, expected);
        }
    }
}
