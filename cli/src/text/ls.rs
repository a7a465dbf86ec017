//! The table of `ls`.

use super::ago::{Spelling, ago};
use super::ending;
use super::line::{BAD, Cut, DIM, GOOD, Line, NOTE, Page};
use super::table::{natural_width, table};
use anstyle::Style;
use jiff::Timestamp;
use rekindle::pool::PoolEntry;
use rekindle::{Endpoint, SessionState, SessionSummary};

const HEADER: [&str; 5] = ["SESSION", "STATE", "PID", "STARTED", "ADDRESS OR END"];

/// The sessions in at most `width` columns; `None` cuts nothing.
///
/// In too few columns the last column is cut in the middle. If not enough of it would be left, times are shortened; then
/// names are cut.
pub(crate) fn page(list: &[SessionSummary], now: Timestamp, width: Option<usize>) -> Page {
    if list.is_empty() {
        return vec![Line::plain("no sessions")];
    }
    let rows = |spelling| list.iter().map(|it| row(it, now, spelling)).collect::<Vec<_>>();
    let words = rows(Spelling::Words);
    let is_narrow = width.is_some_and(|width| without_last(&words) + LAST_WANTED > width);
    table(HEADER, if is_narrow { rows(Spelling::Short) } else { words }, width)
}

/// The sessions of a pool in at most `width` columns, as [`page`].
pub(crate) fn pool_page(list: &[PoolEntry], now: Timestamp, width: Option<usize>) -> Page {
    if list.is_empty() {
        return vec![Line::plain("no sessions")];
    }
    let rows = list.iter().map(|PoolEntry { summary, worker_name, worker_version: _ }| {
        let [session, state, pid, started, _] = row(summary, now, Spelling::Words);
        let name = worker_name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        [session, state, pid, started, Line::plain(name)]
    });
    table([HEADER[0], HEADER[1], HEADER[2], HEADER[3], "WORKER'S NAME"], rows.collect(), width)
}

/// The columns for an address or an end that times make room for.
const LAST_WANTED: usize = 20;

/// The width of all columns but the last, with their gaps.
fn without_last(rows: &[[Line; 5]]) -> usize {
    let mut rows = rows.to_vec();
    rows.iter_mut().for_each(|row| row[4] = Line::default());
    natural_width([HEADER[0], HEADER[1], HEADER[2], HEADER[3], ""], &rows)
}

fn row(it: &SessionSummary, now: Timestamp, spelling: Spelling) -> [Line; 5] {
    let pid = it.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let started = it.started_at.as_ref().and_then(|at| at.parse().ok());
    let started = started.map_or_else(|| "-".to_owned(), |at| ago(at, now, spelling));
    let state = Line::styled(style_of(it.state), it.state.to_string());
    [Line::plain(it.session.as_str()), state, Line::plain(pid), Line::plain(started), last(it, now, spelling)]
}

/// The color of a state.
pub(super) fn style_of(state: SessionState) -> Style {
    match state {
        SessionState::Live => GOOD,
        SessionState::Starting | SessionState::Retained => NOTE,
        SessionState::Unresponsive | SessionState::Corrupt => BAD,
        SessionState::Exited => DIM,
    }
}

/// Where the worker answers, or how it ended.
fn last(it: &SessionSummary, now: Timestamp, spelling: Spelling) -> Line {
    match (it.state, it.ended) {
        (SessionState::Exited, Some(ended)) => {
            let at = ended.at.map(|at| format!(", {}", ago(at, now, spelling))).unwrap_or_default();
            ending::in_short(ended.how).and(DIM, at).cut_at(Cut::End)
        }
        (SessionState::Exited, None) => Line::styled(DIM, "ended; no record").cut_at(Cut::End),
        (SessionState::Corrupt, _) => Line::styled(BAD, "its record is unreadable").cut_at(Cut::End),
        (
            SessionState::Live | SessionState::Starting | SessionState::Unresponsive | SessionState::Retained,
            _,
        ) => Line::plain(it.address.as_ref().map(Endpoint::in_words).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use rekindle::{ChildExit, Ended, Ending, Generation, LogPaths, Pid};

    fn now() -> Timestamp {
        "2026-11-29T20:00:00Z".parse().unwrap()
    }

    fn before(secs: i64) -> Timestamp {
        now() - SignedDuration::from_secs(secs)
    }

    fn session(name: &str, state: SessionState, address: &str) -> SessionSummary {
        SessionSummary {
            session: name.parse().unwrap(),
            state,
            pid: Pid::new(4711).filter(|_| state != SessionState::Exited),
            socket: None,
            address: Some(address.parse().unwrap()),
            generation: Generation::new(1),
            started_at: Some(before(3 * 3600).to_string()),
            exit: None,
            exited_at: None,
            ended_by: None,
            logs: LogPaths::default(),
            ended: None,
        }
    }

    fn ended(name: &str, how: Ending, secs: i64) -> SessionSummary {
        let ended = Some(Ended { how, at: Some(before(secs)) });
        SessionSummary { ended, ..session(name, SessionState::Exited, "none") }
    }

    fn every_kind() -> Vec<SessionSummary> {
        use SessionState as S;
        let exit = ChildExit::Code(3);
        vec![
            session("bot", S::Live, "none"),
            session("cache", S::Live, "unix:/home/me/.local/state/rekindle/cache/sock"),
            ended("crashed", Ending::ByItself { exit: ChildExit::Signal(11) }, 3_700),
            ended("done", Ending::ByItself { exit: ChildExit::Code(0) }, 86_400 * 3),
            ended("early", Ending::BeforeReady { exit }, 59),
            ended("failed", Ending::ByItself { exit }, 300),
            ended("missing", Ending::NeverStarted, 0),
            session("silent", S::Unresponsive, "tcp:127.0.0.1:8000"),
            ended("slow", Ending::TimedOut { exit: ChildExit::Signal(15) }, 7_200),
            ended("stopped", Ending::Stopped { exit: ChildExit::Unknown }, 12),
            session("stuck", S::Retained, "unix:/home/me/.local/state/rekindle/stuck/sock"),
            session("torn", S::Corrupt, "none"),
            SessionSummary {
                ended: Some(Ended { how: Ending::Unseen, at: None }),
                ..ended("unseen", Ending::Unseen, 0)
            },
            ended("vanished", Ending::ByItself { exit: ChildExit::Unknown }, 60),
            session("web", S::Starting, "tcp:127.0.0.1:45123"),
        ]
    }

    fn shown(list: &[SessionSummary], width: Option<usize>) -> String {
        page(list, now(), width).iter().map(|line| line.text() + "\n").collect()
    }

    #[test]
    fn one_table_tells_every_state_and_end_apart() {
        insta::assert_snapshot!("ls", shown(&every_kind(), Some(80)));
        insta::assert_snapshot!("ls_wide", shown(&every_kind(), None));
        insta::assert_snapshot!("ls_narrow", shown(&every_kind(), Some(50)));
    }

    #[test]
    fn a_table_is_never_wider_than_asked() {
        let mut list = every_kind();
        list.push(session(&"x".repeat(64), SessionState::Live, "unix:/a/日本語/sock"));
        for width in 40..140 {
            for line in page(&list, now(), Some(width)) {
                assert!(line.width() <= width, "{width}: {}", line.text());
            }
        }
    }

    #[test]
    fn no_session_is_said_in_words() {
        assert_eq!(shown(&[], Some(80)), "no sessions\n");
    }
}
