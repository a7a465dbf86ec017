//! A start as the record says: whether the record is enough, and what a caller asks for otherwise.
//!
//! # Invariants
//! 1. A start without a program needs the whole recorded plan, and every withheld value again.
//! 2. Only the options that a caller named can differ. A caller that names nothing agrees with every worker.
//! 3. Withheld values and the content of environment files are compared by name and by path: no value is known.
//!
//! Checked by `gates/tests/again.rs`.

use crate::prelude::*;
use crate::session::plan::{Environment, EnvironmentBase, Role, SpawnBgPlan, Withheld};
use crate::session::record::{RecordedPlan, SessionRecord};
use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use serde::Serialize;

/// Why a record is not enough for a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlan {
    /// There is no record.
    NoRecord,
    /// The record has an outline of the plan: an earlier version wrote the record, or the record was lost and written anew.
    Outline,
    /// The record has no program: for example, the worker was lost during the start.
    NoProgram,
    /// These values are in no record.
    Withheld(BTreeSet<Withheld>),
    /// The worker was started for one piece of work of a pool, and only the pool gives work to a worker.
    OfPool,
}

impl fmt::Display for NoPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord => f.write_str("there is no record, so the program is not known"),
            Self::Outline => f.write_str("the record has only an outline of the last start"),
            Self::NoProgram => f.write_str("the record names no program"),
            Self::Withheld(values) => {
                f.write_str("the record leaves out ")?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_str(" and ")?;
                    }
                    match value {
                        Withheld::Prompt => f.write_str("the prompt")?,
                        Withheld::Variable(name) => {
                            write!(f, "the value of `{}`", crate::text::shown::Shown(name))?;
                        }
                    }
                }
                Ok(())
            }
            Self::OfPool => f.write_str("its worker does the work of a pool"),
        }
    }
}

/// The recorded plan, if the plan is enough for a start; `supplied` names the values that the caller gives again.
///
/// # Errors
/// [`NoPlan`] says what is missing.
pub fn startable<'r>(
    record: Option<&'r SessionRecord>,
    supplied: &BTreeSet<Withheld>,
) -> Result<&'r SpawnBgPlan, NoPlan> {
    let plan = match record.map(|record| &record.plan) {
        None => return Err(NoPlan::NoRecord),
        Some(RecordedPlan::Outline(_)) => return Err(NoPlan::Outline),
        Some(RecordedPlan::Whole(plan)) => plan,
    };
    if plan.program().is_none() {
        return Err(NoPlan::NoProgram);
    }
    if plan.role == Role::PoolWorker {
        return Err(NoPlan::OfPool);
    }
    let missing: BTreeSet<Withheld> = plan.withheld.difference(supplied).cloned().collect();
    if missing.is_empty() { Ok(plan) } else { Err(NoPlan::Withheld(missing)) }
}

/// The changes of a caller to an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentChange {
    /// The base, if named.
    pub base: Option<EnvironmentBase>,
    /// Variables set.
    pub set: BTreeMap<String, OsString>,
    /// Variables removed.
    pub remove: BTreeSet<String>,
}

impl EnvironmentChange {
    /// The environment with the changes.
    pub fn of(self, recorded: Environment) -> Environment {
        let Environment { base, mut set, mut remove } = recorded;
        set.retain(|name, _| !self.remove.contains(name));
        remove.retain(|name| !self.set.contains_key(name));
        set.extend(self.set);
        remove.extend(self.remove);
        Environment { base: self.base.unwrap_or(base), set, remove }
    }
}

/// A part of a plan in which a running worker can differ from the caller's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The program or the arguments.
    Args,
    /// The variables that were set or removed.
    Env,
    /// The base of the environment.
    EnvBase,
    /// The paths of the environment files.
    EnvFile,
    /// The working directory.
    Cwd,
    /// The endpoint.
    Endpoint,
    /// The condition for ready.
    Ready,
    /// The time for which the program has to run.
    Settle,
    /// The version to speak.
    Speak,
    /// The treatment of a listener that is no process of the worker.
    ForeignListener,
    /// The prompt.
    Prompt,
    /// The way in which the worker is ended.
    KillPolicy,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The named parts in which the recorded start differs from the asked plan, in the order of `named`.
///
/// A record of schema 1 has only some of the parts; a part that is not recorded does not differ.
pub fn differences(record: &SessionRecord, asked: &SpawnBgPlan, named: &[Part]) -> Vec<Part> {
    named.iter().copied().filter(|part| differs(record, asked, *part)).collect()
}

fn differs(record: &SessionRecord, asked: &SpawnBgPlan, part: Part) -> bool {
    let Some(plan) = record.whole_plan() else {
        return match part {
            Part::Args => record.differs_from(asked),
            Part::Cwd => record.cwd() != asked.cwd,
            Part::Endpoint => record.endpoint() != *asked.target(),
            Part::Ready => *record.readiness() != asked.ready,
            Part::Env
            | Part::EnvBase
            | Part::EnvFile
            | Part::Settle
            | Part::Speak
            | Part::ForeignListener
            | Part::Prompt
            | Part::KillPolicy => false,
        };
    };
    match part {
        Part::Args => record.differs_from(asked),
        Part::Env => differs_in_variables(plan, asked),
        Part::EnvBase => plan.env.base != asked.env.base,
        Part::EnvFile => plan.env_files != asked.env_files,
        Part::Cwd => plan.cwd != asked.cwd,
        // The worker may have been seen at another spelling of the planned endpoint.
        Part::Endpoint => plan.target() != asked.target() && record.endpoint() != *asked.target(),
        Part::Ready => plan.ready != asked.ready,
        Part::Settle => plan.settle != asked.settle,
        Part::Speak => plan.speaking != asked.speaking,
        Part::ForeignListener => plan.foreign_listener != asked.foreign_listener,
        Part::Prompt if plan.withheld.contains(&Withheld::Prompt) => false,
        Part::Prompt => plan.prompt != asked.prompt,
        Part::KillPolicy => plan.kill_policy != asked.kill_policy,
    }
}

/// Whether a variable that the caller set or removed has another value in the recorded plan.
fn differs_in_variables(plan: &SpawnBgPlan, asked: &SpawnBgPlan) -> bool {
    let is_withheld = |name: &String| plan.withheld.iter().any(|it| *it == Withheld::Variable(name.clone()));
    let is_other =
        |(name, value): (&String, &OsString)| plan.env.set.get(name) != Some(value) && !is_withheld(name);
    asked.env.set.iter().any(is_other) || asked.env.remove.iter().any(|name| !plan.env.remove.contains(name))
}
