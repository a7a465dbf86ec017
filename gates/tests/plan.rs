//! The plan as data: exact JSON, placeholders, and bounds.

use proptest::prelude::*;
use rekindle_core::byte_text::from_bytes;
use rekindle_core::plan::{Environment, EnvironmentBase, ReadyKind, Role, Withheld};
use rekindle_core::protocol::Speaking;
use rekindle_core::{KillPolicy, ReleasePolicy, SpawnBgPlan};
use rekindle_gates::builders::{self, plan, session};
use rekindle_gates::property;
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
  "release_when": "socket-alive-or-child-exited"
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
    let ready = |kind: ReadyKind| serde_json::to_string(&kind).unwrap();
    assert_eq!(ready(ReadyKind::Connect), r#""connect""#);
    assert_eq!(
        (ready(ReadyKind::Notify), ready(ReadyKind::Listen)),
        (r#""notify""#.into(), r#""listen""#.into())
    );
    assert_eq!(ready(ReadyKind::Handshake), r#""handshake""#);
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
        (r#""observe_timeout_ms": 30000"#, r#""observe_timeout_ms": -1"#),
        (r#""observe_timeout_ms": 30000"#, r#""observe_timeout": 30"#),
        (r#""kind": "term-then-kill""#, r#""kind": "term-only""#),
        (r#""kill_grace_ms": 3000"#, r#""kill_grace_ms": 3000, "more": 1"#),
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
        let plan = SpawnBgPlan {
            env: Environment { base, set: std::clone::Clone::clone(&set), remove: remove.clone() },
            ..plan()
        };
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<SpawnBgPlan>(&json).unwrap(), plan);
    }
}

/// A bound rounded down could become zero.
#[test]
fn durations_are_rounded_up_to_milliseconds() {
    let written = |timeout: Duration| {
        let plan = SpawnBgPlan { observe_timeout: timeout, ..plan() };
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
    let endless = KillPolicy::TermThenKill { term_grace: Duration::MAX, kill_grace: Duration::MAX };
    assert_eq!(endless.total_grace(), Duration::MAX);
}

#[test]
fn a_plan_asks_for_a_release_after_an_observation() {
    assert_eq!(plan().release_policy(), ReleasePolicy::ReleaseAfterSpawnObservation);
}

fn launched(args: &[&str], prompt: Option<&str>) -> Vec<OsString> {
    SpawnBgPlan::new(session(), "/run/s".into(), "/".into(), args, prompt.map(OsString::from)).launch_args
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
    let plan = SpawnBgPlan::new(session(), socket.into(), "/".into(), &args, prompt);
    assert_eq!(plan.program(), args.first().map(OsString::as_os_str), "the program stays as it is");
    assert_eq!(plan.launch_args.get(1), Some(&from_bytes(b"\xff/run/\xe9/sock\xfe\x80".to_vec())));
    assert_eq!(plan.target, from_bytes(b"unix:/run/\xe9/sock".to_vec()));
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
        let plan = SpawnBgPlan::new(session(), "/run/s".into(), "/".into(), &args, prompt);
        let plan = SpawnBgPlan { observe_timeout: Duration::from_millis(millis.into()), ..plan };
        let json = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<SpawnBgPlan>(&json).unwrap(), plan);
        Ok(())
    });
}

/// A plan has a version to speak only if a handshake makes the worker ready.
#[test]
fn only_a_plan_whose_worker_is_ready_by_a_handshake_has_one() {
    let speaking = Speaking::exactly("2".parse().unwrap());
    let with = |ready, speaking| SpawnBgPlan { ready, speaking, ..plan() };
    let spoken = with(ReadyKind::Handshake, Some(speaking.clone()));
    assert_eq!(spoken.handshake(), Some(&speaking));
    assert_eq!(with(ReadyKind::Connect, Some(speaking)).handshake(), None);
    assert_eq!(with(ReadyKind::Handshake, None).handshake(), None);
}

/// What a pool or a secret adds to the documented format; neither changes the plan of a plain worker.
#[test]
fn role_and_withheld_values_are_written_where_there_are_some() {
    let withheld: BTreeSet<_> = [Withheld::Prompt, Withheld::Variable("TOKEN".into())].into();
    let plan = SpawnBgPlan { role: Role::PoolWorker, withheld, ..plan() };
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
    let open = SpawnBgPlan { env, prompt: Some("hunter2".into()), ..plan() };
    assert_eq!(open.for_record(), open, "nothing is withheld");
    let withheld: BTreeSet<_> =
        [Withheld::Prompt, Withheld::Variable("TOKEN".into()), Withheld::Variable("ABSENT".into())].into();
    let secret = SpawnBgPlan { withheld, ..open.clone() };
    let stored = secret.for_record();
    assert!(!serde_json::to_string(&stored).unwrap().contains("hunter2"));
    assert_eq!((&stored.withheld, stored.for_record()), (&secret.withheld, stored.clone()));
    let mut restored = SpawnBgPlan { prompt: open.prompt.clone(), withheld: BTreeSet::new(), ..stored };
    restored.env.set.insert("TOKEN".to_owned(), "hunter2".into());
    assert_eq!(restored, open);
}
