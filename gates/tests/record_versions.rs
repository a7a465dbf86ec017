//! The version matrix of the record: how this binary and an older binary treat a file of each schema (R-7, R-2, T33).
//!
//! | file | read as | written at a later step | written by the next start | an older binary (schema 1) |
//! |---|---|---|---|---|
//! | schema 1 | a record with an outline of the plan | schema 1 | schema 2 | reads and rewrites |
//! | schema 2 | a record with the whole plan | schema 2 | schema 2 | connects to the worker, never rewrites |
//! | schema 2, from before endpoints | the same, with a Unix socket | the same, without `address` | with `address` | the same |
//! | schema 2, with a port or no endpoint | the same | the same | the same | corrupt; never rewrites |
//! | schema 3 | newer: socket, generation and role are read | never | refused | the same |
//! | corrupt, truncated, of another session | corrupt, with the reason | never | refused | the same |
//! | unknown fields in the record | as its schema, and kept | kept | dropped with the start | the same |
//! | unknown fields in the plan | corrupt: a new field comes with a new schema | never | refused | connects |
//!
//! `docs/formats.md` has the matrix for people. The golden files are `golden/record-schema-*.json`.

use rekindle_core::logs::LogMax;
use rekindle_core::plan::{
    Environment, EnvironmentBase, ForeignListener, KillChange, PortChoice, Role, Withheld,
};
use rekindle_core::protocol::Speaking;
use rekindle_core::record::{NewerRecord, RecordFile, RecordedPlan, SCHEMA_VERSION, Written};
use rekindle_core::{
    ChildExit, Endpoint, Generation, KillPolicy, Nonce, Readiness, SessionRecord, SpawnBgPlan,
};
use rekindle_gates::builders::{instant, plan, plan_ending_by, process, session, term_only};
use rekindle_gates::plan_with;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const SCHEMA_1: &str = include_str!("../golden/record-schema-1.json");
/// From before endpoints: without an `address`.
const SCHEMA_2: &str = include_str!("../golden/record-schema-2.json");
const UNIX: &str = include_str!("../golden/record-schema-2-unix.json");
const TCP: &str = include_str!("../golden/record-schema-2-tcp.json");
const NONE: &str = include_str!("../golden/record-schema-2-none.json");
const LINE: &str = include_str!("../golden/record-schema-2-line.json");

/// A condition of each kind.
const CONDITIONS: [&str; 8] =
    ["connect", "http=/a?b=c", "handshake", "notify", "listen", "line=^a=b$", "exec=true", "running"];

fn plan_at(endpoint: &str, ready: &str, args: &[&str]) -> SpawnBgPlan {
    let endpoint = endpoint.parse().expect("an endpoint");
    let new = SpawnBgPlan::new(session(), endpoint, "/srv".into(), args, None);
    let SpawnBgPlan { observe_timeout, kill_policy, .. } = plan();
    plan_with!(new; ready: ready.parse().expect("a condition"), observe_timeout: observe_timeout, kill_policy: kill_policy)
}

/// A plan with a port that the launcher chose.
fn tcp() -> SpawnBgPlan {
    let args = ["/usr/bin/worker", "--port", "{port}"];
    let plan = plan_at("tcp:127.0.0.1:3000", "http=/health", &args);
    plan_with!(plan; port: PortChoice::Launcher, foreign_listener: ForeignListener::Allowed)
}

/// A plan without an endpoint.
fn silent() -> SpawnBgPlan {
    let plan = plan_at("none", "running", &["/usr/bin/worker"]);
    plan_with!(plan; settle: Duration::from_millis(1_500))
}

/// A plan whose worker says when it is ready.
fn spoken() -> SpawnBgPlan {
    plan_at("tcp:127.0.0.1:3000", "line=^ready$", &["/usr/bin/worker"])
}

fn own_socket() -> Endpoint {
    Endpoint::Unix("/run/cache/sock".into())
}

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
    for (schema, golden) in [(1, SCHEMA_1), (2, SCHEMA_2), (2, UNIX), (2, TCP), (2, NONE), (2, LINE)] {
        let record = whole(golden);
        assert_eq!(record.schema_version(), schema);
        assert_eq!(written(&record), golden);
        assert!(record.unknown.is_empty(), "{:?}", record.unknown);
    }
    assert_eq!(SCHEMA_VERSION, 2, "a new schema needs a golden file and a row of the matrix");
}

/// Every endpoint, as this version writes it.
#[test]
fn the_golden_files_are_what_this_version_writes() {
    for (golden, plan) in [(UNIX, plan()), (TCP, tcp()), (NONE, silent())] {
        assert_eq!(written(&started(&plan, 7)), golden);
        assert_eq!(&whole(golden).endpoint(), plan.target());
    }
    // A worker that was asked for one loopback address may listen at the other.
    let other: Endpoint = "tcp:[::1]:3000".parse().expect("an endpoint");
    let ready = started(&spoken(), 7).into_ready(instant(), None).answering_at(Some(other.clone()));
    assert_eq!(written(&ready), LINE);
    let read = whole(LINE);
    assert_eq!(read.endpoint(), other);
    assert_eq!(read.whole_plan().map(SpawnBgPlan::target), Some(spoken().target()));
}

/// A record from before endpoints says nothing about an address: the plan's socket is the endpoint.
#[test]
fn a_record_from_before_endpoints_is_at_its_socket() {
    for golden in [SCHEMA_1, SCHEMA_2] {
        let record = whole(golden);
        assert_eq!((record.endpoint(), record.answered_at.as_ref()), (own_socket(), None));
        for later in later_steps(&record) {
            assert!(!written(&later).contains("address"), "{later:?}");
        }
    }
    let unbounded = plan_with!(plan(); log_max: LogMax::NONE);
    assert_eq!(whole(SCHEMA_2).whole_plan(), Some(&unbounded), "a start from before the bound has none");
    assert_eq!(whole(UNIX).whole_plan(), Some(&plan()));
    assert_eq!(written(&started(&plan(), 7)), UNIX, "the next start writes the address");
}

/// An older binary finds no path in a plan with a port, so it refuses the file, and never takes it for a Unix socket.
#[test]
fn an_older_binary_finds_no_socket_where_there_is_none() {
    for golden in [TCP, NONE, LINE] {
        let json: Value = serde_json::from_str(golden).expect("it is JSON");
        assert_eq!((json.get("socket"), json["plan"].get("expected_socket_path")), (None, None));
    }
}

/// From a newer file, the endpoint is read by its address, and by its socket if there is no address.
#[test]
fn the_endpoint_of_a_newer_record_is_read_in_either_place() {
    let of = |content: Value| {
        let Value::Object(content) = content else { panic!("no object") };
        NewerRecord::new(3, content).endpoint().map(ToString::to_string)
    };
    for (content, endpoint) in [
        (json!({"address": "tcp:127.0.0.1:80"}), Some("tcp:127.0.0.1:80")),
        (json!({"address": "none"}), Some("none")),
        (json!({"address": "unix:/run/a", "socket": "/run/b"}), Some("unix:/run/a")),
        (json!({"address": "quic:127.0.0.1:80", "socket": "/run/b"}), Some("unix:/run/b")),
        (json!({"address": 7}), None),
        (json!({"socket": "/run/b"}), Some("unix:/run/b")),
        (json!({}), None),
    ] {
        assert_eq!(of(content.clone()).as_deref(), endpoint, "{content}");
    }
}

/// Both schemas describe the same start, within the fields of schema 1.
#[test]
fn a_record_of_schema_1_is_read_as_what_schema_2_says() {
    let (one, two) = (whole(SCHEMA_1), whole(SCHEMA_2));
    assert_eq!(one.outline(), two.outline());
    assert!(!one.differs_from(&plan()) && !two.differs_from(&plan()));
    let unbounded = plan_with!(plan(); log_max: LogMax::NONE);
    assert_eq!((one.whole_plan(), two.whole_plan()), (None, Some(&unbounded)));
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
    let by_interrupt = KillChange { signal: "INT".parse().ok(), ..KillChange::default() };
    let environment = |base| Environment { base, set: set.clone().into(), remove: remove.clone() };
    let plans = [
        plan_ending_by(term_only()),
        plan_ending_by(KillPolicy::default()),
        plan_ending_by(KillPolicy::default().changed(&by_interrupt)),
        plan_with!(plan(); env_files: vec!["/srv/.env".into(), "/srv/more.env".into()]),
        plan_at("unix:/run/cache/sock", "connect", &["/usr/bin/worker", "{socket}", "{session}"]),
        plan_with!(plan(); env: environment(EnvironmentBase::Clear)),
        plan_with!(plan(); env: environment(EnvironmentBase::Only(vec!["PATH".into()]))),
        plan_with!(plan(); ready: Readiness::Handshake, speaking: Some(speaking)),
        plan_with!(plan(); prompt: Some("go on".into())),
        plan_with!(plan(); role: Role::PoolWorker),
        plan_with!(plan(); withheld: [Withheld::Prompt].into()),
    ];
    let kinds = CONDITIONS.map(|ready| plan_with!(plan(); ready: ready.parse().expect("a condition")));
    let endpoints = [tcp(), silent(), spoken(), plan_with!(silent(); settle: Duration::ZERO)];
    for plan in plans.into_iter().chain(kinds).chain(endpoints) {
        let record = whole(&written(&started(&plan, 7)));
        assert_eq!(record.whole_plan(), Some(&plan));
        assert_eq!((record.kill_policy(), record.role()), (plan.kill_policy, plan.role));
        assert_eq!((record.readiness(), record.socket()), (&plan.ready, plan.expected_socket_path()));
        assert_eq!(&record.endpoint(), plan.target());
        assert_eq!(record.speak(), plan.speaking.as_ref().map(|speaking| &speaking.version));
    }
}

/// A withheld value is nowhere in the bytes.
#[test]
fn a_withheld_value_is_in_no_record() {
    let mut secret = plan_with!(plan(); prompt: Some("hunter2".into()));
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
    assert_eq!(seen.endpoint(), Some(&own_socket()));
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
        assert_eq!(record.socket(), own_socket().socket());
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
            assert_eq!(newer.endpoint(), Some(&own_socket()));
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
    let edits: [(&str, Edit, &str); 14] = [
        (SCHEMA_2, |json| json["plan"]["session_id"] = json!("other"), "its plan is of session `other`"),
        (SCHEMA_2, |json| drop(json.as_object_mut().map(|it| it.remove("plan"))), "missing field `plan`"),
        (SCHEMA_2, |json| json["schema_version"] = json!(1), "schema 1 has no plan"),
        (SCHEMA_1, |json| json["schema_version"] = json!(2), "missing field `plan`"),
        (SCHEMA_1, |json| json["schema_version"] = json!(0), "schema_version 0"),
        (SCHEMA_1, |json| json["plan"] = json!(null), "invalid type: null"),
        (SCHEMA_1, |json| json["arguments"] = json!("--socket"), "invalid type: string"),
        (SCHEMA_1, |json| json["readiness"] = json!("hope"), "is no kind of readiness"),
        (SCHEMA_1, |json| drop(json.as_object_mut().map(|it| it.remove("cwd"))), "missing field `cwd`"),
        (UNIX, |json| json["address"] = json!("/run/cache/sock"), "is no address"),
        (TCP, |json| json["address"] = json!(3000), "invalid type"),
        (TCP, |json| json["plan"]["port"] = json!("mine"), "unknown variant `mine`"),
        (TCP, |json| json["plan"]["target"] = json!("unix:/run/cache/sock"), "not the path of `target`"),
        (NONE, |json| json["plan"]["ready"] = json!("line"), "lacks what comes after the `=`"),
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
    for golden in [SCHEMA_1, SCHEMA_2, UNIX, TCP, NONE, LINE] {
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
        started(&plan_with!(plan(); session_id: session_id, role: role), 7)
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
