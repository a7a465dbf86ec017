//! Parsers for option values, and option groups shared by several verbs.

use rekindle::frontend::{Shown, startup};
pub(super) use rekindle::frontend::{duration, ready};
use rekindle::{KillChange, KillPolicy, StopPolicy, StopSignal};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

/// The heading of the graces.
const GRACES: &str = "How a process is ended";

// The graces for ending a worker. No doc comment: clap would show a doc comment in place of the verb's text.
#[derive(Debug, clap::Args)]
pub(crate) struct Graces {
    /// How long the process may take to end after SIGTERM
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME", help_heading = GRACES)]
    pub(crate) term_grace: Duration,

    /// How long the process may take to end after SIGKILL
    #[arg(long, value_parser = duration, default_value = "5s", value_name = "TIME", help_heading = GRACES)]
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
    /// The signal that asks the process to end, as a name or a number [default: TERM, or as recorded]
    #[arg(long, value_name = "SIGNAL", help_heading = GRACES)]
    pub(crate) stop_signal: Option<StopSignal>,

    /// How long the process may take to end after that signal [default: 5s, or as recorded]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = GRACES)]
    pub(crate) term_grace: Option<Duration>,

    /// How long the process may take to end after SIGKILL [default: 5s, or as recorded]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = GRACES)]
    pub(crate) kill_grace: Option<Duration>,

    /// Never send SIGKILL: a process that does not end is reported, and goes on
    #[arg(long, conflicts_with = "kill_grace", help_heading = GRACES)]
    pub(crate) no_kill: bool,
}

impl Ending {
    /// The named parts.
    pub(crate) fn change(&self) -> KillChange {
        let Self { stop_signal: signal, term_grace, kill_grace, no_kill } = *self;
        KillChange { signal, term_grace, kill_grace, no_kill }
    }
}

/// A duration, or an integer with `h` or `d`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "use an integer with s, m, h or d, such as 30m, 12h or 7d".to_owned();
    let minutes = |number: &str, each: u64| number.parse::<u64>().ok()?.checked_mul(each);
    let in_minutes = match (text.strip_suffix('h'), text.strip_suffix('d')) {
        (Some(hours), _) => minutes(hours, 60),
        (None, Some(days)) => minutes(days, 24 * 60),
        (None, None) => return duration(text).ok().ok_or_else(wrong),
    };
    duration(&format!("{}m", in_minutes.ok_or_else(wrong)?))
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
    fn durations_are_integers_with_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in
            ["", "5", "s", "1.5s", "-1s", "1h", "1 s", "99999999999999999999s", "18446744073709551615m"]
        {
            assert!(duration(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_faulty_pattern_is_a_usage_error() {
        assert!(ready("line=^ready").is_ok());
        assert_eq!(ready("line=(x").unwrap_err(), "this is no regular expression: unclosed group");
    }

    #[test]
    fn ages_have_hours_and_days_too() {
        assert_eq!(age("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        assert_eq!((age("2h"), age("3m")), (Ok(Duration::from_secs(7200)), Ok(Duration::from_secs(180))));
        for wrong in ["", "d", "-1d", "1.5h", "99999999999999999999d", "7 d"] {
            assert!(age(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
