//! The grammar of `rekindle pool`.

use super::values::{Graces, duration, json};
use crate::given::Given;
use clap::Subcommand;
use clap::builder::{OsStringValueParser, TypedValueParser};
use rekindle::protocol::Version;
use std::ffi::OsString;
use std::time::Duration;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
#[command(
    after_help = "A session has two names, ours and the worker's; every verb takes either. `run`, `continue` and \
    `status` print one JSON object, for a host.\n\n\
    Exit codes: 0 if an object was printed; 1 if the worker could not be asked or did not answer."
)]
pub(crate) enum PoolVerb {
    /// Start a worker for a new session and run a piece of work, until the work is over or waits for an answer
    #[command(
        override_usage = "rekindle pool run [OPTIONS] --speak <VERSION> --code <CODE> -- PROGRAM [ARG]..."
    )]
    #[command(
        after_help = "Other users can read the arguments of every running program. --code and --ctx also take @FILE, \
        to read a file, and either of them takes `-`, to read standard input; write @@ for a code beginning with @. \
        One newline at the end of a file is left out, and a file may have 16 MiB.\n\n\
        Example: rekindle pool run --speak 1 --code 'What is your name?' -- rekindle worker --protocol pool"
    )]
    Run {
        /// The host's version of the protocol; a worker with another version is refused
        #[arg(long, value_name = "VERSION")]
        speak: Version,

        /// The code to run, in the worker's language
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given), value_name = "CODE|@FILE|-")]
        code: Given,

        /// JSON context for the code
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given_json), value_name = "JSON|@FILE|-")]
        ctx: Option<Given>,

        /// A directory with libraries for the code; may be repeated
        #[arg(long, value_name = "DIR")]
        lib_path: Vec<String>,

        /// How long the worker may take until it is ready
        #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME")]
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
    #[command(
        after_help = "Other users can read the arguments of every running program. --response also takes @FILE, to \
        read a file, and `-`, to read standard input; write @@ for an answer beginning with @. One newline at \
        the end of a file is left out, and a file may have 16 MiB.\n\n\
        Example: pass show door | rekindle pool continue p-1-0000000000000001 --speak 1 --response -"
    )]
    Continue {
        /// The session
        sid: String,

        /// The host's version of the protocol
        #[arg(long, value_name = "VERSION")]
        speak: Version,

        /// The answer
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given), value_name = "TEXT|@FILE|-")]
        response: Given,

        /// The query to answer; may be left out if only one query is open
        #[arg(long, value_name = "ID")]
        query_id: Option<String>,

        /// Usage (tokens, cost) to report with the answer
        #[arg(long, value_parser = json, value_name = "JSON")]
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
        /// The session
        sid: String,

        /// Include the history of the conversation
        #[arg(long)]
        history: bool,

        /// The host's version of the protocol [default: the version in the worker's last report]
        #[arg(long, value_name = "VERSION")]
        speak: Option<Version>,

        #[command(flatten)]
        reach: ReachTime,

        #[command(flatten)]
        answer: AnswerTime,
    },
    /// End a session's worker: first a request, then signals
    Shutdown {
        /// The session
        sid: String,

        /// The host's version of the protocol [default: the version in the worker's last report]
        #[arg(long, value_name = "VERSION")]
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
    /// How long the worker may take to accept a connection
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct AnswerTime {
    /// How long the worker may take for anything but work: to read our line, to answer in full, to finish a line
    #[arg(long, value_parser = duration, default_value = "10s", value_name = "TIME")]
    pub(crate) answer_timeout: Duration,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct WorkTime {
    /// How long the work may take, including the answer
    #[arg(long, value_parser = duration, default_value = "10m", value_name = "TIME")]
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
