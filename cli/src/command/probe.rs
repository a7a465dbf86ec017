//! `rekindle probe`

use crate::report::{Exit, Report, path_text, printable};
use rekindle::adapters::probe;
use rekindle::core::Liveness;
use rekindle::core::shown::Shown;
use serde_json::json;
use std::path::Path;

pub(crate) async fn run(path: &Path, report: &Report) -> Exit {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let probed = probe::probe(&absolute).await;
    tracing::info!(socket = %Shown(&absolute), liveness = ?probed.liveness(), "looked at the socket");
    let verdict = match probed.liveness() {
        Liveness::Live => "alive",
        Liveness::Dormant => "dead",
        Liveness::Indeterminate => "indeterminate",
        Liveness::Forged => "forged",
    };
    let next = probe::mend(&absolute).filter(|_| verdict == "forged");
    let advice = next.as_ref().map(|next| format!("; {next}")).unwrap_or_default();
    let text = printable(&format!("{verdict}: {}{advice}", probed.why()));
    report.result(
        &text,
        &json!({ "path": path_text(path), "verdict": verdict, "why": probed.why(), "next": next }),
    );
    Exit::Done
}
