//! `rekindle gc`

use crate::args::GcArgs;
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::json::end::GcJson;
use rekindle::{Collection, FailedRuns, GcMode, Repair};
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, args: &GcArgs, report: &Report) -> Exit {
    let what = collection(args);
    match sessions(dir).and_then(|sessions| sessions.gc(&what)) {
        Ok(collected) => {
            report.answer(&collected, GcJson { collected: &collected, dry_run: args.dry_run });
            if collected.has_errors() { Exit::Failed } else { Exit::Done }
        }
        Err(error) => report.error(&error),
    }
}

fn collection(args: &GcArgs) -> Collection {
    Collection {
        repair: if args.repair { Repair::Yes } else { Repair::No },
        failed_runs: match args.older_than {
            _ if args.all => FailedRuns::Remove,
            Some(age) => FailedRuns::RemoveAfter(age),
            None => FailedRuns::Keep,
        },
        mode: if args.dry_run { GcMode::DryRun } else { GcMode::Remove },
        only: args.sessions.clone(),
    }
}
