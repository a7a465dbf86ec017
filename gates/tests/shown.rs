//! How foreign text is shown: in a sentence, in JSON, to a shell, and in the cause of a failure (U8, U16, U27, U36).

use proptest::prelude::*;
use rekindle_core::byte_text::from_bytes;
use rekindle_core::claim::Found;
use rekindle_core::failure::CREATE_PROCESS;
use rekindle_core::record::{RecordFile, Written};
use rekindle_core::shown::{Shown, is_obeyed, shell_quoted, terminal_safe};
use rekindle_core::{LockClaim, OsFailure, Shortage, SpawnError};
use rekindle_gates::builders::session;
use rekindle_gates::property;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One character of each kind that a terminal obeys.
const OBEYED: [char; 21] = [
    '\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{80}', '\u{9b}', '\u{9f}', '\u{61c}', '\u{200e}',
    '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}',
    '\u{2068}', '\u{2069}',
];

#[test]
fn what_a_terminal_obeys_is_escaped_and_all_else_is_not() {
    assert!(OBEYED.into_iter().all(is_obeyed));
    assert_eq!(Shown("caf\u{e9} \u{4e2d} \u{5d0} \"'\\").to_string(), "caf\u{e9} \u{4e2d} \u{5d0} \"'\\");
    assert_eq!(Shown("a\nb\u{9b}\u{202e}").to_string(), "a\\nb\\u{9b}\\u{202e}");
    assert_eq!(Shown(&from_bytes(b"caf\xe9".to_vec())).to_string(), "caf\\xe9");
}

#[test]
fn no_text_reaches_a_terminal_that_would_obey_it() {
    property!("shown", no_text_reaches_a_terminal_that_would_obey_it).check(&any::<Vec<u8>>(), |bytes| {
        let shown = Shown(&from_bytes(bytes)).to_string();
        prop_assert!(!shown.contains(is_obeyed), "{shown:?}");
        Ok(())
    });
}

#[test]
fn json_is_safe_and_means_the_same() {
    let text = prop_oneof![
        any::<String>(),
        prop::collection::vec(prop::sample::select(&OBEYED[..]), 0..9)
            .prop_map(|chars| chars.into_iter().collect())
    ];
    property!("shown", json_is_safe_and_means_the_same).check(&(text.clone(), text), |(key, text)| {
        let value = json!({ key: [text] });
        for json in [value.to_string(), format!("{value:#}")] {
            let safe = terminal_safe(json);
            prop_assert!(!safe.contains(|c| is_obeyed(c) && c != '\n'), "{safe:?}");
            prop_assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), value.clone());
        }
        Ok(())
    });
}

/// serde's error text quotes the file: a newline in the quote would forge a line of ours.
#[test]
fn what_is_wrong_with_a_file_is_told_on_one_line() {
    let forged = "x\u{1b}[2J\u{9b}m\nrekindle: all is well";
    let record = json!({ "schema_version": 1, "session": session(), "generation": forged, "nonce": forged });
    let other = json!({ "schema_version": 1, "session": forged });
    for content in [record, other] {
        let content = content.to_string();
        let read = RecordFile::read(Some(content.as_bytes()), Written::ThisBoot, &session());
        let RecordFile::Corrupt { why } = read else { panic!("{read:?}") };
        assert!(!why.contains(is_obeyed), "{why:?}");
    }
    let claim = json!({ "session_id": forged }).to_string();
    let Found::Corrupt { why } = Found::<LockClaim>::read(Some(claim.as_bytes()), &session()) else {
        panic!("a claim of no session was taken");
    };
    assert!(!why.contains(is_obeyed), "{why:?}");
}

#[test]
fn what_has_run_out_is_named_by_the_errno() {
    let of = |operation: &str, errno| SpawnError::from(OsFailure::new(operation, "").errno(errno)).shortage();
    assert_eq!((of("write", 28), of("write", 122)), (Some(Shortage::DiskFull), Some(Shortage::DiskFull)));
    assert_eq!(of("write", 27), Some(Shortage::FileSizeLimit));
    assert_eq!((of("open", 23), of("open", 24)), (Some(Shortage::TooManyOpenFiles), of("pipe", 24)));
    assert_eq!(of(CREATE_PROCESS, 11), Some(Shortage::TooManyProcesses));
    assert_eq!(of("lock in the child", 11), None, "there it says that another has the lock");
    assert_eq!(of(CREATE_PROCESS, 12), Some(Shortage::OutOfMemory));
    assert_eq!((of("open", 13), SpawnError::NoProgram.shortage()), (None, None));
}

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

/// The shell's reading of one word; `None` if the shell would split or execute the word.
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
