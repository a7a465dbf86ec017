//! The rules for every answer, under any hostility.

use super::super::trouble::TroubleKind::{Other, Wedged};
use super::super::trouble::{Trouble, ensure};
use super::verb::{Answer, Verb};
use crate::cli::Reply;
use rekindle_core::shown::is_obeyed;
use serde_json::Value;

/// The greatest exit code of ours, unless we run a program.
const EXIT_MAX: i32 = 6;

/// The exit codes of ours in place of a program's.
const INSTEAD_OF_A_PROGRAM: std::ops::RangeInclusive<i32> = 124..=127;

/// The traces of a panic: Rust's message, and the messages of the command.
const PANICS: [&str; 3] = ["panicked", "an internal error", "\"reason\":\"internal\""];

/// The longest answer: input is bounded, so output is bounded too.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// Judges one reply.
pub(super) fn judge(verb: Verb, reply: &Reply) -> Result<(), Trouble> {
    let fails = |why: &str| format!("`{}` {why}: {}", verb.words, shortened(reply));
    let is_panic = |text: &str| PANICS.iter().any(|panic| text.contains(panic));
    ensure(!is_panic(&reply.stderr) && !is_panic(&reply.stdout), Other, || fails("panicked"))?;
    let runs_a_program = verb.answer == Answer::Nothing;
    let has_the_code_of_a_worker = verb.words.starts_with("wait ");
    let is_ours = reply.code.is_some_and(|code| {
        (0..=EXIT_MAX).contains(&code)
            || has_the_code_of_a_worker
            || (runs_a_program && INSTEAD_OF_A_PROGRAM.contains(&code))
    });
    ensure(is_ours, Other, || fails("ended with none of our exit codes"))?;
    ensure(reply.stdout.len() <= ANSWER_LEN_MAX, Other, || fails("said too much"))?;
    let is_safe = |text: &str| !text.contains(|c: char| is_obeyed(c) && c != '\n' && c != '\t');
    ensure(is_safe(&reply.stdout) && is_safe(&reply.stderr), Other, || fails("commands the terminal"))?;
    if verb.answer == Answer::Nothing {
        return Ok(());
    }
    let parsed: Result<Vec<Value>, _> = reply.stdout.lines().map(serde_json::from_str).collect();
    let lines = parsed.map_err(|error| Trouble::new(Other, fails(&format!("answers no JSON ({error})"))))?;
    ensure(is_whole(verb.answer, reply.code == Some(0), &lines), Wedged, || {
        fails("does not answer as it promises")
    })
}

/// Whether an answer has the form promised by the verb. A failure always has an `outcome`, except in an incomplete
/// listing: the listing or stderr reports the missing parts.
fn is_whole(answer: Answer, succeeded: bool, lines: &[Value]) -> bool {
    let has = |field: &'static str| move |line: &Value| line.get(field).is_some();
    let outcome = has("outcome");
    match (answer, lines) {
        (Answer::Nothing, _) => true,
        (Answer::Outcome, [line]) => outcome(line),
        (Answer::Outcomes, lines) => lines.iter().all(outcome),
        (Answer::List, [line]) => line["sessions"].is_array() || (!succeeded && outcome(line)),
        (Answer::Objects(field), lines) => {
            lines.iter().all(|line| has(field)(line) || (!succeeded && outcome(line)))
        }
        (Answer::Collection, [line]) => has("removed")(line) || (!succeeded && outcome(line)),
        (Answer::Object(field), [line]) if succeeded => has(field)(line),
        // A verdict has an exit code of its own.
        (Answer::Object(field), [line]) => has(field)(line) || outcome(line),
        (Answer::Worker, [line]) => succeeded || outcome(line),
        (Answer::Outcome | Answer::List | Answer::Collection | Answer::Object(_) | Answer::Worker, _) => {
            false
        }
    }
}

/// A readable reply: of a long text, the beginning and the end.
fn shortened(reply: &Reply) -> String {
    const HALF: usize = 1500;
    let text: Vec<char> = reply.to_string().chars().collect();
    if text.len() <= 2 * HALF {
        return text.into_iter().collect();
    }
    let (head, tail) = (text[..HALF].iter(), text[text.len() - HALF..].iter());
    head.chain(&[' ', '.', '.', '.', ' ']).chain(tail).collect()
}
