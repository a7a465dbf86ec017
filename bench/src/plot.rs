//! Draws two plots: readiness against polling interval, and registry cost against size.

use crate::harness::{Table, Unit, amount};
use crate::rows::readiness::{INTERVALS_MS, poller};
use crate::rows::registry::{DATABASE, ONE_FILE, OURS, SIZES, at};
use plotters::prelude::*;
use std::error::Error;
use std::ops::Range;
use std::path::Path;

/// Width and height, in pixels.
const SIZE: (u32, u32) = (720, 420);

/// A line of a plot.
struct Series {
    name: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Title, labels and ranges of a plot.
struct Axes {
    title: &'static str,
    x: &'static str,
    x_range: Range<f64>,
    y_range: Range<f64>,
}

/// Draws the plots of the measured rows.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn draw(dir: &Path, tables: &[Table]) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(dir)?;
    if let Some(table) = tables.iter().find(|table| table.row == "readiness") {
        readiness(&dir.join("readiness.svg"), table)?;
    }
    if let Some(table) = tables.iter().find(|table| table.row == "registry: add a session") {
        registry(&dir.join("registry.svg"), table)?;
    }
    Ok(())
}

fn value(table: &Table, contender: &str) -> Option<f64> {
    table.lines.iter().find(|line| line.contender == contender).map(|line| line.value.median)
}

fn readiness(file: &Path, table: &Table) -> Result<(), Box<dyn Error>> {
    let polled = INTERVALS_MS.iter().filter_map(|ms| Some((*ms as f64, value(table, &poller(*ms))?)));
    let level = |name: &str, color| {
        let level = value(table, name).unwrap_or(f64::NAN);
        let points = INTERVALS_MS.iter().map(|ms| (*ms as f64, level)).collect();
        Series { name: name.to_owned(), color, points }
    };
    let series = [
        Series { name: "polling".to_owned(), color: RED, points: polled.collect() },
        level("rekindle", BLUE),
        level("connect in a loop", BLACK),
    ];
    let axes = Axes {
        title: "From the worker's listen() to a connected socket",
        x: "polling interval, ms",
        x_range: 4.0..200.0,
        y_range: 1.0..1e6,
    };
    plot(file, &axes, &series)
}

fn registry(file: &Path, table: &Table) -> Result<(), Box<dyn Error>> {
    let of = |name: &str, color| Series {
        name: name.to_owned(),
        color,
        points: SIZES
            .iter()
            .filter_map(|size| Some((*size as f64, value(table, &at(name, *size))?)))
            .collect(),
    };
    let series = [of(ONE_FILE, RED), of(DATABASE, GREEN), of(OURS, BLUE)];
    let axes = Axes {
        title: "Adding one session to a registry",
        x: "sessions in the registry",
        x_range: 8.0..12_000.0,
        y_range: 10.0..1e6,
    };
    plot(file, &axes, &series)
}

fn plot(file: &Path, axes: &Axes, series: &[Series]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(axes.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(axes.x_range.clone().log_scale(), axes.y_range.clone().log_scale())?;
    chart
        .configure_mesh()
        .x_desc(axes.x)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| amount(*value, Unit::Microseconds))
        .light_line_style(WHITE)
        .draw()?;
    for line in series {
        let color = line.color;
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}
