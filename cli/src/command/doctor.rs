//! `rekindle doctor`

use super::sessions;
use crate::report::{Exit, Report};
use rekindle::{Diagnoses, Diagnosis, SessionId};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, session: Option<&SessionId>, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.diagnose(session)) {
        Ok(Diagnoses { sessions, left_out }) => {
            for diagnosis in &sessions {
                let mut json = json!(diagnosis);
                report.advise(&mut json, &diagnosis.advice);
                report.result(&text(diagnosis, report), &json);
            }
            if sessions.is_empty() && left_out.is_empty() {
                report.note("no sessions");
            }
            report.left_out(&left_out)
        }
        Err(error) => report.error(&error),
    }
}

fn text(diagnosis: &Diagnosis, report: &Report) -> String {
    let state = diagnosis.state.and_then(|state| json!(state).as_str().map(str::to_owned));
    let mut lines =
        vec![format!("{}: {}", diagnosis.session, state.unwrap_or_else(|| "never started".to_owned()))];
    lines.extend(diagnosis.findings.iter().map(|finding| format!("  {finding}")));
    lines.extend(
        diagnosis.leftovers.iter().map(|pid| format!("  left over: process {pid} holds the lifeline")),
    );
    lines.extend(report.advice_lines(&diagnosis.advice).iter().map(|line| format!("  {line}")));
    lines.join("\n")
}
