//! `rekindle ls`

use crate::args::LsArgs;
use crate::command::sessions;
use crate::report::{Exit, Report, table_width};
use crate::text;
use rekindle::frontend::now;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, args: &LsArgs, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.list()) {
        Ok(listing) => {
            let width = || (!args.wide).then(table_width);
            report.page(|| text::ls::page(&listing.sessions, now(), width()), &listing);
            report.left_out(&listing.left_out)
        }
        Err(error) => report.error(&error),
    }
}
