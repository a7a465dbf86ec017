//! Values that have one spelling for options and for project files.

use rekindle_adapters::line::Pattern;
use rekindle_core::Readiness;
use std::time::Duration;

/// Reads the value of an option for a time: an integer with `ms`, `s` or `m`.
///
/// # Errors
/// The reason, in words, for another text and for more than a year.
pub fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let wrong = || "use an integer with ms, s or m, such as 500ms, 30s or 2m".to_owned();
    let number: u64 = number.parse().ok().ok_or_else(wrong)?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        _ => return Err(wrong()),
    };
    // tokio's clock ends some centuries from now; a limit of one year stays far below.
    const LONGEST_MS: u64 = 1_000 * 60 * 60 * 24 * 365;
    millis
        .filter(|millis| *millis <= LONGEST_MS)
        .map(Duration::from_millis)
        .ok_or_else(|| "at most one year".to_owned())
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

/// Reads a number of bytes: an integer, with `k`, `m` or `g` for powers of 1024.
///
/// # Errors
/// The reason, in words, for another text.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || "use an integer with k, m or g, such as 64m; 0 is no bound".to_owned();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().ok().ok_or_else(wrong)?;
    number.checked_mul(1 << shift).ok_or_else(|| "this is more than any disk holds".to_owned())
}
