//! Paths as text: nothing of them is lost, nothing steers a terminal, and a shell takes them back as they were (U8, U16, U36).

use proptest::prelude::*;
use rekindle_core::shown::{Shown, shell_quoted};
use rekindle_gates::property;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[test]
fn a_path_is_shown_with_what_cannot_be_shown_as_numbers() {
    for (bytes, shown) in [
        (&b"/tmp/a b"[..], "/tmp/a b"),
        (b"caf\xc3\xa9", "caf\u{e9}"),
        (b"caf\xe9/x", "caf\\xe9/x"),
        (b"a\nb\x1b[2J", "a\\nb\\u{1b}[2J"),
        ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"", ""),
    ] {
        assert_eq!(Shown(path(bytes)).to_string(), shown);
    }
}

#[test]
fn only_what_a_shell_would_take_apart_is_quoted() {
    for (bytes, quoted) in [
        (&b"/run/me/sock"[..], "/run/me/sock"),
        (b"-rf", "./-rf"),
        (b"a b", "'a b'"),
        (b"$HOME", "'$HOME'"),
        (b"~", "'~'"),
        (b"it's", r"'it'\''s'"),
        (b"", "''"),
        (b"a\nb", r"$'a\012b'"),
        (b"caf\xe9's", r"$'caf\351\'s'"),
    ] {
        assert_eq!(shell_quoted(path(bytes)), quoted);
    }
}

/// What a shell makes of one word; `None` if it is more than one, or would do something.
fn unquoted(word: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = word;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("$'") {
            let mut chars = quoted.char_indices();
            loop {
                match chars.next()? {
                    (at, '\'') => break rest = quoted.get(at + 1..)?,
                    (at, '\\') => match quoted.as_bytes().get(at + 1)? {
                        digit @ b'0'..=b'7' => {
                            let octal = quoted.get(at + 1..at + 4)?;
                            debug_assert!(digit.is_ascii_digit());
                            bytes.push(u8::from_str_radix(octal, 8).ok()?);
                            chars.nth(2)?;
                        }
                        other => {
                            bytes.push(*other);
                            chars.next()?;
                        }
                    },
                    (_, c) => bytes.extend(c.to_string().bytes()),
                }
            }
        } else if let Some(quoted) = rest.strip_prefix('\'') {
            let (inside, after) = quoted.split_once('\'')?;
            bytes.extend(inside.bytes());
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\'") {
            bytes.push(b'\'');
            rest = after;
        } else {
            let first = rest.chars().next()?;
            let is_plain = first.is_ascii_alphanumeric() || "/._-+:@%,".contains(first);
            if !is_plain {
                return None;
            }
            bytes.push(first as u8);
            rest = rest.get(1..)?;
        }
    }
    Some(bytes)
}

#[test]
fn a_shell_takes_any_path_back_as_it_was() {
    let bytes = prop::collection::vec(1_u8.., 0..40);
    let texts = "[ -~\u{80}-\u{ff}'\\\\\n]{0,20}".prop_map(String::into_bytes);
    property!("shown", a_shell_takes_any_path_back_as_it_was).check(&prop_oneof![bytes, texts], |bytes| {
        let word = shell_quoted(path(&bytes));
        let taken = unquoted(&word);
        let as_option =
            if bytes.starts_with(b"-") { [b"./", bytes.as_slice()].concat() } else { bytes.clone() };
        prop_assert!(taken == Some(bytes) || taken == Some(as_option), "{}", word);
        prop_assert!(!word.chars().any(char::is_control));
        Ok(())
    });
}
