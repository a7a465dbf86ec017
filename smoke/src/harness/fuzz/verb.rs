//! Every verb of the command with its options, and what its answer looks like.

use super::super::rng::Rng;
use crate::procs::Pid;
use std::time::Duration;

/// What a start of a worker may take.
const START: [&str; 6] = ["--timeout", "200ms", "--term-grace", "100ms", "--kill-grace", "300ms"];

/// What a stop may take.
const STOP: [&str; 4] = ["--term-grace", "100ms", "--kill-grace", "300ms"];

/// What a worker that is asked may take.
const ASK: [&str; 4] = ["--timeout", "150ms", "--answer-timeout", "150ms"];

/// What work may take.
const WORK: [&str; 2] = ["--work-timeout", "200ms"];

/// How long a verb may take, far more than any sum of its own limits: the machine may be busy.
pub(super) const BOUND: Duration = Duration::from_secs(20);

/// What a verb prints on stdout when it has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// One object with an `outcome`.
    Outcome,
    /// Any number of objects, each with an `outcome`: one for each session.
    Outcomes,
    /// One list, also when something was left out.
    List,
    /// Any number of objects with this field, also when something was left out.
    Objects(&'static str),
    /// The lists of what was removed and what was kept, also when a session could not be worked with.
    Collection,
    /// One object with this field.
    Object(&'static str),
    /// What the worker answered.
    Worker,
    /// Nothing of ours: stdout is the program's.
    Nothing,
}

/// One way of calling the command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb {
    /// What it is called with. `$S` is the session, `$P` the session of the pool, `$X` the socket, `$N` a
    /// socket to be, `$W` the words of a worker, `$V` the words of a worker of the pool, `$D` the sentinel.
    pub(super) words: &'static str,
    limits: &'static [&'static [&'static str]],
    pub(super) answer: Answer,
    /// Whether it talks to a worker.
    talks: bool,
}

const fn verb(words: &'static str, limits: &'static [&'static [&'static str]], answer: Answer) -> Verb {
    Verb { words, limits, answer, talks: false }
}

const fn talking(words: &'static str, limits: &'static [&'static [&'static str]], answer: Answer) -> Verb {
    Verb { words, limits, answer, talks: true }
}

/// All of them.
pub(super) const ALL: [Verb; 38] = [
    talking("up $S -- $W", &[&START], Answer::Outcome),
    talking("up --intent attach $S", &[&START], Answer::Outcome),
    talking("up --intent resume $S -- $W", &[&START], Answer::Outcome),
    talking("up --ready handshake --speak 1 $S -- $V", &[&START], Answer::Outcome),
    verb("up --ready notify $S -- $W", &[&START], Answer::Outcome),
    verb("up --ready listen $S -- $W", &[&START], Answer::Outcome),
    verb("up --dry-run $S -- $W", &[&START], Answer::Outcome),
    verb("ls", &[], Answer::List),
    verb("show $S", &[], Answer::Object("status")),
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
    talking(
        "pool run --speak 1 --code ask(\"q\") -- $V",
        &[&START, &ASK_ALONE, &WORK],
        Answer::Object("status"),
    ),
    talking(
        "pool run --speak 2 --code ask(\"q\") -- $V",
        &[&START, &ASK_ALONE, &WORK],
        Answer::Object("status"),
    ),
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
    verb("worker --protocol pool --idle-timeout 1ms --socket $N", &[], Answer::Nothing),
    verb("demo", &[], Answer::Nothing),
];

/// `--timeout` of `pool run` is that of the start.
const ASK_ALONE: [&str; 2] = ["--answer-timeout", "150ms"];

/// What stands in for the `$` words.
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
    /// Any of them.
    pub(super) fn any(rng: &mut Rng) -> Self {
        // The demo looks at no state but its own, and takes as long as twenty others.
        let all = if rng.below(20) == 0 { &ALL[..] } else { &ALL[..ALL.len() - 1] };
        rng.pick(all)
    }

    /// One that talks to a worker.
    pub(super) fn any_talking(rng: &mut Rng) -> Self {
        let talking: Vec<Self> = ALL.into_iter().filter(|verb| verb.talks).collect();
        rng.pick(&talking)
    }

    /// Whether it says on stderr if a task of its own panicked, when it is asked to say more. The stderr of the others is a
    /// program's too.
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
