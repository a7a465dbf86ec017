//! The tables, for people and for machines.

use crate::harness::{Judged, Spread, Table, amount};
use serde::Serialize;
use std::fmt::Write;

/// Everything that was measured, and on what.
#[derive(Debug, Serialize)]
struct Report<'a> {
    machine: Machine,
    tables: &'a [Table],
}

/// On what was measured.
#[derive(Debug, Serialize)]
struct Machine {
    kernel: String,
    processor: String,
    processors: usize,
}

impl Machine {
    fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1.to_owned()));
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: processor.unwrap_or_else(|| "an unknown processor".to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// As JSON.
pub(crate) fn json(tables: &[Table]) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&Report { machine: Machine::this(), tables })? + "\n")
}

/// On what was measured, as a line.
pub(crate) fn heading() -> String {
    let Machine { kernel, processor, processors } = Machine::this();
    format!("Linux {kernel}, {processors} x {processor}.\n")
}

/// As Markdown, which is also readable as it stands.
pub(crate) fn markdown(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        let _ = write!(text, "\n### {}: {}\n\n", table.row, table.measure);
        text.push_str(
            "| contender | median | min - max | ratio to the floor | min - max |\n|---|--:|--:|--:|--:|\n",
        );
        for line in &table.lines {
            let ratio = line.ratio.filter(|ratio| ratio.median.is_finite());
            let (ratio, spread) =
                ratio.map_or_else(Default::default, |it| (times(it.median), between(it, times)));
            let value = |value| amount(value, table.unit);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {ratio} | {spread} |",
                line.contender,
                value(line.value.median),
                between(line.value, value),
            );
        }
        if !table.promises.is_empty() {
            text.push('\n');
        }
        for promise in &table.promises {
            let _ = writeln!(text, "- {}", judgement(promise));
        }
    }
    text
}

fn judgement(promise: &Judged) -> String {
    let met = if promise.met { "met" } else { "**missed**" };
    let show = |value| promise.unit.map_or_else(|| times(value), |unit| amount(value, unit));
    format!("{}: {met}, {} ({})", promise.text, show(promise.found.median), between(promise.found, show))
}

fn between(spread: Spread, show: impl Fn(f64) -> String) -> String {
    format!("{} - {}", show(spread.min), show(spread.max))
}

fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 100.0 => format!("{ratio:.0}x"),
        ratio if ratio >= 10.0 => format!("{ratio:.1}x"),
        ratio => format!("{ratio:.2}x"),
    }
}
