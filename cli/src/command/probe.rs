//! `rekindle probe`

use crate::report::{Exit, Report, printable};
use rekindle::adapters::probe;
use rekindle::core::Liveness;
use serde_json::json;
use std::path::Path;

pub(crate) async fn run(path: &Path, report: &Report) -> Exit {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let probed = probe::probe(&absolute).await;
    tracing::info!(socket = %absolute.display(), liveness = ?probed.liveness(), "looked at the socket");
    let verdict = match probed.liveness() {
        Liveness::Live => "alive",
        Liveness::Dormant => "dead",
        Liveness::Indeterminate => "indeterminate",
        Liveness::Forged => "forged",
    };
    let text = printable(&format!("{verdict}: {}", probed.why()));
    report.result(&text, &json!({ "path": path, "verdict": verdict, "why": probed.why() }));
    Exit::Done
}
