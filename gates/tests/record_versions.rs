//! The version matrix of the record: how this binary and an older binary treat a file of each schema (R-7, R-2, T33).
//!
//! | file | read as | written at a later step | written by the next start | an older binary (schema 1) |
//! |---|---|---|---|---|
//! | schema 1 | a record with an outline of the plan | schema 1 | schema 2 | reads and rewrites |
//! | schema 2 | a record with the whole plan | schema 2 | schema 2 | connects to the worker, never rewrites |
//! | schema 3 | newer: socket, generation and role are read | never | refused | the same |
//! | corrupt, truncated, of another session | corrupt, with the reason | never | refused | the same |
//! | unknown fields in the record | as its schema, and kept | kept | dropped with the start | the same |
//! | unknown fields in the plan | corrupt: a new field comes with a new schema | never | refused | connects |
//!
//! `docs/formats.md` has the matrix for people. The golden files are `golden/record-schema-*.json`.

use rekindle_core::plan::{Environment, EnvironmentBase, ReadyKind, Role, Withheld};
use rekindle_core::protocol::Speaking;
use rekindle_core::record::{NewerRecord, RecordFile, RecordedPlan, SCHEMA_VERSION, Written};
use rekindle_core::{ChildExit, Generation, KillPolicy, Nonce, SessionRecord, SpawnBgPlan};
use rekindle_gates::builders::{instant, plan, plan_ending_by, process, session, term_only};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const SCHEMA_1: &str = include_str!("../golden/record-schema-1.json");
const SCHEMA_2: &str = include_str!("../golden/record-schema-2.json");

fn read(content: &str) -> RecordFile {
    RecordFile::read(Some(content.as_bytes()), Written::ThisBoot, &session())
}

fn whole(content: &str) -> SessionRecord {
    match read(content) {
        RecordFile::Whole(record) => *record,
        file => panic!("{content}: {file:?}"),
    }
}

fn newer(content: &str) -> NewerRecord {
    match read(content) {
        RecordFile::Newer(newer) => newer,
        file => panic!("{content}: {file:?}"),
    }
}

fn corrupt(content: &str) -> String {
    match read(content) {
        RecordFile::Corrupt { why } => why,
        file => panic!("{content}: {file:?}"),
    }
}

fn edited(content: &str, edit: impl FnOnce(&mut Value)) -> String {
    let mut json: Value = serde_json::from_str(content).expect("a golden file is JSON");
    edit(&mut json);
    json.to_string()
}

fn written(record: &SessionRecord) -> String {
    serde_json::to_string_pretty(record).expect("a record is plain data") + "\n"
}

fn started(plan: &SpawnBgPlan, generation: u64) -> SessionRecord {
    let nonce = Nonce::from_random(0x5e55);
    SessionRecord::starting(plan, Generation::new(generation), nonce, process(77, 1_000), instant())
}

/// Every possible change of a record before the next start.
fn later_steps(record: &SessionRecord) -> Vec<SessionRecord> {
    let name = "s-1".parse().expect("a name");
    vec![
        record.clone().into_ready(instant(), Some(process(9, 5))),
        record.clone().into_exited(instant(), ChildExit::Code(0)),
        record.clone().into_never_started(instant()),
        record.clone().into_retained(),
        record.clone().into_fed(None, name),
    ]
}

#[test]
fn the_golden_files_are_written_as_they_were_read() {
    for (schema, golden) in [(1, SCHEMA_1), (2, SCHEMA_2)] {
        let record = whole(golden);
        assert_eq!(record.schema_version(), schema);
        assert_eq!(written(&record), golden);
        assert!(record.unknown.is_empty(), "{:?}", record.unknown);
    }
    assert_eq!(SCHEMA_VERSION, 2, "a new schema needs a golden file and a row of the matrix");
}

/// Both schemas describe the same start, within the fields of schema 1.
#[test]
fn a_record_of_schema_1_is_read_as_what_schema_2_says() {
    let (one, two) = (whole(SCHEMA_1), whole(SCHEMA_2));
    assert_eq!(one.outline(), two.outline());
    assert!(!one.differs_from(&plan()) && !two.differs_from(&plan()));
    assert_eq!((one.whole_plan(), two.whole_plan()), (None, Some(&plan())));
    assert_eq!(one.kill_policy(), KillPolicy::default(), "schema 1 does not say");
    assert_eq!(SessionRecord { plan: one.plan.clone(), ..two.clone() }, one);
}

/// A record of schema 1 cannot become schema 2: the rest of the plan is unknown. The next start writes schema 2.
#[test]
fn a_schema_stays_until_the_next_start() {
    for (schema, golden) in [(1, SCHEMA_1), (2, SCHEMA_2)] {
        for record in later_steps(&whole(golden)) {
            let json: Value = serde_json::from_str(&written(&record)).expect("it is JSON");
            assert_eq!(json["schema_version"], schema, "{json}");
            assert_eq!(whole(&written(&record)), record);
            for field in ["program", "arguments", "readiness"] {
                assert_eq!(json.get(field).is_some(), schema == 1, "{field} of schema {schema}");
            }
            assert_eq!(json.get("plan").is_some(), schema == 2, "the plan of schema {schema}");
        }
    }
    let next = written(&started(&plan(), 8));
    assert_eq!(whole(&next).schema_version(), 2);
}

/// Replaying a record starts the worker as before: every choice is restored.
#[test]
fn every_choice_of_a_plan_comes_back() {
    let speaking = Speaking::exactly("2".parse().expect("a version"));
    let set = [("LEVEL".to_owned(), "3".into())];
    let remove = BTreeSet::from(["EDITOR".to_owned()]);
    let environment = |base| Environment { base, set: set.clone().into(), remove: remove.clone() };
    let plans = [
        plan_ending_by(term_only()),
        plan_ending_by(KillPolicy::default()),
        SpawnBgPlan { env: environment(EnvironmentBase::Clear), ..plan() },
        SpawnBgPlan { env: environment(EnvironmentBase::Only(vec!["PATH".into()])), ..plan() },
        SpawnBgPlan { ready: ReadyKind::Handshake, speaking: Some(speaking), ..plan() },
        SpawnBgPlan { prompt: Some("go on".into()), ..plan() },
        SpawnBgPlan { role: Role::PoolWorker, ..plan() },
        SpawnBgPlan { withheld: [Withheld::Prompt].into(), ..plan() },
    ];
    let kinds = ReadyKind::ALL.map(|ready| SpawnBgPlan { ready, ..plan() });
    for plan in plans.into_iter().chain(kinds) {
        let record = whole(&written(&started(&plan, 7)));
        assert_eq!(record.whole_plan(), Some(&plan));
        assert_eq!((record.kill_policy(), record.role()), (plan.kill_policy, plan.role));
        assert_eq!((record.readiness(), record.socket()), (plan.ready, plan.expected_socket_path.as_path()));
        assert_eq!(record.speak(), plan.speaking.as_ref().map(|speaking| &speaking.version));
    }
}

/// A withheld value is nowhere in the bytes.
#[test]
fn a_withheld_value_is_in_no_record() {
    let mut secret = SpawnBgPlan { prompt: Some("hunter2".into()), ..plan() };
    secret.env.set.insert("REKINDLE_PROMPT".into(), "hunter2".into());
    secret.withheld = [Withheld::Prompt, Withheld::Variable("REKINDLE_PROMPT".into())].into();
    let bytes = written(&started(&secret, 7));
    assert!(!bytes.contains("hunter2"), "{bytes}");
    assert_eq!(whole(&bytes).whole_plan().map(|plan| &plan.withheld), Some(&secret.withheld));
}

/// An older binary knows only schema 1. From a newer file an older binary reads three fields, so these fields keep
/// their places.
#[test]
fn an_older_binary_can_connect_to_the_worker_of_a_newer_record() {
    let Value::Object(content) = serde_json::from_str(SCHEMA_2).expect("it is JSON") else {
        panic!("no object")
    };
    let seen = NewerRecord::new(2, content);
    assert_eq!(seen.socket(), Some(Path::new("/run/cache/sock")));
    assert_eq!(seen.generation(), Some(Generation::new(7)));
    let json: Value = serde_json::from_str(SCHEMA_2).expect("it is JSON");
    assert_eq!(json["socket"], json["plan"]["expected_socket_path"]);
    assert_eq!(json["session"], "cache");
}

/// The plan is the only source of the socket: the copy for older binaries is not read.
#[test]
fn the_copy_of_the_socket_is_not_read() {
    for copy in [json!("/run/elsewhere"), json!(7)] {
        let record = whole(&edited(SCHEMA_2, |json| json["socket"] = copy));
        assert_eq!(record.socket(), Path::new("/run/cache/sock"));
        assert_eq!(written(&record), SCHEMA_2);
    }
}

#[test]
fn a_later_schema_is_newer_whatever_it_holds() {
    for golden in [SCHEMA_1, SCHEMA_2] {
        for schema in [3, 99, u32::MAX] {
            let content = edited(golden, |json| json["schema_version"] = json!(schema));
            let newer = newer(&content);
            assert_eq!(newer.schema_version, schema);
            assert_eq!(newer.socket(), Some(Path::new("/run/cache/sock")));
            assert_eq!(Value::Object(newer.content).to_string(), content, "kept as it stands");
        }
    }
    let with_plan =
        |plan: Value| newer(&json!({"schema_version": 3, "session": "cache", "plan": plan}).to_string());
    assert_eq!(with_plan(json!({"role": "pool-worker", "later": 1})).role(), Some(Role::PoolWorker));
    assert_eq!(with_plan(json!({})).role(), Some(Role::Service));
    assert_eq!(with_plan(json!({"role": "keeper"})).role(), None);
    assert_eq!(with_plan(json!([])).role(), None);
}

/// No version writes such files: a field of the schema is missing, or a field of another schema is present.
#[test]
fn a_file_that_is_no_record_of_its_schema_is_corrupt() {
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit, &str); 9] = [
        (SCHEMA_2, |json| json["plan"]["session_id"] = json!("other"), "its plan is of session `other`"),
        (SCHEMA_2, |json| drop(json.as_object_mut().map(|it| it.remove("plan"))), "missing field `plan`"),
        (SCHEMA_2, |json| json["schema_version"] = json!(1), "schema 1 has no plan"),
        (SCHEMA_1, |json| json["schema_version"] = json!(2), "missing field `plan`"),
        (SCHEMA_1, |json| json["schema_version"] = json!(0), "schema_version 0"),
        (SCHEMA_1, |json| json["plan"] = json!(null), "invalid type: null"),
        (SCHEMA_1, |json| json["arguments"] = json!("--socket"), "invalid type: string"),
        (SCHEMA_1, |json| json["readiness"] = json!("hope"), "unknown variant `hope`"),
        (SCHEMA_1, |json| drop(json.as_object_mut().map(|it| it.remove("cwd"))), "missing field `cwd`"),
    ];
    for (golden, edit, expected) in edits {
        let why = corrupt(&edited(golden, edit));
        assert!(why.contains(expected), "{why}");
    }
    for field in ["\"plan\": {}", "\"schema_version\": 2"] {
        corrupt(&SCHEMA_2.replacen('{', &format!("{{{field},"), 1));
    }
}

#[test]
fn a_truncated_file_is_corrupt() {
    for golden in [SCHEMA_1, SCHEMA_2] {
        let end = golden.trim_end().len();
        (1..end).for_each(|cut| drop(corrupt(&golden[..cut])));
    }
}

/// Unknown fields of the record survive every rewrite. Unknown fields of the plan are refused, since this version does
/// not know their meaning.
#[test]
fn unknown_fields_are_kept_in_the_record_and_refused_in_the_plan() {
    for golden in [SCHEMA_1, SCHEMA_2] {
        let content = edited(golden, |json| json["later"] = json!({"deep": [1, null]}));
        for record in later_steps(&whole(&content)) {
            let json: Value = serde_json::from_str(&written(&record)).expect("it is JSON");
            assert_eq!(json["later"], json!({"deep": [1, null]}));
        }
    }
    let why = corrupt(&edited(SCHEMA_2, |json| json["plan"]["later"] = json!(1)));
    assert!(why.contains("unknown field `later`"), "{why}");
}

/// The first write of a record includes the role. Without a role in schema 1, the session's name decides.
#[test]
fn a_pools_worker_is_known_by_its_record() {
    let of = |name: &str, role| {
        let session_id = name.parse().expect("a session");
        started(&SpawnBgPlan { session_id, role, ..plan() }, 7)
    };
    let generated = "p-1886caf21c963200-0000000000000abc";
    for name in ["cache", generated] {
        for role in [Role::Service, Role::PoolWorker] {
            let record = of(name, role);
            assert_eq!(record.role(), role, "{name}");
            let outline = SessionRecord { plan: RecordedPlan::Outline(record.outline()), ..record };
            let by_name = if name == generated { Role::PoolWorker } else { Role::Service };
            assert_eq!(outline.role(), by_name, "{name}");
        }
    }
}
