//! Exits and signals: one spelling in JSON, an older one in the record, and every name of a signal.

use rekindle_core::record::{EndedBy, RecordFile, Written};
use rekindle_core::signal::{InvalidSignal, SignalNumber};
use rekindle_core::{ChildExit, SessionRecord};
use rekindle_gates::builders::{instant, plan, process, session};
use serde_json::{Value, json};

const EXITS: [ChildExit; 5] = [
    ChildExit::Code(0),
    ChildExit::Code(3),
    ChildExit::Signal(15),
    ChildExit::CoreDumped(11),
    ChildExit::Unknown,
];

fn exited(exit: ChildExit) -> SessionRecord {
    let nonce = rekindle_core::Nonce::from_random(1);
    let generation = rekindle_core::Generation::new(7);
    SessionRecord::starting(&plan(), generation, nonce, process(77, 1_000), instant())
        .into_exited(instant(), exit)
}

fn written(record: &SessionRecord) -> Value {
    serde_json::to_value(record).expect("a record is plain data")
}

fn read(json: &Value) -> SessionRecord {
    match RecordFile::read(Some(json.to_string().as_bytes()), Written::ThisBoot, &session()) {
        RecordFile::Whole(record) => *record,
        file => panic!("{json}: {file:?}"),
    }
}

#[test]
fn an_exit_has_one_spelling_in_json() {
    let spelled = EXITS.map(|exit| json!(exit).to_string());
    let expected = [
        r#"{"code":0}"#,
        r#"{"code":3}"#,
        r#"{"signal":"TERM","core":false}"#,
        r#"{"signal":"SEGV","core":true}"#,
        "null",
    ];
    assert_eq!(spelled, expected);
    for (text, exit) in expected.iter().zip(EXITS) {
        assert_eq!(serde_json::from_str::<ChildExit>(text).expect("it is an exit"), exit);
    }
    assert_eq!(json!(ChildExit::Signal(40)), json!({ "signal": "40", "core": false }));
    assert_eq!(
        json!(ChildExit::Signal(99)),
        json!({ "signal": "99", "core": false }),
        "no signal has the number"
    );
}

/// The forms that older versions wrote.
#[test]
fn an_exit_of_an_older_version_is_read() {
    for (old, exit) in [
        (json!({ "code": 3 }), ChildExit::Code(3)),
        (json!({ "signal": 15 }), ChildExit::Signal(15)),
        (json!("unknown"), ChildExit::Unknown),
    ] {
        assert_eq!(serde_json::from_value::<ChildExit>(old).expect("it is an exit"), exit);
    }
    for wrong in [json!("gone"), json!({}), json!({ "signal": "TREM" }), json!(3)] {
        assert!(serde_json::from_value::<ChildExit>(wrong.clone()).is_err(), "{wrong}");
    }
}

/// An older version takes any other value of `exit` and `ended_by` for a corrupt record, and keeps unknown fields.
#[test]
fn a_record_spells_an_exit_as_an_older_version_does() {
    let fields = |exit, by| {
        let json = written(&exited(exit).ended_by(by));
        ["exit", "core_dumped", "ended_by", "start_ended_by"].map(|field| json.get(field).cloned())
    };
    let (worker, stop) = (Some(json!("worker")), Some(json!("stop")));
    assert_eq!(fields(EXITS[1], EndedBy::Worker), [Some(json!({ "code": 3 })), None, worker.clone(), None]);
    assert_eq!(fields(EXITS[2], EndedBy::Stop), [Some(json!({ "signal": 15 })), None, stop, None]);
    assert_eq!(
        fields(EXITS[3], EndedBy::Worker),
        [Some(json!({ "signal": 11 })), Some(json!(true)), worker, None]
    );
    for (by, word) in [(EndedBy::Timeout, "timeout"), (EndedBy::WatchFailed, "watch-failed")] {
        assert_eq!(fields(EXITS[4], by), [Some(json!("unknown")), None, None, Some(json!(word))]);
        assert_eq!(by.word(), word);
    }
}

#[test]
fn every_end_survives_its_record() {
    for exit in EXITS {
        for by in [EndedBy::Worker, EndedBy::Stop, EndedBy::Timeout, EndedBy::WatchFailed] {
            let record = exited(exit).ended_by(by);
            assert_eq!(read(&written(&record)), record);
            assert_eq!(json!(by), json!(by.word()));
        }
        assert_eq!(read(&written(&exited(exit))), exited(exit));
    }
    let never = exited(ChildExit::Unknown).into_never_started(instant());
    assert_eq!(read(&written(&never)), never);
}

/// What is learned later takes the place of what was unknown, and never of what was known.
#[test]
fn a_learned_exit_is_added_once() {
    let (unknown, known) = (exited(ChildExit::Unknown).ended_by(EndedBy::Worker), ChildExit::CoreDumped(11));
    assert!(unknown.lacks_end(known) && !unknown.lacks_end(ChildExit::Unknown));
    let learned = unknown.clone().after_end(instant(), known, EndedBy::Worker).expect("something is learned");
    assert_eq!((learned.exit, learned.ended_by), (Some(known), Some(EndedBy::Worker)));
    assert!(!learned.lacks_end(ChildExit::Code(1)));
    assert_eq!(learned.clone().after_end(instant(), ChildExit::Code(1), EndedBy::Worker), None);
    let stopped =
        learned.after_end(instant(), ChildExit::Code(1), EndedBy::Stop).expect("the stop corrects it");
    assert_eq!((stopped.exit, stopped.ended_by), (Some(known), Some(EndedBy::Stop)));
    let both = unknown.after_end(instant(), known, EndedBy::Stop).expect("both are learned");
    assert_eq!((both.exit, both.ended_by), (Some(known), Some(EndedBy::Stop)));
    let given_up = exited(known).ended_by(EndedBy::Timeout);
    for by in [EndedBy::Worker, EndedBy::Stop, EndedBy::Timeout] {
        assert_eq!(given_up.clone().after_end(instant(), known, by), None, "its launcher knows best");
    }
    let never = exited(known).into_never_started(instant());
    assert!(!never.lacks_end(known), "no process, no exit");
}

#[test]
fn an_exit_has_parts() {
    assert_eq!(EXITS.map(ChildExit::code), [Some(0), Some(3), None, None, None]);
    assert_eq!(EXITS.map(ChildExit::signal), [None, None, Some(15), Some(11), None]);
    assert_eq!(EXITS.map(ChildExit::is_known), [true, true, true, true, false]);
    assert_eq!(ChildExit::CoreDumped(11).to_string(), "was ended by signal 11 (core dumped)");
}

#[test]
fn a_signal_is_known_by_name_and_by_number() {
    for (text, number, name) in [
        ("TERM", 15, "TERM"),
        ("sigterm", 15, "TERM"),
        ("SIGKILL", 9, "KILL"),
        ("1", 1, "HUP"),
        ("usr2", 12, "USR2"),
        ("31", 31, "SYS"),
        ("34", 34, "34"),
        ("64", 64, "64"),
    ] {
        let signal: SignalNumber = text.parse().expect("it is a signal");
        assert_eq!((signal.as_raw(), signal.to_string().as_str()), (number, name), "{text}");
        assert_eq!(json!(signal), json!(name));
    }
    for wrong in ["", "0", "65", "-1", "TREM", "SIGSIGTERM", "SIG", "TERM ", "9.0"] {
        assert_eq!(wrong.parse::<SignalNumber>(), Err(InvalidSignal), "{wrong:?}");
    }
    assert_eq!((SignalNumber::TERM.as_raw(), SignalNumber::KILL.as_raw()), (15, 9));
    assert_eq!((SignalNumber::new(0), SignalNumber::new(65)), (None, None));
    // Each name is its own number's.
    for number in 1..=64 {
        let signal = SignalNumber::new(number).expect("it is a signal");
        assert_eq!(signal.to_string().parse(), Ok(signal));
    }
}
