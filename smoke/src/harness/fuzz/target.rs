//! The target of a round.

use super::super::trouble::Trouble;
use super::{peers, states};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// The hostile part of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The state directory.
    State,
    /// The worker behind the session's socket.
    Peer,
}

impl Target {
    /// The target's name in a job.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Peer => "peer",
        }
    }

    /// Plays one round.
    ///
    /// # Errors
    /// The broken promise.
    pub(in crate::harness) fn round(self, seed: u64) -> Result<Value, Trouble> {
        match self {
            Self::State => states::round(seed),
            Self::Peer => peers::round(seed),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = [Self::State, Self::Peer].into_iter().find(|it| it.name() == text);
        named.ok_or_else(|| format!("`{text}` is neither `state` nor `peer`"))
    }
}
