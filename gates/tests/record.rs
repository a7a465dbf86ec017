//! The record of a session: exact JSON, and the reading of damaged, newer and foreign records (R-2, R-7, T12).

use proptest::prelude::*;
use rekindle_core::protocol::{Version, WorkerName};
use rekindle_core::record::{EndedBy, RecordFile, SCHEMA_VERSION, SocketFile, Written};
use rekindle_core::{ChildExit, Endpoint, Generation, Lifeline, Nonce, RecordState, SessionRecord};
use rekindle_gates::builders::{self, instant, plan, process, session, session_named};
use rekindle_gates::{plan_with, property};
use serde_json::{Value, json};
use std::time::Duration;

/// The documented format, of a start that has not got a process yet.
const STARTING_JSON: &str = include_str!("../golden/record-schema-2-unix.json");

fn starting() -> SessionRecord {
    let nonce = Nonce::from_random(0x5e55);
    SessionRecord::starting(&plan(), Generation::new(7), nonce, process(77, 1_000), instant())
}

fn bytes(record: &SessionRecord) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record is plain data")
}

fn read(content: &[u8]) -> RecordFile {
    RecordFile::read(Some(content), Written::ThisBoot, &session())
}

fn whole(record: SessionRecord) -> RecordFile {
    RecordFile::Whole(Box::new(record))
}

fn is_corrupt(file: &RecordFile) -> bool {
    matches!(file, RecordFile::Corrupt { .. })
}

#[test]
fn the_json_of_a_record_is_the_documented_one() {
    assert_eq!(serde_json::to_string_pretty(&starting()).unwrap() + "\n", STARTING_JSON);
    assert_eq!(read(STARTING_JSON.as_bytes()), whole(starting()));
}

#[test]
fn the_json_of_states_and_exits_is_the_documented_one() {
    let ready = starting().into_ready(instant(), Some(process(9, 5)));
    let json = serde_json::to_value(&ready).unwrap();
    assert_eq!((&json["state"], &json["ready_at"]), (&json!("ready"), &json!("2026-01-02T03:04:05Z")));
    assert_eq!(json["peer"]["pid"], 9);
    let exits = [
        (ChildExit::Code(3), json!({"code": 3})),
        (ChildExit::Signal(9), json!({"signal": 9})),
        (ChildExit::Unknown, json!("unknown")),
    ];
    for (exit, written) in exits {
        let json = serde_json::to_value(starting().into_exited(instant(), exit)).unwrap();
        assert_eq!((&json["state"], &json["exit"]), (&json!("exited"), &written));
        assert_eq!(json["exited_at"], "2026-01-02T03:04:05Z");
    }
    assert_eq!(serde_json::to_value(starting().into_retained()).unwrap()["state"], "retained");
}

/// A transition keeps all known facts of a start; the first time of readiness is written once.
#[test]
fn a_record_that_moves_on_loses_nothing() {
    let later = instant() + std::time::Duration::from_secs(60);
    let ready = starting().into_ready(instant(), Some(process(9, 5)));
    assert!(!starting().start_observed() && ready.start_observed());
    let again = ready.clone().into_ready(later, None);
    assert_eq!((again.ready_at, again.peer), (Some(instant()), Some(process(9, 5))));
    let other_peer = ready.clone().into_ready(later, Some(process(10, 6)));
    assert_eq!(other_peer.peer, Some(process(10, 6)));
    let exited = ready.into_exited(later, ChildExit::Code(0));
    assert_eq!(
        (exited.state, exited.ready_at, exited.exited_at),
        (RecordState::Exited, Some(instant()), Some(later))
    );
    assert!(exited.start_observed(), "an exit does not unmake the observation before it");
    assert_eq!(starting().into_retained().nonce, starting().nonce);
    let never = starting().into_never_started(later);
    assert_eq!((never.state, never.exited_at, never.exit), (RecordState::Exited, Some(later), None));
    assert!(!never.start_observed(), "what never ran was never observed");
}

/// A stopped run may be removed; a failed run may still be examined.
#[test]
fn a_run_that_failed_is_told_from_one_that_was_stopped() {
    let ready = || starting().into_ready(instant(), None);
    let ended = |by, exit| ready().into_exited(instant(), exit).ended_by(by);
    let stopped = [
        starting().into_exited(instant(), ChildExit::Signal(15)).ended_by(EndedBy::Stop),
        ended(EndedBy::Stop, ChildExit::Signal(9)),
        ended(EndedBy::Worker, ChildExit::Code(0)),
        // Written by a version without `ended_by`.
        ready().into_exited(instant(), ChildExit::Unknown),
    ];
    let failed = [
        starting(),
        starting().into_retained(),
        starting().into_never_started(instant()),
        starting().into_exited(instant(), ChildExit::Code(0)),
        ready(),
        ended(EndedBy::Worker, ChildExit::Code(1)),
        ended(EndedBy::Worker, ChildExit::Unknown),
    ];
    stopped.iter().for_each(|record| assert_eq!(record.failure(), None, "{record:?}"));
    failed.iter().for_each(|record| assert!(record.failure().is_some(), "{record:?}"));
    assert_eq!(serde_json::to_value(&stopped[0]).unwrap()["ended_by"], "stop");
    assert!(serde_json::to_value(ready()).unwrap().get("ended_by").is_none());
}

#[test]
fn every_record_survives_its_json() {
    let records = [
        starting(),
        SessionRecord {
            worker: Some(process(42, 9)),
            worker_version: Some("1".parse().unwrap()),
            ..starting()
        },
        starting().into_ready(instant(), None),
        starting().into_exited(instant(), ChildExit::Unknown),
        starting().into_retained(),
    ];
    for record in records {
        assert_eq!(read(&bytes(&record)), whole(record));
    }
}

/// R-7: fields from a later version of the same schema survive a rewrite by this version.
#[test]
fn unknown_fields_survive_a_rewrite() {
    let mut json = serde_json::to_value(starting()).unwrap();
    json["opaque_name"] = json!("s-1");
    json["later"] = json!({"deep": [1, null, {"x": "\u{1b}"}]});
    let RecordFile::Whole(record) = read(json.to_string().as_bytes()) else {
        panic!("an unknown field does not make a record corrupt")
    };
    let rewritten = serde_json::to_value(record.into_ready(instant(), None)).unwrap();
    assert_eq!(rewritten["opaque_name"], json["opaque_name"]);
    assert_eq!(rewritten["later"], json["later"]);
}

/// R-7, `record-newer`: shown and attached to, never parsed by our rules and so never rewritten.
#[test]
fn a_newer_schema_is_kept_as_it_stands() {
    let content = json!({
        "schema_version": SCHEMA_VERSION + 1, "session": "cache", "state": "hibernating",
        "socket": "/run/cache/sock", "generation": 9, "worker": 12
    });
    let RecordFile::Newer(newer) = read(content.to_string().as_bytes()) else {
        panic!("a newer record is neither ours nor corrupt")
    };
    assert_eq!(newer.schema_version, SCHEMA_VERSION + 1);
    assert_eq!(newer.endpoint(), Some(&Endpoint::Unix("/run/cache/sock".into())));
    assert_eq!(newer.generation(), Some(Generation::new(9)));
    assert_eq!(Value::Object(newer.content), content);
}

/// R-7: a newer record is not ours to rewrite, even if readable by our rules.
#[test]
fn a_newer_schema_of_the_same_fields_is_not_ours() {
    let mut json = serde_json::to_value(starting()).unwrap();
    json["schema_version"] = json!(SCHEMA_VERSION + 1);
    assert!(matches!(read(json.to_string().as_bytes()), RecordFile::Newer(_)));
}

/// A repeated known field is corrupt; of a repeated unknown field the last value is kept, as in every JSON object.
#[test]
fn a_field_that_is_there_twice_is_corrupt() {
    let twice = |field: &str| STARTING_JSON.replacen('{', &format!("{{{field},"), 1);
    assert!(is_corrupt(&read(twice("\"generation\": 7").as_bytes())));
    let RecordFile::Whole(record) = read(twice("\"later\": 1, \"later\": 2").as_bytes()) else {
        panic!("an unknown field does not make a record corrupt")
    };
    assert_eq!(record.unknown["later"], 2);
}

#[test]
fn a_schema_that_cannot_be_told_is_corrupt() {
    for version in [json!(null), json!("1"), json!(-1), json!(1.5), json!(u64::MAX), json!([1])] {
        let mut json = serde_json::to_value(starting()).unwrap();
        json["schema_version"] = version.clone();
        assert!(is_corrupt(&read(json.to_string().as_bytes())), "schema_version {version}");
    }
    for content in ["[]", "null", "1", "\"{}\"", "{}", "{}{}", " "] {
        assert!(is_corrupt(&read(content.as_bytes())), "{content}");
    }
}

#[test]
fn a_missing_or_senseless_field_is_corrupt() {
    let changes = [
        ("session", json!("../cache")),
        ("generation", json!(-1)),
        ("nonce", json!("short")),
        ("state", json!("hibernating")),
        ("worker", json!({"pid": 0})),
        ("launcher", json!(null)),
        ("plan", json!(null)),
        ("plan", json!({})),
        ("started_at", json!("yesterday")),
        ("exit", json!({"code": "3"})),
    ];
    for (field, senseless) in changes {
        let mut json = serde_json::to_value(starting()).unwrap();
        json[field] = senseless;
        assert!(is_corrupt(&read(json.to_string().as_bytes())), "{json}");
    }
}

/// A record counts for its own session only.
#[test]
fn a_record_of_another_session_is_corrupt_and_names_it() {
    let file = RecordFile::read(Some(&bytes(&starting())), Written::ThisBoot, &session_named("other"));
    let RecordFile::Corrupt { why } = file else { panic!("{file:?}") };
    assert!(why.contains("`cache`"), "{why}");
}

/// A record of a later schema has to name our session too.
#[test]
fn a_newer_record_of_another_session_is_corrupt() {
    for (named, why) in
        [(json!("other"), "`other`"), (json!(7), "names no session"), (json!(null), "names no session")]
    {
        let mut json = serde_json::to_value(starting()).unwrap();
        json["schema_version"] = json!(SCHEMA_VERSION + 1);
        json["session"] = named;
        let file = read(json.to_string().as_bytes());
        let RecordFile::Corrupt { why: said } = file else { panic!("{file:?}") };
        assert!(said.contains(why), "{said}");
    }
}

/// An empty record older than the boot was lost in a power cut; any other empty record is corrupt.
#[test]
fn an_empty_record_is_absent_only_if_it_is_older_than_the_boot() {
    let empty = |written| RecordFile::read(Some(b""), written, &session());
    assert_eq!(empty(Written::BeforeThisBoot), RecordFile::Absent);
    assert!(is_corrupt(&empty(Written::ThisBoot)));
    for written in [Written::ThisBoot, Written::BeforeThisBoot] {
        assert_eq!(RecordFile::read(None, written, &session()), RecordFile::Absent);
        assert!(is_corrupt(&RecordFile::read(Some(b"\0\0\0"), written, &session())));
    }
}

/// T12, R-2: a record truncated at any byte is corrupt; never absent, never another record.
#[test]
fn a_record_cut_off_at_any_byte_is_corrupt() {
    let content = bytes(&starting().into_ready(instant(), Some(process(9, 5))));
    for written in [Written::ThisBoot, Written::BeforeThisBoot] {
        for cut in 1..content.len() {
            let file = RecordFile::read(Some(&content[..cut]), written, &session());
            assert!(is_corrupt(&file), "cut off after {cut} bytes: {file:?}");
        }
    }
}

/// R-2: no bytes make a file absent, and none make reading panic.
#[test]
fn arbitrary_bytes_are_never_absent() {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..200),
        edits.prop_map(|edits| {
            let mut content = bytes(&starting());
            edits.into_iter().for_each(|(at, byte)| *at.get_mut(&mut content) ^= byte);
            content
        })
    ];
    property!("record", arbitrary_bytes_are_never_absent).check(&content, |content| {
        let file = RecordFile::read(Some(&content), Written::BeforeThisBoot, &session());
        prop_assert!(file != RecordFile::Absent);
        if let RecordFile::Whole(record) = file {
            prop_assert_eq!(&record.session, &session());
            prop_assert_eq!(read(&bytes(&record)), RecordFile::Whole(record));
        }
        Ok(())
    });
}

#[test]
fn another_program_is_told_apart() {
    assert!(!starting().differs_from(&plan()));
    let with =
        |args: &[&str]| plan_with!(builders::plan(); launch_args: args.iter().map(Into::into).collect());
    assert!(starting().differs_from(&with(&["/usr/bin/other", "--socket", "/run/cache/sock"])));
    assert!(starting().differs_from(&with(&["/usr/bin/worker", "--socket"])));
    assert!(starting().differs_from(&with(&["/usr/bin/worker", "--socket", "/run/cache/sock", "-v"])));
    assert!(starting().differs_from(&with(&[])));
}

#[test]
fn what_is_no_record_is_refused_with_what_was_expected() {
    let why = serde_json::from_str::<SessionRecord>("3").unwrap_err().to_string();
    assert!(why.starts_with("invalid type: integer `3`, expected struct SessionRecord"), "{why}");
}

/// The end of a worker is recorded once; only an overtaken stop may add its part to an end found by another launcher.
#[test]
fn an_end_is_written_once_and_by_whom() {
    use EndedBy::{Stop, Worker};
    let exit = ChildExit::Code(3);
    let exited = |by| SessionRecord { ended_by: by, ..starting().into_exited(instant(), exit) };
    for state in [RecordState::Starting, RecordState::Ready, RecordState::Retained] {
        for by in [Stop, Worker] {
            let ended = SessionRecord { state, ..starting() }.after_end(instant(), exit, by);
            assert_eq!(ended, Some(exited(Some(by))), "{state:?}, {by:?}");
        }
    }
    for before in [None, Some(Stop), Some(Worker)] {
        let after = (before == Some(Worker)).then(|| exited(Some(Stop)));
        assert_eq!(exited(before).after_end(instant(), exit, Stop), after, "{before:?}");
        assert_eq!(exited(before).after_end(instant(), exit, Worker), None, "{before:?}");
    }
}

/// Later facts are added, and facts not seen again are kept.
#[test]
fn a_record_keeps_what_is_not_said_again() {
    let version = |text: &str| Some(text.parse::<Version>().unwrap());
    let file = Some(SocketFile { device: 1, inode: 2 });
    let ready = starting().into_ready(instant(), Some(process(78, 1_001))).guarded_by(Lifeline::Held, file);
    assert_eq!((ready.lifeline_held_when_ready, ready.socket_file), (Some(true), file));
    let again = ready.clone().guarded_by(Lifeline::Free, None);
    assert_eq!((again.lifeline_held_when_ready, again.socket_file), (Some(false), file));
    let peer = ready.peer.clone();
    let later = ready.into_ready(instant() + Duration::from_secs(1), None);
    assert_eq!((later.ready_at, later.peer), (Some(instant()), peer));
    let reported = starting().reporting(version("1.2"));
    assert_eq!(reported.worker_version, version("1.2"));
    assert_eq!(reported.clone().reporting(None).worker_version, version("1.2"));
    let name: WorkerName = "here".parse().unwrap();
    let fed = reported.clone().into_fed(None, name.clone());
    assert_eq!((fed.worker_version, fed.worker_name), (version("1.2"), Some(name.clone())));
    assert_eq!(reported.into_fed(version("2"), name).worker_version, version("2"));
    assert_eq!(starting().into_retained().state, RecordState::Retained);
}

#[test]
fn a_start_that_never_came_to_a_process_has_no_exit() {
    let guessed = SessionRecord { exit: Some(ChildExit::Unknown), ..starting() };
    let never = guessed.into_never_started(instant());
    assert_eq!((never.state, never.exited_at, never.exit), (RecordState::Exited, Some(instant()), None));
}

/// serde quotes unreadable text, and the quote may steer a terminal.
#[test]
fn what_makes_a_record_unreadable_is_said_and_shown_escaped() {
    let why = |content: &str| match read(content.as_bytes()) {
        RecordFile::Corrupt { why } => why,
        file => panic!("{content}: {file:?}"),
    };
    assert!(why("{").starts_with("EOF while parsing an object"), "{}", why("{"));
    let mut record = serde_json::to_value(starting()).unwrap();
    record["state"] = json!("\u{1b}[2J");
    let said = why(&record.to_string());
    assert!(said.starts_with(r"unknown variant `\u{1b}[2J`, expected one of `starting`"), "{said}");
}
