//! The table of readiness kinds is the only one: what is read, what is spelled, and the pages agree with it.

use rekindle_core::ReadyKind;
use rekindle_core::readiness::{Provides, Row};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

fn page(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a member of a workspace");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the table of a page that begins with this header.
fn rows(path: &str, header: &str) -> Vec<String> {
    let page = page(path);
    let lines = page.lines().skip_while(|line| *line != header).skip(2);
    lines.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

fn written(write: impl Fn(Row) -> String) -> Vec<String> {
    ReadyKind::ALL.map(|kind| write(kind.row())).into()
}

/// What serde reads is what the table has: a kind that is missing in `ALL` would be no option of `--ready`.
#[test]
fn every_kind_that_can_be_read_is_in_the_table() {
    let error = serde_json::from_str::<ReadyKind>(r#""hope""#).unwrap_err().to_string();
    let (_, expected) = error.split_once("expected one of ").expect("serde names all variants");
    let read: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    assert_eq!(read, ReadyKind::ALL.map(|kind| kind.row().name));
    for kind in ReadyKind::ALL {
        assert_eq!(kind.row().kind, kind);
        let name = kind.row().name;
        assert_eq!(serde_json::to_value(kind).unwrap(), name, "one spelling");
        assert_eq!((name.parse(), kind.to_string()), (Ok(kind), name.to_owned()));
    }
    let names: HashSet<_> = ReadyKind::ALL.map(|kind| kind.row().name).into();
    assert_eq!(names.len(), ReadyKind::ALL.len());
}

#[test]
fn an_unknown_kind_is_refused_with_all_that_are_known() {
    for (text, shown) in [("hope", "hope"), ("", ""), ("Connect", "Connect"), ("\u{1b}[2J", r"\u{1b}[2J")] {
        let error = text.parse::<ReadyKind>().unwrap_err().to_string();
        let expected = format!("`{shown}` is no kind of readiness: use connect, handshake, notify or listen");
        assert_eq!(error, expected);
    }
}

/// A launcher that binds the socket is connected to by nobody, and one that connects hands nothing over.
#[test]
fn a_kind_that_provides_something_connects_nobody() {
    use rekindle_core::readiness::Connects;
    for row in ReadyKind::ALL.map(ReadyKind::row) {
        assert_eq!(row.connects == Connects::Launcher, row.provides == Provides::Nothing, "{row:?}");
    }
}

#[test]
fn the_pages_have_the_table() {
    let guide = written(|row| {
        let default = if row.kind == ReadyKind::default() { " (default)" } else { "" };
        let (connects, provides) = (row.connects.in_words(), row.provides.in_words());
        let Row { name, best_for, ready_when, .. } = row;
        format!("| `{name}`{default} | {best_for} | {ready_when} | {connects} | {provides} |")
    });
    let header = "| `--ready` | best for | ready when | who connects | the worker gets |";
    assert_eq!(rows("docs/readiness.md", header), guide);
    let short = written(|Row { name, ready_when, connects, .. }| {
        format!("| `{name}` | {ready_when} | {} |", connects.in_words())
    });
    assert_eq!(rows("ARCHITECTURE.md", "| `--ready` | ready when | who connects |"), short);
}

/// Where a page lists the kinds in a sentence or a field, the list is whole and in order.
#[test]
fn lists_of_the_kinds_are_whole() {
    let names = ReadyKind::ALL.map(|kind| format!("`{}`", kind.row().name));
    let field = names.join(", ");
    assert!(page("docs/formats.md").contains(&field), "docs/formats.md does not list {field}");
    let (last, first) = names.split_last().expect("there are kinds");
    let sentence = format!("{} or {last}", first.join(", "));
    assert!(page("docs/glossary.md").contains(&sentence), "docs/glossary.md does not list {sentence}");
}
