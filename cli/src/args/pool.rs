//! What can be said to `rekindle pool`.

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
    after_help = "A session may be called by our name or by the one that its worker gave it. `run`, `continue` and \
    `status` print one JSON object, as a host is to see it.\n\n\
    Exit codes: 0 whenever that was printed; 1 if the worker could not be asked or did not answer."
)]
pub(crate) enum PoolVerb {
    /// Start a worker for a new session and have it run a piece of work, until that is over or waits for an answer
    #[command(
        override_usage = "rekindle pool run [OPTIONS] --speak <VERSION> --code <CODE> -- PROGRAM [ARG]..."
    )]
    #[command(
        after_help = "Other users can read the arguments of a program while it runs. --code and --ctx also take @FILE, \
        for what is in a file, and one of them `-`, for standard input; a code that begins with @ is written with @@. \
        One newline at the end of a file is left out, and a file may have 16 MiB.\n\n\
        Example: rekindle pool run --speak 1 --code 'name = ask(\"who?\")' -- rekindle worker --protocol pool"
    )]
    Run {
        /// The version of the protocol that is spoken; a worker of another one is refused
        #[arg(long, value_name = "VERSION")]
        speak: Version,

        /// What to run, in the worker's language
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given), value_name = "CODE|@FILE|-")]
        code: Given,

        /// What it is given
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given_json), value_name = "JSON|@FILE|-")]
        ctx: Option<Given>,

        /// Where it finds what it builds on; may be repeated
        #[arg(long, value_name = "DIR")]
        lib_path: Vec<String>,

        /// How long the worker may take to come up
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
    /// Hand a paused session its answer, and have it go on
    #[command(
        after_help = "Other users can read the arguments of a program while it runs. --response also takes @FILE, for \
        what is in a file, and `-`, for standard input; an answer that begins with @ is written with @@. One newline at \
        the end of a file is left out, and a file may have 16 MiB.\n\n\
        Example: pass show door | rekindle pool continue p-1-0000000000000001 --speak 1 --response -"
    )]
    Continue {
        /// The session
        sid: String,

        /// The version of the protocol that is spoken
        #[arg(long, value_name = "VERSION")]
        speak: Version,

        /// The answer
        #[arg(long, value_parser = OsStringValueParser::new().try_map(given), value_name = "TEXT|@FILE|-")]
        response: Given,

        /// Which query it answers; may be left out where only one is open
        #[arg(long, value_name = "ID")]
        query_id: Option<String>,

        /// What answering took
        #[arg(long, value_parser = json, value_name = "JSON")]
        usage: Option<serde_json::Value>,

        #[command(flatten)]
        reach: ReachTime,

        #[command(flatten)]
        answer: AnswerTime,

        #[command(flatten)]
        work: WorkTime,
    },
    /// Ask a worker how its session stands
    Status {
        /// The session
        sid: String,

        /// All that was said so far, too
        #[arg(long)]
        history: bool,

        /// The version that is spoken [default: the one that the worker last reported]
        #[arg(long, value_name = "VERSION")]
        speak: Option<Version>,

        #[command(flatten)]
        reach: ReachTime,

        #[command(flatten)]
        answer: AnswerTime,
    },
    /// End a session's worker: it is asked to, then signalled
    Shutdown {
        /// The session
        sid: String,

        /// The version that is spoken [default: the one that the worker last reported]
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
    /// Remove sessions whose worker is provably gone, and workers whose host died before it gave them anything to do
    ///
    /// Each worker whose host died is asked; one that does not answer in time stays.
    Gc {
        #[command(flatten)]
        reach: ReachTime,

        #[command(flatten)]
        answer: AnswerTime,
    },
}

// How long it may take to reach a worker that was started before. No doc comments on these: they would take the place of
// what the verb is about.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ReachTime {
    /// How long the worker may take to accept a connection
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct AnswerTime {
    /// How long the worker may take over what is no work: to take our line, to answer it whole, to end a line that it began
    #[arg(long, value_parser = duration, default_value = "10s", value_name = "TIME")]
    pub(crate) answer_timeout: Duration,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct WorkTime {
    /// How long the work may take, to the end of its answer
    #[arg(long, value_parser = duration, default_value = "10m", value_name = "TIME")]
    pub(crate) work_timeout: Duration,
}

#[expect(clippy::needless_pass_by_value, reason = "clap hands the argument over")]
fn given(argument: OsString) -> Result<Given, String> {
    Given::from_argument(&argument)
}

/// JSON, or where it is to be read; what stands in the argument is looked at at once.
fn given_json(argument: OsString) -> Result<Given, String> {
    let given = given(argument)?;
    match &given {
        Given::Text(text) => json(text).map(|_| given),
        Given::File(_) | Given::Stdin => Ok(given),
    }
}
