//! What can be said to `rekindle pool`.

use super::{Graces, duration, json};
use clap::Subcommand;
use rekindle::core::protocol::Version;
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
        after_help = "Example: rekindle pool run --speak 1 --code 'name = ask(\"who?\")' -- rekindle worker --protocol pool"
    )]
    Run {
        /// The version of the protocol that is spoken; a worker of another one is refused
        #[arg(long, value_name = "VERSION")]
        speak: Version,

        /// What to run, in the worker's language
        #[arg(long)]
        code: String,

        /// What it is given
        #[arg(long, value_parser = json, value_name = "JSON")]
        ctx: Option<serde_json::Value>,

        /// Where it finds what it builds on; may be repeated
        #[arg(long, value_name = "DIR")]
        lib_path: Vec<String>,

        #[command(flatten)]
        times: PoolTimes,

        /// The worker and its arguments, after `--`
        #[arg(last = true, required = true, value_name = "PROGRAM")]
        command: Vec<OsString>,
    },
    /// Hand a paused session its answer, and have it go on
    Continue {
        /// The session
        sid: String,

        /// The version of the protocol that is spoken
        #[arg(long, value_name = "VERSION")]
        speak: Version,

        /// The answer
        #[arg(long, value_name = "TEXT")]
        response: String,

        /// Which query it answers; may be left out where only one is open
        #[arg(long, value_name = "ID")]
        query_id: Option<String>,

        /// What answering took
        #[arg(long, value_parser = json, value_name = "JSON")]
        usage: Option<serde_json::Value>,

        #[command(flatten)]
        times: PoolTimes,
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
    },
    /// End a session's worker: it is asked to, then signalled
    Shutdown {
        /// The session
        sid: String,

        /// The version that is spoken [default: the one that the worker last reported]
        #[arg(long, value_name = "VERSION")]
        speak: Option<Version>,

        #[command(flatten)]
        graces: Graces,
    },
    /// List the sessions of the pool, without connecting to any
    Ls,
    /// Remove sessions whose worker is provably gone, and workers whose host died before it gave them anything to do
    Gc,
}

// How long a pool's call may take. No doc comment: that would take the place of what the verb is about.
#[derive(Debug, clap::Args)]
pub(crate) struct PoolTimes {
    /// How long the worker may take to come up
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME")]
    pub(crate) timeout: Duration,

    /// How long the work may take until its answer begins
    #[arg(long, value_parser = duration, default_value = "10m", value_name = "TIME")]
    pub(crate) work_timeout: Duration,

    /// How long the worker may take to answer a handshake
    #[arg(long, value_parser = duration, default_value = "10s", value_name = "TIME")]
    pub(crate) answer_timeout: Duration,
}
