//! The outcomes as JSON, without the facts known only to a caller (the session's name, the duration, the next command
//! to type).
//!
//! In the JSON of every [`Ensured`], the field `outcome` names the variant.
//!
//! Checked below, and by the live tests of the command's output.

use super::{DryRun, Ensured, Exited, Rejection, Retained, Running, StartKind, Stopped};
use crate::json::{path_text, without_nonce};
use crate::sessions::show::pass::LogPaths;
use rekindle_core::byte_text::ByteText;
use rekindle_core::protocol::Version;
use rekindle_core::{Endpoint, Generation, Owner, Pid};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

impl Serialize for Ensured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Running(running) => running.serialize(serializer),
            Self::Exited(exited) => exited.serialize(serializer),
            Self::NotStarted(error) => {
                let mut fields = Map::from_iter([("outcome".to_owned(), json!("spawn-start-failed"))]);
                if let Value::Object(of_error) = json!(error) {
                    fields.extend(of_error);
                }
                fields.serialize(serializer)
            }
            Self::Retained(retained) => retained.serialize(serializer),
            Self::Rejected(rejection) => rejection.serialize(serializer),
        }
    }
}

impl Serialize for Running {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The answer to nearly every call: a `json!` would make a map, to be copied by most callers.
        #[derive(Serialize)]
        struct Fields<'a> {
            outcome: StartKind,
            pid: Option<Pid>,
            socket: Option<ByteText<'a>>,
            address: &'a Endpoint,
            url: Option<&'a str>,
            owner: Option<Owner>,
            generation: Generation,
            managed: bool,
            program_differs: bool,
            after_kill: bool,
            worker_version: Option<&'a Version>,
            #[serde(flatten)]
            logs: &'a LogPaths,
        }
        let fields = Fields {
            outcome: self.kind,
            pid: self.pid,
            socket: self.socket().map(path_text),
            address: &self.endpoint,
            url: self.url.as_deref(),
            owner: self.owner(),
            generation: self.generation,
            managed: self.managed,
            program_differs: self.program_differs,
            after_kill: self.after_kill,
            worker_version: self.connection.greeting().map(|greeting| &greeting.version),
            logs: &self.logs,
        };
        fields.serialize(serializer)
    }
}

impl Serialize for Exited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = json!({
            "outcome": "child-exited",
            "pid": self.pid,
            "socket": self.endpoint.socket().map(path_text),
            "address": self.endpoint,
            "generation": self.generation,
            "exit_code": self.exit.code(),
            "signal": self.exit.signal(),
            "after_kill": self.after_kill,
            "cause": self.cause.as_ref().map(ToString::to_string),
            "last_seen": self.last_seen,
            "listened_at": self.listened_at,
            "stderr_tail": self.stderr_tail,
            "status_text": self.status_text,
            "stdout_log": self.logs.stdout.as_deref().map(path_text),
            "stderr_log": self.logs.stderr.as_deref().map(path_text),
        });
        fields.serialize(serializer)
    }
}

impl Serialize for Retained {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = json!({
            "outcome": "lock-retained",
            "pid": self.diagnostic.pid,
            "socket": self.diagnostic.socket_path.as_deref().map(path_text),
            "address": self.diagnostic.address,
            "generation": self.generation,
            "reason": self.reason,
            "cause": self.cause.to_string(),
            "diagnostic": self.diagnostic,
            "status_text": self.status_text,
            "stdout_log": self.logs.stdout.as_deref().map(path_text),
            "stderr_log": self.logs.stderr.as_deref().map(path_text),
        });
        fields.serialize(serializer)
    }
}

impl Serialize for Rejection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = json!({
            "outcome": "rejected",
            "pid": self.pid,
            "socket": self.endpoint.socket().map(path_text),
            "address": self.endpoint,
            "reason": self.reason,
            "liveness": self.liveness,
            "holder": self.holder.as_ref().map(without_nonce),
            "message": self.message,
        });
        fields.serialize(serializer)
    }
}

impl Serialize for DryRun {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = json!({
            "outcome": "dry-run",
            "verdict": self.verdict,
            "reason": self.rejection.as_ref().map(|rejection| rejection.reason),
            "plan": self.plan,
        });
        fields.serialize(serializer)
    }
}

impl Serialize for Stopped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = json!({
            "session": self.session,
            "outcome": self.outcome,
            "pid": self.pid,
            "generation": self.generation,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "survivors": self.survivors,
            "trouble": self.trouble,
            "stdout_log": self.logs.stdout.as_deref().map(path_text),
            "stderr_log": self.logs.stderr.as_deref().map(path_text),
        });
        fields.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle_core::SpawnError;

    #[test]
    fn a_start_that_failed_says_so() {
        let ensured = Ensured::NotStarted(SpawnError::NoProgram);
        let json = r#"{"outcome":"spawn-start-failed","reason":null,"message":"the plan names no program"}"#;
        assert_eq!(serde_json::to_string(&ensured).unwrap(), json);
        assert_eq!(ensured.to_string(), "the plan names no program");
    }
}
