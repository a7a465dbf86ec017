//! The outcomes as JSON, without the facts known only to a caller (the session's name, the duration, the next command
//! to type).
//!
//! In the JSON of every [`Ensured`], the field `outcome` names the variant.
//!
//! Checked below, and by the live tests of the command's output.

use super::{DryRun, Ensured, Exited, Rejection, Retained, Running, Stopped};
use crate::json::end::StopJson;
use crate::json::path_text;
use crate::json::start::{
    ChildExited, DryRunJson, DryRunWord, ExitedJson, LockRetained, NotStartedJson, Rejected, RejectedJson,
    RetainedJson, RunningJson, SpawnStartFailed, WorkerJson,
};
use crate::json::word::described_as;
use crate::sessions::show::pass::LogPaths;
use rekindle_core::{Endpoint, Generation, Pid, SpawnError};
use serde::{Serialize, Serializer};

described_as!(
    Running => RunningJson<'static>,
    Exited => ExitedJson<'static>,
    Retained => RetainedJson<'static>,
    Rejection => RejectedJson<'static>,
    DryRun => DryRunJson<'static>,
    Stopped => StopJson<'static>,
);

impl Serialize for Ensured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Running(running) => running.serialize(serializer),
            Self::Exited(exited) => exited.serialize(serializer),
            Self::NotStarted(error) => NotStartedJson::from(error).serialize(serializer),
            Self::Retained(retained) => retained.serialize(serializer),
            Self::Rejected(rejection) => rejection.serialize(serializer),
        }
    }
}

/// A worker without a URL.
fn worker<'a>(
    pid: Option<Pid>,
    endpoint: Option<&'a Endpoint>,
    generation: Option<Generation>,
    logs: Option<&'a LogPaths>,
) -> WorkerJson<'a> {
    WorkerJson {
        pid,
        socket: endpoint.and_then(Endpoint::socket).map(path_text),
        address: endpoint,
        url: None,
        owner: None,
        generation,
        stdout_log: logs.and_then(|logs| logs.stdout.as_deref()).map(path_text),
        stderr_log: logs.and_then(|logs| logs.stderr.as_deref()).map(path_text),
    }
}

impl Serialize for Running {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The answer to nearly every call: no value is made on the way.
        let fields = RunningJson {
            outcome: self.kind,
            worker: WorkerJson {
                url: self.url.as_deref(),
                owner: self.owner(),
                ..worker(self.pid, Some(&self.endpoint), Some(self.generation), Some(&self.logs))
            },
            managed: self.managed,
            program_differs: self.program_differs(),
            differs: &self.differs,
            after_kill: self.after_kill,
            worker_version: self.connection.greeting().map(|greeting| &greeting.version),
        };
        fields.serialize(serializer)
    }
}

impl Serialize for Exited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = ExitedJson {
            outcome: ChildExited,
            worker: worker(self.pid, Some(&self.endpoint), Some(self.generation), Some(&self.logs)),
            exit_code: self.exit.code(),
            signal: self.exit.signal(),
            exit: self.exit,
            after_kill: self.after_kill,
            cause: self.cause.as_ref().map(ToString::to_string),
            last_seen: self.last_seen.as_deref(),
            listened_at: self.listened_at.as_ref(),
            stderr_tail: &self.stderr_tail,
            status_text: self.status_text.as_deref(),
        };
        fields.serialize(serializer)
    }
}

impl From<&SpawnError> for NotStartedJson<'_> {
    fn from(error: &SpawnError) -> Self {
        Self {
            outcome: SpawnStartFailed,
            worker: WorkerJson::default(),
            reason: error.shortage(),
            message: error.to_string(),
        }
    }
}

impl Serialize for Retained {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = RetainedJson {
            outcome: LockRetained,
            worker: worker(
                self.diagnostic.pid,
                Some(&self.diagnostic.address),
                Some(self.generation),
                Some(&self.logs),
            ),
            reason: self.reason,
            cause: self.cause.to_string(),
            diagnostic: &self.diagnostic,
            status_text: self.status_text.as_deref(),
        };
        fields.serialize(serializer)
    }
}

impl Serialize for Rejection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = RejectedJson {
            outcome: Rejected,
            worker: worker(self.pid, Some(&self.endpoint), None, None),
            reason: self.reason,
            liveness: self.liveness,
            holder: self.holder.as_ref().map(Into::into),
            message: &self.message,
        };
        fields.serialize(serializer)
    }
}

impl Serialize for DryRun {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = DryRunJson {
            outcome: DryRunWord,
            verdict: self.verdict,
            reason: self.rejection.as_ref().map(|rejection| rejection.reason),
            plan: &self.plan,
        };
        fields.serialize(serializer)
    }
}

impl Serialize for Stopped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = StopJson {
            session: &self.session,
            outcome: self.outcome,
            pid: self.pid,
            generation: self.generation,
            elapsed_ms: u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            survivors: &self.survivors,
            trouble: &self.trouble,
            stdout_log: self.logs.stdout.as_deref().map(path_text),
            stderr_log: self.logs.stderr.as_deref().map(path_text),
        };
        fields.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_start_that_failed_says_so() {
        let ensured = Ensured::NotStarted(SpawnError::NoProgram);
        let json = serde_json::to_value(&ensured).unwrap();
        assert_eq!(
            (&json["outcome"], &json["pid"], &json["reason"], &json["message"]),
            (&"spawn-start-failed".into(), &Value::Null, &Value::Null, &"the plan names no program".into())
        );
        assert_eq!(ensured.to_string(), "the plan names no program");
    }
}
