//! Files with variables for a worker, in the syntax of dotenv.
//!
//! # Invariants
//! 1. A file never changes this process's own environment.
//! 2. An error names the file and the line, and never shows a part of the content.
//! 3. Each file is bounded by `FILE_LEN_MAX`.
//!
//! Checked below, and by `smoke/tests/smoke/session/again.rs`.

use rekindle_core::SpawnError;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest file, in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// The mark of UTF-8 with which some editors begin a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The variables of the files. The later file wins, and so does the later line.
///
/// # Errors
/// [`SpawnError::EnvironmentFile`] if a file cannot be read, is too long, or has a line that sets no variable.
pub fn read(files: &[PathBuf]) -> Result<BTreeMap<String, OsString>, SpawnError> {
    let mut variables = BTreeMap::new();
    for path in files {
        let unusable = |line, why: String| SpawnError::EnvironmentFile { path: path.clone(), line, why };
        let content = bytes(path).map_err(|error| unusable(None, error.to_string()))?;
        if content.len() as u64 > FILE_LEN_MAX {
            return Err(unusable(None, format!("it is longer than {FILE_LEN_MAX} bytes")));
        }
        parse(&content, &mut variables).map_err(|(line, why)| unusable(Some(line), why.to_owned()))?;
    }
    Ok(variables)
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_LEN_MAX + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Adds the variables of one file; the error is the number of the line, and the fault.
fn parse(content: &[u8], variables: &mut BTreeMap<String, OsString>) -> Result<(), (usize, &'static str)> {
    let rest = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    let line = Cell::new(0);
    for variable in dotenvy::from_read_iter(LineByLine { rest, line: &line }) {
        // The words of the error would show the line.
        let (name, value) = variable.map_err(|error| match error {
            dotenvy::Error::Io(_) => (line.get(), "the line is not UTF-8"),
            _ => (line.get(), "the line is not NAME=VALUE"),
        })?;
        variables.insert(name, value.into());
    }
    Ok(())
}

/// Hands out one line at a time, and counts the lines: the parser names no line.
struct LineByLine<'c> {
    rest: &'c [u8],
    line: &'c Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |at| at + 1);
        let taken = end.min(into.len());
        let (now, rest) = self.rest.split_at(taken);
        into[..taken].copy_from_slice(now);
        self.rest = rest;
        self.line.set(self.line.get() + usize::from(taken == end && taken > 0));
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn of(content: &[u8]) -> Result<BTreeMap<String, OsString>, (usize, &'static str)> {
        let mut variables = BTreeMap::new();
        parse(content, &mut variables).map(|()| variables)
    }

    #[test]
    fn the_syntax_is_that_of_dotenv() {
        let content = b"\xef\xbb\xbf# a comment\nA=1\n\nexport B='two words'\nC=\"x\\ny\"  # behind\nD=\nE=\"two\nlines\"\nA=2\n";
        let expected = [("A", "2"), ("B", "two words"), ("C", "x\ny"), ("D", ""), ("E", "two\nlines")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.into()));
        assert_eq!(of(content), Ok(expected.into()));
        assert_eq!(of(b"A=no newline"), Err((1, "the line is not NAME=VALUE")));
        assert_eq!(of(b"A=end").map(|it| it.len()), Ok(1));
    }

    #[test]
    fn a_faulty_line_is_counted_and_not_shown() {
        assert_eq!(of(b"A=1\n# c\nhunter2\nB=2\n"), Err((3, "the line is not NAME=VALUE")));
        assert_eq!(of(b"A=1\nB=\xff\n"), Err((2, "the line is not UTF-8")));
        assert_eq!(of(b"A=\"open\nB=2\n").map_err(|(_, why)| why), Err("the line is not NAME=VALUE"));
        let long = format!("A={}\nhunter2\n", "x".repeat(30_000));
        assert_eq!(of(long.as_bytes()), Err((2, "the line is not NAME=VALUE")));
    }

    #[test]
    fn the_later_file_wins_and_an_absent_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let (first, second) = (file("first", "A=1\nB=1\n"), file("second", "B=2\n"));
        let expected = [("A".to_owned(), "1".into()), ("B".to_owned(), "2".into())];
        assert_eq!(read(&[first.clone(), second]).unwrap(), expected.into());
        let absent = dir.path().join("absent");
        let error = read(&[first, absent.clone()]).unwrap_err().to_string();
        assert!(error.contains(absent.to_str().unwrap()), "{error}");
        let secret = file("secret", "hunter2\n");
        let error = read(&[secret]).unwrap_err().to_string();
        assert!(error.contains("secret` at line 1") && !error.contains("hunter2"), "{error}");
    }
}
