//! A session of a project file, as a start.

use crate::launch::Launch;
use rekindle_core::stop::StopPolicy;
use std::path::PathBuf;

/// A session of a project file.
#[derive(Debug, Clone)]
pub struct ProjectSession {
    /// The start of the session.
    pub launch: Launch,
    /// `env-file`: files with variables, as absolute paths. Read at each start.
    pub env_files: Vec<PathBuf>,
    /// `stop-signal`: the signal with which a stop begins, if not SIGTERM.
    pub stop_signal: Option<String>,
    /// `log-max`: the bound of each log in bytes, if not the default; 0 is no bound.
    pub log_max: Option<u64>,
}

impl ProjectSession {
    /// The stop with the graces of the file.
    pub fn stop_policy(&self) -> StopPolicy {
        self.launch.kill_policy.into()
    }
}
