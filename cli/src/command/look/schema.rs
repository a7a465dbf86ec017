//! `rekindle schema`

use crate::report::{Exit, Report};
use rekindle::json::schemas::{SCHEMAS, Schema, SchemaEntryJson, SchemaListJson};
use serde_json::Value;

pub(crate) fn run(name: Option<&str>, report: &Report) -> Exit {
    tracing::info!(schemas = SCHEMAS.len(), "the schemas are part of the command");
    match name.and_then(Schema::named) {
        Some(schema) => show(schema, report),
        None => list(report),
    }
}

fn show(schema: &Schema, report: &Report) -> Exit {
    // Programs get the schema on one line, as every answer.
    let on_one_line: Value = serde_json::from_str(schema.text).expect("a committed schema is JSON");
    report.result(&schema.text.trim_end(), on_one_line);
    Exit::Done
}

fn list(report: &Report) -> Exit {
    let width = SCHEMAS.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let rows: Vec<_> = SCHEMAS.iter().map(|it| format!("{:width$}  {}", it.name, it.about)).collect();
    let schemas: Vec<_> =
        SCHEMAS.iter().map(|&Schema { name, about, .. }| SchemaEntryJson { name, about }).collect();
    report.answer(&rows.join("\n"), SchemaListJson { schemas: &schemas });
    Exit::Done
}
