//! The bound of a log, as an option and in a plan.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// The bound of each log of a worker, in bytes. No bound means that a log grows for as long as the worker writes.
///
/// As text: an integer with an optional `k`, `m` or `g` (powers of 1024); `0` is no bound.
///
/// ```
/// use rekindle_core::logs::LogMax;
///
/// assert_eq!("64m".parse(), Ok(LogMax::DEFAULT));
/// assert_eq!("0".parse(), Ok(LogMax::NONE));
/// assert_eq!(LogMax::of_bytes(1536).to_string(), "1536");
/// assert!("64 MB".parse::<LogMax>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogMax(u64);

/// Why a text is no bound of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use an integer with k, m or g, such as 512k, 64m or 1g, or 0 for no bound")]
pub struct InvalidLogMax;

/// The suffixes, with their powers of two.
const UNITS: [(char, u32); 3] = [('g', 30), ('m', 20), ('k', 10)];

impl LogMax {
    /// The bound of a start that names none: 64 MiB.
    pub const DEFAULT: Self = Self(64 << 20);
    /// No bound.
    pub const NONE: Self = Self(0);

    /// A bound of this many bytes; 0 is no bound.
    pub const fn of_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The bound in bytes; `None` without a bound.
    pub const fn bytes(self) -> Option<u64> {
        match self.0 {
            0 => None,
            bytes => Some(bytes),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    pub(crate) const fn none() -> Self {
        Self::NONE
    }
}

impl FromStr for LogMax {
    type Err = InvalidLogMax;

    fn from_str(text: &str) -> Result<Self, InvalidLogMax> {
        let unit = UNITS.into_iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
        let (number, shift) = unit.unwrap_or((text, 0));
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidLogMax);
        }
        let number: u64 = number.parse().ok().ok_or(InvalidLogMax)?;
        number.checked_mul(1 << shift).map(Self).ok_or(InvalidLogMax)
    }
}

/// The shortest text that means the same.
impl fmt::Display for LogMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |shift: u32| self.0 != 0 && self.0.trailing_zeros() >= shift;
        match UNITS.into_iter().find(|(_, shift)| whole(*shift)) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}
