//! Times relative to now, and durations, for people.

use jiff::{SignedDuration, Timestamp};

/// The spelling of a relative time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// `3 min ago`
    Words,
    /// `3min`
    Short,
}

/// The units of a duration, the largest first: seconds in one, and its short name.
const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];

/// From this age on a date says more than a number of days.
const DAYS_MAX: i64 = 60;

/// How long ago an instant was. A date, if that was long ago, or if the clock was set back meanwhile.
pub(crate) fn ago(then: Timestamp, now: Timestamp, spelling: Spelling) -> String {
    let age = now.duration_since(then);
    if age.as_secs() < 0 || age > SignedDuration::from_hours(24 * DAYS_MAX) {
        return then.strftime("%Y-%m-%d").to_string();
    }
    let (each, unit) = unit_of(age);
    let number = age.as_secs() / each;
    match spelling {
        Spelling::Words if age.as_secs() == 0 => "now".to_owned(),
        Spelling::Words => format!("{number} {unit} ago"),
        Spelling::Short => format!("{number}{unit}"),
    }
}

/// The largest unit of a duration.
fn unit_of(duration: SignedDuration) -> (i64, &'static str) {
    UNITS.into_iter().find(|(each, _)| duration.as_secs() >= *each).unwrap_or((1, "s"))
}

/// A duration in its two largest units: `2 h 5 min`, `12 s`, `270 ms`.
pub(crate) fn lasted(duration: SignedDuration) -> String {
    if duration.as_secs() <= 0 {
        return format!("{} ms", duration.as_millis().max(0));
    }
    let (each, unit) = unit_of(duration);
    let (number, rest) = (duration.as_secs() / each, duration.as_secs() % each);
    let next = UNITS.into_iter().find(|(smaller, _)| *smaller < each).filter(|(smaller, _)| rest >= *smaller);
    match next {
        Some((smaller, name)) => format!("{number} {unit} {} {name}", rest / smaller),
        None => format!("{number} {unit}"),
    }
}

/// An instant to the second, in UTC.
pub(crate) fn at(then: Timestamp) -> String {
    then.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-29T20:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let told = |secs: i64| {
            let then = now() - SignedDuration::from_secs(secs);
            [Spelling::Words, Spelling::Short].map(|spelling| ago(then, now(), spelling))
        };
        assert_eq!(told(0), ["now", "0s"]);
        assert_eq!(told(59), ["59 s ago", "59s"]);
        assert_eq!(told(60), ["1 min ago", "1min"]);
        assert_eq!(told(3_599), ["59 min ago", "59min"]);
        assert_eq!(told(3_600), ["1 h ago", "1h"]);
        assert_eq!(told(86_400 * 3), ["3 d ago", "3d"]);
        assert_eq!(told(86_400 * 90), ["2026-08-31", "2026-08-31"]);
        assert_eq!(told(-5), ["2026-11-29", "2026-11-29"], "the clock was set back");
    }

    #[test]
    fn a_duration_has_two_units_at_most() {
        let told = |millis| lasted(SignedDuration::from_millis(millis));
        assert_eq!([told(-1), told(0), told(270), told(1_900)], ["0 ms", "0 ms", "270 ms", "1 s"]);
        assert_eq!([told(61_000), told(3_600_000)], ["1 min 1 s", "1 h"]);
        assert_eq!([told(7_500_000), told(86_400_000 * 2 + 60_000)], ["2 h 5 min", "2 d"]);
    }
}
