//! `rekindle doctor`

use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::{Diagnoses, Diagnosis, SessionId};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, session: Option<&SessionId>, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.diagnose(session)) {
        Ok(Diagnoses { sessions, left_out, home }) => {
            home.iter().for_each(|fact| report.note(fact));
            for diagnosis in &sessions {
                let mut json = json!(diagnosis);
                json["home"] = json!(home);
                report.advise(&mut json, &diagnosis.advice);
                report.result(&text(diagnosis, report), || json);
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
    let mut lines = vec![diagnosis.to_string()];
    lines.extend(report.advice_lines(&diagnosis.advice).iter().map(|line| format!("  {line}")));
    lines.join("\n")
}
