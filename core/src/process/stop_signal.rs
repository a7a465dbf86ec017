//! The signal with which a stop begins.
//!
//! # Invariants
//! 1. Each signal ends a program that does not handle the signal, or is ignored by default. A signal that stops or
//!    continues a program asks nobody to end, and is refused.
//!
//! Checked by `gates/tests/plan.rs`.

use crate::prelude::*;
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

/// Number and name of each signal. Missing are CHLD and CONT, and the signals that stop a program.
const SIGNALS: [(u8, &str); 25] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (4, "ILL"),
    (5, "TRAP"),
    (6, "ABRT"),
    (7, "BUS"),
    (8, "FPE"),
    (9, "KILL"),
    (10, "USR1"),
    (11, "SEGV"),
    (12, "USR2"),
    (13, "PIPE"),
    (14, "ALRM"),
    (15, "TERM"),
    (16, "STKFLT"),
    (23, "URG"),
    (24, "XCPU"),
    (25, "XFSZ"),
    (26, "VTALRM"),
    (27, "PROF"),
    (28, "WINCH"),
    (29, "IO"),
    (30, "PWR"),
    (31, "SYS"),
];

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
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let number = text.parse::<u8>().ok();
        let is_meant = |(of, named): &&(u8, &'static str)| *named == name || number == Some(*of);
        let found = SIGNALS.iter().find(is_meant);
        found.map(|(_, name)| Self(name)).ok_or_else(|| InvalidStopSignal { text: text.to_owned() })
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
