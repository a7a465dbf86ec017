//! The measured subjects, one file each.

mod end_to_end;
mod exit;
mod lock;
pub(crate) mod readiness;
pub(crate) mod registry;
mod spawn;
mod start_up;
mod thousand;

use crate::harness::Table;
use crate::home::Bench;

/// A named subject, and the rows of the subject.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Bench) -> Vec<Table>,
}

/// All subjects, in reading order.
pub(crate) const SUBJECTS: [Subject; 8] = [
    Subject { name: "readiness", run: readiness::run },
    Subject { name: "spawn", run: spawn::run },
    Subject { name: "exit", run: exit::run },
    Subject { name: "lock", run: lock::run },
    Subject { name: "registry", run: registry::run },
    Subject { name: "end-to-end", run: end_to_end::run },
    Subject { name: "start-up", run: start_up::run },
    Subject { name: "thousand", run: thousand::run },
];
