//! Reasons to stop a program, and the report of a program that we ended.

use rekindle::KillSignal;
use rekindle::{StdioStopped, StopPolicy};
use std::time::Duration;

/// Without --stdin-grace: how long a program may be silent after the end of its input. The official MCP clients wait
/// equally long before SIGTERM.
pub(super) const SILENCE: Duration = Duration::from_secs(2);
/// Without --stdin-grace: how long a program may read nothing of the rest of its input.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Without --stdin-grace: how long a program may answer after it has read all of its input.
pub(super) const ANSWERS_TIMEOUT: Duration = Duration::from_secs(60);
/// A reason to stop a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The input ended: the program has its --stdin-grace and no more.
    GraceOver,
    /// The input ended, and the program was silent for [`SILENCE`].
    Silent,
    /// The input ended, and the program read nothing of the rest for [`READ_TIMEOUT`].
    Unread,
    /// The input ended, and the program still answers after [`ANSWERS_TIMEOUT`].
    StillAnswering,
    /// The client closed the input, and the program does not read up to the end.
    ClientLeft,
    /// A signal told us to go.
    Signal,
    /// The client closed the output, or writing to it failed.
    OutputClosed,
    /// The program ended by itself.
    ChildExited,
}

/// The report of a program that we ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndedByUs {
    /// The strongest signal that the program was sent.
    pub(super) signal: KillSignal,
    /// The time from the reason to stop until the program ended.
    pub(super) after: Duration,
    /// The report in one line, for people.
    pub(super) message: String,
}

/// The option that gives a program more time before a signal.
pub(super) const MORE_TIME: &str = "--stdin-grace";

impl Cause {
    /// The stable word for the cause in events.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::GraceOver | Self::Silent | Self::Unread | Self::StillAnswering => "end-of-input",
            Self::ClientLeft => "client-left",
            Self::Signal => "signal",
            Self::OutputClosed => "output-closed",
            Self::ChildExited => "child-exited",
        }
    }

    /// The report of a stop; `None` if the program ended by itself or still runs.
    pub(super) fn ended(
        self,
        stopped: &StdioStopped,
        policy: &StopPolicy,
        after: Duration,
    ) -> Option<EndedByUs> {
        // A program that still runs is named as a survivor instead.
        let signal = stopped.signalled.filter(|_| stopped.exit.is_some())?;
        let name = signal.name();
        let since = match self {
            Self::ClientLeft => "after the client closed its input",
            Self::Signal => "after rekindle was told to go",
            Self::OutputClosed => "after its output could not be passed on",
            Self::GraceOver | Self::Silent | Self::Unread | Self::StillAnswering | Self::ChildExited => {
                "after the end of its input"
            }
        };
        let why = self.why(policy);
        let stubborn = match signal {
            KillSignal::Term => String::new(),
            KillSignal::Kill => {
                format!(" and did not end within {} of SIGTERM (--term-grace)", shown(policy.term_grace))
            }
        };
        let message = format!(
            "ended the program with {name}, {} {since}: it {why}{stubborn}; to give it more time: {MORE_TIME} TIME",
            shown(after)
        );
        Some(EndedByUs { signal, after, message })
    }

    fn why(self, policy: &StopPolicy) -> String {
        let grace = policy.stdin_grace;
        match self {
            Self::Silent => format!("was silent for {}", shown(SILENCE)),
            Self::Unread => format!("read nothing of what is left of it for {}", shown(READ_TIMEOUT)),
            Self::StillAnswering => format!("was still answering after {}", shown(ANSWERS_TIMEOUT)),
            Self::ClientLeft => "did not read what was sent".to_owned(),
            Self::GraceOver | Self::Signal | Self::OutputClosed | Self::ChildExited if grace.is_zero() => {
                "was given no time to end by itself".to_owned()
            }
            Self::GraceOver | Self::Signal | Self::OutputClosed | Self::ChildExited => {
                format!("did not end by itself within {}", shown(grace))
            }
        }
    }
}

/// A time as people write times: 150 ms, 2 s, 2.5 s.
fn shown(time: Duration) -> String {
    let ms = time.as_millis();
    match (ms / 1_000, ms % 1_000 / 100) {
        (0, _) => format!("{ms} ms"),
        (s, 0) => format!("{s} s"),
        (s, tenths) => format!("{s}.{tenths} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle::ChildExit;
    use rekindle::StdioEnd;

    const CAUSES: [Cause; 8] = [
        Cause::GraceOver,
        Cause::Silent,
        Cause::Unread,
        Cause::StillAnswering,
        Cause::ClientLeft,
        Cause::Signal,
        Cause::OutputClosed,
        Cause::ChildExited,
    ];

    fn stopped(signalled: Option<KillSignal>) -> StdioStopped {
        StdioStopped {
            end: StdioEnd::Terminated,
            exit: Some(ChildExit::Signal(15)),
            signalled,
            survivors: vec![],
            left: vec![],
            trouble: vec![],
        }
    }

    #[test]
    fn a_program_that_we_ended_is_told_of_with_the_option_that_gives_more() {
        for cause in CAUSES {
            for signal in [KillSignal::Term, KillSignal::Kill] {
                let ended =
                    cause.ended(&stopped(Some(signal)), &StopPolicy::default(), Duration::from_millis(2_540));
                let said = ended.expect("we ended it").message;
                assert!(said.contains(signal.name()) && said.contains("2.5 s after"), "{said}");
                assert_eq!(said.matches(MORE_TIME).count(), 1, "{said}");
            }
        }
    }

    #[test]
    fn a_program_that_ended_by_itself_or_not_at_all_is_not_said_to_have_been_ended() {
        let survivor = StdioStopped { exit: None, ..stopped(Some(KillSignal::Kill)) };
        for cause in CAUSES {
            for stopped in [&stopped(None), &survivor] {
                assert_eq!(cause.ended(stopped, &StopPolicy::default(), Duration::ZERO), None);
            }
        }
    }

    #[test]
    fn times_are_shown_as_people_write_them() {
        let shown = |ms| super::shown(Duration::from_millis(ms));
        assert_eq!([shown(7), shown(2_000), shown(2_099), shown(61_700)], ["7 ms", "2 s", "2 s", "61.7 s"]);
    }
}
