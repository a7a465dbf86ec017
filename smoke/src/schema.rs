//! Validates every answer of the command against the schema of the verb.
//!
//! # Invariants
//! 1. Closed: a field that the schema does not have is a failure, though a reader would ignore the field.
//! 2. What is not ours is not judged: the line of a worker (`call`), the output of a program (`supervise`, `lifecycle
//!    acquire -- PROGRAM`), the fields of a record of a later version.

use jsonschema::Validator;
use rekindle::json::schemas::{SCHEMAS, Schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The newest known schema of a record.
const RECORD_SCHEMA_MAX: u64 = 2;

/// The field that tests add to a record in the place of a later version.
const LATER_FIELD: &str = "future";

/// The verbs whose name has a second word.
const FAMILIES: [&str; 2] = ["pool", "lifecycle"];

/// The form of a command's answers with `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    verb: &'static str,
    whose: Whose,
}

/// The writer of the standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The command's: every line is an answer.
    Ours,
    /// A program's as well: only a line with a version is an answer.
    Shared,
    /// A worker's, unless the command failed.
    Workers,
}

impl Form {
    /// The form of `rekindle --json VERB ...`, also behind a shell or `strace`; `None` for another command.
    pub fn of(command: &Command) -> Option<Self> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        let start =
            words.iter().position(|word| Path::new(word).file_name().is_some_and(|it| it == "rekindle"))?;
        let all = words.get(start + 1..)?;
        let runs_a_program = all.iter().any(|word| word == "--");
        let ours: Vec<&str> = all.iter().map(String::as_str).take_while(|word| *word != "--").collect();
        if !ours.contains(&"--json") {
            return None;
        }
        let mut words = plain_words(&ours).into_iter();
        let first = words.next()?;
        let second = words.next();
        let verb = match second {
            Some(second) if FAMILIES.contains(&first) => format!("{first}-{second}"),
            Some(_) if first == "schema" => return None,
            // A reference worker answers on its socket, and prints failures only.
            _ if first == "worker" => "error".to_owned(),
            _ => first.to_owned(),
        };
        let whose = match verb.as_str() {
            "call" => Whose::Workers,
            "supervise" => Whose::Shared,
            "lifecycle-acquire" if runs_a_program => Whose::Shared,
            _ => Whose::Ours,
        };
        Some(Self { verb: Schema::named(&verb)?.name, whose })
    }

    /// Validates all answers on the standard output.
    ///
    /// # Panics
    /// If an answer is not in its schema.
    pub fn check(self, stdout: &str, code: Option<i32>) {
        let verb = match self.whose {
            Whose::Workers if code == Some(0) => return,
            // A worker that cannot be attached to is reported as by `up`.
            Whose::Workers => "up",
            Whose::Ours | Whose::Shared => self.verb,
        };
        for line in stdout.lines() {
            // A line may be cut off by a kill.
            let Ok(answer) = serde_json::from_str::<Value>(line) else { continue };
            if self.whose == Whose::Ours || is_versioned(&answer) || self.whose == Whose::Workers {
                check(verb, &answer);
            }
        }
    }
}

/// The words without options, and without the value of `--dir`.
fn plain_words<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let mut plain = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--dir" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => plain.push(word),
        }
    }
    plain
}

fn is_versioned(answer: &Value) -> bool {
    answer.get("schema_version").is_some()
}

/// Validates the events of `rekindle supervise`. A program can forge an event; ours have a version.
///
/// # Panics
/// If an event is not in its schema.
pub fn check_events(events: &[Value]) {
    events.iter().filter(|event| is_versioned(event)).for_each(|event| check("supervise", event));
}

/// Validates an answer of a verb.
///
/// # Panics
/// If the answer is not in the schema of the verb.
pub fn check(verb: &str, answer: &Value) {
    let faults = faults(verb, answer);
    assert!(
        faults.is_empty(),
        "the answer of `{verb}` is not in `rekindle schema {verb}`:\n  {}\n{answer:#}",
        faults.join("\n  ")
    );
}

/// What is wrong with an answer of a verb: the path and the fault; nothing if the answer is in the schema.
///
/// # Panics
/// If there is no such verb.
pub fn faults(verb: &str, answer: &Value) -> Vec<String> {
    static FORMS: OnceLock<BTreeMap<&'static str, Vec<Validator>>> = OnceLock::new();
    let forms =
        FORMS.get_or_init(|| SCHEMAS.iter().map(|schema| (schema.name, validators(schema))).collect());
    let answer = &judged(verb, answer);
    let faults = |form: &Validator| -> Vec<String> {
        form.iter_errors(answer).map(|error| format!("`{}`: {error}", error.instance_path())).collect()
    };
    // The answer has one form of several: the nearest form tells what is wrong.
    forms[verb].iter().map(faults).min_by_key(Vec::len).unwrap_or_default()
}

/// The part of an answer that is ours.
fn judged(verb: &str, answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let (Value::Object(fields), "show") = (&mut answer, verb) {
        fields.shift_remove(LATER_FIELD);
        let is_later = fields.get("record_schema_version").and_then(Value::as_u64);
        if is_later.is_some_and(|version| version > RECORD_SCHEMA_MAX) {
            fields
                .retain(|name, _| ["schema_version", "status", "claim", "lifeline"].contains(&name.as_str()));
        }
    }
    answer
}

/// A validator for each form of a verb's answer.
fn validators(schema: &Schema) -> Vec<Validator> {
    let root: Value = serde_json::from_str(schema.text).expect("a schema is JSON");
    let definitions = root.get("$defs").cloned().unwrap_or_else(|| json!({}));
    let forms = root.get("anyOf").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![root.clone()]);
    let validator = |mut form: Value| {
        form["$schema"] = root["$schema"].clone();
        form["$defs"] = definitions.clone();
        close(&mut form);
        jsonschema::validator_for(&form)
            .unwrap_or_else(|error| panic!("the schema of `{}`: {error}", schema.name))
    };
    forms.into_iter().map(validator).collect()
}

/// Forbids fields that a schema does not have, here and below.
fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    close_below(fields);
    let is_free =
        ["properties", "$ref", "anyOf", "oneOf", "allOf"].iter().all(|key| !fields.contains_key(*key));
    if !is_free && !fields.contains_key("additionalProperties") {
        fields.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
    }
}

/// The same in every value of an object. The parts of one schema (`anyOf` and the like) judge the same object, so that
/// only the whole can tell which fields no part has.
fn close_below(fields: &mut Map<String, Value>) {
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(close),
            ("items" | "additionalProperties", value) => close(value),
            ("anyOf" | "oneOf" | "allOf", Value::Array(parts)) => {
                parts.iter_mut().filter_map(Value::as_object_mut).for_each(close_below);
            }
            ("$defs", Value::Object(definitions)) => {
                definitions.values_mut().filter_map(Value::as_object_mut).for_each(close_below);
            }
            _ => {}
        }
    }
}
