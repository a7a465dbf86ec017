//! The JSON of `rekindle logs`: one object for each line of a log.

use crate::{LogLine, PieceEnd};
use rekindle_core::byte_text::ByteText;
use rekindle_core::logs::LogStream;
use serde::Serialize;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// One line of a log.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLineJson<'a> {
    /// `stdout` or `stderr`.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::LogStream"))]
    pub stream: LogStream,
    /// The line without its newline: a text, or `{"bytes": HEX}` if the line is not UTF-8.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub line: ByteText<'a>,
    /// The time by which the line had been written, RFC 3339 in UTC; `null` if unknown.
    pub time: Option<String>,
    /// Whether the newline is missing: a piece of a line longer than a mebibyte, or the end of a log that ends within a line.
    pub partial: bool,
}

impl<'a> From<&'a LogLine> for LogLineJson<'a> {
    fn from(line: &'a LogLine) -> Self {
        Self {
            stream: line.stream,
            line: ByteText(OsStr::from_bytes(&line.bytes)),
            time: line.written_by.map(|at| at.to_string()),
            partial: line.end != PieceEnd::Newline,
        }
    }
}
