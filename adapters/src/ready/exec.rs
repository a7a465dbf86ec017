//! Readiness by a command: a worker is ready when `/bin/sh -c COMMAND` exits with 0.
//!
//! The command runs in the worker's directory and with the worker's environment, but is no process of the worker: it has
//! neither the lifeline nor the claim. A guardian is its parent, as for every child over stdio, so that the command ends
//! with everything that it started, however its launcher ends.
//!
//! # Invariants
//! 1. One command runs at a time, within a bound of time, and with bounded output.
//! 2. No process of a command is left once the command has ended, its time is up, the watch is dropped, or the launcher
//!    is gone.
//!
//! Checked by `smoke/tests/smoke/ready/exec.rs`.

use super::Site;
use crate::endpoint::probe::Connection;
use crate::ready::port;
use crate::start::place::CommandPlace;
use crate::stdio::{self, Birth, ChildStdout, Detached, OutputTap, StdioSpec};
use rekindle_core::lines::{LineLimits, Lines};
use rekindle_core::shown::Shown;
use rekindle_core::{ChildExit, KillSignal, SpawnError, WatchError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

/// The shell, where POSIX systems have it.
const SHELL: &str = "/bin/sh";
/// How long one run of the command may take.
const RUN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the rest of a command may take to end after SIGKILL, if the launcher is gone.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// The pause after a run that failed: the first, and the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);
/// The last words of a run in the message of a start that was not ready in time.
const WORDS: LineLimits = LineLimits { line_len_max: 160, lines_max: 2 };
/// The size of one read of a command's output.
const CHUNK_LEN: usize = 4 << 10;

/// Runs the command until it succeeds.
pub(super) async fn await_success(site: &Site<'_>, command: &str) -> Result<Connection, WatchError> {
    let place = site.start.command_place().ok_or_else(|| WatchError::Unwatchable {
        ready: site.start.readiness().to_string(),
        why: "the worker's directory and environment are not recorded".to_owned(),
    })?;
    let mut pause = PAUSE_FIRST;
    site.start.note_seen(format!("`{}` had not ended yet", Shown(command)));
    loop {
        match run(command, &place).await {
            Ok(run) if run.end == Some(ChildExit::Code(0)) => return port::without_connect(site),
            Ok(run) => site.start.note_seen(run.in_words(command)),
            Err(error) => {
                site.start.note_seen(format!("`{}` could not be started: {error}", Shown(command)));
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}

/// The result of one run.
#[derive(Debug)]
struct Run {
    /// `None` if the time of the run was up first.
    end: Option<ChildExit>,
    /// The last lines of both outputs.
    words: Vec<String>,
}

impl Run {
    /// The finding, for a start that was not ready in time.
    fn in_words(&self, command: &str) -> String {
        let command = Shown(command);
        let end = match self.end {
            Some(exit) => format!("`{command}` {exit}"),
            None => format!("`{command}` did not end within {} s, and was ended", RUN_TIMEOUT.as_secs()),
        };
        match self.words.as_slice() {
            [] => end,
            words => {
                let quoted: Vec<String> = words.iter().map(|line| format!("`{}`", Shown(line))).collect();
                format!("{end}, and said {}", quoted.join(", "))
            }
        }
    }
}

/// Runs the command once, and returns when no process of the run is left.
///
/// # Cancel safety
/// If dropped, the guardian ends the run.
async fn run(command: &str, place: &CommandPlace) -> Result<Run, SpawnError> {
    let words = [SHELL, "-c", command].map(Into::into);
    let spec = StdioSpec {
        command: &words,
        cwd: &place.cwd,
        environment: &place.environment,
        // Without a launcher that waits for the answer there is nothing to finish.
        term_grace: Duration::ZERO,
        kill_grace: KILL_GRACE,
        detached: Detached::End,
    };
    let Birth { stdin, stdout, stderr, orders, mut guardian, .. } = stdio::start(&spec).await?;
    // The command reads the end of its input at once.
    drop(stdin);
    let taps = [stdout.tap(), stderr.tap()];
    let ending = async {
        let end = timeout(RUN_TIMEOUT, guardian.await_end()).await;
        // The command itself if its time is up, and always what it left in the background.
        if let Err(error) = orders.signal(KillSignal::Kill) {
            tracing::warn!(%error, "the rest of a command could not be ended");
        }
        guardian.await_departure().await;
        taps.iter().for_each(OutputTap::child_ended);
        taps.iter().for_each(OutputTap::ignore_others);
        end.ok().map(|exit| exit.unwrap_or(ChildExit::Unknown))
    };
    let (end, said, complained) = tokio::join!(ending, last_lines(stdout), last_lines(stderr));
    Ok(Run { end, words: [said, complained].concat() })
}

/// Reads an output to its end, and keeps the last lines.
async fn last_lines(mut output: ChildStdout) -> Vec<String> {
    let (mut lines, mut chunk) = (Lines::new(WORDS), vec![0; CHUNK_LEN]);
    loop {
        // A read error is an end too.
        match output.read(&mut chunk).await.unwrap_or(0) {
            0 => break,
            len => lines.push(chunk.get(..len).unwrap_or_default(), &mut |_| {}),
        }
    }
    lines.finish(&mut |_| {});
    lines.kept().map(str::to_owned).collect()
}
