//! Paths as text: for people to read, and for a shell to take back.
//!
//! A path is bytes, and may hold anything but NUL. What is no UTF-8 in it, and what a terminal would obey, is escaped.

use crate::harmless::*;
use core::fmt;

/// A path for people: what is no UTF-8 in it is shown as `\xNN`, and control characters are escaped.
///
/// ```
/// use rekindle_core::shown::Shown;
/// use std::path::Path;
///
/// assert_eq!(Shown(Path::new("/tmp/a b")).to_string(), "/tmp/a b");
/// assert_eq!(Shown(Path::new("/tmp/a\nb")).to_string(), "/tmp/a\\nb");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_os_str().as_encoded_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_obeyed(c) { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a terminal does something for it rather than show it: control characters, and those that turn the direction of text.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A path as one word of a shell's command line.
///
/// Plain words stay as they are, others are quoted; what can only be written as a number is in `$'...'`, which bash, zsh and
/// POSIX since 2024 know.
///
/// ```
/// use rekindle_core::shown::shell_quoted;
/// use std::path::Path;
///
/// assert_eq!(shell_quoted(Path::new("/run/me/sock")), "/run/me/sock");
/// assert_eq!(shell_quoted(Path::new("/tmp/it's")), r"'/tmp/it'\''s'");
/// ```
pub fn shell_quoted(path: &Path) -> String {
    // A word that begins with a dash would be taken for an option.
    let is_like_an_option = path.as_os_str().as_encoded_bytes().starts_with(b"-");
    if is_like_an_option {
        shell_word(Path::new(".").join(path).as_os_str())
    } else {
        shell_word(path.as_os_str())
    }
}

/// The same for a word that need not be a path: an option, or an argument.
///
/// ```
/// use rekindle_core::shown::shell_word;
/// use std::ffi::OsStr;
///
/// assert_eq!(shell_word(OsStr::new("--dir")), "--dir");
/// assert_eq!(shell_word(OsStr::new("a b")), "'a b'");
/// ```
pub fn shell_word(word: &OsStr) -> String {
    let bytes = word.as_encoded_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,".contains(byte);
    match word.to_str() {
        Some(text) if bytes.iter().all(is_plain) && !bytes.is_empty() => text.to_owned(),
        Some(text) if !text.chars().any(is_obeyed) => format!("'{}'", text.replace('\'', r"'\''")),
        Some(_) | None => in_numbers(bytes),
    }
}

fn in_numbers(bytes: &[u8]) -> String {
    let mut word = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => word.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => word.push(char::from(*byte)),
            _ => word.push_str(&format!("\\{byte:03o}")),
        }
    }
    word.push('\'');
    word
}
