//! Values that have one spelling for options and for project files.

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;
use rekindle_adapters::line::Pattern;
use rekindle_core::Readiness;
use std::time::Duration;

/// The longest duration. tokio's clock ends some centuries from now; this stays far below.
const LONGEST: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Reads the value of an option for a time: an integer with `ms`, `s` or `m`, or any other text of jiff's friendly format,
/// such as `1h30m` or `1.5s`. A day has 24 hours.
///
/// # Errors
/// The reason, in words, for another text and for more than a year.
pub fn duration(text: &str) -> Result<Duration, String> {
    // The defaults of the options are integers, and are parsed at every call.
    let parsed = in_one_unit(text).or_else(|| friendly(text));
    let parsed = parsed.ok_or("use a number with a unit, such as 500ms, 1.5s, 2m or 1h30m")?;
    if parsed > LONGEST { Err("at most one year".to_owned()) } else { Ok(parsed) }
}

fn in_one_unit(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let millis_in_one = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(millis_in_one)?))
}

fn friendly(text: &str) -> Option<Duration> {
    let span = SpanParser::new().parse_span(text).ok()?;
    // A month has no fixed length, and is refused here.
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

/// Reads the value of `--ready`.
///
/// # Errors
/// The reason, in words, for another text.
pub fn ready(text: &str) -> Result<Readiness, String> {
    let ready = text.parse::<Readiness>().map_err(|error| error.to_string())?;
    if let Readiness::Line(pattern) = &ready {
        Pattern::new(pattern).map_err(|why| format!("this is no regular expression: {why}"))?;
    }
    Ok(ready)
}
