//! A start as the record says: what is enough, what a caller changes, and in what a running worker differs.

use rekindle_core::again::{EnvironmentChange, NoPlan, Part, differences, startable};
use rekindle_core::plan::{
    Environment, EnvironmentBase, ForeignListener, KillChange, KillPolicy, Role, Withheld,
};
use rekindle_core::protocol::Speaking;
use rekindle_core::record::RecordedPlan;
use rekindle_core::{Endpoint, Generation, Nonce, SessionRecord, SpawnBgPlan, StopSignal};
use rekindle_gates::builders::{instant, plan, process, session, term_only, then_kill};
use rekindle_gates::plan_with;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

const PARTS: [Part; 12] = [
    Part::Args,
    Part::Env,
    Part::EnvBase,
    Part::EnvFile,
    Part::Cwd,
    Part::Endpoint,
    Part::Ready,
    Part::Settle,
    Part::Speak,
    Part::ForeignListener,
    Part::Prompt,
    Part::KillPolicy,
];

fn recorded(plan: &SpawnBgPlan) -> SessionRecord {
    let nonce = Nonce::from_random(0x5e55);
    SessionRecord::starting(plan, Generation::new(7), nonce, process(77, 1_000), instant())
}

fn outlined(plan: &SpawnBgPlan) -> SessionRecord {
    let record = recorded(plan);
    SessionRecord { plan: RecordedPlan::Outline(record.outline()), ..record }
}

fn at(endpoint: &str, args: &[&str]) -> SpawnBgPlan {
    let endpoint: Endpoint = endpoint.parse().expect("an endpoint");
    SpawnBgPlan::new(session(), endpoint, "/srv".into(), args, None)
}

fn with_variable(name: &str, value: &str) -> SpawnBgPlan {
    let set = [(name.to_owned(), value.into())].into();
    plan_with!(plan(); env: Environment { set, ..Environment::default() })
}

fn token() -> Withheld {
    Withheld::Variable("TOKEN".into())
}

/// Invariant 1: every reason, and what ends it.
#[test]
fn only_a_whole_plan_with_every_withheld_value_is_enough() {
    let nothing = BTreeSet::new();
    assert_eq!(startable(None, &nothing), Err(NoPlan::NoRecord));
    assert_eq!(startable(Some(&outlined(&plan())), &nothing), Err(NoPlan::Outline));
    assert_eq!(startable(Some(&recorded(&at("none", &[]))), &nothing), Err(NoPlan::NoProgram));
    let of_pool = recorded(&plan_with!(plan(); role: Role::PoolWorker));
    assert_eq!(startable(Some(&of_pool), &nothing), Err(NoPlan::OfPool));
    let record = recorded(&plan());
    assert_eq!(startable(Some(&record), &nothing), Ok(&plan()));
    let secret = recorded(&plan_with!(plan(); withheld: [Withheld::Prompt, token()].into()));
    let missing = |supplied: &[Withheld]| {
        let supplied = supplied.iter().cloned().collect();
        match startable(Some(&secret), &supplied) {
            Ok(_) => BTreeSet::new(),
            Err(NoPlan::Withheld(values)) => values,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(missing(&[]), [Withheld::Prompt, token()].into());
    assert_eq!(missing(&[Withheld::Prompt]), [token()].into());
    assert_eq!(missing(&[token(), Withheld::Variable("OTHER".into())]), [Withheld::Prompt].into());
    assert_eq!(missing(&[token(), Withheld::Prompt]), BTreeSet::new());
    let told = NoPlan::Withheld([Withheld::Prompt, token()].into()).to_string();
    assert_eq!(told, "the record leaves out the prompt and the value of `TOKEN`");
}

/// The next start fills in the placeholders anew: a chosen port may be another, and so may the prompt.
#[test]
fn the_arguments_are_kept_with_their_placeholders() {
    let args = ["/usr/bin/worker", "--port={port}", "{prompt}"];
    let first = at("tcp:127.0.0.1:3000", &args);
    assert_eq!(first.launch_args, ["/usr/bin/worker", "--port=3000", ""]);
    let json = serde_json::to_string(&recorded(&first)).unwrap();
    let record: SessionRecord = serde_json::from_str(&json).unwrap();
    let template = record.whole_plan().map(|plan| plan.template().to_vec());
    assert_eq!(template, Some(args.map(OsString::from).to_vec()));
    let literal = at("none", &["p", "{port}"]);
    assert_eq!(literal.template(), literal.launch_args, "no value, so nothing was filled in");
    assert!(!serde_json::to_string(&literal).unwrap().contains("template"));
}

#[test]
fn a_caller_changes_the_named_variables_alone() {
    let of = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect()
    };
    let base = EnvironmentBase::Only(vec!["PATH".into()]);
    let recorded = Environment {
        base: base.clone(),
        set: of(&[("A", "1"), ("B", "1"), ("C", "1")]),
        remove: ["D", "E"].map(String::from).into(),
    };
    assert_eq!(EnvironmentChange::default().of(recorded.clone()), recorded);
    let change = EnvironmentChange {
        base: None,
        set: of(&[("A", "2"), ("D", "2")]),
        remove: ["B"].map(String::from).into(),
    };
    let expected = Environment {
        base,
        set: of(&[("A", "2"), ("C", "1"), ("D", "2")]),
        remove: ["B", "E"].map(String::from).into(),
    };
    assert_eq!(change.clone().of(recorded.clone()), expected);
    let cleared = EnvironmentChange { base: Some(EnvironmentBase::Clear), ..change };
    assert_eq!(cleared.of(recorded), Environment { base: EnvironmentBase::Clear, ..expected });
}

/// Invariant 2, part by part: exactly the changed part differs, and only if it was named.
#[test]
fn a_worker_differs_in_the_named_parts_alone() {
    let speaking = Speaking::exactly("2".parse().unwrap());
    let on_other = |endpoint: &str| {
        let other = at(endpoint, &["/usr/bin/worker", "--socket", "/run/cache/sock"]);
        plan_with!(other; kill_policy: then_kill())
    };
    let changed = [
        (Part::Args, at("unix:/run/cache/sock", &["/usr/bin/worker"])),
        (Part::Env, with_variable("A", "1")),
        (
            Part::EnvBase,
            plan_with!(plan(); env: Environment { base: EnvironmentBase::Clear, ..Environment::default() }),
        ),
        (Part::EnvFile, plan_with!(plan(); env_files: vec!["/srv/.env".into()])),
        (Part::Cwd, plan_with!(plan(); cwd: "/tmp".into())),
        (Part::Endpoint, on_other("unix:/run/other")),
        (Part::Ready, plan_with!(plan(); ready: "notify".parse().unwrap())),
        (Part::Settle, plan_with!(plan(); settle: Duration::from_secs(9))),
        (Part::Speak, plan_with!(plan(); speaking: Some(speaking))),
        (Part::ForeignListener, plan_with!(plan(); foreign_listener: ForeignListener::Allowed)),
        (Part::Prompt, plan_with!(plan(); prompt: Some("go on".into()))),
        (Part::KillPolicy, plan_with!(plan(); kill_policy: term_only())),
    ];
    assert_eq!(changed.clone().map(|(part, _)| part), PARTS, "every part has a row");
    let record = recorded(&plan());
    assert_eq!(differences(&record, &plan(), &PARTS), []);
    for (part, asked) in changed {
        let asked = if part == Part::Args { plan_with!(asked; kill_policy: then_kill()) } else { asked };
        assert_eq!(differences(&record, &asked, &PARTS), [part]);
        assert_eq!(differences(&record, &asked, &[]), [], "a caller that names nothing agrees");
        let others: Vec<Part> = PARTS.into_iter().filter(|other| *other != part).collect();
        assert_eq!(differences(&record, &asked, &others), [], "{part:?} was not named");
        let of_outline = differences(&outlined(&plan()), &asked, &PARTS);
        let is_in_outline = matches!(part, Part::Args | Part::Cwd | Part::Endpoint | Part::Ready);
        assert_eq!(of_outline, if is_in_outline { vec![part] } else { vec![] });
    }
    let words = PARTS.map(|part| part.to_string()).join(" ");
    let expected =
        "args env env-base env-file cwd endpoint ready settle speak foreign-listener prompt kill-policy";
    assert_eq!(words, expected);
}

/// A variable that only the record has is no difference: the caller did not name it.
#[test]
fn a_variable_differs_by_its_value_and_a_withheld_one_by_its_name() {
    let differs = |record: &SpawnBgPlan, asked: &SpawnBgPlan| {
        !differences(&recorded(record), asked, &[Part::Env]).is_empty()
    };
    assert!(differs(&with_variable("A", "1"), &with_variable("A", "2")));
    assert!(!differs(&with_variable("A", "1"), &with_variable("A", "1")));
    assert!(!differs(&with_variable("A", "1"), &plan()));
    let secret = plan_with!(with_variable("TOKEN", "hunter2"); withheld: [token()].into());
    assert!(!differs(&secret, &with_variable("TOKEN", "other")), "the value is not known");
    assert!(differs(&plan(), &secret), "the record has no such name");
    let prompted = plan_with!(plan(); prompt: Some("a".into()), withheld: [Withheld::Prompt].into());
    let other = plan_with!(plan(); prompt: Some("b".into()));
    assert_eq!(differences(&recorded(&prompted), &other, &[Part::Prompt]), []);
}

/// A worker that was asked for one loopback address may listen at the other.
#[test]
fn a_worker_answers_for_both_spellings_of_its_endpoint() {
    let asked = at("tcp:127.0.0.1:3000", &["p"]);
    let seen: Endpoint = "tcp:[::1]:3000".parse().unwrap();
    let record = recorded(&asked).into_ready(instant(), None).answering_at(Some(seen));
    for endpoint in ["tcp:127.0.0.1:3000", "tcp:[::1]:3000"] {
        assert_eq!(differences(&record, &at(endpoint, &["p"]), &[Part::Endpoint]), [], "{endpoint}");
    }
    let other = at("tcp:127.0.0.1:1", &["p"]);
    assert_eq!(differences(&record, &other, &[Part::Endpoint]), [Part::Endpoint]);
}

/// The values of environment files reach the worker, a variable of the caller wins, and no record has a value.
#[test]
fn the_values_of_a_file_are_in_no_record() {
    let asked = plan_with!(with_variable("A", "line"); env_files: vec!["/srv/.env".into()]);
    let of_file = [("A", "file"), ("SECRET", "hunter2")].map(|(name, value)| (name.to_owned(), value.into()));
    let started = asked.with_variables(of_file.into());
    assert_eq!(started.env.set.get("A"), Some(&"line".into()));
    assert_eq!(started.env.set.get("SECRET"), Some(&"hunter2".into()));
    assert_eq!(plan_with!(started; env: asked.env.clone(), env_files: asked.env_files.clone()), asked);
    let json = serde_json::to_string(&recorded(&asked)).unwrap();
    assert!(json.contains(r#""env_files":["/srv/.env"]"#) && !json.contains("hunter2"), "{json}");
    let record: SessionRecord = serde_json::from_str(&json).unwrap();
    assert_eq!(record.whole_plan(), Some(&asked));
}

/// Each named part replaces one recorded part, and a named grace for SIGKILL permits SIGKILL again.
#[test]
fn a_kill_policy_changes_in_the_named_parts_alone() {
    let (int, one, two) = ("INT".parse().unwrap(), Duration::from_secs(1), Duration::from_secs(2));
    let nothing = KillChange::default();
    for policy in [term_only(), then_kill(), KillPolicy::default()] {
        assert_eq!(policy.changed(&nothing), policy);
        for exact in [term_only(), then_kill()] {
            assert_eq!(policy.changed(&exact.into()), exact, "a whole policy replaces every part");
        }
        let by_int = policy.changed(&KillChange { signal: Some(int), ..nothing });
        assert_eq!((by_int.signal(), by_int.term_grace()), (int, policy.term_grace()));
        let gentle = policy.changed(&KillChange { no_kill: true, ..nothing });
        assert_eq!(gentle, KillPolicy::TermOnly { grace: policy.term_grace(), signal: StopSignal::TERM });
        let graces = KillChange { term_grace: Some(one), kill_grace: Some(two), ..nothing };
        let (term_grace, kill_grace) = (one, two);
        let expected = KillPolicy::TermThenKill { signal: StopSignal::TERM, term_grace, kill_grace };
        assert_eq!(policy.changed(&graces), expected);
        let never = KillChange { no_kill: true, ..graces };
        assert!(matches!(policy.changed(&never), KillPolicy::TermOnly { grace, .. } if grace == one));
    }
    let (gentle, patient) =
        (KillChange { no_kill: true, ..nothing }, KillChange { kill_grace: Some(two), ..nothing });
    assert_eq!(gentle.then(nothing), gentle);
    assert_eq!(gentle.then(patient), patient, "the later word counts");
    assert_eq!(patient.then(gentle), KillChange { no_kill: true, ..patient });
}

/// A stop begins with the signal, and the signal is read back as written.
#[test]
fn a_stop_signal_has_one_name_and_several_spellings() {
    for text in ["INT", "SIGINT", "int", "sigint", "2"] {
        assert_eq!(text.parse::<StopSignal>().unwrap().name(), "INT", "{text}");
    }
    for wrong in
        ["", "0", "17", "19", "STOP", "SIGCONT", "CHLD", "TSTP", "SIGSIGINT", "RTMIN", "64", "-2", "hope"]
    {
        assert!(wrong.parse::<StopSignal>().is_err(), "{wrong}");
    }
    let json = |policy: KillPolicy| serde_json::to_string(&policy).unwrap();
    let by = |signal: &str| KillChange { signal: Some(signal.parse().unwrap()), ..KillChange::default() };
    assert_eq!(
        json(then_kill().changed(&by("3"))),
        r#"{"kind":"term-then-kill","signal":"QUIT","term_grace_ms":5000,"kill_grace_ms":3000}"#
    );
    assert_eq!(
        json(term_only().changed(&by("HUP"))),
        r#"{"kind":"term-only","grace_ms":5000,"signal":"HUP"}"#
    );
    for policy in
        [then_kill().changed(&by("USR1")), term_only().changed(&by("USR2")), then_kill(), term_only()]
    {
        assert_eq!(serde_json::from_str::<KillPolicy>(&json(policy)).unwrap(), policy);
    }
    let unknown = r#"{"kind":"term-only","grace_ms":1,"signal":"STOP"}"#;
    assert!(serde_json::from_str::<KillPolicy>(unknown).is_err());
}
