//! `rekindle probe`

use crate::report::{Exit, Report, path_text};
use rekindle::Advice;
use rekindle::Liveness;
use rekindle::frontend::Shown;
use rekindle::probe;
use serde_json::json;
use std::io::ErrorKind;
use std::path::Path;

pub(crate) async fn run(path: &Path, report: &Report) -> Exit {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let probed = probe(&absolute).await;
    tracing::info!(socket = %Shown(&absolute), liveness = ?probed.liveness(), "looked at the socket");
    // An absent file is dead, not forged; an untrusted directory is mentioned besides.
    let is_absent =
        std::fs::symlink_metadata(&absolute).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let (verdict, why) = match probed.liveness() {
        Liveness::Live => ("alive", probed.why().to_owned()),
        Liveness::Dormant => ("dead", probed.why().to_owned()),
        Liveness::Indeterminate => ("indeterminate", probed.why().to_owned()),
        Liveness::Forged if is_absent => ("dead", format!("nothing is there; besides, {}", probed.why())),
        Liveness::Forged => ("forged", probed.why().to_owned()),
    };
    // Only a forged place needs advice: no socket can be trusted there.
    let advice = match probed.liveness() {
        Liveness::Forged => Advice::of_socket_place(&absolute),
        Liveness::Live | Liveness::Dormant | Liveness::Indeterminate => Advice::nothing(),
    };
    let mut json = json!({ "path": path_text(path), "verdict": verdict, "why": why });
    report.advise(&mut json, &advice);
    let lines = std::iter::once(format!("{verdict}: {why}")).chain(report.advice_lines(&advice));
    report.result(&lines.collect::<Vec<_>>().join("\n"), || json);
    Exit::Done
}
