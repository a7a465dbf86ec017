//! Parsers for option values, and option groups shared by several verbs.

use rekindle::frontend::{Shown, startup};
pub(super) use rekindle::frontend::{duration, ready};
use rekindle::{KillChange, KillPolicy, StopPolicy, StopSignal};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

/// The headings of options, in every verb the same and in this order. Options of every verb have none: clap shows them
/// first.
pub(super) const TARGET: &str = "Target";
pub(super) const READINESS: &str = "Readiness";
pub(super) const PROCESS: &str = "Process";
pub(super) const OUTPUT: &str = "Output";

// The graces for ending a worker. No doc comment: clap would show a doc comment in place of the verb's text.
#[derive(Debug, clap::Args)]
pub(crate) struct Graces {
    /// Time to end after SIGTERM
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME", help_heading = PROCESS)]
    pub(crate) term_grace: Duration,

    /// Time to end after SIGKILL
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME", help_heading = PROCESS)]
    pub(crate) kill_grace: Duration,
}

impl Graces {
    pub(crate) fn kill_policy(&self) -> KillPolicy {
        let (term_grace, kill_grace) = (self.term_grace, self.kill_grace);
        KillPolicy::TermThenKill { signal: StopSignal::TERM, term_grace, kill_grace }
    }

    pub(crate) fn stop_policy(&self) -> StopPolicy {
        self.kill_policy().into()
    }
}

// The way to end a recorded worker: each option that is left out is as recorded. No doc comment, as above.
#[derive(Debug, clap::Args)]
pub(crate) struct Ending {
    /// Signal that begins a stop [default: TERM]
    #[arg(long, value_name = "SIGNAL", help_heading = PROCESS)]
    pub(crate) stop_signal: Option<StopSignal>,

    /// Time to end after that signal [default: 5s]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = PROCESS)]
    pub(crate) term_grace: Option<Duration>,

    /// Time to end after SIGKILL [default: 5s]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = PROCESS)]
    pub(crate) kill_grace: Option<Duration>,

    /// Never send SIGKILL
    #[arg(long, conflicts_with = "kill_grace", help_heading = PROCESS)]
    pub(crate) no_kill: bool,
}

impl Ending {
    /// The named parts.
    pub(crate) fn change(&self) -> KillChange {
        let Self { stop_signal: signal, term_grace, kill_grace, no_kill } = *self;
        KillChange { signal, term_grace, kill_grace, no_kill }
    }
}

/// How long ago something ended: a duration, mostly in hours or days.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "use a number with a unit, such as 30m, 12h, 7d or 1d12h".to_owned();
    duration(text).map_err(|error| if error.starts_with("at most") { error } else { wrong() })
}

/// A descriptor from our parent. Arguments are parsed before we open any descriptor, so every open number comes from
/// the parent.
pub(super) fn handed_output(text: &str) -> Result<Arc<OwnedFd>, String> {
    match text.parse() {
        Ok(0..=2) => Err("0, 1 and 2 are the program's own".to_owned()),
        Ok(number @ 3..) => startup::handed_output(number).map(Arc::new).map_err(|error| error.to_string()),
        Ok(..0) | Err(_) => Err("use the number of an open descriptor, such as 3".to_owned()),
    }
}

/// A value may hold any bytes; the name of a variable is text.
pub(super) fn variable(text: &OsStr) -> Result<(String, OsString), String> {
    let bytes = text.as_bytes();
    let Some(at) = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) else {
        return Err("use NAME=VALUE".to_owned());
    };
    let (name, value) = (OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]));
    match name.to_str() {
        Some(name) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("the name `{}` is not UTF-8", Shown(name))),
    }
}

pub(super) fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let taken = [
            ("0s", 0),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("1 s", 1_000),
            ("1h 30min 5s", 5_405_000),
            ("2 days", 172_800_000),
            ("01:30:00", 5_400_000),
        ];
        for (text, millis) in taken {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "5", "s", "-1s", "1s ago", "soon", "1mo", "1.5", "1,5", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong:?} was taken");
        }
        for long in ["8761h", "18446744073709551615m", "366d"] {
            assert!(duration(long).is_err(), "{long:?} was taken");
        }
        assert_eq!(duration("366d").unwrap_err(), "at most one year");
    }

    #[test]
    fn a_faulty_pattern_is_a_usage_error() {
        assert!(ready("line=^ready").is_ok());
        assert_eq!(ready("line=(x").unwrap_err(), "this is no regular expression: unclosed group");
    }

    #[test]
    fn ages_are_durations() {
        let days = |days: u64| Ok(Duration::from_secs(days * 24 * 3600));
        assert_eq!(
            [age("7d"), age("1w"), age("1d12h"), age("2h")],
            [days(7), days(7), Ok(Duration::from_secs(129_600)), Ok(Duration::from_secs(7_200))]
        );
        for wrong in ["", "d", "-1d", "99999999999999999999d", "400d"] {
            assert!(age(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
