//! The JSON schemas of the outputs, as committed in `rekindle/schemas`.
//!
//! Each schema is made from the types in [`json`](crate::json). `rekindle/tests/schemas` compares types and files, and
//! refuses a change that would break a reader.

/// The JSON schema of an output.
///
/// ```
/// use rekindle::json::schemas::Schema;
///
/// let up = Schema::named("up").ok_or("every verb has a schema")?;
/// assert!(up.text.contains("\"elapsed_ms\""));
/// assert_eq!(Schema::named("up or down"), None);
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The verb, with its second word after a hyphen: `pool-run`. `error` is the failure of any verb.
    pub name: &'static str,
    /// What the schema describes, in one line.
    pub about: &'static str,
    /// The schema: JSON Schema, draft 2020-12, on several lines.
    pub text: &'static str,
}

/// The table of the schemas, and the file of each.
macro_rules! schemas {
    ($($name:literal: $about:literal,)+) => {
        &[$(Schema {
            name: $name,
            about: $about,
            text: include_str!(concat!("../../schemas/", $name, ".json")),
        }),+]
    };
}

/// Every schema, in the order of the verbs in the help.
pub const SCHEMAS: &[Schema] = schemas! {
    "up": "a start or an attach: one of seven outcomes, or a dry run",
    "restart": "the end of a worker and the start of another: the fields of `up`, and the ended worker",
    "ls": "the sessions",
    "show": "a session: record, claim and lifeline",
    "status": "whether workers are live",
    "wait": "the end of a worker, or its readiness",
    "events": "an event of a session, one object a line",
    "signal": "the signalled processes",
    "rm": "a removed session, one object for each session",
    "logs": "a line of a log, one object a line",
    "stop": "the end of a worker, one object for each session",
    "call": "the worker's own line, or why there is none",
    "probe": "the verdict on a socket or a port",
    "unlock": "a cleared claim, or a forgotten session",
    "gc": "the removed and the kept sessions",
    "doctor": "the diagnosis of a session, one object for each session",
    "pool-run": "the answer of a pool's worker, for its host",
    "pool-continue": "the same, after an answer of the host",
    "pool-status": "the status of a pool's session",
    "pool-shutdown": "the end of a pool's worker",
    "pool-ls": "the sessions of the pool",
    "pool-gc": "the removed and the kept sessions of the pool",
    "lifecycle-acquire": "an acquired lifecycle lock, or the present holder",
    "lifecycle-status": "the state of a lifecycle lock",
    "lifecycle-release": "a released lifecycle lock",
    "lifecycle-force-unlock": "a removed marker",
    "claim": "a held claim, or why it is not held; on stderr",
    "supervise": "an event of a supervised program, one object a line",
    "demo": "a step of the tour, one object a line",
    "init": "a written project file",
    "config": "rekindle.toml, the project file",
    "completions": "a completion script",
    "man": "manual pages",
    "schema": "the list of the schemas",
    "error": "the failure of any verb",
};

impl Schema {
    /// The schema with a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCHEMAS.iter().find(|schema| schema.name == name)
    }
}

/// `rekindle schema`
#[derive(Debug, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SchemaListJson<'a> {
    /// The schemas.
    pub schemas: &'a [SchemaEntryJson],
}

/// A schema in the list of `rekindle schema`.
#[derive(Debug, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SchemaEntryJson {
    /// The name, for `rekindle schema NAME`.
    pub name: &'static str,
    /// What the schema describes.
    pub about: &'static str,
}
