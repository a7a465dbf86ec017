//! Valid session ids, pids, generations and nonces (X1, X2, T38).

use proptest::prelude::*;
use rekindle_core::id::{InvalidSessionId, SESSION_ID_LEN_MAX};
use rekindle_core::{Generation, Nonce, Pid, SessionId};
use rekindle_gates::property;
use std::path::Path;

const GOOD: [&str; 8] = ["a", "Z", "0", "cache-2", "a.b_c-d", "a..b", "1.", "CON"];

/// X1, X2: traversal, options, hidden names, control bytes, look-alikes, shell text.
const BAD: [&str; 28] = [
    "",
    ".",
    "..",
    "...",
    ".a",
    "-",
    "-rf",
    "--help",
    "_a",
    "a/b",
    "../../x",
    "/a",
    "a/",
    "a\\b",
    "a\0b",
    "a\n",
    "\na",
    "a b",
    " a",
    "a ",
    "$(x)",
    "a;b",
    "a:b",
    "a*",
    "\u{202e}a",
    "cafe\u{301}",
    "caf\u{e9}",
    "a\u{1b}[2J",
];

#[test]
fn the_grammar_holds_for_every_named_case() {
    for text in GOOD {
        assert_eq!(text.parse::<SessionId>().as_ref().map(SessionId::as_str), Ok(text));
    }
    for text in BAD {
        assert!(text.parse::<SessionId>().is_err(), "{text:?} is no session id");
    }
}

#[test]
fn the_length_limit_is_exact() {
    let longest = "a".repeat(SESSION_ID_LEN_MAX);
    assert!(longest.parse::<SessionId>().is_ok());
    let len = SESSION_ID_LEN_MAX + 1;
    assert_eq!("a".repeat(len).parse::<SessionId>(), Err(InvalidSessionId::TooLong { len }));
}

#[test]
fn each_refusal_says_why() {
    let refusal = |text: &str| text.parse::<SessionId>().unwrap_err();
    assert_eq!(refusal(""), InvalidSessionId::Empty);
    assert_eq!(refusal(".a"), InvalidSessionId::BadStart { text: ".a".into() });
    assert_eq!(refusal("a/b/c"), InvalidSessionId::BadCharacter { text: "a/b/c".into(), found: '/' });
}

/// X7: a refused id is shown escaped.
#[test]
fn a_refused_id_cannot_steer_a_terminal() {
    let shown = "a\u{1b}[2J".parse::<SessionId>().unwrap_err().to_string();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

/// X1, T38: an id is one path component inside its directory, and two ids never give the same path.
#[test]
fn an_id_is_one_path_component_and_is_itself() {
    property!("ids", an_id_is_one_path_component_and_is_itself).check(&any_text(), |text| {
        let Ok(id) = text.parse::<SessionId>() else { return Ok(()) };
        let path = Path::new("/state").join(id.as_str());
        prop_assert_eq!(path.parent(), Some(Path::new("/state")));
        prop_assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(text.as_str()));
        prop_assert_eq!(id.to_string(), text);
        Ok(())
    });
}

#[test]
fn the_grammar_is_the_documented_one() {
    property!("ids", the_grammar_is_the_documented_one).check(&any_text(), |text| {
        let mut bytes = text.bytes();
        let documented = text.len() <= 64
            && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && bytes.all(|rest| rest.is_ascii_alphanumeric() || b"._-".contains(&rest));
        prop_assert_eq!(text.parse::<SessionId>().is_ok(), documented);
        Ok(())
    });
}

/// Deserialising has no way around the check: values pass the same constructor.
#[test]
fn deserialising_is_parsing() {
    property!("ids", deserialising_is_parsing).check(&any_text(), |text| {
        let json = serde_json::to_string(&text).unwrap();
        let read = serde_json::from_str::<SessionId>(&json);
        prop_assert_eq!(read.is_ok(), text.parse::<SessionId>().is_ok());
        if let Ok(id) = read {
            prop_assert_eq!(serde_json::to_string(&id).unwrap(), json);
        }
        Ok(())
    });
}

#[test]
fn only_a_positive_number_is_a_pid() {
    for raw in [i32::MIN, -1, 0] {
        assert_eq!(Pid::new(raw), None);
        assert!(serde_json::from_str::<Pid>(&raw.to_string()).is_err(), "{raw}");
    }
    for raw in [1, 42, i32::MAX] {
        assert_eq!(Pid::new(raw).map(Pid::as_raw), Some(raw));
        assert_eq!(serde_json::to_string(&Pid::new(raw)).unwrap(), raw.to_string());
        assert_eq!(serde_json::from_str::<Pid>(&raw.to_string()).unwrap().to_string(), raw.to_string());
    }
}

#[test]
fn a_generation_grows_and_never_wraps() {
    assert_eq!(Generation::UNMANAGED.next(), Generation::new(1));
    assert_eq!(Generation::new(u64::MAX).next(), Generation::new(u64::MAX));
    assert!(Generation::new(1) < Generation::new(2));
    for number in [0, 1, 7, u64::MAX] {
        let generation = Generation::new(number);
        assert_eq!((generation.number(), generation.to_string()), (number, number.to_string()));
        assert_eq!(serde_json::to_value(generation).unwrap(), number);
    }
}

#[test]
fn a_nonce_is_at_least_64_bits_of_hexadecimal() {
    assert_eq!(Nonce::from_random(0xabc).as_str(), "00000000000000000000000000000abc");
    assert_eq!(Nonce::from_random(u128::MAX).as_str().len(), 32);
    assert!("0123456789abcdeF".parse::<Nonce>().is_ok());
    for text in ["", "0123456789abcde", "0123456789abcdeg", "0123456789abcde\u{e9}", " 123456789abcdef0"] {
        assert!(text.parse::<Nonce>().is_err(), "{text:?} is no nonce");
        let json = serde_json::to_string(text).unwrap();
        assert!(serde_json::from_str::<Nonce>(&json).is_err(), "{text:?} is no nonce in JSON either");
    }
}

/// The nonce is an authority, so debug output never shows the nonce.
#[test]
fn a_nonce_is_not_shown() {
    assert_eq!(format!("{:?}", Nonce::from_random(0xabc)), "Nonce(..)");
}

/// Text near the grammar and text far from the grammar.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9][A-Za-z0-9._-]{0,70}", "[-./_a-z \\n\\x00]{0,6}", any::<String>()]
}
