//! Foreign text for people, for a shell, and inside JSON.
//!
//! A path may hold any byte but NUL; a text of a worker, a file or another program may hold any byte. Non-UTF-8 bytes
//! and characters that a terminal obeys are escaped. Checked by `gates/tests/shown.rs`.

use crate::prelude::*;
use core::fmt;

/// A path, an argument or a text for people, on a single line: non-UTF-8 bytes are shown as `\xNN`; control characters
/// and characters that change the direction of text are escaped.
///
/// ```
/// use rekindle_core::shown::Shown;
/// use std::path::Path;
///
/// assert_eq!(Shown(Path::new("/tmp/a b")).to_string(), "/tmp/a b");
/// assert_eq!(Shown(Path::new("/tmp/a\nb")).to_string(), "/tmp/a\\nb");
/// ```
#[derive(Debug)]
pub struct Shown<'a, T: AsRef<OsStr> + ?Sized>(pub &'a T);

impl<T: AsRef<OsStr> + ?Sized> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_ref().as_encoded_bytes().utf8_chunks() {
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

/// Whether a terminal obeys a character instead of showing the character: control characters, and characters that
/// change the direction of text.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON without a character that a terminal obeys in any string: each such character is written as `\uNNNN`, with the
/// same meaning.
///
/// ```
/// use rekindle_core::shown::terminal_safe;
///
/// assert_eq!(terminal_safe("[\"\u{9b}31m\"]".to_owned()), r#"["\u009b31m"]"#);
/// ```
pub fn terminal_safe(json: String) -> String {
    // Outside strings, JSON has ASCII characters only; a newline is layout, and never inside a string.
    let is_unsafe = |c: char| is_obeyed(c) && c != '\n';
    if !json.contains(is_unsafe) {
        return json;
    }
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) { safe.push_str(&format!("\\u{:04x}", u32::from(c))) } else { safe.push(c) }
    }
    safe
}

/// A path as a word of a shell's command line.
///
/// Plain words stay unchanged, other words are quoted. Bytes that need a number are written in `$'...'`, known to bash,
/// zsh and POSIX since 2024.
///
/// ```
/// use rekindle_core::shown::shell_quoted;
/// use std::path::Path;
///
/// assert_eq!(shell_quoted(Path::new("/run/me/sock")), "/run/me/sock");
/// assert_eq!(shell_quoted(Path::new("/tmp/it's")), r"'/tmp/it'\''s'");
/// ```
pub fn shell_quoted(path: &Path) -> String {
    // A shell command takes a word that begins with a dash for an option.
    let is_like_an_option = path.as_os_str().as_encoded_bytes().starts_with(b"-");
    if is_like_an_option {
        shell_word(Path::new(".").join(path).as_os_str())
    } else {
        shell_word(path.as_os_str())
    }
}

/// As [`shell_quoted`], for a word that need not be a path: an option, or an argument.
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
