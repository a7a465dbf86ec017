//! `rekindle restart`

use super::up::{self, Asked};
use crate::args::RestartArgs;
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::{Intent, Launch};
use std::path::Path;

pub(crate) async fn run(dir: Option<&Path>, args: &RestartArgs, report: &Report) -> Exit {
    let intent = if args.if_running { Intent::RestartIfRunning } else { Intent::Restart };
    let mut launch = Launch::recorded().intent(intent).kill_change(args.ending.change());
    if let Some(timeout) = args.timeout {
        launch = launch.timeout(timeout);
    }
    let may_be_absent = args.if_running;
    match sessions(dir) {
        Ok(sessions) => {
            up::call(&sessions, Asked { session: &args.session, launch, may_be_absent }, report).await
        }
        Err(error) => report.error(&error),
    }
}
