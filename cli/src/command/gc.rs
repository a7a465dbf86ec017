//! `rekindle gc`

use super::sessions;
use crate::args::GcArgs;
use crate::report::{Exit, Report};
use rekindle::frontend::Shown;
use rekindle::{Collected, Collection, FailedRuns, GcMode, Repair};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, args: &GcArgs, report: &Report) -> Exit {
    let what = collection(args);
    match sessions(dir).and_then(|sessions| sessions.gc(&what)) {
        Ok(collected) => {
            let mut json = json!(collected);
            json["dry_run"] = json!(args.dry_run);
            report.result(&text(&collected, what.mode), &json);
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

pub(super) fn text(collected: &Collected, mode: GcMode) -> String {
    let [removes, sets_aside, keeps] = match mode {
        GcMode::Remove => ["removed", "set aside", "kept"],
        GcMode::DryRun => ["would remove", "would set aside", "would keep"],
    };
    let removed = collected.removed.iter().map(|session| format!("{removes} {session}"));
    let repaired = collected.repaired.iter().map(|path| format!("{sets_aside} {}", Shown(path)));
    let kept = collected.kept.iter().map(|kept| format!("{keeps} {}: {}", kept.session, kept.why));
    let lines: Vec<String> = repaired.chain(removed).chain(kept).collect();
    if lines.is_empty() { "nothing to collect".to_owned() } else { lines.join("\n") }
}
