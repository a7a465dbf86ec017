//! Formats the tables as Markdown and as JSON.

use crate::harness::{GoalResult, Spread, Table, amount};
use serde::Serialize;
use std::fmt::Write;

/// All tables, and the machine they were measured on.
#[derive(Debug, Serialize)]
struct Report<'a> {
    machine: Machine,
    tables: &'a [Table],
}

/// The machine of the measurement.
#[derive(Debug, Serialize)]
struct Machine {
    kernel: String,
    processor: String,
    processors: usize,
}

impl Machine {
    fn current() -> Self {
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

/// All tables as JSON.
pub(crate) fn json(tables: &[Table]) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&Report { machine: Machine::current(), tables })? + "\n")
}

/// The machine, in one line.
pub(crate) fn heading() -> String {
    let Machine { kernel, processor, processors } = Machine::current();
    format!("Linux {kernel}, {processors} x {processor}.\n")
}

/// All tables as Markdown, readable in a terminal too.
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
                ratio.map_or_else(Default::default, |ratio| (times(ratio.median), between(ratio, times)));
            let value = |value| amount(value, table.unit);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {ratio} | {spread} |",
                line.contender,
                value(line.value.median),
                between(line.value, value),
            );
        }
        if !table.goals.is_empty() {
            text.push('\n');
        }
        for goal in &table.goals {
            let _ = writeln!(text, "- {}", judgement(goal));
        }
    }
    text
}

fn judgement(goal: &GoalResult) -> String {
    let met = if goal.met { "met" } else { "**missed**" };
    let show = |value| goal.unit.map_or_else(|| times(value), |unit| amount(value, unit));
    format!("{}: {met}, {} ({})", goal.text, show(goal.found.median), between(goal.found, show))
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
