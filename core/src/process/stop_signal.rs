//! The signal with which a stop begins.
//!
//! # Invariants
//! 1. Each signal ends a program that does not handle the signal, or is ignored by default. A signal that stops or
//!    continues a program asks nobody to end, and is refused.
//!
//! Checked by `gates/tests/plan.rs`.

use crate::prelude::*;
use crate::process::signal::SignalNumber;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The signal that asks a worker to end; SIGTERM by default.
///
/// The text is the name without `SIG`. A name may be read in small letters and with `SIG`; so may a number of Linux.
///
/// ```
/// use rekindle_core::StopSignal;
///
/// assert_eq!("SIGINT".parse::<StopSignal>()?, "2".parse()?);
/// assert_eq!("quit".parse::<StopSignal>()?.to_string(), "QUIT");
/// assert!("SIGSTOP".parse::<StopSignal>().is_err());
/// # Ok::<(), rekindle_core::stop_signal::InvalidStopSignal>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StopSignal(&'static str);

/// The signals that end no program by default, but stop, continue or inform it.
const ASK_NOBODY_TO_END: [&str; 6] = ["CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU"];

/// A text that is no stop signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no signal that asks a program to end; use TERM, INT, QUIT, HUP, USR1, USR2 or another",
    crate::text::shown::Shown(text)
)]
pub struct InvalidStopSignal {
    text: String,
}

impl StopSignal {
    /// SIGTERM.
    pub const TERM: Self = Self("TERM");

    /// The name, without `SIG`.
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Whether this is the default.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for StopSignal {
    fn default() -> Self {
        Self::TERM
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for StopSignal {
    type Err = InvalidStopSignal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidStopSignal { text: text.to_owned() };
        let name = text.parse::<SignalNumber>().ok().and_then(SignalNumber::name);
        name.filter(|name| !ASK_NOBODY_TO_END.contains(name)).map(Self).ok_or_else(invalid)
    }
}

impl Serialize for StopSignal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for StopSignal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
