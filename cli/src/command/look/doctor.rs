//! `rekindle doctor`

use super::roots;
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::json::look::DiagnosisJson;
use rekindle::{Diagnoses, Diagnosis, SessionId};
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, session: Option<&SessionId>, report: &Report) -> Exit {
    let diagnosed = sessions(dir).and_then(|sessions| {
        if session.is_none() {
            roots::report_gone(&sessions, report);
        }
        sessions.diagnose(session)
    });
    match diagnosed {
        Ok(Diagnoses { sessions, left_out, home }) => {
            home.iter().for_each(|fact| report.note(fact));
            for diagnosis in &sessions {
                let answer = DiagnosisJson { diagnosis, home: &home };
                report.advised(&text(diagnosis, report), &diagnosis.advice, answer);
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
