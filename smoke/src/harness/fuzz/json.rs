//! Unexpected values in JSON.

use super::super::rng::Rng;
use crate::procs::Pid;
use serde_json::{Number, Value, json};

/// A placeholder for bytes that JSON cannot hold, replaced after serialisation.
const RAW: &str = "@@raw@@";

/// The replacements for the placeholder: invalid UTF-8.
const NOT_UTF8: [&[u8]; 3] = [b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80"];

/// Fields that decide which process is signalled, or which version is spoken.
const DECISIVE: [&str; 20] = [
    "pid",
    "start_time",
    "boot_id",
    "pid_namespace",
    "time_namespace",
    "schema_version",
    "generation",
    "state",
    "socket",
    "nonce",
    "session",
    "readiness",
    "ready",
    "role",
    "expected_socket_path",
    "address",
    "target",
    "port",
    "foreign_listener",
    "settle_ms",
];

/// Changes one value of a document and describes the change; `None` if the bytes are not JSON.
pub(super) fn changed(rng: &mut Rng, bytes: &[u8], sentinel: Pid) -> Option<(Vec<u8>, String)> {
    let mut document: Value = serde_json::from_slice(bytes).ok()?;
    let mut all = Vec::new();
    pointers(&document, String::new(), &mut all);
    let decisive: Vec<String> = all
        .iter()
        .filter(|it| DECISIVE.iter().any(|name| it.ends_with(&format!("/{name}"))))
        .cloned()
        .collect();
    let among = if rng.below(3) > 0 && !decisive.is_empty() { &decisive } else { &all };
    let pointer = rng.pick(among);
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    if rng.below(12) == 0
        && let Some(Value::Object(fields)) = document.pointer_mut(parent)
    {
        fields.remove(key);
        return Some((document.to_string().into_bytes(), format!("without {pointer}")));
    }
    let value = odd(rng, sentinel);
    let said: String = format!("{pointer} = {value}").chars().take(120).collect();
    *document.pointer_mut(&pointer)? = value;
    let text = document.to_string();
    let bytes = match text.split_once(RAW) {
        None => text.into_bytes(),
        Some((before, after)) => [before.as_bytes(), rng.pick(&NOT_UTF8), after.as_bytes()].concat(),
    };
    Some((bytes, said))
}

fn pointers(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, it)| pointers(it, format!("{at}/{key}"), all)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(number, it)| pointers(it, format!("{at}/{number}"), all));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all.push(at);
}

/// A value that hardly any field expects.
pub(super) fn odd(rng: &mut Rng, sentinel: Pid) -> Value {
    let own = std::process::id();
    match rng.below(37) {
        0 | 1 => json!(sentinel),
        2 => json!(1),
        3 => json!(0),
        4 => json!(-1),
        5 => json!(own),
        6 => json!(i64::from(i32::MAX)),
        7 => json!(i64::from(i32::MAX) + 1),
        8 => json!(u64::MAX),
        9 => json!(i64::MIN),
        10 => Number::from_f64(1e308).map_or(Value::Null, Value::Number),
        11 => json!(0.5),
        12 => Value::Null,
        13 => json!(rng.below(2) == 0),
        14 => json!([]),
        15 => json!({}),
        16 => json!(""),
        17 => json!("\u{1b}[31mred\u{7}\u{9b}2J"),
        18 => json!("\u{202e}txt.exe\u{2066}\u{200f}"),
        19 => json!("a\0b\r\nc\td"),
        20 => json!(RAW),
        21 => json!("x".repeat(100_000)),
        22 => json!("../../canary/file"),
        23 => json!("/"),
        24 => json!("\u{feff}\u{1f600}\u{10ffff}"),
        25 => json!("00000000-0000-0000-0000-000000000000"),
        26 => json!(rng.number()),
        27 => json!(2),
        28 => json!([[[[{ "a": [null] }]]]]),
        29 => json!("$(kill 1); `reboot` '\"{socket}{session}{prompt}"),
        30 => json!("ready"),
        31 => json!("tcp:127.0.0.1:1"),
        32 => json!("tcp:[::1]:65536"),
        33 => json!("none"),
        34 => json!("http=/"),
        35 => json!("line=(a*)*b"),
        _ => json!("starting"),
    }
}

/// JSON nested so deeply that a recursive parser runs out of stack.
pub(super) fn deep(rng: &mut Rng) -> Vec<u8> {
    let depth = [127, 128, 10_000, 200_000][rng.below(4) as usize];
    let (open, close): (&[u8], &[u8]) = if rng.below(2) == 0 { (b"[", b"]") } else { (b"{\"a\":", b"}") };
    [open.repeat(depth), b"1".to_vec(), close.repeat(depth)].concat()
}
