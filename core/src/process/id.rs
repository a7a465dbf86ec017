//! Names and numbers for identification: each kind is a separate type with a single validating constructor.
//!
//! # Invariants
//! 1. A [`SessionId`] is always a safe, single path component; no path is built from an unvalidated id.
//! 2. Parsing and deserialising follow the same rule; there is no other constructor.
//!
//! Checked by `gates/tests/ids.rs`.

use crate::prelude::*;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The longest session id, in bytes.
pub const SESSION_ID_LEN_MAX: usize = 64;

/// The fewest hexadecimal digits of a [`Nonce`]: 64 bits.
pub const NONCE_DIGITS_MIN: usize = 16;

/// The name of a session: the logical thing that a worker serves.
///
/// A session id matches `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, and is therefore never empty, hidden, `.`, `..`, an option
/// or a path.
///
/// ```
/// use rekindle_core::SessionId;
///
/// let id: SessionId = "cache-2".parse()?;
/// assert_eq!(id.as_str(), "cache-2");
/// assert!("../cache".parse::<SessionId>().is_err());
/// # Ok::<(), rekindle_core::id::InvalidSessionId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

/// The reason why a text is not a session id. The text itself is shown escaped, since the text may hold control bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSessionId {
    /// The text is empty.
    #[error("session id is empty; use 1 to {SESSION_ID_LEN_MAX} of the characters A-Z a-z 0-9 . _ -")]
    Empty,
    /// The text has more than [`SESSION_ID_LEN_MAX`] bytes.
    #[error("session id is {len} bytes long; at most {SESSION_ID_LEN_MAX} are allowed")]
    TooLong {
        /// The length in bytes.
        len: usize,
    },
    /// The first character is not a letter or digit.
    #[error("session id {text:?} must begin with a letter or a digit (A-Z a-z 0-9)")]
    BadStart {
        /// The given text.
        text: String,
    },
    /// A later character is not allowed.
    #[error("session id {text:?} contains {found:?}; only A-Z a-z 0-9 . _ - are allowed")]
    BadCharacter {
        /// The given text.
        text: String,
        /// The first forbidden character.
        found: char,
    },
}

impl SessionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > SESSION_ID_LEN_MAX {
            return Err(InvalidSessionId::TooLong { len: text.len() });
        }
        let mut chars = text.chars();
        let first = chars.next().ok_or(InvalidSessionId::Empty)?;
        if !first.is_ascii_alphanumeric() {
            return Err(InvalidSessionId::BadStart { text: text.to_owned() });
        }
        match chars.find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
            Some(found) => Err(InvalidSessionId::BadCharacter { text: text.to_owned(), found }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for SessionId {
    type Error = InvalidSessionId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A process id: a positive number. A pid alone never identifies a process; see
/// [`ProcessIdentity`](crate::ProcessIdentity).
///
/// ```
/// use rekindle_core::Pid;
///
/// assert_eq!(Pid::new(42).map(Pid::as_raw), Some(42));
/// assert_eq!(Pid::new(0), None); // a signal to 0 goes to our own group
/// assert_eq!(Pid::new(-1), None); // and one to -1 to everybody
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Pid(i32);

impl Pid {
    /// A pid from the kernel's number; `None` unless positive.
    pub const fn new(raw: i32) -> Option<Self> {
        if raw > 0 { Some(Self(raw)) } else { None }
    }

    /// The kernel's number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

/// A number that is no process id, because the number is not positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a process id; it must be positive")]
pub struct InvalidPid(i32);

impl TryFrom<i32> for Pid {
    type Error = InvalidPid;

    fn try_from(raw: i32) -> Result<Self, Self::Error> {
        Self::new(raw).ok_or(InvalidPid(raw))
    }
}

impl From<Pid> for i32 {
    fn from(pid: Pid) -> Self {
        pid.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a session's starts so far; grows by 1 with each start.
///
/// Generation 0 is no start of ours: the socket was live without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    /// The generation of a worker that we did not start, and therefore never stop.
    pub const UNMANAGED: Self = Self(0);

    /// A generation from its number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number of the generation.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The generation of the next start.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A random value in hexadecimal, at least 64 bits. The claim's nonce authorises the release; the worker's nonce, a
/// different value, names the worker. `Debug` hides the value.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

/// A text that cannot be a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nonce must be at least {NONCE_DIGITS_MIN} hexadecimal digits")]
pub struct InvalidNonce;

impl Nonce {
    /// A nonce from 128 random bits, drawn by the caller.
    pub fn from_random(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nonce {
    type Err = InvalidNonce;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = text.len() >= NONCE_DIGITS_MIN && text.bytes().all(|b| b.is_ascii_hexdigit());
        if whole { Ok(Self(text.to_owned())) } else { Err(InvalidNonce) }
    }
}

impl TryFrom<String> for Nonce {
    type Error = InvalidNonce;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        nonce.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}
