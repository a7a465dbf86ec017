//! The committed schemas are those of the types, and no change breaks a reader.
//!
//! # Invariants
//! 1. Each file in `rekindle/schemas` is what the types give.
//! 2. A file is rewritten only if every fact of the old schema holds in the new one: no field is dropped or renamed, no
//!    field becomes optional, and no type or word is lost ([`facts`]). A new `SCHEMA_VERSION` lifts the rule.
//!
//! `just schemas` rewrites the files.

mod answers;
mod facts;

use rekindle::json::schemas::SCHEMAS;
use serde_json::Value;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The variable that asks to rewrite the files.
const UPDATE: &str = "UPDATE_SCHEMAS";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name).with_extension("json")
}

/// The schema in the form of the files.
fn laid_out(schema: &Value) -> String {
    format!("{schema:#}\n")
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let mut wrong = Vec::new();
    for (name, made) in answers::all() {
        let committed = fs::read_to_string(file(name)).unwrap_or_default();
        if committed == laid_out(&made) {
            continue;
        }
        let before: Value = serde_json::from_str(&committed).unwrap_or_default();
        let lost = facts::lost(&before, &made);
        if !lost.is_empty() {
            wrong.push(format!("{name}: readers rely on what is gone:\n  {}", lost.join("\n  ")));
        } else if env::var_os(UPDATE).is_some() {
            fs::write(file(name), laid_out(&made)).expect("the folder of the schemas is writable");
        } else {
            let new = facts::lost(&made, &before);
            wrong.push(format!("{name}: new in the types; run `just schemas`:\n  {}", new.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_schema_has_a_row_and_a_file() {
    let made: BTreeSet<&str> = answers::all().into_iter().map(|(name, _)| name).collect();
    let rows: BTreeSet<&str> = SCHEMAS.iter().map(|schema| schema.name).collect();
    let files = fs::read_dir(file("up").parent().expect("a file is in a folder")).expect("it is there");
    let files: Vec<String> = files
        .map(|entry| {
            entry.expect("it can be read").path().file_stem().expect("a name").to_string_lossy().into()
        })
        .collect();
    assert_eq!(made, rows, "the types of `answers` and the table of `schemas`");
    assert_eq!(files.iter().map(String::as_str).collect::<BTreeSet<_>>(), rows, "the files and the table");
}

/// A field without a description tells a reader nothing.
#[test]
fn every_field_is_described() {
    let undescribed: Vec<String> =
        answers::all().iter().flat_map(|(name, schema)| facts::undescribed(name, schema)).collect();
    assert!(undescribed.is_empty(), "{undescribed:#?}");
}
