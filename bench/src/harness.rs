//! Measures contenders side by side and compares the medians.
//!
//! # Invariants
//! 1. All contenders of a row are measured in one run, in rounds, each round in another order. Disturbances of the machine
//!    therefore fall on all contenders alike.
//! 2. A ratio is taken within one repetition, between the medians of two contenders. Only ratios are compared across
//!    repetitions.
//! 3. A missed goal is printed as missed. No clock makes a run fail.

use serde::Serialize;
use std::time::Duration;

/// Number of repetitions and share of rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Repetitions of a whole row.
    pub(crate) repetitions: usize,
    /// Percentage of each row's rounds.
    pub(crate) percent: usize,
}

impl Effort {
    fn rounds(self, usual: usize) -> usize {
        (usual * self.percent).div_ceil(100)
    }
}

/// The role of a contender in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// The physical limit, written by hand. All ratios are to the floor.
    Floor,
    /// rekindle.
    Ours,
    /// A common alternative.
    Peer,
}

/// The unit of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Microseconds,
    Bytes,
    Count,
}

/// The values of one round: one value for each measure of the row, in the row's order.
pub(crate) type Sample = Vec<f64>;

/// One way to do the task of a row.
pub(crate) struct Contender<'a> {
    name: String,
    role: Role,
    take: Box<dyn FnMut() -> Sample + 'a>,
}

/// The goal of one contender in one measure.
#[derive(Debug, Clone)]
pub(crate) enum Goal {
    /// At most `times` the value of contender `than`.
    AtMost { times: f64, than: String },
    /// At most the value of contender `than`, divided by `times`.
    Below { times: f64, than: String },
    /// At most `value`, in the unit of the measure.
    Within { value: f64 },
}

/// A goal, with the measure and the contender concerned.
struct RowGoal {
    measure: usize,
    contender: String,
    goal: Goal,
}

/// A comparison of contenders in one task.
pub(crate) struct Row<'a> {
    name: String,
    rounds: usize,
    warm_up: bool,
    measures: Vec<(&'static str, Unit)>,
    contenders: Vec<Contender<'a>>,
    goals: Vec<RowGoal>,
}

/// Median and extremes over the repetitions.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (min, max) = (values.first().copied(), values.last().copied());
        Self { median: median(&mut values), min: min.unwrap_or(f64::NAN), max: max.unwrap_or(f64::NAN) }
    }
}

/// The result of one contender in one measure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) contender: String,
    pub(crate) role: Role,
    pub(crate) value: Spread,
    /// The ratio to the floor, if the row has a floor.
    pub(crate) ratio: Option<Spread>,
}

/// Whether a goal was met.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GoalResult {
    pub(crate) text: String,
    /// The unit of `found`. `None`: a ratio.
    pub(crate) unit: Option<Unit>,
    pub(crate) found: Spread,
    pub(crate) met: bool,
}

/// The results of all contenders in one measure of one row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Table {
    pub(crate) row: String,
    pub(crate) measure: String,
    pub(crate) unit: Unit,
    pub(crate) lines: Vec<Line>,
    pub(crate) goals: Vec<GoalResult>,
}

impl<'a> Row<'a> {
    /// A row with `rounds` rounds in each repetition.
    pub(crate) fn new(name: impl Into<String>, rounds: usize) -> Self {
        Self {
            name: name.into(),
            rounds,
            warm_up: false,
            measures: Vec::new(),
            contenders: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Runs each contender once unmeasured before each measurement, for tasks with effects on later contenders. Example:
    /// `fork` write-protects the parent's pages, and the next writer pays for each page.
    pub(crate) fn warm_up(self) -> Self {
        Self { warm_up: true, ..self }
    }

    /// Adds a measure. Samples hold the values in the order of these calls.
    pub(crate) fn measure(mut self, name: &'static str, unit: Unit) -> Self {
        self.measures.push((name, unit));
        self
    }

    /// Adds a contender.
    pub(crate) fn contender(
        mut self,
        role: Role,
        name: impl Into<String>,
        take: impl FnMut() -> Sample + 'a,
    ) -> Self {
        self.contenders.push(Contender { name: name.into(), role, take: Box::new(take) });
        self
    }

    /// Adds a contender with time as the only measure.
    pub(crate) fn timed(
        self,
        role: Role,
        name: impl Into<String>,
        mut take: impl FnMut() -> Duration + 'a,
    ) -> Self {
        self.contender(role, name, move || vec![micros(take())])
    }

    /// Adds a goal of `contender` in the measure at index `measure`.
    pub(crate) fn goal(mut self, measure: usize, contender: impl Into<String>, goal: Goal) -> Self {
        self.goals.push(RowGoal { measure, contender: contender.into(), goal });
        self
    }

    /// Measures all contenders and judges the goals.
    pub(crate) fn run(mut self, effort: Effort) -> Vec<Table> {
        eprintln!("{}:", self.name);
        // An unmeasured round fills the caches and pays one-time costs, for instance lazily opened descriptors.
        for contender in &mut self.contenders {
            (contender.take)();
        }
        let repetitions: Vec<Vec<Vec<f64>>> = (0..effort.repetitions)
            .map(|repetition| {
                eprintln!("  repetition {} of {}", repetition + 1, effort.repetitions);
                self.repetition(effort.rounds(self.rounds))
            })
            .collect();
        (0..self.measures.len()).map(|measure| self.table(measure, &repetitions)).collect()
    }

    /// The median of each measure of each contender.
    fn repetition(&mut self, rounds: usize) -> Vec<Vec<f64>> {
        let mut samples: Vec<Vec<Sample>> = self.contenders.iter().map(|_| Vec::new()).collect();
        let mut order: Vec<usize> = (0..self.contenders.len()).collect();
        for _ in 0..rounds {
            fastrand::shuffle(&mut order);
            for at in &order {
                let take = &mut self.contenders[*at].take;
                if self.warm_up {
                    take();
                }
                samples[*at].push(take());
            }
        }
        let medians = |samples: &Vec<Sample>| {
            let of_measure = |measure: usize| {
                median(&mut samples.iter().map(|sample| sample[measure]).collect::<Vec<_>>())
            };
            (0..self.measures.len()).map(of_measure).collect()
        };
        samples.iter().map(medians).collect()
    }

    fn table(&self, measure: usize, repetitions: &[Vec<Vec<f64>>]) -> Table {
        let values =
            |at: usize| -> Vec<f64> { repetitions.iter().map(|medians| medians[at][measure]).collect() };
        let ratios = |at: usize, to: usize| -> Spread {
            Spread::of(values(at).iter().zip(values(to)).map(|(value, base)| value / base).collect())
        };
        let floor = self.contenders.iter().position(|contender| contender.role == Role::Floor);
        let line = |(at, contender): (usize, &Contender<'_>)| Line {
            contender: contender.name.clone(),
            role: contender.role,
            value: Spread::of(values(at)),
            ratio: floor.map(|floor| ratios(at, floor)),
        };
        let judge = |set: &RowGoal| {
            let (name, at) = (&set.contender, self.index(&set.contender));
            match &set.goal {
                Goal::AtMost { times, than } => {
                    let found = ratios(at, self.index(than));
                    let text = format!("{name}: at most {times}x {than}");
                    GoalResult { text, unit: None, found, met: found.median <= *times }
                }
                Goal::Below { times, than } => {
                    let found = ratios(self.index(than), at);
                    let text = format!("{name}: at least {times}x less than {than}");
                    GoalResult { text, unit: None, found, met: found.median >= *times }
                }
                Goal::Within { value } => {
                    let found = Spread::of(values(at));
                    let unit = self.measures[measure].1;
                    let text = format!("{name}: at most {}", amount(*value, unit));
                    GoalResult { text, unit: Some(unit), found, met: found.median <= *value }
                }
            }
        };
        let (name, unit) = self.measures[measure];
        Table {
            row: self.name.clone(),
            measure: name.to_owned(),
            unit,
            lines: self.contenders.iter().enumerate().map(line).collect(),
            goals: self.goals.iter().filter(|set| set.measure == measure).map(judge).collect(),
        }
    }

    fn index(&self, name: &str) -> usize {
        let found = self.contenders.iter().position(|contender| contender.name == name);
        found.unwrap_or_else(|| panic!("row {} has no contender {name:?}", self.name))
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A value with a readable unit.
pub(crate) fn amount(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Microseconds if value >= 1e6 => format!("{:.2} s", value / 1e6),
        Unit::Microseconds if value >= 1e3 => format!("{:.2} ms", value / 1e3),
        Unit::Microseconds => format!("{value:.2} us"),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::Count => format!("{value:.2}"),
    }
}
