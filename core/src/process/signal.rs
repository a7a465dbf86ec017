//! Signals by number and by name, as Linux has them on x86, ARM and RISC-V.
//!
//! Checked by `gates/tests/exits.rs`.

use core::fmt;
use core::str::FromStr;
use serde::{Serialize, Serializer};

/// The names of the signals from 1 on, without `SIG`.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The greatest number of a signal.
const NUMBER_MAX: i32 = 64;

/// A signal. The text is the name without `SIG`, or the number of a signal without a name.
///
/// ```
/// use rekindle_core::signal::SignalNumber;
///
/// let term: SignalNumber = "TERM".parse()?;
/// assert_eq!("SIGTERM".parse(), Ok(term));
/// assert_eq!((term.as_raw(), term.to_string()), (15, "TERM".to_owned()));
/// assert!("TREM".parse::<SignalNumber>().is_err());
/// # Ok::<(), rekindle_core::signal::InvalidSignal>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalNumber(i32);

/// A text that names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it names no signal: use a name such as TERM, HUP or USR1, or a number from 1 to {NUMBER_MAX}")]
pub struct InvalidSignal;

impl SignalNumber {
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGTERM.
    pub const TERM: Self = Self(15);

    /// The signal with this number; `None` if no signal has the number.
    pub const fn new(number: i32) -> Option<Self> {
        if number >= 1 && number <= NUMBER_MAX { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// The name without `SIG`; `None` for a real-time signal.
    pub fn name(self) -> Option<&'static str> {
        let at = usize::try_from(self.0).ok()?.checked_sub(1)?;
        NAMES.get(at).copied()
    }
}

impl fmt::Display for SignalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for SignalNumber {
    type Err = InvalidSignal;

    fn from_str(text: &str) -> Result<Self, InvalidSignal> {
        if let Ok(number) = text.parse() {
            return Self::new(number).ok_or(InvalidSignal);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let at = NAMES.iter().position(|known| *known == name).ok_or(InvalidSignal)?;
        i32::try_from(at + 1).ok().and_then(Self::new).ok_or(InvalidSignal)
    }
}

impl Serialize for SignalNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
