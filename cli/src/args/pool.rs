//! The grammar of `rekindle pool`.

use super::values::{Graces, READINESS, TARGET, duration, json};
use crate::given::Given;
use clap::Subcommand;
use clap::builder::{OsStringValueParser, TypedValueParser};
use rekindle::protocol::Version;
use std::ffi::OsString;
use std::time::Duration;

/// The heading of the work and of its limits.
const WORK: &str = "Work";

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum PoolVerb {
    /// Start a worker for a new session and run a piece of work
    ///
    /// Returns when the work is over or waits for an answer.
    #[command(
        override_usage = "rekindle pool run [OPTIONS] --speak <VERSION> --code <CODE> -- PROGRAM [ARG]..."
    )]
    Run {
        /// The host's version of the protocol
        ///
        /// A worker with another version is refused.
        #[arg(long, value_name = "VERSION", help_heading = TARGET)]
        speak: Version,

        /// The code to run, in the worker's language
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given), value_name = "CODE|@FILE|-")]
        #[arg(help_heading = WORK)]
        code: Given,

        /// JSON context for the code
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given_json), value_name = "JSON|@FILE|-")]
        #[arg(help_heading = WORK)]
        ctx: Option<Given>,

        /// A directory with libraries; may be repeated
        #[arg(long, value_name = "DIR", help_heading = WORK)]
        lib_path: Vec<String>,

        /// Time to become ready
        #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME", help_heading = READINESS)]
        timeout: Duration,

        #[command(flatten)]
        answer: AnswerTime,

        #[command(flatten)]
        work: WorkTime,

        #[command(flatten)]
        graces: Graces,

        /// The worker and its arguments, after `--`
        #[arg(last = true, required = true, value_name = "PROGRAM")]
        command: Vec<OsString>,
    },
    /// Continue a paused session with an answer
    Continue {
        /// The session, by either name
        sid: String,

        /// The host's version of the protocol
        #[arg(long, value_name = "VERSION", help_heading = TARGET)]
        speak: Version,

        /// The answer
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given), value_name = "TEXT|@FILE|-")]
        #[arg(help_heading = WORK)]
        response: Given,

        /// The query to answer, if several are open
        #[arg(long, value_name = "ID", help_heading = WORK)]
        query_id: Option<String>,

        /// Usage (tokens, cost) to report
        #[arg(long, value_parser = json, value_name = "JSON", help_heading = WORK)]
        usage: Option<serde_json::Value>,

        #[command(flatten)]
        reach: ReachTime,

        #[command(flatten)]
        answer: AnswerTime,

        #[command(flatten)]
        work: WorkTime,
    },
    /// Ask a worker for the state of its session
    Status {
        /// The session, by either name
        sid: String,

        /// Include the history of the conversation
        #[arg(long, help_heading = WORK)]
        history: bool,

        /// Version of the protocol [default: the worker's]
        ///
        /// The default is the version in the worker's last report.
        #[arg(long, value_name = "VERSION", help_heading = TARGET)]
        speak: Option<Version>,

        #[command(flatten)]
        reach: ReachTime,

        #[command(flatten)]
        answer: AnswerTime,
    },
    /// End a session's worker: first a request, then signals
    Shutdown {
        /// The session, by either name
        sid: String,

        /// Version of the protocol [default: the worker's]
        ///
        /// The default is the version in the worker's last report.
        #[arg(long, value_name = "VERSION", help_heading = TARGET)]
        speak: Option<Version>,

        #[command(flatten)]
        reach: ReachTime,

        #[command(flatten)]
        answer: AnswerTime,

        #[command(flatten)]
        graces: Graces,
    },
    /// List the sessions of the pool, without connecting to any
    Ls,
    /// Remove sessions with a provably gone worker, and workers whose host died before any work arrived
    ///
    /// Each worker with a dead host is asked; a worker without an answer in time stays.
    Gc {
        #[command(flatten)]
        reach: ReachTime,

        #[command(flatten)]
        answer: AnswerTime,
    },
}

// The time to connect to a running worker. These structs have no doc comments: clap would show a doc comment in place
// of the verb's text.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ReachTime {
    /// Time to accept a connection
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME", help_heading = READINESS)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct AnswerTime {
    /// Time for anything but work
    ///
    /// To read our line, to answer in full, to finish a line.
    #[arg(long, value_parser = duration, default_value = "10s", value_name = "TIME", help_heading = WORK)]
    pub(crate) answer_timeout: Duration,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct WorkTime {
    /// Time for the work, with its answer
    #[arg(long, value_parser = duration, default_value = "10m", value_name = "TIME", help_heading = WORK)]
    pub(crate) work_timeout: Duration,
}

#[expect(clippy::needless_pass_by_value, reason = "clap hands the argument over")]
fn given(argument: OsString) -> Result<Given, String> {
    Given::from_argument(&argument)
}

/// A JSON argument, or the place of a JSON text; JSON in the argument is checked at once.
fn given_json(argument: OsString) -> Result<Given, String> {
    let given = given(argument)?;
    match &given {
        Given::Text(text) => json(text).map(|_| given),
        Given::File(_) | Given::Stdin => Ok(given),
    }
}
