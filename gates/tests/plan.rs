//! The plan as data: exact JSON, placeholders, and bounds.

use proptest::prelude::*;
use rekindle_core::byte_text::from_bytes;
use rekindle_core::plan::{
    Environment, EnvironmentBase, ForeignListener, PortChoice, Role, SETTLE_DEFAULT, Withheld,
};
use rekindle_core::protocol::Speaking;
use rekindle_core::{Endpoint, KillPolicy, Readiness, ReleasePolicy, SpawnBgPlan, StopSignal};
use rekindle_gates::builders::{self, plan, session};
use rekindle_gates::{plan_with, property};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

/// The documented format: other tools read and write plans, so a change here changes the interface.
const PLAN_JSON: &str = r#"{
  "transport": "spawn-bg",
  "action": "resume",
  "target": "unix:/run/cache/sock",
  "session_id": "cache",
  "cwd": "/srv",
  "prompt": null,
  "launch_args": [
    "/usr/bin/worker",
    "--socket",
    "/run/cache/sock"
  ],
  "env": {
    "base": "inherit",
    "set": {}
  },
  "ready": "connect",
  "expected_socket_path": "/run/cache/sock",
  "observe_timeout_ms": 30000,
  "kill_policy": {
    "kind": "term-then-kill",
    "term_grace_ms": 5000,
    "kill_grace_ms": 3000
  },
  "release_when": "socket-alive-or-child-exited",
  "log_max": 67108864
}"#;

#[test]
fn the_json_of_a_plan_is_the_documented_one() {
    assert_eq!(serde_json::to_string_pretty(&plan()).unwrap(), PLAN_JSON);
    assert_eq!(serde_json::from_str::<SpawnBgPlan>(PLAN_JSON).unwrap(), plan());
}

#[test]
fn the_json_of_the_choices_is_the_documented_one() {
    let term_only = serde_json::to_string(&builders::term_only()).unwrap();
    assert_eq!(term_only, r#"{"kind":"term-only","grace_ms":5000}"#);
    let base = |base: EnvironmentBase| serde_json::to_string(&base).unwrap();
    assert_eq!(base(EnvironmentBase::Clear), r#""clear""#);
    assert_eq!(base(EnvironmentBase::Only(vec!["PATH".into()])), r#"{"only":["PATH"]}"#);
    let port = |port: PortChoice| serde_json::to_string(&port).unwrap();
    assert_eq!([PortChoice::Caller, PortChoice::Launcher].map(port), [r#""caller""#, r#""launcher""#]);
    let foreign = |foreign: ForeignListener| serde_json::to_string(&foreign).unwrap();
    assert_eq!(
        [ForeignListener::Refused, ForeignListener::Allowed].map(foreign),
        [r#""refused""#, r#""allowed""#]
    );
}

/// The fields that a port, or no endpoint, adds to the documented format; a default is not written, and its absence is
/// the default.
#[test]
fn the_fields_of_other_endpoints_are_written_where_they_are_no_default() {
    let tcp = plan_with!(plan_at("tcp:127.0.0.1:3000"); ready: "http=/health".parse().unwrap(), port: PortChoice::Launcher, foreign_listener: ForeignListener::Allowed, settle: Duration::from_millis(1_500));
    let json = serde_json::to_value(&tcp).unwrap();
    for (field, value) in [
        ("target", "tcp:127.0.0.1:3000"),
        ("ready", "http=/health"),
        ("port", "launcher"),
        ("foreign_listener", "allowed"),
    ] {
        assert_eq!(json[field], value, "{field}");
    }
    assert_eq!(json["settle_ms"], 1_500);
    assert_eq!(json.get("expected_socket_path"), None, "only a Unix socket has a path");
    assert_eq!(serde_json::from_value::<SpawnBgPlan>(json).unwrap(), tcp);
    for plain in [plan(), plan_at("tcp:127.0.0.1:3000"), plan_at("none")] {
        let json = serde_json::to_value(&plain).unwrap();
        for field in ["port", "foreign_listener", "settle_ms"] {
            assert_eq!(json.get(field), None, "{field} of {}", plain.target());
        }
        assert_eq!((plain.settle, plain.port), (SETTLE_DEFAULT, PortChoice::Caller));
        assert_eq!(plain.foreign_listener, ForeignListener::Refused);
        assert_eq!(serde_json::from_value::<SpawnBgPlan>(json).unwrap(), plain);
    }
}

/// Invariant 3: the path is a copy of the target's, in both directions.
#[test]
fn a_path_that_is_not_the_targets_is_refused() {
    let path = r#""expected_socket_path": "/run/cache/sock""#;
    let target = r#""target": "unix:/run/cache/sock""#;
    for (written, changed) in [
        (path, r#""expected_socket_path": "/run/other/sock""#),
        (path, r#""expected_socket_path": null"#),
        (path, r#""settle_ms": 200"#),
        (target, r#""target": "unix:/run/other/sock""#),
        (target, r#""target": "tcp:127.0.0.1:3000""#),
        (target, r#""target": "none""#),
    ] {
        let json = PLAN_JSON.replacen(written, changed, 1);
        assert_ne!(json, PLAN_JSON, "{written} is part of the format");
        let why = serde_json::from_str::<SpawnBgPlan>(&json).unwrap_err().to_string();
        assert!(why.starts_with("`expected_socket_path` is not the path of `target`"), "{changed}: {why}");
    }
}

/// A plan is read back with exactly the written meaning: an unknown word is an error, not a default.
#[test]
fn an_unknown_or_missing_word_in_a_plan_is_an_error() {
    let changes = [
        (r#""transport": "spawn-bg""#, r#""transport": "spawn-fg""#),
        (r#""action": "resume""#, r#""action": "start""#),
        (r#""prompt": null"#, r#""prompts": null"#),
        (r#""cwd": "/srv","#, ""),
        (r#""session_id": "cache""#, r#""session_id": "../cache""#),
        (r#""base": "inherit""#, r#""bases": "inherit""#),
        (r#""ready": "connect""#, r#""ready": "hope""#),
        (r#""ready": "connect""#, r#""ready": "http""#),
        (r#""ready": "connect""#, r#""ready": "connect", "port": "stranger""#),
        (r#""ready": "connect""#, r#""ready": "connect", "foreign_listener": "ignored""#),
        (r#""ready": "connect""#, r#""ready": "connect", "settle_ms": -1"#),
        (r#""target": "unix:/run/cache/sock""#, r#""target": "/run/cache/sock""#),
        (r#""observe_timeout_ms": 30000"#, r#""observe_timeout_ms": -1"#),
        (r#""observe_timeout_ms": 30000"#, r#""observe_timeout": 30"#),
        (r#""kind": "term-then-kill""#, r#""kind": "term-only""#),
        (r#""kill_grace_ms": 3000"#, r#""kill_grace_ms": 3000, "more": 1"#),
        (r#""kill_grace_ms": 3000"#, r#""kill_grace_ms": 3000, "signal": "STOP""#),
        (r#""ready": "connect""#, r#""ready": "connect", "env_files": "/srv/.env""#),
        (r#""ready": "connect""#, r#""ready": "connect", "template": {}"#),
        (r#""release_when": "socket-alive-or-child-exited""#, r#""release_when": "timeout""#),
    ];
    for (written, changed) in changes {
        let json = PLAN_JSON.replacen(written, changed, 1);
        assert_ne!(json, PLAN_JSON, "{written} is part of the format");
        assert!(serde_json::from_str::<SpawnBgPlan>(&json).is_err(), "{changed} was accepted");
    }
}

#[test]
fn an_environment_survives_its_json() {
    let set = [("A".to_owned(), "1=2".into()), ("B".to_owned(), OsString::new())].into();
    let remove = BTreeSet::from(["C".to_owned()]);
    for base in [EnvironmentBase::Inherit, EnvironmentBase::Clear, EnvironmentBase::Only(vec!["HOME".into()])]
    {
        let plan = plan_with!(plan(); env: Environment { base, set: std::clone::Clone::clone(&set), remove: remove.clone() });
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<SpawnBgPlan>(&json).unwrap(), plan);
    }
}

/// A bound rounded down could become zero.
#[test]
fn durations_are_rounded_up_to_milliseconds() {
    let written = |timeout: Duration| {
        let plan = plan_with!(plan(); observe_timeout: timeout);
        serde_json::to_value(&plan).unwrap()["observe_timeout_ms"].as_u64()
    };
    assert_eq!(written(Duration::ZERO), Some(0));
    assert_eq!(written(Duration::from_nanos(1)), Some(1));
    assert_eq!(written(Duration::from_micros(1_500)), Some(2));
    assert_eq!(written(Duration::from_millis(2)), Some(2));
    assert_eq!(written(Duration::MAX), Some(u64::MAX));
}

#[test]
fn the_total_grace_is_the_sum_and_never_overflows() {
    assert_eq!(builders::term_only().total_grace(), builders::TERM);
    assert_eq!(builders::then_kill().total_grace(), builders::TERM + builders::KILL);
    let endless = KillPolicy::TermThenKill {
        signal: StopSignal::TERM,
        term_grace: Duration::MAX,
        kill_grace: Duration::MAX,
    };
    assert_eq!(endless.total_grace(), Duration::MAX);
}

#[test]
fn a_plan_asks_for_a_release_after_an_observation() {
    assert_eq!(plan().release_policy(), ReleasePolicy::ReleaseAfterSpawnObservation);
}

fn at(endpoint: &str) -> Endpoint {
    endpoint.parse().expect("the test names an endpoint")
}

/// A plan of a worker at `endpoint`.
fn plan_at(endpoint: &str) -> SpawnBgPlan {
    SpawnBgPlan::new(session(), at(endpoint), "/srv".into(), &["/usr/bin/worker"], None)
}

fn launched_at(endpoint: &str, args: &[&str], prompt: Option<&str>) -> Vec<OsString> {
    SpawnBgPlan::new(session(), at(endpoint), "/".into(), args, prompt.map(OsString::from)).launch_args
}

fn launched(args: &[&str], prompt: Option<&str>) -> Vec<OsString> {
    launched_at("unix:/run/s", args, prompt)
}

/// An endpoint without a path leaves `{socket}` as it is; an endpoint without a port leaves `{host}` and `{port}`.
#[test]
fn each_endpoint_has_its_own_placeholders() {
    let args = ["p", "{address}", "{socket}", "{host}", "--port={port}"];
    for (endpoint, filled) in [
        ("unix:/run/s", ["p", "unix:/run/s", "/run/s", "{host}", "--port={port}"]),
        ("tcp:127.0.0.1:80", ["p", "tcp:127.0.0.1:80", "{socket}", "127.0.0.1", "--port=80"]),
        ("tcp:[::1]:80", ["p", "tcp:[::1]:80", "{socket}", "::1", "--port=80"]),
        ("none", ["p", "none", "{socket}", "{host}", "--port={port}"]),
    ] {
        assert_eq!(launched_at(endpoint, &args, None), filled);
    }
}

/// Invariant 3, in Rust: the path is the target's.
#[test]
fn the_expected_path_is_the_targets() {
    assert_eq!(plan().expected_socket_path(), plan().target().socket());
    assert_eq!(plan().expected_socket_path().map(ToOwned::to_owned), Some("/run/cache/sock".into()));
    for endpoint in ["tcp:127.0.0.1:80", "none"] {
        let plan = plan_at(endpoint);
        assert_eq!((plan.target(), plan.expected_socket_path()), (&at(endpoint), None));
    }
}

#[test]
fn placeholders_are_filled_in_behind_the_program_only() {
    let args = ["{session}", "--id={session}", "{socket}", "{prompt}", "{session}{socket}"];
    let filled = ["{session}", "--id=cache", "/run/s", "go on", "cache/run/s"];
    assert_eq!(launched(&args, Some("go on")), filled);
    assert_eq!(launched(&["p", "<{prompt}>"], None), ["p", "<>"]);
    assert_eq!(launched(&[], None), [""; 0]);
}

#[test]
fn placeholders_stand_for_bytes() {
    let socket = from_bytes(b"/run/\xe9/sock".to_vec());
    let args = [from_bytes(b"p\xff{socket}".to_vec()), from_bytes(b"\xff{socket}\xfe{prompt}".to_vec())];
    let prompt = Some(from_bytes(b"\x80".to_vec()));
    let plan = SpawnBgPlan::new(session(), Endpoint::Unix(socket.into()), "/".into(), &args, prompt);
    assert_eq!(plan.program(), args.first().map(OsString::as_os_str), "the program stays as it is");
    assert_eq!(plan.launch_args.get(1), Some(&from_bytes(b"\xff/run/\xe9/sock\xfe\x80".to_vec())));
    assert_eq!(plan.target().to_text(), from_bytes(b"unix:/run/\xe9/sock".to_vec()));
}

#[test]
fn other_braces_are_untouched() {
    for arg in [
        "{",
        "}",
        "{}",
        "{{",
        "{ session}",
        "{SESSION}",
        "{session",
        "a{b}c",
        r#"{"json":{"x":1}}"#,
        "{\u{e9}}",
    ] {
        assert_eq!(launched(&["p", arg], None), ["p", arg]);
    }
    assert_eq!(launched(&["p", "{{session}}"], None), ["p", "{cache}"]);
}

/// X2: a prompt is one argument, byte for byte, with any content.
#[test]
fn a_value_is_never_filled_in_again_nor_split() {
    property!("plan", a_value_is_never_filled_in_again_nor_split).check(&any::<String>(), |text| {
        let hostile = format!("{text}{{session}} $(x) --help{{socket}}");
        prop_assert_eq!(launched(&["p", "{prompt}"], Some(&hostile)), ["p", hostile.as_str()]);
        Ok(())
    });
}

#[test]
fn a_plan_survives_its_json() {
    let input =
        (prop::collection::vec(any::<String>(), 0..4), prop::option::of(any::<String>()), any::<u32>());
    property!("plan", a_plan_survives_its_json).check(&input, |(args, prompt, millis)| {
        let prompt = prompt.map(OsString::from);
        let plan = SpawnBgPlan::new(session(), at("unix:/run/s"), "/".into(), &args, prompt);
        let plan = plan_with!(plan; observe_timeout: Duration::from_millis(millis.into()));
        let json = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<SpawnBgPlan>(&json).unwrap(), plan);
        Ok(())
    });
}

/// A plan has a version to speak only if a handshake makes the worker ready.
#[test]
fn only_a_plan_whose_worker_is_ready_by_a_handshake_has_one() {
    let speaking = Speaking::exactly("2".parse().unwrap());
    let with = |ready, speaking| plan_with!(plan(); ready: ready, speaking: speaking);
    let spoken = with(Readiness::Handshake, Some(speaking.clone()));
    assert_eq!(spoken.handshake(), Some(&speaking));
    assert_eq!(with(Readiness::Connect, Some(speaking)).handshake(), None);
    assert_eq!(with(Readiness::Handshake, None).handshake(), None);
}

/// What a pool or a secret adds to the documented format; neither changes the plan of a plain worker.
#[test]
fn role_and_withheld_values_are_written_where_there_are_some() {
    let withheld: BTreeSet<_> = [Withheld::Prompt, Withheld::Variable("TOKEN".into())].into();
    let plan = plan_with!(plan(); role: Role::PoolWorker, withheld: withheld);
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["role"], "pool-worker");
    assert_eq!(json["withheld"].to_string(), r#"["prompt",{"variable":"TOKEN"}]"#);
    assert_eq!(serde_json::from_value::<SpawnBgPlan>(json).unwrap(), plan);
}

/// A secret that came by file is in no record: its value is left out, its name stays, and nothing else changes.
#[test]
fn a_stored_plan_names_what_is_withheld_and_has_no_value_of_it() {
    let set = [("TOKEN".to_owned(), "hunter2".into()), ("LEVEL".to_owned(), "3".into())];
    let env = Environment { set: set.into(), ..Environment::default() };
    let open = plan_with!(plan(); env: env, prompt: Some("hunter2".into()));
    assert_eq!(open.for_record(), open, "nothing is withheld");
    let withheld: BTreeSet<_> =
        [Withheld::Prompt, Withheld::Variable("TOKEN".into()), Withheld::Variable("ABSENT".into())].into();
    let secret = plan_with!(open.clone(); withheld: withheld);
    let stored = secret.for_record();
    assert!(!serde_json::to_string(&stored).unwrap().contains("hunter2"));
    assert_eq!((&stored.withheld, stored.for_record()), (&secret.withheld, stored.clone()));
    let mut restored = plan_with!(stored; prompt: open.prompt.clone(), withheld: BTreeSet::new());
    restored.env.set.insert("TOKEN".to_owned(), "hunter2".into());
    assert_eq!(restored, open);
}
