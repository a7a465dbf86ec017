//! How a worker ended, in words.

use super::line::{BAD, DIM, Line};
use super::signals;
use rekindle::{ChildExit, Ending};

/// The end in a few words, for a list.
pub(crate) fn in_short(how: Ending) -> Line {
    let style = if how.is_failure() { BAD } else { DIM };
    Line::styled(style, words(how))
}

fn words(how: Ending) -> String {
    match how {
        Ending::NeverStarted => "not started".to_owned(),
        Ending::TimedOut { .. } => "start timed out".to_owned(),
        Ending::GivenUp { .. } => "start given up".to_owned(),
        Ending::BeforeReady { exit: ChildExit::Unknown } => "ended before ready, exit unknown".to_owned(),
        Ending::BeforeReady { exit } => format!("{} before ready", exit_words(exit)),
        Ending::Stopped { .. } => "stopped".to_owned(),
        Ending::ByItself { exit } => exit_words(exit),
        Ending::Unseen => "ended unseen".to_owned(),
    }
}

/// An exit in words: `exited with 3`, `killed by SIGSEGV`.
pub(crate) fn exit_words(exit: ChildExit) -> String {
    match exit {
        ChildExit::Code(code) => format!("exited with {code}"),
        ChildExit::Signal(signal) => format!("killed by {}", signals::name(signal)),
        ChildExit::CoreDumped(signal) => format!("killed by {}, core dumped", signals::name(signal)),
        ChildExit::Unknown => "ended, exit unknown".to_owned(),
    }
}

/// An exit as the verb of a sentence about a worker.
pub(crate) fn exit_clause(exit: ChildExit) -> String {
    match exit {
        ChildExit::Code(_) => exit_words(exit),
        ChildExit::Signal(_) | ChildExit::CoreDumped(_) => format!("was {}", exit_words(exit)),
        ChildExit::Unknown => "ended".to_owned(),
    }
}

/// Who ended the worker.
pub(crate) fn by(how: Ending) -> &'static str {
    match how {
        Ending::NeverStarted => "the program never ran",
        Ending::TimedOut { .. } => "rekindle: the worker was not ready in time (--timeout)",
        Ending::Stopped { .. } => "rekindle: a stop",
        Ending::GivenUp { .. } => "rekindle: the start could not be watched, or another worker answered",
        Ending::BeforeReady { exit: ChildExit::Signal(_) | ChildExit::CoreDumped(_) }
        | Ending::ByItself { exit: ChildExit::Signal(_) | ChildExit::CoreDumped(_) } => {
            "a signal not from rekindle: a fault, the kernel or a program"
        }
        Ending::BeforeReady { exit: ChildExit::Code(_) } | Ending::ByItself { exit: ChildExit::Code(_) } => {
            "the worker itself"
        }
        Ending::BeforeReady { exit: ChildExit::Unknown }
        | Ending::ByItself { exit: ChildExit::Unknown }
        | Ending::Unseen => "unknown: no stop by rekindle is recorded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_words_of_its_own() {
        let (code, signal, unknown) = (ChildExit::Code(3), ChildExit::Signal(11), ChildExit::Unknown);
        let ends = [
            (Ending::NeverStarted, "not started"),
            (Ending::TimedOut { exit: signal }, "start timed out"),
            (Ending::GivenUp { exit: signal }, "start given up"),
            (Ending::ByItself { exit: ChildExit::CoreDumped(11) }, "killed by SIGSEGV, core dumped"),
            (Ending::BeforeReady { exit: code }, "exited with 3 before ready"),
            (Ending::Stopped { exit: unknown }, "stopped"),
            (Ending::ByItself { exit: code }, "exited with 3"),
            (Ending::ByItself { exit: signal }, "killed by SIGSEGV"),
            (Ending::ByItself { exit: unknown }, "ended, exit unknown"),
            (Ending::Unseen, "ended unseen"),
        ];
        for (how, expected) in ends {
            assert_eq!(in_short(how).text(), expected);
        }
    }
}
