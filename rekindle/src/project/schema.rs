//! The JSON schema of a project file.

use schemars::{JsonSchema, Schema, schema_for};
use std::collections::BTreeMap;

/// The schema of `rekindle.toml`.
///
/// ```
/// let schema = rekindle::project::config_schema();
/// assert_eq!(schema.get("title").and_then(|title| title.as_str()), Some("rekindle.toml"));
/// ```
pub fn config_schema() -> Schema {
    schema_for!(Config)
}

/// The sessions of a project.
#[derive(JsonSchema)]
#[schemars(title = "rekindle.toml", deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "the fields are read by the derive alone")]
struct Config {
    /// The sessions, by name: up to 64 of the characters A-Z a-z 0-9 . _ -
    #[schemars(extend("minProperties" = 1))]
    sessions: BTreeMap<String, SessionConfig>,
}

/// A session. Only the local file may leave `command` out.
#[derive(JsonSchema)]
#[schemars(title = "session", deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "the fields are read by the derive alone")]
struct SessionConfig {
    /// The program and its arguments; no shell is involved. {socket}, {port}, {host}, {address} and {session} are filled
    /// in. A program by a path counts from `cwd`.
    #[schemars(length(min = 1))]
    command: Option<Vec<String>>,
    /// Where the worker answers: unix, unix:PATH, tcp:PORT, tcp:HOST:PORT or none; port 0 is a free port. The default is
    /// unix.
    address: Option<String>,
    /// When the worker is ready: connect, http=PATH, notify, listen, line=REGEX, exec=COMMAND or running. The default is
    /// connect; without an address, running.
    ready: Option<String>,
    /// How long waiting and starting may take together, such as 500ms, 30s or 2m. The default is 30s.
    timeout: Option<String>,
    /// The working directory, from the directory of the file. The default is this directory.
    cwd: Option<String>,
    /// Variables, besides those of the caller.
    env: Option<BTreeMap<String, String>>,
    /// Files with variables, from the directory of the file; read at each start.
    env_file: Option<OneOrMore>,
    /// The sessions that have to be ready first.
    after: Option<Vec<String>>,
    /// The signal with which a stop begins. The default is TERM.
    stop_signal: Option<String>,
    /// How long the worker may take to end after the stop signal. The default is 5s.
    term_grace: Option<String>,
    /// How long the worker may take to end after SIGKILL. The default is 5s.
    kill_grace: Option<String>,
    /// The bound of each log in bytes, with k, m or g for powers of 1024; 0 is no bound.
    log_max: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the variants are read by the derive alone")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::super::read::KEYS;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_schema_has_the_keys_that_are_read() {
        let schema = serde_json::to_value(config_schema()).unwrap();
        let properties = schema.pointer("/$defs/SessionConfig/properties").expect("a session has keys");
        let described: BTreeSet<&str> = properties.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, KEYS.into_iter().collect());
    }
}
