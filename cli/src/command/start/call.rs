//! `rekindle call`

use crate::args::CallArgs;
use crate::command::sessions;
use crate::report::{Exit, Report, one_line};
use rekindle::call;
use rekindle::{Ensured, Error};
use std::path::Path;

pub(crate) async fn run(dir: Option<&Path>, args: &CallArgs, report: &Report) -> Exit {
    let sessions = match sessions(dir) {
        Ok(sessions) => sessions,
        Err(error) => return report.error(&error),
    };
    let worker = match sessions.attach(&args.session).await {
        Ok(Ensured::Running(worker)) => worker,
        Ok(other) => return super::up::show(&args.session, &other, std::time::Duration::ZERO, report),
        Err(error) => return report.error(&error),
    };
    match call(worker.connection, &args.json_line, args.timeout).await {
        Ok(answer) => {
            // The worker's line, as it came: no field of ours is added.
            report.result(&one_line(&answer), &answer);
            Exit::Done
        }
        Err(error) => report.error(&Error::from(error)),
    }
}
