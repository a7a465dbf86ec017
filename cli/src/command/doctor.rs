//! `rekindle doctor`

use super::sessions;
use crate::report::{Exit, Report};
use rekindle::{Diagnosis, SessionId};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, session: Option<&SessionId>, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.diagnose(session)) {
        Ok(diagnoses) => {
            for diagnosis in &diagnoses {
                report.result(&text(diagnosis), &json!(diagnosis));
            }
            if diagnoses.is_empty() {
                report.note("no sessions");
            }
            Exit::Done
        }
        Err(error) => report.error(&error),
    }
}

fn text(diagnosis: &Diagnosis) -> String {
    let state = diagnosis.state.and_then(|state| json!(state).as_str().map(str::to_owned));
    let mut lines =
        vec![format!("{}: {}", diagnosis.session, state.unwrap_or_else(|| "never started".to_owned()))];
    lines.extend(diagnosis.findings.iter().map(|finding| format!("  {finding}")));
    lines.extend(
        diagnosis.leftovers.iter().map(|pid| format!("  left over: process {pid} holds the lifeline")),
    );
    lines.extend(diagnosis.next.iter().map(|next| format!("  next: {next}")));
    lines.join("\n")
}
