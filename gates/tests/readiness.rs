//! The only table of readiness kinds: parser and spelling agree with the table. `books.rs` compares the pages.

use rekindle_core::endpoint::EndpointKind;
use rekindle_core::readiness::{Connects, Proof, Provides, Readiness, ReadyKind, RequestPath, ShownBy};
use std::collections::HashSet;

const ENDPOINTS: [EndpointKind; 3] = [EndpointKind::Unix, EndpointKind::Tcp, EndpointKind::None];

/// A condition of each kind, as written.
const WRITTEN: [(ReadyKind, &str); 8] = [
    (ReadyKind::Connect, "connect"),
    (ReadyKind::Http, "http=/health?deep=1"),
    (ReadyKind::Handshake, "handshake"),
    (ReadyKind::Notify, "notify"),
    (ReadyKind::Listen, "listen"),
    (ReadyKind::Line, "line=^ready=[0-9]+ \u{e9}$"),
    (ReadyKind::Exec, "exec=pg_isready -h {host} && test -e /tmp/a=b"),
    (ReadyKind::Running, "running"),
];

/// Every kind of the table has a name of its own, and is read under that name alone.
#[test]
fn every_kind_of_the_table_has_one_spelling() {
    assert_eq!(WRITTEN.map(|(kind, _)| kind), ReadyKind::ALL);
    for (kind, text) in WRITTEN {
        let row = kind.row();
        assert_eq!((row.kind, kind.to_string().as_str()), (kind, row.name));
        let ready: Readiness = text.parse().unwrap();
        assert_eq!((ready.kind(), ready.to_string().as_str()), (kind, text));
        assert_eq!(serde_json::to_value(&ready).unwrap(), text, "one spelling");
        assert_eq!(serde_json::from_value::<Readiness>(text.into()).unwrap(), ready);
        let (name, parameter) = text.split_once('=').map_or((text, None), |(name, it)| (name, Some(it)));
        assert_eq!((row.name, ready.parameter()), (name, parameter));
        assert_eq!(row.parameter.is_some(), parameter.is_some(), "{text}");
        let spelling = row.parameter.map_or(name.to_owned(), |parameter| format!("{name}={parameter}"));
        assert_eq!(row.spelling(), spelling);
    }
    let names: HashSet<_> = ReadyKind::ALL.map(|kind| kind.row().name).into();
    assert_eq!(names.len(), ReadyKind::ALL.len());
    let spellings =
        ["connect", "http=PATH", "handshake", "notify", "listen", "line=REGEX", "exec=COMMAND", "running"];
    assert_eq!(ReadyKind::ALL.map(|kind| kind.row().spelling()), spellings);
}

/// The whole table, without the words: endpoints, who connects, what the worker gets, the proof, and what shows later
/// that the worker is live.
#[test]
fn the_table_is_this_one() {
    use {Connects as C, Proof as P, Provides as V, ReadyKind as K, ShownBy as S};
    #[rustfmt::skip]
    let table = [
        (K::Connect,   [true,  true,  false], C::Launcher,    V::Nothing,      P::Listener, S::Listener),
        (K::Http,      [true,  true,  false], C::ForRequests, V::Nothing,      P::Watch,    S::Listener),
        (K::Handshake, [true,  false, false], C::Launcher,    V::Nothing,      P::Answer,   S::Listener),
        (K::Notify,    [true,  true,  true],  C::Nobody,      V::NotifySocket, P::Listener, S::Listener),
        (K::Listen,    [true,  true,  false], C::Nobody,      V::BoundSocket,  P::Listener, S::Listener),
        (K::Line,      [true,  true,  true],  C::Nobody,      V::Nothing,      P::Watch,    S::Process),
        (K::Exec,      [true,  true,  true],  C::Nobody,      V::Nothing,      P::Watch,    S::Process),
        (K::Running,   [true,  true,  true],  C::Nobody,      V::Nothing,      P::Watch,    S::Process),
    ];
    assert_eq!(table.map(|row| row.0), ReadyKind::ALL);
    for (kind, suits, connects, provides, proof, shown_by) in table {
        let row = kind.row();
        assert_eq!(ENDPOINTS.map(|endpoint| row.suits(endpoint)), suits, "{kind}");
        assert_eq!(
            (row.connects, row.provides, row.proof, row.shown_by),
            (connects, provides, proof, shown_by),
            "{kind}"
        );
        assert_eq!(kind.shown_by(EndpointKind::Unix), shown_by, "{kind}");
        assert_eq!(kind.shown_by(EndpointKind::Tcp), shown_by, "{kind}");
        assert_eq!(kind.shown_by(EndpointKind::None), ShownBy::Process, "{kind}: nothing else is there");
        for text in [row.best_for, row.ready_when, row.connects.in_words(), row.provides.in_words()] {
            assert!(!text.is_empty() && !text.ends_with('.'), "{kind}: {text}");
        }
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

#[test]
fn the_default_is_a_connection_or_a_running_program() {
    assert_eq!(Readiness::default(), Readiness::Connect);
    assert_eq!(ReadyKind::default(), ReadyKind::Connect);
    let defaults = ENDPOINTS.map(Readiness::default_for);
    assert_eq!(defaults, [Readiness::Connect, Readiness::Connect, Readiness::Running]);
    for (endpoint, ready) in ENDPOINTS.into_iter().zip(defaults) {
        assert!(ready.kind().row().suits(endpoint), "{endpoint}");
    }
}

/// Every refusal names the fault, and all spellings.
#[test]
fn another_text_is_refused_with_all_that_are_known() {
    let missing = "lacks what comes after the `=`";
    let surplus = "has nothing to come after the `=`";
    let no_path = "asks for no path of a request, as `/health`";
    let mut table = vec![
        ("hope", "is no kind of readiness"),
        ("", "is no kind of readiness"),
        ("Connect", "is no kind of readiness"),
        (" connect", "is no kind of readiness"),
        ("=connect", "is no kind of readiness"),
        ("\u{1b}[2J", "is no kind of readiness"),
        ("http", missing),
        ("http=", missing),
        ("line", missing),
        ("line=", missing),
        ("exec", missing),
        ("exec=", missing),
        ("http=health", no_path),
        ("http=http://127.0.0.1/", no_path),
        ("http=/a b", no_path),
        ("http=/\u{e9}", no_path),
        ("http=/a\r\nHost: x", no_path),
    ];
    for text in ["connect=", "connect=1", "handshake=2", "notify=", "listen=3", "running=1s"] {
        table.push((text, surplus));
    }
    for (text, fault) in table {
        let error = text.parse::<Readiness>().unwrap_err();
        let shown = rekindle_core::shown::Shown(text).to_string();
        let expected = format!(
            "`{shown}` {fault}: use connect, http=PATH, handshake, notify, listen, line=REGEX, exec=COMMAND or running"
        );
        assert_eq!(error.to_string(), expected);
        assert!(!error.to_string().contains(['\u{1b}', '\n']));
        let json = serde_json::to_string(text).unwrap();
        assert!(serde_json::from_str::<Readiness>(&json).is_err(), "{text:?}");
    }
}

#[test]
fn a_path_of_a_request_begins_with_a_slash_and_fits_into_a_line() {
    for text in ["/", "/health", "/a?b=c&d=%20#e", "//"] {
        assert_eq!(text.parse::<RequestPath>().unwrap().to_string(), text);
    }
    for text in ["", "health", "/a b", "/\t", "/\u{7f}", "/\u{e9}", "/\n"] {
        let error = text.parse::<RequestPath>().unwrap_err();
        assert_eq!(error.given, text);
        assert!(
            error.to_string().ends_with("begins with `/`, and holds visible ASCII characters only"),
            "{error}"
        );
    }
}

/// If the launcher binds the socket or receives notifications, nobody connects.
#[test]
fn a_kind_that_provides_something_connects_nobody() {
    for row in ReadyKind::ALL.map(ReadyKind::row) {
        assert!(row.provides == Provides::Nothing || row.connects == Connects::Nobody, "{row:?}");
        assert_eq!(row.connects.allows_probes(), row.connects != Connects::Nobody, "{row:?}");
    }
}
