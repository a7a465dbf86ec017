//! Text from an argument, a file or stdin. Every user of the machine can read arguments.
//!
//! # Invariants
//! 1. Each text is bounded, and read once.
//! 2. An error names the source of the text, and never shows the text.
//!
//! Checked below, and by `smoke/tests/smoke/command/secrets.rs`.

use crate::report::{Exit, Report};
use rekindle::Advice;
use rekindle::frontend::Shown;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The source of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    Text(String),
    File(PathBuf),
    Stdin,
}

/// Why a text cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GivenError {
    Unreadable(String),
    Unusable(String),
}

impl GivenError {
    pub(crate) fn report(&self, report: &Report) -> Exit {
        match self {
            Self::Unreadable(message) => {
                let advice = Advice::by_hand("name a file that can be read");
                report.failure("input-unreadable", message, &advice, Exit::Failed)
            }
            Self::Unusable(message) => {
                report.failure("usage", message, &Advice::by_hand("give another text"), Exit::Usage)
            }
        }
    }
}

impl Given {
    /// The text of an argument: `-` is stdin, `@FILE` a file, `@@TEXT` a text beginning with `@`, and any other
    /// argument is the text.
    ///
    /// # Errors
    /// If the argument is a text, but not UTF-8. The name of a file may be any bytes.
    pub(crate) fn from_argument(argument: &OsStr) -> Result<Self, String> {
        let bytes = argument.as_bytes();
        match bytes.strip_prefix(b"@") {
            Some(path) if !path.starts_with(b"@") => Ok(Self::File(OsStr::from_bytes(path).into())),
            None if bytes == b"-" => Ok(Self::Stdin),
            text => {
                let text = str::from_utf8(text.unwrap_or(bytes))
                    .map_err(|error| format!("a text must be UTF-8: {error}"))?;
                Ok(Self::Text(text.to_owned()))
            }
        }
    }

    /// The source in the value of a file option; `-` is stdin.
    pub(crate) fn from_path(path: OsString) -> Self {
        if path == "-" { Self::Stdin } else { Self::File(path.into()) }
    }

    /// The text, of at most `len_max` bytes. One newline at the end of a file or of stdin is left out, as a shell does.
    pub(crate) fn read(self, len_max: usize) -> Result<String, GivenError> {
        let (named, read) = match self {
            Self::Text(text) => return Ok(text),
            Self::File(path) => {
                let read = File::open(&path).and_then(|file| read_at_most(file, len_max));
                (format!("`{}`", Shown(&path)), read)
            }
            Self::Stdin => ("the standard input".to_owned(), read_at_most(io::stdin(), len_max)),
        };
        let bytes =
            read.map_err(|error| GivenError::Unreadable(format!("failed to read {named}: {error}")))?;
        let unusable = |why: &str| GivenError::Unusable(format!("{named} {why}"));
        if bytes.len() > len_max {
            return Err(unusable(&format!("holds more than {len_max} bytes")));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(error) => {
                Err(unusable(&format!("is not UTF-8 after {} bytes", error.utf8_error().valid_up_to())))
            }
        }
    }

    /// The text, parsed as JSON.
    pub(crate) fn read_json(self, len_max: usize) -> Result<serde_json::Value, GivenError> {
        let named = match &self {
            Self::Text(_) => "the argument".to_owned(),
            Self::File(path) => format!("`{}`", Shown(path)),
            Self::Stdin => "the standard input".to_owned(),
        };
        let text = self.read(len_max)?;
        serde_json::from_str(&text).map_err(|error| {
            // The words of the error would show a part of the text.
            let (line, column) = (error.line(), error.column());
            GivenError::Unusable(format!("{named} is not JSON at line {line}, column {column}"))
        })
    }
}

/// Reads to the end, without one newline at the end, but at most one byte more than `len_max`.
fn read_at_most(reader: impl Read, len_max: usize) -> io::Result<Vec<u8>> {
    // Room for the newline, and for the byte over the limit.
    let room = u64::try_from(len_max).unwrap_or(u64::MAX).saturating_add(2);
    let mut bytes = Vec::new();
    reader.take(room).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn given(argument: &str) -> Given {
        Given::from_argument(argument.as_ref()).unwrap()
    }

    #[test]
    fn an_argument_says_where_its_text_comes_from() {
        assert_eq!(given("-"), Given::Stdin);
        assert_eq!(given("@a b"), Given::File("a b".into()));
        assert_eq!(given("@@a"), Given::Text("@a".to_owned()));
        assert_eq!(given("@@@a"), Given::Text("@@a".to_owned()));
        assert_eq!(given("@-"), Given::File("-".into()));
        for text in ["", "a@b", "--", "-x", " @a"] {
            assert_eq!(given(text), Given::Text(text.to_owned()));
        }
    }

    #[test]
    fn a_file_may_have_any_name_and_a_text_is_utf_8() {
        let of = |argument: &[u8]| Given::from_argument(OsStr::from_bytes(argument));
        assert_eq!(of(b"@caf\xe9"), Ok(Given::File(OsStr::from_bytes(b"caf\xe9").into())));
        assert!(of(b"caf\xe9").is_err() && of(b"@@caf\xe9").is_err());
    }

    #[test]
    fn a_file_is_read_up_to_its_bound_and_without_its_last_newline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let read = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            Given::File(path.clone()).read(4)
        };
        assert_eq!(read(b"abc\n"), Ok("abc".to_owned()));
        assert_eq!(read(b"ab\n\n"), Ok("ab\n".to_owned()));
        assert_eq!(read(b"abcd\n"), Ok("abcd".to_owned()));
        for wrong in [&b"abcde"[..], b"abcd\n\n", b"abcdefghi", b"a\xff"] {
            let Err(GivenError::Unusable(message)) = read(wrong) else { panic!("{wrong:?} was taken") };
            assert!(message.contains("secret"), "{message}");
        }
        let Err(GivenError::Unreadable(message)) = Given::File(dir.path().to_owned()).read(4) else {
            panic!("a directory was read")
        };
        assert!(message.contains(&dir.path().display().to_string()), "{message}");
    }

    #[test]
    fn what_is_not_json_is_named_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctx");
        fs::write(&path, "hunter2").unwrap();
        let Err(GivenError::Unusable(message)) = Given::File(path).read_json(99) else {
            panic!("it was taken for JSON")
        };
        assert!(message.contains("ctx") && !message.contains("hunter2"), "{message}");
    }
}
