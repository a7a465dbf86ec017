//! One session, on one screen.

use super::ago::{Spelling, ago, at, lasted};
use super::ending;
use super::line::{BAD, BOLD, Cut, DIM, Line, NOTE, Page};
use super::ls::style_of;
use anstyle::Style;
use jiff::Timestamp;
use rekindle::frontend::shell_word;
use rekindle::{
    ChildExit, ClaimView, Ended, Endpoint, LogTail, LogTails, Pid, Readiness, RecordView, SessionId,
    SessionRecord, SessionState, SessionView,
};

/// The last lines of each log to show: more would push the beginning off a screen of 24 lines.
const STDERR_LINES_MAX: usize = 4;
const STDOUT_LINES_MAX: usize = 2;

/// The width of the names in front of the values.
const NAME_WIDTH: usize = 11;

/// Everything to show about a session.
#[derive(Debug)]
pub(crate) struct Portrait<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) view: &'a SessionView,
    pub(crate) tails: &'a LogTails,
    /// What to type next, a command each.
    pub(crate) next: &'a [String],
}

/// The session as of `now`. Commands and lines of logs are cut to `width`; paths stay whole, since people copy paths.
pub(crate) fn page(portrait: &Portrait<'_>, now: Timestamp, width: Option<usize>) -> Page {
    let Portrait { session, view, tails, next } = portrait;
    let record = view.record.known();
    let ended = record.filter(|_| view.status == SessionState::Exited).map(Ended::of);
    let mut page = vec![headline(session, view, ended, now)];
    match &view.record {
        RecordView::Known(record) => {
            page.extend(ended.map(|ended| end(record, ended, view.exit_why())).into_iter().flatten());
            page.extend(start(record, now));
            page.extend(worker(record, view, ended, width));
        }
        RecordView::Newer(newer) => {
            let text =
                format!("of a later version (schema {}): use that version of rekindle", newer.schema_version);
            page.push(fact("record", Line::styled(NOTE, text)));
            page.extend(newer.endpoint().map(|endpoint| fact("address", Line::plain(endpoint.in_words()))));
        }
        RecordView::Absent => {
            page.push(fact("record", Line::styled(NOTE, "none: it was removed, or never written")));
        }
    }
    page.push(fact("lifeline", lifeline(view)));
    page.extend(view.claim.as_ref().map(|claim| fact("claim", of_claim(claim, now))));
    page.extend(log("stdout", &tails.stdout, STDOUT_LINES_MAX, width));
    page.extend(log("stderr", &tails.stderr, STDERR_LINES_MAX, width));
    page.extend(next.iter().map(|command| fact("next", Line::styled(BOLD, command))));
    page
}

fn fact(name: &str, value: Line) -> Line {
    Line::default().and(DIM, format!("  {name:NAME_WIDTH$}")).followed_by(value)
}

/// The session, its state, and the most important fact about the state.
fn headline(session: &SessionId, view: &SessionView, ended: Option<Ended>, now: Timestamp) -> Line {
    let line = Line::styled(BOLD, session.as_str()).and(Style::new(), ": ");
    let line = line.and(style_of(view.status), view.status.to_string());
    match ended {
        Some(ended) => {
            let at = ended.at.map(|at| format!(", {}", ago(at, now, Spelling::Words))).unwrap_or_default();
            line.and(Style::new(), "; ").followed_by(ending::in_short(ended.how)).and(Style::new(), at)
        }
        None => {
            let pid = view.record.known().and_then(worker_pid).map(|pid| format!(", pid {pid}"));
            line.and(Style::new(), pid.unwrap_or_default())
        }
    }
}

/// When and by whom the worker was ended, and why the exit is unknown.
fn end(record: &SessionRecord, Ended { how, at: ended_at }: Ended, why: Option<&str>) -> Page {
    let mut lines = Page::new();
    if let Some(ended_at) = ended_at {
        let ran = lasted(ended_at.duration_since(record.started_at));
        let ran = if how.exit().is_some() { format!(", {ran} after its start") } else { String::new() };
        lines.push(fact("ended", Line::plain(format!("{}{ran}", at(ended_at)))));
    }
    lines.push(fact("ended by", Line::plain(ending::by(how))));
    let exit = match how.exit() {
        None | Some(ChildExit::Unknown) => why.map(|why| Line::styled(NOTE, format!("unknown: {why}"))),
        Some(exit @ (ChildExit::Code(_) | ChildExit::Signal(_) | ChildExit::CoreDumped(_))) => {
            Some(Line::plain(ending::exit_words(exit)))
        }
    };
    lines.extend(exit.map(|exit| fact("exit", exit)));
    lines
}

fn start(record: &SessionRecord, now: Timestamp) -> Page {
    let ready = match record.ready_at {
        Some(ready_at) => format!("ready after {}", lasted(ready_at.duration_since(record.started_at))),
        None => "never seen ready".to_owned(),
    };
    let (started, generation) = (record.started_at, record.generation);
    let text = format!("{} ({}), {ready}", at(started), ago(started, now, Spelling::Words));
    vec![fact("started", Line::plain(text)), fact("generation", Line::plain(generation.to_string()))]
}

/// The process, its endpoint and its program.
fn worker(record: &SessionRecord, view: &SessionView, ended: Option<Ended>, width: Option<usize>) -> Page {
    let endpoint = record.endpoint();
    let address = match url(record, &endpoint) {
        Some(url) => format!("{url} ({endpoint})"),
        None if endpoint == Endpoint::None => "none".to_owned(),
        None => endpoint.in_words(),
    };
    let command = std::iter::once(record.program().as_os_str());
    let command: Vec<String> =
        command.chain(record.arguments().iter().map(AsRef::as_ref)).map(shell_word).collect();
    let command = Line::plain(command.join(" "));
    let command = width.map_or(command.clone(), |width| command.cut(width.saturating_sub(NAME_WIDTH + 2)));
    let process = match (worker_pid(record), ended) {
        (Some(pid), Some(_)) => Some(Line::styled(DIM, format!("{pid}, gone"))),
        (Some(_), None) | (None, _) => None,
    };
    let waits = if view.status == SessionState::Starting { "waits for " } else { "" };
    let mut lines: Page = process.map(|line| fact("pid", line)).into_iter().collect();
    lines.push(fact("address", Line::plain(address)));
    lines.push(fact("readiness", Line::plain(format!("{waits}{}", record.readiness()))));
    lines.push(fact("command", command));
    lines.push(fact("directory", Line::plain(rekindle::frontend::Shown(record.cwd()).to_string())));
    lines
}

/// The process that was started; else the process that answered.
fn worker_pid(record: &SessionRecord) -> Option<Pid> {
    record.worker.as_ref().or(record.peer.as_ref()).map(|process| process.pid)
}

/// The address for a browser.
fn url(record: &SessionRecord, endpoint: &Endpoint) -> Option<String> {
    let (Readiness::Http(path), Endpoint::Tcp(at)) = (record.readiness(), endpoint) else { return None };
    Some(format!("http://{at}{path}"))
}

fn lifeline(view: &SessionView) -> Line {
    let holders: Vec<String> = view.lifeline.holders.iter().map(ToString::to_string).collect();
    let pids = if holders.is_empty() { String::new() } else { format!(" by pid {}", holders.join(", ")) };
    match view.lifeline.held {
        Some(true) if view.status == SessionState::Exited => {
            Line::styled(BAD, format!("held{pids}: left over, the worker itself is gone"))
        }
        Some(true) => Line::plain(format!("held{pids}")),
        Some(false) => Line::plain("free: no process of the worker lives"),
        None => Line::styled(NOTE, "unknown"),
    }
}

fn of_claim(claim: &ClaimView, now: Timestamp) -> Line {
    match (&claim.holder, claim.locked) {
        (Some(holder), true) => {
            let since = ago(holder.created_at, now, Spelling::Words);
            let text = format!("held by {} (pid {}), taken {since}", holder.owner, holder.holder.pid);
            Line::styled(NOTE, text)
        }
        (Some(holder), false) if holder.retained_at.is_some() => {
            Line::styled(NOTE, format!("retained by pid {}: nothing was observed", holder.holder.pid))
        }
        (Some(holder), false) => Line::plain(format!(
            "left by {} (pid {}); nobody holds its lock",
            holder.owner, holder.holder.pid
        )),
        (None, true) => Line::styled(NOTE, "held; its holder cannot be read"),
        (None, false) => Line::styled(BAD, "unreadable"),
    }
}

/// A log's path, and its last lines.
fn log(name: &str, tail: &LogTail, lines_max: usize, width: Option<usize>) -> Page {
    let text = tail.text.as_deref().unwrap_or_default();
    let note = match &tail.text {
        None => " (absent)",
        Some(text) if text.is_empty() => " (empty)",
        Some(_) => "",
    };
    let path = rekindle::frontend::Shown(&tail.path).to_string();
    let mut page = vec![fact(name, Line::plain(path).and(DIM, note))];
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(lines_max)..];
    page.extend(last.iter().map(|line| {
        let line = Line::default().and(DIM, "    | ").followed_by(Line::plain(line.replace('\t', "    ")));
        let line = line.cut_at(Cut::End);
        width.map_or(line.clone(), |width| line.cut(width))
    }));
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use rekindle::LogPaths;
    use rekindle::{LifelineView, Pid};
    use serde_json::{Value, json};

    fn now() -> Timestamp {
        "2026-11-29T20:00:00Z".parse().unwrap()
    }

    fn before(secs: i64) -> String {
        (now() - SignedDuration::from_secs(secs)).to_string()
    }

    fn process(pid: i32) -> Value {
        json!({ "pid": pid, "start_time": 1, "boot_id": null, "pid_namespace": null })
    }

    /// A record as a start writes it, with the fields of `more`.
    fn record(more: &Value) -> RecordView {
        let mut record = json!({
            "schema_version": 1,
            "session": "web",
            "generation": 3,
            "nonce": "5e5500000000000000000000000000ff",
            "state": "ready",
            "worker": process(4711),
            "peer": null,
            "launcher": process(77),
            "program": "/usr/bin/python3",
            "arguments": ["-m", "http.server", "it's"],
            "cwd": "/home/me/site",
            "address": "tcp:127.0.0.1:45123",
            "readiness": "http=/",
            "started_at": before(7_500),
            "ready_at": before(7_499),
            "exited_at": null,
            "exit": null,
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        RecordView::Known(Box::new(serde_json::from_value(record).unwrap()))
    }

    fn view(record: RecordView, status: SessionState) -> SessionView {
        let is_live = status != SessionState::Exited;
        let holders = Pid::new(4711).filter(|_| is_live).into_iter().collect();
        SessionView {
            record,
            status,
            claim: None,
            lifeline: LifelineView { held: Some(is_live), holders },
            logs: LogPaths::default(),
        }
    }

    fn shown(view: &SessionView, stderr: &str) -> String {
        let tail = |name: &str, text: &str| LogTail {
            path: format!("/home/me/.local/state/rekindle/web/{name}.log").into(),
            text: Some(text.to_owned()),
        };
        let tails = LogTails { stdout: tail("stdout", ""), stderr: tail("stderr", stderr) };
        let session: SessionId = "web".parse().unwrap();
        let next = ["rekindle logs web", "rekindle restart web"].map(str::to_owned);
        let page = page(&Portrait { session: &session, view, tails: &tails, next: &next }, now(), Some(80));
        assert!(page.len() <= 23, "it fits a screen");
        page.iter().map(|line| line.text() + "\n").collect()
    }

    #[test]
    fn a_live_session_is_shown_with_its_address() {
        insta::assert_snapshot!("show_live", shown(&view(record(&json!({})), SessionState::Live), "a\nb\n"));
    }

    #[test]
    fn an_end_is_shown_with_time_cause_and_last_words() {
        let crashed = json!({ "state": "exited", "exit": { "signal": 11 }, "ended_by": "worker", "exited_at": before(3_700) });
        let words = "1\n2\n3\n\n4\n5\tx\u{1b}[2J\n";
        insta::assert_snapshot!("show_crashed", shown(&view(record(&crashed), SessionState::Exited), words));
        let failed =
            json!({ "state": "exited", "exit": { "code": 3 }, "ready_at": null, "exited_at": before(7_499) });
        insta::assert_snapshot!("show_failed", shown(&view(record(&failed), SessionState::Exited), "boom\n"));
        let stopped =
            json!({ "state": "exited", "exit": "unknown", "ended_by": "stop", "exited_at": before(60) });
        insta::assert_snapshot!("show_stopped", shown(&view(record(&stopped), SessionState::Exited), ""));
    }

    #[test]
    fn an_exit_that_nobody_saw_says_why() {
        insta::assert_snapshot!("show_unseen", shown(&view(record(&json!({})), SessionState::Exited), ""));
    }

    #[test]
    fn a_session_without_a_record_is_shown_by_its_lifeline() {
        insta::assert_snapshot!(
            "show_absent",
            shown(&view(RecordView::Absent, SessionState::Unresponsive), "")
        );
    }
}
