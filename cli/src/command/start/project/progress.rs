//! Progress of several sessions on stderr: a spinner for each session at work on a terminal; plain lines in a pipe, and on a
//! terminal whose cursor cannot be moved.
//!
//! # Invariants
//! 1. With `--json`, nothing is shown: objects on stdout say all.
//! 2. A result is printed while no spinner is on the screen, so no line is overwritten.

use crate::report::Report;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rekindle::SessionId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

/// The time between two positions of a spinner.
const TICK: Duration = Duration::from_millis(100);

/// The progress of several sessions.
#[derive(Debug)]
pub(crate) struct Progress<'r> {
    report: &'r Report,
    /// What happens to the sessions, such as `starting`.
    verb: &'static str,
    /// The spinners; `None` where plain lines are shown.
    spinners: Option<(MultiProgress, RefCell<BTreeMap<SessionId, ProgressBar>>)>,
}

impl<'r> Progress<'r> {
    pub(crate) fn new(report: &'r Report, verb: &'static str) -> Self {
        // A spinner moves the cursor; on a terminal that cannot, `indicatif` shows nothing at all.
        let is_screen = stderr().is_terminal() && anstyle_query::term_supports_color();
        let has_spinners = is_screen && !report.is_json();
        let spinners = has_spinners.then(|| {
            (MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), RefCell::new(BTreeMap::new()))
        });
        Self { report, verb, spinners }
    }

    /// The work on a session begins.
    pub(crate) fn begun(&self, session: &SessionId) {
        match &self.spinners {
            Some((screen, bars)) => {
                let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner())
                    .tick_chars("-\\|/ ");
                let bar = ProgressBar::new_spinner().with_style(style);
                bar.set_message(format!("{} {session}", self.verb));
                bars.borrow_mut().insert(session.clone(), screen.add(bar));
            }
            None if self.report.is_json() => {}
            None => self.report.progress(&format!("{} {session}", self.verb)),
        }
    }

    /// The work on a session has ended; `show` prints the result.
    pub(crate) fn ended(&self, session: &SessionId, show: impl FnOnce()) {
        let Some((screen, bars)) = &self.spinners else { return show() };
        if let Some(bar) = bars.borrow_mut().remove(session) {
            bar.finish_and_clear();
            screen.remove(&bar);
        }
        screen.suspend(show);
    }

    /// Turns the spinners: never returns.
    pub(crate) async fn ticks(&self) {
        let Some((_, bars)) = &self.spinners else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            bars.borrow().values().for_each(ProgressBar::tick);
        }
    }

    /// Takes all spinners off the screen.
    pub(crate) fn clear(&self) {
        if let Some((screen, _)) = &self.spinners {
            // A terminal that is gone needs no clearing.
            let _ = screen.clear();
        }
    }
}
