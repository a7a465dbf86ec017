//! The only table of readiness kinds: parser and spelling agree with the table. `books.rs` compares the pages.

use rekindle_core::ReadyKind;
use rekindle_core::readiness::{Connects, Provides};
use std::collections::HashSet;

/// Serde reads exactly the kinds of the table: a kind missing in `ALL` would be no option of `--ready`.
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

/// The pages show these words in a table: two choices never have the same words.
#[test]
fn each_choice_has_words_of_its_own() {
    let rows = ReadyKind::ALL.map(ReadyKind::row);
    for one in rows {
        for other in rows {
            let same_words = one.connects.in_words() == other.connects.in_words();
            assert_eq!(same_words, one.connects == other.connects, "{one:?} {other:?}");
            let same_words = one.provides.in_words() == other.provides.in_words();
            assert_eq!(same_words, one.provides == other.provides, "{one:?} {other:?}");
        }
    }
}

/// If the launcher binds the socket or receives notifications, nobody connects. If the launcher connects, the worker
/// gets nothing in addition.
#[test]
fn a_kind_that_provides_something_connects_nobody() {
    for row in ReadyKind::ALL.map(ReadyKind::row) {
        assert_eq!(row.connects == Connects::Launcher, row.provides == Provides::Nothing, "{row:?}");
    }
}
