//! The table of readiness kinds is the only one: what is read and what is spelled agree with it. `books.rs` compares the pages.

use rekindle_core::ReadyKind;
use rekindle_core::readiness::{Connects, Provides};
use std::collections::HashSet;

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
    for row in ReadyKind::ALL.map(ReadyKind::row) {
        assert_eq!(row.connects == Connects::Launcher, row.provides == Provides::Nothing, "{row:?}");
    }
}
