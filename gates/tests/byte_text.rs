//! Text with any bytes: two spellings in JSON, and no lost byte or failure in any format that contains such text.

use proptest::prelude::*;
use rekindle_core::byte_text::{ByteText, from_bytes, from_value};
use rekindle_core::plan::{Environment, EnvironmentBase};
use rekindle_core::record::{RecordFile, RecordedPlan, Written};
use rekindle_core::{Endpoint, Generation, LockClaim, Nonce, OsFailure, SessionRecord, SpawnBgPlan};
use rekindle_gates::builders::{self, plan, session};
use rekindle_gates::{plan_with, property};
use serde_json::{Value, json};

/// Text from people, and bytes from a file system.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(0x80_u8..=0xff, 1..8),
    ]
}

fn starting() -> SessionRecord {
    let nonce = Nonce::from_random(0x5e55);
    SessionRecord::starting(
        &plan(),
        Generation::new(7),
        nonce,
        builders::process(77, 1_000),
        builders::instant(),
    )
}

#[test]
fn text_is_a_string_and_all_else_an_object() {
    let spelled = |bytes: &[u8]| serde_json::to_value(ByteText(&from_bytes(bytes.to_vec()))).unwrap();
    assert_eq!(spelled(b"/run/sock"), json!("/run/sock"));
    assert_eq!(spelled(b""), json!(""));
    assert_eq!(spelled("caf\u{e9}".as_bytes()), json!("caf\u{e9}"));
    assert_eq!(spelled(br#"{"bytes":"e9"}"#), json!(r#"{"bytes":"e9"}"#), "text that looks like the other");
    assert_eq!(spelled(b"caf\xe9"), json!({ "bytes": "636166e9" }));
}

#[test]
fn what_is_neither_spelling_is_refused() {
    for wrong in [
        json!(null),
        json!(1),
        json!(["a"]),
        json!({}),
        json!({ "bytes": 1 }),
        json!({ "bytes": "e" }),
        json!({ "bytes": "xy" }),
        json!({ "bytes": "+1" }),
        json!({ "text": "e9" }),
        json!({ "bytes": "e9", "more": 1 }),
    ] {
        assert_eq!(from_value(&wrong), None, "{wrong} was taken");
    }
}

#[test]
fn any_bytes_survive_their_json() {
    property!("byte_text", any_bytes_survive_their_json).check(&bytes(), |bytes| {
        let text = from_bytes(bytes);
        let json = serde_json::to_value(ByteText(&text)).unwrap();
        prop_assert_eq!(json.is_string(), text.to_str().is_some());
        prop_assert_eq!(from_value(&json), Some(text));
        Ok(())
    });
}

#[test]
fn a_plan_a_record_and_a_claim_survive_their_json_with_any_bytes() {
    let input = (bytes(), bytes(), prop::collection::vec(bytes(), 1..4));
    let property = property!("byte_text", a_plan_a_record_and_a_claim_survive_their_json_with_any_bytes);
    property.check(&input, |(path, value, args)| {
        let args: Vec<_> = args.into_iter().map(from_bytes).collect();
        let path = from_bytes([b"/".as_slice(), &path].concat());
        let value = from_bytes(value);
        let plan = SpawnBgPlan::new(
            session(),
            Endpoint::Unix(path.clone().into()),
            path.clone().into(),
            &args,
            Some(value.clone()),
        );
        let env = Environment {
            base: EnvironmentBase::Clear,
            set: [("A".to_owned(), value)].into(),
            ..Environment::default()
        };
        let plan = plan_with!(plan; env: env);
        let json = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(&serde_json::from_str::<SpawnBgPlan>(&json).unwrap(), &plan);

        let whole = SessionRecord { plan: RecordedPlan::Whole(Box::new(plan)), ..starting() };
        let outline = SessionRecord { plan: RecordedPlan::Outline(whole.outline()), ..starting() };
        for record in [whole, outline] {
            let json = serde_json::to_vec(&record).unwrap();
            let read = RecordFile::read(Some(&json), Written::ThisBoot, &record.session);
            prop_assert_eq!(read, RecordFile::Whole(Box::new(record)));
        }

        let claim = LockClaim { lock_path: path.clone().into(), ..builders::claim() };
        let json = serde_json::to_string(&claim).unwrap();
        prop_assert_eq!(serde_json::from_str::<LockClaim>(&json).unwrap(), claim);

        let failure = serde_json::to_value(OsFailure::new("open", "why").on(&path)).unwrap();
        prop_assert_eq!(from_value(&failure["path"]), Some(path));
        Ok(())
    });
}

#[test]
fn the_socket_of_a_newer_record_is_read_in_either_spelling() {
    for socket in [json!("/run/s"), json!({ "bytes": "2fe9" })] {
        let content = json!({ "schema_version": 99, "session": session(), "socket": socket });
        let read = RecordFile::read(Some(content.to_string().as_bytes()), Written::ThisBoot, &session());
        let RecordFile::Newer(newer) = read else { panic!("{read:?}") };
        assert_eq!(newer.endpoint().and_then(Endpoint::socket).map(Into::into), from_value(&socket));
    }
}

/// The plan's JSON is documented, and UTF-8 text stays a plain string.
#[test]
fn text_in_a_plan_stays_plain() {
    let json = serde_json::to_value(plan()).unwrap();
    assert!(json["cwd"].is_string() && json["target"].is_string());
    assert!(json["launch_args"].as_array().is_some_and(|args| args.iter().all(Value::is_string)));
}

/// A JSON value is read like the JSON text.
#[test]
fn a_plan_is_read_from_a_value_as_well() {
    let value = serde_json::to_value(plan()).unwrap();
    assert_eq!(serde_json::from_value::<SpawnBgPlan>(value).unwrap(), plan());
}

#[test]
fn what_is_no_text_is_refused_with_what_was_expected() {
    let mut value = serde_json::to_value(plan()).unwrap();
    value["cwd"] = json!(3);
    let why = serde_json::from_value::<SpawnBgPlan>(value).unwrap_err().to_string();
    assert!(why.ends_with("expected a string, or an object with `bytes` in hexadecimal digits"), "{why}");
}
