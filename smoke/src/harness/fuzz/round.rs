//! The common part of both kinds of round: a test environment with bystanders, and verbs that run there and are judged.

use super::super::run::to_the_end_within;
use super::super::trouble::{Trouble, TroubleKind};
use super::bystanders::{self, Canary};
use super::verb::{BOUND, Names, Verb};
use super::verdict;
use crate::cli::Reply;
use crate::{Account, TestEnv};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::process::Command;
use std::time::Instant;

/// The session of every round.
pub(super) const SESSION: &str = "s";

/// A test environment with bystanders.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) env: TestEnv,
    pub(super) canary: Canary,
    pub(super) names: Names,
    /// The hostilities so far, for the report of a failure.
    pub(super) met: Vec<String>,
    /// The name of each hostility in the tally.
    kinds: Vec<String>,
    runs: Vec<Value>,
    /// Additional environment of commands and workers.
    pub(super) environment: Vec<(String, String)>,
}

impl Round {
    pub(super) fn new(account: Account) -> Self {
        let env = TestEnv::owned_by(account);
        let worker = [&env.binary_arg(), "worker", "--socket", "{socket}"].map(str::to_owned).to_vec();
        let pool_worker = [&worker[..], &["--protocol", "pool"].map(str::to_owned)].concat();
        let names = Names {
            session: SESSION.to_owned(),
            pool_session: SESSION.to_owned(),
            socket: env.socket(SESSION).display().to_string(),
            socket_to_be: env.path("sock").display().to_string(),
            worker,
            pool_worker,
            sentinel: bystanders::sentinel_pid(account),
        };
        let canary = Canary::plant(&env);
        Self {
            env,
            canary,
            names,
            met: Vec::new(),
            kinds: Vec::new(),
            runs: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Notes a hostility before the next commands.
    pub(super) fn meets(&mut self, kind: &str, what: &str) {
        self.kinds.push(kind.to_owned());
        self.met.push(format!("{kind}: {what}"));
    }

    /// Runs one verb and judges the reply.
    pub(super) fn run(&mut self, verb: Verb) -> Result<(), Trouble> {
        let mut args = verb.args(&self.names);
        if verb.has_a_log() {
            args.insert(0, "-vv".to_owned());
        }
        let mut command = self.env.rekindle_command(args);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let began = Instant::now();
        let done = to_the_end_within(BOUND, command);
        let ms = began.elapsed().as_millis() as u64;
        let reply = done.map_err(|trouble| self.told(verb, &trouble))?;
        self.runs.push(json!({ "verb": verb.words, "ms": ms, "code": reply.code }));
        self.judge(verb, &reply).map_err(|trouble| self.told(verb, &trouble))
    }

    fn judge(&self, verb: Verb, reply: &Reply) -> Result<(), Trouble> {
        verdict::judge(verb, reply)?;
        self.canary.check(&format!("`{}`", verb.words))
    }

    fn told(&self, verb: Verb, trouble: &Trouble) -> Trouble {
        let runs: Vec<&str> = self.runs.iter().filter_map(|run| run["verb"].as_str()).collect();
        let Trouble { kind, text } = trouble;
        Trouble::new(*kind, format!("{:?}, then {runs:?}, `{}`: {text}", self.met, verb.words))
    }

    /// Ends the round: the bystanders are as they were.
    pub(super) fn finish(self) -> Result<Value, Trouble> {
        let what = format!("{:?}, then {:?}", self.met, self.runs);
        bystanders::check_sentinel(self.env.account(), &what)?;
        self.canary.check(&what)?;
        Ok(json!({ "met": self.kinds, "runs": self.runs }))
    }

    /// Prepares the round with a `rekindle` that has to succeed.
    pub(super) fn prepare(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Reply, Trouble> {
        self.prepare_by(self.env.rekindle_command(args))
    }

    /// Prepares the round with a command that has to succeed.
    pub(super) fn prepare_by(&self, mut command: Command) -> Result<Reply, Trouble> {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let reply = to_the_end_within(BOUND * 2, command)?;
        if reply.code == Some(0) {
            return Ok(reply);
        }
        Err(Trouble::new(TroubleKind::Other, format!("a round cannot be prepared: {reply}")))
    }
}
