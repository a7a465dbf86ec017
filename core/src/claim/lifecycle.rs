//! A daemon's singleton marker: the content of the file, and how files of other programs are read.
//!
//! [`crate::claim::decide_claim`] decides under [`crate::ClaimPolicy::lifecycle`] whether the marker may be taken.
//!
//! # Invariants
//! 1. Four fields are enough: `pid`, `hostname`, `started_at` and `schema_version`. Fields that identify the holder are
//!    read strictly. Other fields (`started_at` and every further field) are used if understood, shown unchanged if not,
//!    and never make the file corrupt.
//! 2. Without a start time only a missing process proves that the holder is gone.
//! 3. A newer schema is read like ours: the holder lives or not, whatever the other fields say.
//!
//! Checked by `gates/tests/lifecycle.rs`.

use crate::claim::{Found, HolderEvidence, KeptBy, KernelLock, by_free_lock};
use crate::prelude::*;
use crate::process::id::{Nonce, Pid};
use crate::process::identity::{
    Host, ProcessIdentity, ProcessLiveness, UnknownReason, corrected_for_machine,
};
use crate::text::shown::Shown;
use core::fmt;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The schema that this version writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The content of a lifecycle lock's file: one flat JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifecyclePayload {
    /// The schema of this object.
    pub schema_version: u32,
    /// The process that holds the lock.
    #[serde(flatten)]
    pub holder: ProcessIdentity,
    /// The holder's host name, for people to read and to recognise the files of other machines.
    pub hostname: String,
    /// The holder's machine id, if the machine has an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// The time at which the holder took the lock.
    pub started_at: StartedAt,
    /// The authority to release the lock, absent in files of other programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
    /// Whether the holder keeps the flock beside the marker for as long as it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keeps_flock: Option<bool>,
    /// All other fields of the file.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl fmt::Display for LifecyclePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, host) = (self.holder.pid, Shown(&self.hostname));
        write!(f, "process {pid} on host {host} since {}", self.started_at)
    }
}

/// The time at which the holder took a lifecycle lock, as written in the file. No decision depends on the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum StartedAt {
    /// A time in ISO 8601; written as RFC 3339 in UTC.
    Time(Timestamp),
    /// The value of another program, in another format.
    Raw(Value),
}

impl StartedAt {
    /// ISO 8601 with or without an offset. Many programs omit the offset and mean UTC.
    fn read(value: Value) -> Self {
        let without_offset = |text: &str| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
        let time = value.as_str().and_then(|text| {
            text.parse().ok().or_else(|| without_offset(text).map(|zoned| zoned.timestamp()))
        });
        time.map_or(Self::Raw(value), Self::Time)
    }
}

impl fmt::Display for StartedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.fmt(f),
            Self::Raw(Value::String(text)) => f.write_str(text),
            Self::Raw(value) => value.fmt(f),
        }
    }
}

impl LifecyclePayload {
    /// The marker of `holder`, a process of this machine that takes the lock.
    pub fn new(
        here: &Host,
        holder: ProcessIdentity,
        started_at: Timestamp,
        nonce: Nonce,
        kept_by: KeptBy,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            holder,
            hostname: here.hostname.clone(),
            machine_id: here.machine_id.clone(),
            started_at: StartedAt::Time(started_at),
            nonce: Some(nonce),
            keeps_flock: Some(kept_by == KeptBy::KernelLock),
            unknown: Map::new(),
        }
    }

    /// The holder's liveness: `standing`, corrected for a holder on another machine, since a pid of another machine
    /// says nothing here.
    pub fn standing(&self, here: &Host, standing: ProcessLiveness) -> ProcessLiveness {
        corrected_for_machine(&self.holder, here, &self.hostname, self.machine_id.as_deref(), standing)
    }

    fn from_fields(mut fields: Map<String, Value>) -> Result<Self, String> {
        let pid: Pid = required(&mut fields, "pid")?;
        let hostname = required(&mut fields, "hostname")?;
        let started_at = required(&mut fields, "started_at")?;
        let schema_version = required(&mut fields, "schema_version")?;
        Ok(Self {
            schema_version,
            holder: ProcessIdentity {
                pid,
                start_time: optional(&mut fields, "start_time"),
                boot_id: optional(&mut fields, "boot_id"),
                pid_namespace: optional(&mut fields, "pid_namespace"),
                time_namespace: optional(&mut fields, "time_namespace"),
            },
            hostname,
            machine_id: optional(&mut fields, "machine_id"),
            started_at: StartedAt::read(started_at),
            nonce: optional(&mut fields, "nonce"),
            keeps_flock: optional(&mut fields, "keeps_flock"),
            unknown: fields,
        })
    }
}

impl HolderEvidence for LifecyclePayload {
    /// A marker of another program says nothing about a flock.
    fn kept_by(&self) -> KeptBy {
        if self.keeps_flock == Some(true) { KeptBy::KernelLock } else { KeptBy::Evidence }
    }
}

/// The state of a lifecycle lock: its marker and its flock together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifecycleState {
    /// No process holds the lock.
    Free,
    /// The holder runs.
    Held,
    /// The holder is provably gone; the next `acquire` takes the lock over.
    Stale,
    /// The holder is on another machine; the next `acquire` takes the lock over, with a warning.
    OtherMachine,
    /// The holder cannot be judged from this process, so no `acquire` takes the lock over.
    Unjudged,
    /// The marker cannot be read; the next `acquire` keeps its bytes under another name and takes the lock over.
    Corrupt,
}

/// Judges a marker whose holder has this liveness, with the reason in words.
pub fn state_of(
    found: &Found<LifecyclePayload>,
    liveness: ProcessLiveness,
    flock: KernelLock,
) -> (LifecycleState, String) {
    use {Found as F, ProcessLiveness as Is};
    match (flock, found) {
        (KernelLock::Held, _) => (LifecycleState::Held, "its flock is held".into()),
        (KernelLock::Free, F::Nothing) => (LifecycleState::Free, "there is no marker".into()),
        (KernelLock::Free, F::Empty) => (LifecycleState::Free, "the marker is empty".into()),
        (KernelLock::Free, F::Corrupt { why }) => {
            (LifecycleState::Corrupt, format!("the marker cannot be read: {why}"))
        }
        (KernelLock::Free, F::OtherSession { .. }) => {
            (LifecycleState::Corrupt, "the marker is about a session".into())
        }
        (KernelLock::Free, F::Held(payload) | F::Retained(payload)) => {
            match by_free_lock(payload, liveness) {
                Is::Alive => (LifecycleState::Held, "its holder runs".into()),
                Is::Dead(proof) => {
                    (LifecycleState::Stale, format!("its holder is gone: {}", proof.describe()))
                }
                Is::Unjudged(UnknownReason::Unproven) => {
                    (LifecycleState::Held, "a process with its holder's pid runs".into())
                }
                Is::Unjudged(reason @ UnknownReason::OtherMachine) => {
                    (LifecycleState::OtherMachine, reason.describe().into())
                }
                Is::Unjudged(
                    reason @ (UnknownReason::OtherPidNamespace
                    | UnknownReason::UnknownBoot
                    | UnknownReason::NotPermitted),
                ) => (LifecycleState::Unjudged, reason.describe().into()),
            }
        }
    }
}

/// The word that JSON uses.
impl fmt::Display for LifecycleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

fn required<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Result<T, String> {
    let value = fields.shift_remove(name).ok_or_else(|| format!("it has no {name}"))?;
    serde_json::from_value(value).map_err(|error| format!("its {name} cannot be read: {error}"))
}

/// Takes a field, if understood. Another program may use the name in its own way; such a field stays in `fields`.
fn optional<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Option<T> {
    let value = serde_json::from_value(fields.get(name)?.clone()).ok()?;
    fields.shift_remove(name);
    value
}

impl Found<LifecyclePayload> {
    /// Reads the content of a lifecycle lock's file; `None` if there is no file.
    ///
    /// ```
    /// use rekindle_core::Found;
    ///
    /// let file = br#"{"pid":42,"hostname":"box","started_at":"2026-01-02T03:04:05Z","schema_version":1}"#;
    /// assert!(matches!(Found::read_lifecycle(Some(file)), Found::Held(payload) if payload.holder.pid.as_raw() == 42));
    /// assert!(matches!(Found::read_lifecycle(Some(b"{}")), Found::Corrupt { .. }));
    /// ```
    pub fn read_lifecycle(content: Option<&[u8]>) -> Self {
        let Some(content) = content else { return Self::Nothing };
        if content.is_empty() {
            return Self::Empty;
        }
        let fields = serde_json::from_slice(content).map_err(|error| Shown(&error.to_string()).to_string());
        match fields.and_then(LifecyclePayload::from_fields) {
            Ok(payload) => Self::Held(payload),
            Err(why) => Self::Corrupt { why },
        }
    }
}
