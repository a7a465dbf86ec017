//! `rekindle gc`

use super::sessions;
use crate::report::{Exit, Report};
use rekindle::core::shown::Shown;
use rekindle::{Collected, Repair};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, repair: bool, report: &Report) -> Exit {
    let repair = if repair { Repair::Yes } else { Repair::No };
    match sessions(dir).and_then(|sessions| sessions.collect(repair)) {
        Ok(collected) => {
            report.result(&text(&collected), &json!(collected));
            Exit::Done
        }
        Err(error) => report.error(&error),
    }
}

pub(super) fn text(collected: &Collected) -> String {
    let removed = collected.removed.iter().map(|session| format!("removed {session}"));
    let repaired = collected.repaired.iter().map(|path| format!("set aside {}", Shown(path)));
    let kept = collected.kept.iter().map(|kept| format!("kept {}: {}", kept.session, kept.why));
    let lines: Vec<String> = repaired.chain(removed).chain(kept).collect();
    if lines.is_empty() { "nothing to collect".to_owned() } else { lines.join("\n") }
}
