//! `rekindle pool`

use crate::args::{AnswerTime, PoolVerb, ReachTime, WorkTime};
use crate::command::end::stop;
use crate::command::sessions;
use crate::given::{Given, GivenError};
use crate::report::{Exit, Report, one_line, terminal_width};
use crate::text;
use rekindle::frontend::now;
use rekindle::json::programs::PoolListJson;
use rekindle::pool::{Deadlines, Limits};
use rekindle::pool::{PoolEntry, PoolError, PoolStatus, Reply, RunOutcome};
use rekindle::protocol::{LINE_LEN_MAX, Run, Speaking, StatusRequest, Version};
use rekindle::{Launch, WorkerPool};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;

pub(crate) async fn run(dir: Option<&Path>, verb: PoolVerb, report: &Report) -> Exit {
    let pool = match sessions(dir) {
        Ok(sessions) => WorkerPool::new(sessions),
        Err(error) => return report.error(&error),
    };
    let done = match verb {
        PoolVerb::Run { speak, code, ctx, lib_path, timeout, answer, work, graces, command } => {
            let (code, ctx) = match read_both(code, ctx) {
                Ok(read) => read,
                Err(error) => return error.report(report),
            };
            let launch = launch(command).timeout(timeout).kill_policy(graces.kill_policy());
            let limits = limits(ReachTime { timeout }, answer, Some(work));
            let pool = speaking(pool, Some(speak)).limits(limits).worker(launch);
            pool.run(Run { code, ctx, lib_paths: lib_path }).await.map(|fed| show_outcome(&fed, report))
        }
        PoolVerb::Continue { sid, speak, response, query_id, usage, reach, answer, work } => {
            let response = match response.read(LINE_LEN_MAX) {
                Ok(response) => response,
                Err(error) => return error.report(report),
            };
            let pool = speaking(pool, Some(speak)).limits(limits(reach, answer, Some(work)));
            let reply = Reply { response, query_id, usage: usage.unwrap_or_default() };
            pool.continue_session(&sid, reply).await.map(|fed| show_outcome(&fed, report))
        }
        PoolVerb::Status { sid, history, speak, reach, answer } => {
            let request = StatusRequest { include_history: history };
            let pool = speaking(pool, speak).limits(limits(reach, answer, None));
            pool.status(&sid, request).await.map(|status| show_status(&status, report))
        }
        PoolVerb::Shutdown { sid, speak, reach, answer, graces } => {
            let pool = speaking(pool, speak).limits(limits(reach, answer, None));
            let stopped = pool.shutdown(&sid, &graces.stop_policy()).await;
            stopped.map(|stopped| stop::show(&stopped, report))
        }
        PoolVerb::Ls => pool.list().map(|list| show_list(&list, report)),
        PoolVerb::Gc { reach, answer } => {
            let pool = pool.limits(limits(reach, answer, None));
            pool.gc().await.map(|collected| {
                report.answer(&collected, &collected);
                if collected.has_errors() { Exit::Failed } else { Exit::Done }
            })
        }
    };
    done.unwrap_or_else(|error| failed(&error, report))
}

fn speaking(pool: WorkerPool, version: Option<Version>) -> WorkerPool {
    match version {
        Some(version) => pool.speaking(Speaking::exactly(version)),
        None => pool,
    }
}

/// The code and the context; only one of them may be on stdin.
fn read_both(code: Given, ctx: Option<Given>) -> Result<(String, Value), GivenError> {
    if code == Given::Stdin && ctx == Some(Given::Stdin) {
        let message = "only one of --code and --ctx can be `-`: there is one standard input";
        return Err(GivenError::Unusable(message.to_owned()));
    }
    let ctx = ctx.map(|ctx| ctx.read_json(LINE_LEN_MAX)).transpose()?.unwrap_or_default();
    Ok((code.read(LINE_LEN_MAX)?, ctx))
}

fn launch(command: Vec<OsString>) -> Launch {
    let mut command = command.into_iter();
    Launch::new(command.next().unwrap_or_default()).args(command)
}

/// The limit of every wait, from the caller's options.
fn limits(reach: ReachTime, answer: AnswerTime, work: Option<WorkTime>) -> Limits {
    let answer = answer.answer_timeout;
    let deadlines = Deadlines {
        connect: reach.timeout,
        write: answer,
        answer,
        line: answer,
        work: work.map_or(answer, |work| work.work_timeout),
    };
    Limits { deadlines, ..Limits::default() }
}

/// The host's JSON, for people and programs.
fn show_outcome(fed: &RunOutcome, report: &Report) -> Exit {
    report.answer(&one_line(fed), fed);
    Exit::Done
}

fn show_status(status: &PoolStatus, report: &Report) -> Exit {
    report.answer(&one_line(status), status);
    Exit::Done
}

fn show_list(list: &[PoolEntry], report: &Report) -> Exit {
    report.page(|| text::ls::pool_page(list, now(), terminal_width()), PoolListJson { sessions: list });
    Exit::Done
}

fn failed(error: &PoolError, report: &Report) -> Exit {
    report.failed(&error.to_string(), &error.advice(), error, Exit::Failed)
}
