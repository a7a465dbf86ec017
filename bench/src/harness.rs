//! Measures contenders side by side and says how they compare.
//!
//! # Invariants
//! 1. All contenders of a row are measured in one run, in rounds, each round in another order: what else the machine
//!    does meanwhile falls on all of them alike.
//! 2. A ratio is taken within one repetition, between the medians of two contenders that were measured together; only
//!    ratios are compared across repetitions.
//! 3. A promise that is not kept is printed as missed; nothing here fails because of a clock.

use serde::Serialize;
use std::time::Duration;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How often a row is measured as a whole.
    pub(crate) repetitions: usize,
    /// Of a hundred rounds, how many are done.
    pub(crate) percent: usize,
}

impl Effort {
    fn rounds(self, usual: usize) -> usize {
        (usual * self.percent).div_ceil(100)
    }
}

/// What a contender is to the others of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// The physical limit, written by hand; ratios are to it.
    Floor,
    /// What this project does.
    Ours,
    /// What people would use instead.
    Peer,
}

/// In what a measure is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Microseconds,
    Bytes,
    Count,
}

/// The measured values of one round, one for each measure of the row.
pub(crate) type Sample = Vec<f64>;

/// One way to do what a row is about.
pub(crate) struct Contender<'a> {
    name: String,
    role: Role,
    take: Box<dyn FnMut() -> Sample + 'a>,
}

/// What a row has to show.
#[derive(Debug, Clone)]
pub(crate) enum Promise {
    /// At most this many times what another contender needs.
    AtMost { times: f64, than: String },
    /// At least this many times less than another contender needs.
    Below { times: f64, than: String },
    /// At most this much.
    Within { value: f64 },
}

struct Promised {
    measure: usize,
    by: String,
    promise: Promise,
}

/// One comparison.
pub(crate) struct Row<'a> {
    name: String,
    rounds: usize,
    foreseen: bool,
    measures: Vec<(&'static str, Unit)>,
    contenders: Vec<Contender<'a>>,
    promises: Vec<Promised>,
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

/// What one measure of one contender came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) contender: String,
    pub(crate) role: Role,
    pub(crate) value: Spread,
    /// To the floor; absent where the row has none.
    pub(crate) ratio: Option<Spread>,
}

/// Whether a promise was kept.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Judged {
    pub(crate) text: String,
    /// In what it was counted; absent for a ratio.
    pub(crate) unit: Option<Unit>,
    pub(crate) found: Spread,
    pub(crate) met: bool,
}

/// One measure of one row, for all contenders.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Table {
    pub(crate) row: String,
    pub(crate) measure: String,
    pub(crate) unit: Unit,
    pub(crate) lines: Vec<Line>,
    pub(crate) promises: Vec<Judged>,
}

impl<'a> Row<'a> {
    /// A row that is measured in this many rounds a repetition.
    pub(crate) fn new(name: impl Into<String>, rounds: usize) -> Self {
        Self {
            name: name.into(),
            rounds,
            foreseen: false,
            measures: Vec::new(),
            contenders: Vec::new(),
            promises: Vec::new(),
        }
    }

    /// Lets each contender go once unmeasured before it is measured: where one leaves something behind for others to pay,
    /// like a copy of the page tables, which whoever writes next has to resolve.
    pub(crate) fn foreseen(self) -> Self {
        Self { foreseen: true, ..self }
    }

    /// Adds a measure; samples hold one value for each, in this order.
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

    /// Adds a contender that is measured by time alone.
    pub(crate) fn timed(
        self,
        role: Role,
        name: impl Into<String>,
        mut take: impl FnMut() -> Duration + 'a,
    ) -> Self {
        self.contender(role, name, move || vec![micros(take())])
    }

    /// Adds what `by` has to show in its `measure`-th measure.
    pub(crate) fn promise(mut self, measure: usize, by: impl Into<String>, promise: Promise) -> Self {
        self.promises.push(Promised { measure, by: by.into(), promise });
        self
    }

    /// Measures, and judges.
    pub(crate) fn run(mut self, effort: Effort) -> Vec<Table> {
        eprintln!("{}:", self.name);
        // Caches, one-time costs and lazily opened descriptors belong to no round.
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
                if self.foreseen {
                    take();
                }
                samples[*at].push(take());
            }
        }
        let medians = |samples: &Vec<Sample>| {
            let of_measure =
                |measure: usize| median(&mut samples.iter().map(|it| it[measure]).collect::<Vec<_>>());
            (0..self.measures.len()).map(of_measure).collect()
        };
        samples.iter().map(medians).collect()
    }

    fn table(&self, measure: usize, repetitions: &[Vec<Vec<f64>>]) -> Table {
        let values = |at: usize| -> Vec<f64> { repetitions.iter().map(|it| it[at][measure]).collect() };
        let ratios = |at: usize, to: usize| -> Spread {
            Spread::of(values(at).iter().zip(values(to)).map(|(one, other)| one / other).collect())
        };
        let floor = self.contenders.iter().position(|it| it.role == Role::Floor);
        let line = |(at, contender): (usize, &Contender<'_>)| Line {
            contender: contender.name.clone(),
            role: contender.role,
            value: Spread::of(values(at)),
            ratio: floor.map(|floor| ratios(at, floor)),
        };
        let judge = |promised: &Promised| {
            let by = self.index(&promised.by);
            match &promised.promise {
                Promise::AtMost { times, than } => {
                    let found = ratios(by, self.index(than));
                    let text = format!("{}: at most {times}x {than}", promised.by);
                    Judged { text, unit: None, found, met: found.median <= *times }
                }
                Promise::Below { times, than } => {
                    let found = ratios(self.index(than), by);
                    let text = format!("{}: at least {times}x less than {than}", promised.by);
                    Judged { text, unit: None, found, met: found.median >= *times }
                }
                Promise::Within { value } => {
                    let found = Spread::of(values(by));
                    let unit = self.measures[measure].1;
                    let text = format!("{}: at most {}", promised.by, amount(*value, unit));
                    Judged { text, unit: Some(unit), found, met: found.median <= *value }
                }
            }
        };
        let (name, unit) = self.measures[measure];
        Table {
            row: self.name.clone(),
            measure: name.to_owned(),
            unit,
            lines: self.contenders.iter().enumerate().map(line).collect(),
            promises: self.promises.iter().filter(|it| it.measure == measure).map(judge).collect(),
        }
    }

    fn index(&self, name: &str) -> usize {
        let found = self.contenders.iter().position(|it| it.name == name);
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

/// A duration as a sample.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A value for people.
pub(crate) fn amount(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Microseconds if value >= 1e6 => format!("{:.2} s", value / 1e6),
        Unit::Microseconds if value >= 1e3 => format!("{:.2} ms", value / 1e3),
        Unit::Microseconds => format!("{value:.2} us"),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::Count => format!("{value:.2}"),
    }
}
