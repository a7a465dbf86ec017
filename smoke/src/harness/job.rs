//! The jobs of a pid namespace: one line each.

use super::cycle::Site;
use super::fuzz::Target;
use super::point::{Case, Point};
use super::trouble::{Trouble, TroubleKind};
use super::vandal::{self, Vandalism};
use super::{cycle, moment, plan, sweep};
use crate::Account;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Find the points of a case.
    Plan(Case),
    /// Try a point.
    Point(Point),
    /// Kill a launcher at a random moment.
    Moment {
        /// Decides the moment.
        seed: u64,
    },
    /// Let launchers contend once on every kind of session.
    Cycle {
        /// Decides which launcher is killed, and when.
        seed: u64,
        /// The number of simultaneous launchers.
        launchers: usize,
        /// The round with the kill.
        kill_in: usize,
        /// The kind of the session's endpoint.
        site: Site,
    },
    /// Remove or move the files of a session while launchers, stops and collections run.
    Removal {
        /// Decides when.
        seed: u64,
        /// An index of [`Vandalism::ALL`].
        what: usize,
        /// The owner of the session.
        account: Account,
    },
    /// Run verbs on a mutated state directory, or against a hostile peer.
    Fuzz {
        /// The hostile part.
        target: Target,
        /// Decides everything.
        seed: u64,
    },
}

impl Job {
    /// Runs the job.
    ///
    /// # Errors
    /// The broken promise.
    pub fn run(&self) -> Result<Value, Trouble> {
        match self {
            Self::Plan(case) => plan::of(*case),
            Self::Point(point) => sweep::at(point),
            Self::Moment { seed } => moment::kill_at_random(*seed),
            Self::Cycle { seed, launchers, kill_in, site } => cycle::run(*seed, *launchers, *kill_in, *site),
            Self::Removal { seed, what, account } => vandal::round(*seed, Vandalism::ALL[*what], *account),
            Self::Fuzz { target, seed } => target.round(*seed),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(case) => write!(f, "plan {}", case.name()),
            Self::Point(point) => write!(f, "point {point}"),
            Self::Moment { seed } => write!(f, "moment {seed}"),
            Self::Cycle { seed, launchers, kill_in, site } => {
                write!(f, "cycle {seed} {launchers} {kill_in} {}", usize::from(*site == Site::Port))
            }
            Self::Removal { seed, what, account } => {
                write!(f, "removal {seed} {what} {}", usize::from(*account == Account::Ordinary))
            }
            Self::Fuzz { target, seed } => write!(f, "fuzz {target} {seed}"),
        }
    }
}

impl FromStr for Job {
    type Err = Trouble;

    fn from_str(text: &str) -> Result<Self, Trouble> {
        let unclear = |why: String| Trouble::new(TroubleKind::Other, why);
        let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
        let numbers: Vec<u64> = rest.split(' ').filter_map(|word| word.parse().ok()).collect();
        match (what, numbers.as_slice()) {
            ("plan", _) => Ok(Self::Plan(rest.parse().map_err(unclear)?)),
            ("point", _) => Ok(Self::Point(rest.parse().map_err(unclear)?)),
            ("moment", &[seed]) => Ok(Self::Moment { seed }),
            ("cycle", &[seed, launchers, kill_in, port]) => {
                let site = if port == 0 { Site::Socket } else { Site::Port };
                Ok(Self::Cycle { seed, launchers: launchers as usize, kill_in: kill_in as usize, site })
            }
            ("removal", &[seed, what, ordinary]) if what < Vandalism::ALL.len() as u64 => {
                let account = if ordinary == 0 { Account::Ours } else { Account::Ordinary };
                Ok(Self::Removal { seed, what: what as usize, account })
            }
            ("fuzz", &[seed]) => {
                let target = rest.split(' ').next().unwrap_or_default();
                Ok(Self::Fuzz { target: target.parse().map_err(unclear)?, seed })
            }
            (_, _) => Err(unclear(format!("`{text}` is no job"))),
        }
    }
}
