//! The tables, for people and for machines.

use crate::harness::{Judged, Spread, Table, Unit, amount};
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

/// As Markdown, which is also readable as it stands.
pub(crate) fn markdown(tables: &[Table]) -> String {
    let machine = Machine::this();
    let mut text = format!("Linux {}, {} x {}.\n", machine.kernel, machine.processors, machine.processor);
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
            let _ = writeln!(text, "- {}", judgement(promise, table.unit));
        }
    }
    text
}

fn judgement(promise: &Judged, unit: Unit) -> String {
    let met = if promise.met { "met" } else { "**missed**" };
    let is_ratio = promise.text.contains('x');
    let show = |value| if is_ratio { times(value) } else { amount(value, unit) };
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
