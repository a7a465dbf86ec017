//! The schemas of the verbs. Every other test validates what it gets (`smoke/src/schema.rs`); here each verb answers once,
//! and the validation itself is tried.

use rekindle::json::schemas::SCHEMAS;
use rekindle_smoke::proxy::Proxy;
use rekindle_smoke::{TestEnv, cli, schema, tests, wait};
use serde_json::{Value, json};
use std::os::unix::net::UnixListener;

tests![
    each_schema_is_printed_as_committed,
    a_verb_without_a_schema_is_a_usage_error,
    an_answer_outside_of_its_schema_is_noticed,
    each_outcome_of_up_is_in_the_schema,
    each_verb_answers_in_its_schema,
    an_event_has_a_version,
];

fn each_schema_is_printed_as_committed() {
    let env = TestEnv::new();
    let listed = env.rekindle(["schema"]);
    let names: Vec<&str> = listed.json["schemas"]
        .as_array()
        .expect("it is a list")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert_eq!(names, SCHEMAS.iter().map(|it| it.name).collect::<Vec<_>>(), "{listed}");
    for schema in SCHEMAS {
        let mut people = env.command(env.binary());
        people.args(["schema", schema.name]);
        let text = people.output().expect("the command can be run").stdout;
        // Both texts are long.
        assert!(text == schema.text.as_bytes(), "{}", schema.name);
        let whole: Value = serde_json::from_str(schema.text).expect("a schema is JSON");
        assert!(env.rekindle(["schema", schema.name]).json == whole, "{}", schema.name);
    }
    assert!(!env.state().exists(), "a schema needs no state directory");
}

fn a_verb_without_a_schema_is_a_usage_error() {
    let env = TestEnv::new();
    let reply = env.rekindle(["schema", "nonesuch"]).expect_error(2, "usage");
    assert!(reply.text("message").contains("'nonesuch'"), "{reply}");
}

/// The validation is worthless if it takes anything.
fn an_answer_outside_of_its_schema_is_noticed() {
    let is_taken = |verb: &str, answer: Value| schema::faults(verb, &answer).is_empty();
    let session = |more: &str, value: Value| {
        let mut session = json!({
            "session": "s", "state": "live", "pid": 1, "socket": null, "address": "none", "generation": 1,
            "started_at": null, "exit": null, "exited_at": null, "ended_by": null, "stdout_log": null, "stderr_log": null,
        });
        session[more] = value;
        json!({ "schema_version": 1, "sessions": [session], "left_out": [] })
    };
    assert!(is_taken("ls", session("pid", json!(1))));
    // An unknown field, below the top as well; a value of another type; an unknown word; a field that is missing.
    assert!(!is_taken("ls", session("more", json!(1))));
    assert!(!is_taken("ls", session("pid", json!("1"))));
    assert!(!is_taken("ls", session("state", json!("asleep"))));
    assert!(!is_taken("ls", json!({ "sessions": [], "left_out": [] })));
    assert!(!is_taken("ls", json!({ "schema_version": 2, "sessions": [], "left_out": [] })));
    assert!(!is_taken("ls", json!({ "schema_version": 1, "sessions": [], "left_out": [], "more": [] })));
    assert!(!is_taken("ls", json!([])));
    // The fault is named with its place.
    assert!(schema::faults("ls", &session("more", json!(1))).concat().contains("`/sessions/0`"));
    // A path in bytes is a path; a marker of another program may have any further field, and its neighbour may not.
    assert!(is_taken("ls", session("socket", json!({ "bytes": "2fe9" }))));
    assert!(!is_taken("ls", session("socket", json!({ "bytes": "2fe9", "more": 1 }))));
    let marker = json!({ "schema_version": 1, "pid": 1, "hostname": "h", "started_at": 7, "theirs": [1] });
    let status = |more: &str| json!({ "schema_version": 1, "path": "/m", "status": "held", "why": "x", "holder": marker, more: 1 });
    assert!(!is_taken("lifecycle-status", status("more")));
    let mut whole = status("more");
    whole.as_object_mut().expect("an object").shift_remove("more");
    assert!(is_taken("lifecycle-status", whole));
}

fn each_outcome_of_up_is_in_the_schema() {
    let env = TestEnv::new();
    let worker = [&cli::binary_arg(), "worker"];
    let plan = env.up_with("s", &["--dry-run", "--env", "A=1"], &worker).expect(0, "dry-run");
    assert_eq!(plan.json["schema_version"], 1, "{plan}");
    env.up("s", &worker).expect_running("started");
    env.up("s", &worker).expect_running("attached");
    env.up_with("s", &["--intent", "resume"], &worker).expect_rejected("already-live");
    env.up("x", &["sh", "-c", "echo oh >&2; exit 3"]).expect(5, "child-exited");
    env.up("n", &["no-such-program"]).expect(4, "spawn-start-failed");
    env.rekindle(["up", "s", "--no-such-option"]).expect_error(2, "usage");
    // A socket of ours without a record is attached to, and is not managed.
    let stranger = env.path("stranger");
    let _listener = UnixListener::bind(&stranger).expect("the directory is ours");
    let text = stranger.to_str().expect("a path in UTF-8");
    let attached = env.rekindle(["up", "r", "--intent", "attach", "--socket", text]).expect(0, "attached");
    assert_eq!(
        (&attached.json["managed"], &attached.json["generation"]),
        (&json!(false), &json!(0)),
        "{attached}"
    );
}

fn each_verb_answers_in_its_schema() {
    let env = TestEnv::new();
    let binary = cli::binary_arg();
    env.up("s", &[&binary, "worker"]).expect_running("started");
    let version = |args: &[&str]| {
        let reply = env.rekindle(args);
        assert_eq!(reply.code, Some(0), "{args:?}: {reply}");
        assert_eq!(
            reply.json.as_object().and_then(|fields| fields.keys().next()).map(String::as_str),
            Some("schema_version"),
            "{args:?}: {reply}"
        );
        assert_eq!(reply.json["schema_version"], 1, "{args:?}: {reply}");
        reply
    };
    let marker = env.path("marker").to_str().expect("a path in UTF-8").to_owned();
    let socket = env.socket("s").to_str().expect("a path in UTF-8").to_owned();
    version(&["ls"]);
    version(&["show", "s"]);
    version(&["doctor"]);
    version(&["probe", &socket]);
    version(&["unlock", "s"]);
    version(&["gc", "--dry-run"]);
    let echoed = env.rekindle(["call", "s", r#"{"schema_version":7}"#]);
    assert_eq!(echoed.stdout.trim(), r#"{"schema_version":7}"#, "the worker's own line");
    version(&["stop", "s"]);
    version(&["unlock", "--forget", "s"]);
    version(&["gc", "--all"]);
    version(&["lifecycle", "acquire", "--path", &marker]);
    version(&["lifecycle", "status", "--path", &marker]);
    version(&["lifecycle", "release", "--path", &marker]);
    version(&["lifecycle", "force-unlock", "--path", &marker]);
    let paused = version(&[
        "pool",
        "run",
        "--speak",
        "1",
        "--code",
        "x",
        "--",
        &binary,
        "worker",
        "--protocol",
        "pool",
    ]);
    let sid = paused.text("session_id").to_owned();
    version(&["pool", "ls"]);
    version(&["pool", "status", &sid, "--history"]);
    version(&["pool", "continue", &sid, "--speak", "1", "--response", "y"]);
    version(&["pool", "shutdown", &sid]);
    version(&["pool", "gc"]);
    version(&["schema"]);
    version(&["demo"]);
    env.rekindle(["pool", "status", "nobody"]).expect_error(1, "unknown-session");
    env.rekindle(["show", "nobody"]).expect_error(1, "unknown-session");
}

fn an_event_has_a_version() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &[], &["cat"]);
    proxy.say("line\n");
    assert_eq!(proxy.hear(), "line\n");
    proxy.close_stdin();
    let end = proxy.finish();
    let events = end.events();
    assert!(!events.is_empty() && events.iter().all(|event| event["schema_version"] == 1), "{end:?}");
    wait::until("the program is gone", || env.processes().is_empty());
}
