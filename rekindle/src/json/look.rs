//! The JSON of the verbs that look.

use crate::json::Next;
use crate::project::Root;
use crate::sessions::SessionSummary;
use rekindle_core::Endpoint;
use rekindle_core::byte_text::{self, ByteText};
use serde::Serialize;
use std::path::PathBuf;

/// `rekindle probe`
#[derive(Debug, Serialize)]
pub struct ProbeJson<'a> {
    /// The path as given; `null` for a TCP port.
    pub path: Option<ByteText<'a>>,
    /// The probed address.
    pub address: &'a Endpoint,
    /// `alive`, `dead`, `indeterminate` or `forged`.
    pub verdict: &'static str,
    /// The reason for the verdict.
    pub why: &'a str,
    /// What to do next.
    #[serde(flatten)]
    pub next: Next,
}

/// `rekindle ls --all`
#[derive(Debug, Serialize)]
pub struct AllJson<'a> {
    /// The state roots of the user: the default root, then the roots of projects.
    pub roots: Vec<RootJson<'a>>,
}

/// A state root with its sessions.
#[derive(Debug, Serialize)]
pub struct RootJson<'a> {
    /// The state directory.
    #[serde(with = "byte_text")]
    pub dir: PathBuf,
    /// The project file; `null` for the default root.
    #[serde(with = "byte_text")]
    pub project: Option<PathBuf>,
    /// Whether the project file was moved or removed.
    pub project_gone: bool,
    /// The sessions, sorted.
    pub sessions: &'a [SessionSummary],
}

impl<'a> RootJson<'a> {
    /// The sessions of `root`.
    pub fn new(root: &Root, sessions: &'a [SessionSummary]) -> Self {
        Self {
            dir: root.dir.clone(),
            project: root.project.clone(),
            project_gone: root.is_orphaned(),
            sessions,
        }
    }
}
