//! Lines outside the protocol: the reason, and an excerpt.

use crate::prelude::*;
use core::fmt;

/// The length of the kept excerpt of a refused line, in characters.
pub const EXCERPT_CHARS_MAX: usize = 120;

/// The beginning of a foreign text, fit for display: short, on a single line, without control characters.
///
/// ```
/// use rekindle_core::protocol::Excerpt;
///
/// assert_eq!(Excerpt::of("a\u{1b}[2J\n").to_string(), "a\\u{1b}[2J\\n");
/// assert_eq!(Excerpt::of(&"x".repeat(500)).to_string().len(), 120 + "...".len());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// The beginning of a text.
    pub fn of(text: &str) -> Self {
        Self::up_to(text, EXCERPT_CHARS_MAX)
    }

    /// The beginning of some bytes; non-UTF-8 bytes are replaced.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        // A character has at most four bytes; no further bytes are read.
        let beginning = bytes.get(..4 * (EXCERPT_CHARS_MAX + 1)).unwrap_or(bytes);
        Self::of(&String::from_utf8_lossy(beginning))
    }

    /// The first `chars_max` characters of a text.
    pub fn up_to(text: &str, chars_max: usize) -> Self {
        let mut chars = text.chars();
        let mut shown = String::new();
        for c in chars.by_ref().take(chars_max) {
            // Quotes and backslashes steer no terminal, and are frequent in JSON.
            if matches!(c, '"' | '\'' | '\\') { shown.push(c) } else { shown.extend(c.escape_debug()) }
        }
        if chars.next().is_some() {
            shown.push_str("...");
        }
        Self(shown)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reason why a line is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The line is not UTF-8.
    #[error("it is not UTF-8 from byte {at} on: {excerpt}")]
    NotUtf8 {
        /// The first invalid byte.
        at: usize,
        /// The beginning of the line.
        excerpt: Excerpt,
    },
    /// The line is not JSON, is nested too deeply, or has a duplicate key.
    #[error("it is not JSON ({why}): {excerpt}")]
    NotJson {
        /// The error.
        why: Excerpt,
        /// The beginning of the line.
        excerpt: Excerpt,
    },
    /// The line is JSON, and no message.
    #[error("it is not of the protocol ({why}): {excerpt}")]
    NotProtocol {
        /// The error.
        why: Excerpt,
        /// The beginning of the line.
        excerpt: Excerpt,
    },
}

impl Malformed {
    pub(super) fn not_protocol(why: &str, line: &[u8]) -> Self {
        Self::NotProtocol { why: Excerpt::of(why), excerpt: Excerpt::of_bytes(line) }
    }
}
