//! Where a session's logs are, and the cuts in passing.
//!
//! Every verb that looks at a session passes by its logs, and keeps them within their bound. A session in the middle of a
//! start is left alone: a watch for a line of output reads its logs from the beginning.

use rekindle_adapters::logs::names::LOGS;
use rekindle_adapters::logs::pass::{Passed, pass_by_all};
use rekindle_adapters::{SessionDir, StateRoot, record_file};
use rekindle_core::byte_text;
use rekindle_core::logs::LogMax;
use rekindle_core::record::RecordFile;
use rekindle_core::{RecordState, SessionId, SessionRecord};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The logs of a session: absolute paths, `None` where there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogPaths {
    /// The standard output of the worker, since the start.
    #[serde(rename = "stdout_log", with = "byte_text")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::Text>"))]
    pub stdout: Option<PathBuf>,
    /// The standard error of the worker, since the start.
    #[serde(rename = "stderr_log", with = "byte_text")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::Text>"))]
    pub stderr: Option<PathBuf>,
}

impl LogPaths {
    /// The logs in the directory of a session that was started.
    pub(crate) fn of(session_dir: &Path) -> Self {
        let [stdout, stderr] = LOGS.map(|log| Some(session_dir.join(log)));
        Self { stdout, stderr }
    }

    /// The same, below the state directory.
    pub(crate) fn below(root: &Path, session: &SessionId) -> Self {
        Self::of(&root.join(session.as_str()))
    }
}

/// The bound of the session's logs; `None` if they are not to be touched now.
fn bound(record: &SessionRecord) -> Option<LogMax> {
    match record.state {
        RecordState::Starting => None,
        RecordState::Ready | RecordState::Exited | RecordState::Retained => {
            Some(record.whole_plan().map_or(LogMax::NONE, |plan| plan.log_max))
        }
    }
}

/// Passes by the logs of a session with this record. Returns the logs that are over their bound and stay so, in words.
pub(crate) fn pass_by(dir: &SessionDir, record: Option<&SessionRecord>) -> Vec<String> {
    let Some(max) = record.and_then(bound) else { return Vec::new() };
    let passed = pass_by_all(dir, max).into_iter();
    let stays = passed.filter_map(|(stream, _, passed)| match passed {
        Ok(Passed::Stays { held, why }) => Some(format!(
            "log: {} holds {held} bytes, more than --log-max {max}, and is not cut: {why}",
            stream.word()
        )),
        Ok(Passed::Fits | Passed::Cut { .. } | Passed::Busy) | Err(_) => None,
    });
    stays.collect()
}

/// Passes by the logs of a session, whatever its record says now. A failure leaves the logs as they are.
pub(crate) fn pass_by_session(root: &StateRoot, session: &SessionId) {
    let Ok(Some(dir)) = root.session(session) else { return };
    if let Ok(RecordFile::Whole(record)) = record_file::read(&dir) {
        pass_by(&dir, Some(&record));
    }
}
