//! Every verb of the command with its options, and the form of its answer.

use super::super::rng::Rng;
use crate::procs::Pid;
use std::time::Duration;

/// Limits for the start of a worker.
const START: [&str; 6] = ["--timeout", "200ms", "--term-grace", "100ms", "--kill-grace", "300ms"];

/// Limits for a stop.
const STOP: [&str; 4] = ["--term-grace", "100ms", "--kill-grace", "300ms"];

/// Limits for a request to a worker.
const ASK: [&str; 4] = ["--timeout", "150ms", "--answer-timeout", "150ms"];

/// The limit for work.
const WORK: [&str; 2] = ["--work-timeout", "200ms"];

/// The limit for one verb, far above the sum of the verb's own limits: the machine may be busy.
pub(super) const BOUND: Duration = Duration::from_secs(20);

/// The output of a successful verb on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// One object with an `outcome`.
    Outcome,
    /// Any number of objects, each with an `outcome`: one for each session.
    Outcomes,
    /// One list, also when a session was left out.
    List,
    /// Any number of objects with this field, also when a session was left out.
    Objects(&'static str),
    /// The lists of removed and kept sessions, also after an error in a session.
    Collection,
    /// One object with this field.
    Object(&'static str),
    /// The worker's answer.
    Worker,
    /// Nothing of ours: stdout belongs to the program.
    Nothing,
}

/// A call of the command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb {
    /// The arguments. `$S` is the session, `$P` the session of the pool, `$X` the socket, `$N` a socket to be, `$W` the
    /// words of a worker, `$V` the words of a worker of the pool, `$D` the sentinel.
    pub(super) words: &'static str,
    limits: &'static [&'static [&'static str]],
    pub(super) answer: Answer,
    /// Whether the verb talks to a worker.
    talks: bool,
}

const fn verb(words: &'static str, limits: &'static [&'static [&'static str]], answer: Answer) -> Verb {
    Verb { words, limits, answer, talks: false }
}

const fn talking(words: &'static str, limits: &'static [&'static [&'static str]], answer: Answer) -> Verb {
    Verb { words, limits, answer, talks: true }
}

/// All verbs.
pub(super) const ALL: [Verb; 49] = [
    talking("up $S -- $W", &[&START], Answer::Outcome),
    talking("up $S", &[&START], Answer::Outcome),
    talking("up --managed-only $S -- $W", &[&START], Answer::Outcome),
    talking("restart $S", &[&START], Answer::Outcome),
    talking("up --intent attach $S", &[&START], Answer::Outcome),
    talking("up --intent resume $S -- $W", &[&START], Answer::Outcome),
    talking("up --ready handshake --speak 1 $S -- $V", &[&START], Answer::Outcome),
    verb("up --ready notify $S -- $W", &[&START], Answer::Outcome),
    verb("up --ready listen $S -- $W", &[&START], Answer::Outcome),
    verb("up --dry-run $S -- $W", &[&START], Answer::Outcome),
    verb("ls", &[], Answer::List),
    verb("show $S", &[], Answer::Object("status")),
    verb("status $S $P", &[], Answer::Object("sessions")),
    verb("wait $S", &[&["--timeout", "100ms"]], Answer::Outcome),
    verb("signal $S CONT", &[], Answer::Outcome),
    verb("rm $S", &[], Answer::Outcome),
    verb("rm --force $S $P", &[], Answer::Outcomes),
    verb("logs $S", &[], Answer::Objects("stream")),
    verb("logs --previous -n 3 --since 1m $S", &[], Answer::Objects("stream")),
    talking("stop $S", &[&STOP], Answer::Outcome),
    verb("stop $S $P", &[&STOP], Answer::Outcomes),
    verb("stop --all", &[&STOP], Answer::Outcomes),
    talking("call $S {\"op\":\"status\"}", &[&["--timeout", "150ms"]], Answer::Worker),
    talking("probe $X", &[], Answer::Object("verdict")),
    verb("unlock $S", &[], Answer::Outcome),
    verb("unlock --force $S", &[], Answer::Outcome),
    verb("unlock --forget $S", &[], Answer::Outcome),
    verb("gc", &[], Answer::Collection),
    verb("gc --repair", &[], Answer::Collection),
    verb("doctor", &[], Answer::Objects("session")),
    talking("doctor $S", &[], Answer::Objects("session")),
    talking("pool run --speak 1 --code q -- $V", &[&START, &ASK_ALONE, &WORK], Answer::Object("status")),
    talking("pool run --speak 2 --code q -- $V", &[&START, &ASK_ALONE, &WORK], Answer::Object("status")),
    talking("pool continue $P --speak 1 --response a", &[&ASK, &WORK], Answer::Object("status")),
    talking(
        "pool continue $P --speak 1 --response a --query-id q-0",
        &[&ASK, &WORK],
        Answer::Object("status"),
    ),
    talking("pool status $P", &[&ASK], Answer::Object("has_session")),
    talking("pool status --history --speak 1 $P", &[&ASK], Answer::Object("has_session")),
    talking("pool shutdown $P", &[&ASK, &STOP], Answer::Outcome),
    verb("pool ls", &[], Answer::List),
    talking("pool gc", &[], Answer::Collection),
    verb("lifecycle acquire --pid $D", &[], Answer::Outcome),
    verb("lifecycle acquire -- true", &[], Answer::Nothing),
    verb("lifecycle status", &[], Answer::Object("status")),
    verb("lifecycle release --pid $D", &[], Answer::Outcome),
    verb("lifecycle force-unlock", &[], Answer::Outcome),
    verb("supervise -- true", &[&STOP], Answer::Nothing),
    verb("claim --probe $S -- true", &[], Answer::Nothing),
    verb("worker --protocol pool --idle-timeout 1ms --socket $N", &[], Answer::Nothing),
    verb("demo", &[], Answer::Nothing),
];

/// `--timeout` of `pool run` is the time-out of the start.
const ASK_ALONE: [&str; 2] = ["--answer-timeout", "150ms"];

/// The values of the `$` words.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) session: String,
    pub(super) pool_session: String,
    pub(super) socket: String,
    pub(super) socket_to_be: String,
    pub(super) worker: Vec<String>,
    pub(super) pool_worker: Vec<String>,
    pub(super) sentinel: Pid,
}

impl Verb {
    /// A random verb.
    pub(super) fn any(rng: &mut Rng) -> Self {
        // The demo uses only its own state, and takes as long as twenty others.
        let all = if rng.below(20) == 0 { &ALL[..] } else { &ALL[..ALL.len() - 1] };
        rng.pick(all)
    }

    /// Any verb that talks to a worker.
    pub(super) fn any_talking(rng: &mut Rng) -> Self {
        let talking: Vec<Self> = ALL.into_iter().filter(|verb| verb.talks).collect();
        rng.pick(&talking)
    }

    /// Whether the verb reports a panicked task on stderr with `-vv`. With the other verbs, a program writes to stderr
    /// as well.
    pub(super) fn has_a_log(self) -> bool {
        self.words != "demo"
    }

    /// The arguments, with the limits before the program.
    pub(super) fn args(self, names: &Names) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        let mut limits = self.limits.iter().flat_map(|limits| limits.iter().map(|it| (*it).to_owned()));
        for word in self.words.split(' ') {
            match word {
                "$S" => args.push(names.session.clone()),
                "$P" => args.push(names.pool_session.clone()),
                "$X" => args.push(names.socket.clone()),
                "$N" => args.push(names.socket_to_be.clone()),
                "$D" => args.push(names.sentinel.to_string()),
                "$W" => args.extend(names.worker.iter().cloned()),
                "$V" => args.extend(names.pool_worker.iter().cloned()),
                "--" => {
                    args.extend(limits.by_ref());
                    args.push("--".to_owned());
                }
                word => args.push(word.to_owned()),
            }
        }
        args.extend(limits);
        args
    }
}
