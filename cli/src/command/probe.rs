//! `rekindle probe`

use crate::report::{Exit, Report, printable};
use rekindle::adapters::probe;
use rekindle::core::Liveness;
use serde_json::json;
use std::io::ErrorKind;
use std::path::Path;

pub(crate) async fn run(path: &Path, report: &Report) -> Exit {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let probed = probe::probe(&absolute).await;
    // What does not exist is not forged; that its place could not be trusted is said besides.
    let is_absent =
        std::fs::symlink_metadata(&absolute).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let (verdict, why) = match probed.liveness() {
        Liveness::Live => ("alive", probed.why().to_owned()),
        Liveness::Dormant => ("dead", probed.why().to_owned()),
        Liveness::Indeterminate => ("indeterminate", probed.why().to_owned()),
        Liveness::Forged if is_absent => ("dead", format!("nothing is there; besides, {}", probed.why())),
        Liveness::Forged => ("forged", probed.why().to_owned()),
    };
    let text = printable(&format!("{verdict}: {why}"));
    report.result(&text, &json!({ "path": path, "verdict": verdict, "why": why }));
    Exit::Done
}
