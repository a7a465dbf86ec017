//! Durations as whole milliseconds in JSON, rounded up so that a bound never shrinks to nothing.

use crate::prelude::Duration;
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    serializer.serialize_u64(u64::try_from(millis).unwrap_or(u64::MAX))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}
