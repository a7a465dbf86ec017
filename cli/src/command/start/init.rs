//! `rekindle init`

use crate::report::{Exit, Report};
use rekindle::Error;
use rekindle::frontend::Shown;
use rekindle::json::project::InitJson;
use rekindle::project::{PROJECT_FILE, Project};
use std::path::Path;

pub(crate) fn run(file: Option<&Path>, report: &Report) -> Exit {
    let named = file.unwrap_or(Path::new(PROJECT_FILE));
    let written = Project::init(named).and_then(|()| Project::canonical(named));
    match written {
        Ok(file) => {
            let text = format!("wrote `{}`; to start its sessions: rekindle up", Shown(&file));
            report.answer(&text, InitJson::new(&file));
            Exit::Done
        }
        Err(error) => report.error(&Error::from(error)),
    }
}
