//! `rekindle ls`

use crate::args::LsArgs;
use crate::command::sessions;
use crate::report::{Exit, Report, table_width};
use crate::text;
use rekindle::Listing;
use rekindle::frontend::now;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, args: &LsArgs, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.list()) {
        Ok(Listing { sessions, left_out }) => {
            let width = || (!args.wide).then(table_width);
            report.page(|| text::ls::page(&sessions, now(), width()), || json!(sessions));
            report.left_out(&left_out)
        }
        Err(error) => report.error(&error),
    }
}
