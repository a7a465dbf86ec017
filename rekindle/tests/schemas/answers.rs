//! The answers of each verb. Every verb may answer with an error instead.

#![expect(dead_code, reason = "the types are described, and never made")]

use rekindle::json::end::{GcJson, OfSession};
use rekindle::json::failure::ErrorJson;
use rekindle::json::logs::LogLineJson;
use rekindle::json::look::{AllJson, DiagnosisJson, ProbeJson};
use rekindle::json::programs::{AtPath, DemoFacts, DemoJson, EventJson, PoolListJson, Told};
use rekindle::json::project::{InitJson, SkippedJson, SummaryJson};
use rekindle::json::schemas::SchemaListJson;
use rekindle::json::send::ClaimJson;
use rekindle::json::setup::{CompletionsJson, ManJson};
use rekindle::json::start::{NotRestartedJson, NotStartedJson, RestartErrorJson, RestartJson, UpJson};
use rekindle::json::watch::{RemoveJson, SessionEvent, SignalJson, StatusJson, WaitJson};
use rekindle::json::{Advised, Versioned};
use rekindle::lifecycle::{Acquired, ForceUnlocked, LifecycleConflict, LifecycleStatus, Released};
use rekindle::pool::{PoolEntry, PoolStatus, RunOutcome};
use rekindle::project::config_schema;
use rekindle::{
    Collected, Diagnosis, DryRun, Exited, Forgotten, KeptBecause, Listing, Rejection, Retained, Running,
    SessionStatus, SessionSummary, SessionView, Stopped, Unlocked,
};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

type Answer<T> = Versioned<T>;
type Failure<T> = Versioned<Advised<T>>;
type Error = Failure<ErrorJson<'static>>;

/// The answers of a verb, each with its title and description.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident $about:literal: $answer:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(JsonSchema)]
        #[serde(untagged)]
        enum $name { $(
            #[schemars(title = stringify!($variant), description = $about)]
            $variant(Box<$answer>),
        )+ }
    )+};
}

answers! {
    /// The answers of `rekindle up`.
    Up {
        Running "A worker runs and answers.": Answer<UpJson<'static, Running>>,
        Exited "The worker ended before ready.": Failure<UpJson<'static, Exited>>,
        NotStarted "The program was never executed.": Failure<UpJson<'static, NotStartedJson<'static>>>,
        Retained "Nothing could be observed, and the claim stays.": Failure<UpJson<'static, Retained>>,
        Rejected "Nothing was changed.": Failure<UpJson<'static, Rejection>>,
        DryRun "What a call would do (`--dry-run`).": Answer<DryRun>,
        FailedOfProject "A failure of one session of a project.": Failure<OfSession<'static, ErrorJson<'static>>>,
        Skipped "A session of a project that was not started, because one that it needs failed.": Failure<SkippedJson>,
        Summary "The last object of a call for all sessions of a project.": Answer<SummaryJson>,
        Restarted "The former worker was ended, and another runs (`--intent restart`).": Answer<RestartJson<'static, Running>>,
        ExitedAfterRestart "The former worker was ended, and the new one ended before ready.": Failure<RestartJson<'static, Exited>>,
        NotStartedAfterRestart "The former worker was ended, and the program was never executed.": Failure<RestartJson<'static, NotStartedJson<'static>>>,
        RetainedAfterRestart "Nothing could be observed of the new worker, and the claim stays.": Failure<RestartJson<'static, Retained>>,
        NotRestarted "Nothing was changed.": Failure<RestartJson<'static, Rejection>>,
        RestartFailed "A failure, perhaps after the former worker was ended.": Failure<RestartErrorJson<'static>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle restart`.
    Restart {
        Running "The former worker was ended, and another runs (`--intent restart`).": Answer<RestartJson<'static, Running>>,
        Exited "The former worker was ended, and the new one ended before ready.": Failure<RestartJson<'static, Exited>>,
        NotStarted "The former worker was ended, and the program was never executed.": Failure<RestartJson<'static, NotStartedJson<'static>>>,
        Retained "Nothing could be observed of the new worker, and the claim stays.": Failure<RestartJson<'static, Retained>>,
        Rejected "Nothing was changed.": Failure<RestartJson<'static, Rejection>>,
        Failed "A failure, perhaps after the former worker was ended.": Failure<RestartErrorJson<'static>>,
        NotRunning "No worker ran (`--if-running`).": Answer<NotRestartedJson<'static>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle claim`, on stderr.
    Claim { Claimed "The claim is held, and the program begins.": Answer<ClaimJson<'static>>, Error "A failure.": Error, }
    /// The answers of `rekindle completions`.
    Completions { Script "The script.": Answer<CompletionsJson<'static>>, Error "A failure.": Error, }
    /// The answers of `rekindle man`.
    Man { Pages "The pages.": Answer<ManJson<'static>>, Error "A failure.": Error, }
    /// The answers of `rekindle init`.
    Init { Written "The file was written.": Answer<InitJson>, Error "A failure.": Error, }
    /// The answers of `rekindle ls`.
    Ls {
        Listing "The sessions.": Answer<Listing>,
        All "The sessions of every state root (`--all`).": Answer<AllJson<'static, SessionSummary>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle show`.
    Show { Session "Everything about a session.": Answer<SessionView>, Error "A failure.": Error, }
    /// The answers of `rekindle status`.
    Status { Sessions "The sessions.": Answer<StatusJson<'static, SessionStatus>>, Error "A failure.": Error, }
    /// The answers of `rekindle wait`.
    Wait {
        Waited "The worker has ended, or is ready.": Answer<WaitJson<'static>>,
        NotReady "The time was up, or the worker ended before it was ready.": Failure<WaitJson<'static>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle events`, one object a line.
    Events { Event "An event.": Answer<SessionEvent>, Error "A failure.": Error, }
    /// The answers of `rekindle signal`.
    Signal { Signalled "The signal was sent.": Answer<SignalJson<'static>>, Error "A failure.": Error, }
    /// The answers of `rekindle rm`, one object for each session.
    Rm {
        Removed "The session is gone.": Answer<RemoveJson<'static, KeptBecause>>,
        Kept "The session was kept.": Failure<RemoveJson<'static, KeptBecause>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle logs`, one object a line.
    Logs { Line "A line.": Answer<LogLineJson<'static>>, Error "A failure.": Error, }
    /// The answers of `rekindle stop`, one object for each session.
    Stop {
        Stopped "The worker is gone.": Answer<Stopped>,
        Summary "The last object of a call for all sessions of a project.": Answer<SummaryJson>,
        NotStopped "The worker still runs, or its leftovers could not be cleaned up.": Failure<Stopped>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle probe`.
    Probe { Verdict "The verdict.": Answer<ProbeJson<'static>>, Error "A failure.": Error, }
    /// The answers of `rekindle unlock`.
    Unlock {
        Unlocked "A cleared claim, or none.": Answer<OfSession<'static, Unlocked>>,
        Forgotten "A forgotten session (`--forget`).": Answer<Forgotten>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle gc`.
    Gc { Collected "The sessions.": Answer<GcJson<Collected>>, Error "A failure.": Error, }
    /// The answers of `rekindle doctor`, one object for each session.
    Doctor { Diagnosis "A diagnosis.": Answer<Advised<DiagnosisJson<'static, Diagnosis>>>, Error "A failure.": Error, }
    /// The answers of `rekindle pool run` and `rekindle pool continue`.
    PoolRun { Answer "The worker's answer for its host.": Answer<RunOutcome>, Error "A failure.": Error, }
    /// The answers of `rekindle pool status`.
    PoolStatusAnswer { Status "The worker's report.": Answer<PoolStatus>, Error "A failure.": Error, }
    /// The answers of `rekindle pool ls`.
    PoolLs { List "The sessions.": Answer<PoolListJson<'static, PoolEntry>>, Error "A failure.": Error, }
    /// The answers of `rekindle pool gc`.
    PoolGc { Collected "The sessions.": Answer<Collected>, Error "A failure.": Error, }
    /// The answers of `rekindle lifecycle acquire`; on stderr, if a program is run.
    LifecycleAcquire {
        Acquired "The lock is ours.": Answer<AtPath<'static, Acquired>>,
        Conflict "Another process holds the lock.": Failure<Told<'static, AtPath<'static, LifecycleConflict>>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle lifecycle status`.
    LifecycleStatusAnswer {
        Status "The state of the lock.": Answer<AtPath<'static, LifecycleStatus>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle lifecycle release`.
    LifecycleRelease {
        Released "A released lock, or none.": Answer<AtPath<'static, Released>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle lifecycle force-unlock`.
    LifecycleForceUnlock {
        Removed "A removed marker, or none.": Answer<AtPath<'static, ForceUnlocked>>,
        Error "A failure.": Error,
    }
    /// The events of `rekindle supervise --json`, on stderr or on the descriptor of `--events-fd`.
    Supervise {
        Event "An event.": Answer<EventJson<'static>>,
        Error "A failure on stdout: the command line is wrong.": Error,
    }
    /// The answers of `rekindle demo`, one object for each step.
    Demo {
        Step "A step.": Answer<DemoJson<'static, DemoFacts<'static>>>,
        Stop "A stop.": Answer<DemoJson<'static, Stopped>>,
        Error "A failure.": Error,
    }
    /// The answers of `rekindle schema`; `rekindle schema VERB` prints the schema itself.
    SchemaAnswer { List "The schemas.": Answer<SchemaListJson<'static>>, Error "A failure.": Error, }
    /// The failure of any verb.
    AnyError { Error "A failure.": Error, }
}

/// The answers of `rekindle call`: the line of the worker, or a failure as `up` and every verb print it.
#[derive(JsonSchema)]
struct Call(Value);

/// A verb, and the maker of its schema.
type Row = (&'static str, fn() -> Value);

/// The schemas of all verbs, by name.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    let all: [Row; 35] = [
        ("up", schema::<Up>),
        ("restart", schema::<Restart>),
        ("ls", schema::<Ls>),
        ("show", schema::<Show>),
        ("status", schema::<Status>),
        ("wait", schema::<Wait>),
        ("events", schema::<Events>),
        ("signal", schema::<Signal>),
        ("rm", schema::<Rm>),
        ("logs", schema::<Logs>),
        ("stop", schema::<Stop>),
        ("call", schema::<Call>),
        ("probe", schema::<Probe>),
        ("unlock", schema::<Unlock>),
        ("gc", schema::<Gc>),
        ("doctor", schema::<Doctor>),
        ("pool-run", schema::<PoolRun>),
        ("pool-continue", schema::<PoolRun>),
        ("pool-status", schema::<PoolStatusAnswer>),
        ("pool-shutdown", schema::<Stop>),
        ("pool-ls", schema::<PoolLs>),
        ("pool-gc", schema::<PoolGc>),
        ("lifecycle-acquire", schema::<LifecycleAcquire>),
        ("lifecycle-status", schema::<LifecycleStatusAnswer>),
        ("lifecycle-release", schema::<LifecycleRelease>),
        ("lifecycle-force-unlock", schema::<LifecycleForceUnlock>),
        ("claim", schema::<Claim>),
        ("supervise", schema::<Supervise>),
        ("demo", schema::<Demo>),
        ("init", schema::<Init>),
        ("config", || config_schema().to_value()),
        ("completions", schema::<Completions>),
        ("man", schema::<Man>),
        ("schema", schema::<SchemaAnswer>),
        ("error", schema::<AnyError>),
    ];
    let titled = |(name, schema): Row| {
        let mut schema = schema();
        if name != "config" {
            schema["title"] = format!("rekindle {name}").into();
        }
        (name, schema)
    };
    all.into_iter().map(titled).collect()
}

/// The schema of the printed object: a field that may be left out is not required.
fn schema<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    drop_integer_formats(&mut schema);
    schema
}

/// Removes formats as `uint32`, which are Rust's: a strict validator refuses an unknown format.
fn drop_integer_formats(node: &mut Value) {
    match node {
        Value::Object(fields) => {
            let is_integer = |format: &Value| format.as_str().is_some_and(|it| it.contains("int"));
            if fields.get("format").is_some_and(is_integer) {
                fields.shift_remove("format");
            }
            fields.values_mut().for_each(drop_integer_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_integer_formats),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
