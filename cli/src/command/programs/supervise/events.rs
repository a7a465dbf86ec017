//! All output besides the program's stdout: the program's stderr, unchanged, and our reports, as lines for people or as
//! JSON events.
//!
//! # Invariants
//! 1. Events go to stderr or to a separate descriptor, never to both. The program can forge events on stderr; the
//!    program does not have the other descriptor.
//! 2. A report never blocks: lines are queued, and one run makes a handful of lines.
//! 3. Quoted text neither begins a line nor steers a terminal.
//!
//! Checked by `smoke/tests/smoke/stdio/events.rs`.

use super::cause::{Cause, EndedByUs, MORE_TIME};
use crate::report::{Report, one_line, printable};
use rekindle::Advice;
use rekindle::frontend::{OwnOutput, write_blocking};
use rekindle::json::Versioned;
use rekindle::json::programs::EventJson;
use rekindle::json::start::SpawnStartFailed;
use rekindle::stdio::ChildStdout;
use rekindle::{OsFailure, Pid, SpawnError};
use rekindle::{StdioEnd, StdioEvent, StdioStopped};
use serde::Serialize;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The size of one read of the program's stderr.
const CHUNK_LEN: usize = 16 << 10;

/// Reports events.
#[derive(Debug, Clone)]
pub(super) struct EventWriter {
    /// Events, for machines.
    events: Option<UnboundedSender<String>>,
    /// Lines, for people.
    text: Option<UnboundedSender<String>>,
    /// The number of writes so far.
    written: Arc<AtomicU64>,
    /// The time of the program's end.
    ended_at: Arc<OnceLock<Instant>>,
}

/// The queues of lines and events, with their destinations.
#[derive(Debug)]
pub(super) struct Outlets {
    to_stderr: UnboundedReceiver<String>,
    to_events: Option<(UnboundedReceiver<String>, OwnOutput)>,
    written: Arc<AtomicU64>,
}

impl EventWriter {
    /// Events go to `events_fd`; without `events_fd`, stderr gets events (`--json`) or text.
    ///
    /// # Errors
    /// If no descriptor or thread is left for `events_fd`.
    pub(super) fn new(report: &Report, events_fd: Option<&OwnedFd>) -> Result<(Self, Outlets), OsFailure> {
        let (stderr, to_stderr) = unbounded_channel();
        let (events, text, to_events) = match events_fd {
            Some(fd) => {
                let (events, to_events) = unbounded_channel();
                (Some(events), Some(stderr), Some((to_events, OwnOutput::handed(fd)?)))
            }
            None if report.is_json() => (Some(stderr), None, None),
            None => (None, Some(stderr), None),
        };
        let written = Arc::<AtomicU64>::default();
        let writer = Self { events, text, written: Arc::clone(&written), ended_at: Arc::default() };
        Ok((writer, Outlets { to_stderr, to_events, written }))
    }

    pub(super) fn event(&self, event: StdioEvent) {
        match event {
            StdioEvent::Started { .. } | StdioEvent::Signalled { .. } => self.tell(event),
            StdioEvent::Exited { .. } => {
                // A program ends once.
                let _ = self.ended_at.set(Instant::now());
                self.tell(event);
            }
            // The report of `cause` covers the event, with the reason.
            StdioEvent::Stopping => {}
        }
    }

    /// When the program ended; now, if the program still runs.
    pub(super) fn ended_at(&self) -> Instant {
        self.ended_at.get().copied().unwrap_or_else(Instant::now)
    }

    pub(super) fn cause(&self, cause: Cause) {
        self.tell(EventJson::Stopping { why: Some(cause.word()) });
    }

    pub(super) fn ended_by_us(&self, cause: Cause, ended: &EndedByUs) {
        self.tell(EventJson::EndedByUs {
            why: cause.word(),
            signal: ended.signal.name(),
            after_ms: u64::try_from(ended.after.as_millis()).unwrap_or(u64::MAX),
            option: MORE_TIME,
            message: &ended.message,
        });
        self.say(&ended.message);
    }

    pub(super) fn stopped(&self, stopped: &StdioStopped) {
        self.tell(EventJson::Stopped {
            end: stopped.end,
            survivors: &stopped.survivors,
            left: &stopped.left,
            trouble: &stopped.trouble,
        });
        let listed = |pids: &[Pid]| pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if stopped.end == StdioEnd::GaveUp {
            self.say(&format!("gave up: still running: {}", listed(&stopped.survivors)));
        }
        if !stopped.left.is_empty() {
            self.say(&format!("left running, each in a session of its own: {}", listed(&stopped.left)));
        }
        for trouble in &stopped.trouble {
            self.say(trouble);
        }
    }

    /// Reports that some of the program's output is lost.
    pub(super) fn output_lost(&self, errno: i32) {
        let message =
            format!("the program's output could not be written: {}", io::Error::from_raw_os_error(errno));
        self.tell(EventJson::OutputLost { errno, message: &message });
        self.say(&message);
    }

    pub(super) fn not_started(&self, error: &SpawnError, report: &Report) {
        let (message, advice) = (error.to_string(), Advice::of_start(error));
        let next = report.next(&advice);
        self.tell(EventJson::Failed { outcome: SpawnStartFailed, message: &message, next });
        self.say(&message);
        for line in report.advice_lines(&advice) {
            self.say(&line);
        }
    }

    fn tell(&self, event: impl Serialize) {
        if let Some(events) = &self.events {
            // The queue is closed only after the last report.
            let _ = events.send(one_line(&Versioned::new(event)) + "\n");
        }
    }

    fn say(&self, text: &str) {
        if let Some(to) = &self.text {
            // Each report is one line, even if the quoted text has several.
            let _ = to.send(format!("rekindle: {}\n", printable(text).replace('\n', "\\n")));
        }
    }

    /// Waits until everything is written; gives up if no reader took anything for `patience`.
    pub(super) async fn finish(self, mut writing: JoinHandle<()>, patience: Duration) {
        let written = Arc::clone(&self.written);
        drop(self);
        loop {
            let before = written.load(Ordering::Relaxed);
            let is_done = timeout(patience, &mut writing).await.is_ok();
            if is_done || written.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

impl Outlets {
    /// Writes all lines, all events and the program's stderr, to the end.
    pub(super) fn write(self, complaints: Option<ChildStdout>) -> JoinHandle<()> {
        let Self { to_stderr, to_events, written } = self;
        tokio::spawn(async move {
            let stderr = Stderr { to: OwnOutput::stderr().ok(), written: Arc::clone(&written) };
            let events = async {
                if let Some((lines, output)) = to_events {
                    write_events(lines, output, &written).await;
                }
            };
            tokio::join!(write_stderr(to_stderr, complaints, stderr), events);
        })
    }
}

async fn write_events(mut lines: UnboundedReceiver<String>, mut to: OwnOutput, written: &AtomicU64) {
    while let Some(line) = lines.recv().await {
        if to.write(line.into_bytes()).await.is_err() {
            // The reader of events has left.
            return;
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
}

async fn write_stderr(
    mut lines: UnboundedReceiver<String>,
    mut complaints: Option<ChildStdout>,
    mut to: Stderr,
) {
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        let read = async {
            match &mut complaints {
                Some(complaints) => complaints.read(&mut buffer).await.unwrap_or(0),
                None => std::future::pending().await,
            }
        };
        let bytes = tokio::select! {
            biased;
            line = lines.recv() => match line {
                Some(line) => line.into_bytes(),
                None => break,
            },
            len = read => match len {
                0 => {
                    complaints = None;
                    continue;
                }
                len => buffer.get(..len).unwrap_or_default().to_vec(),
            },
        };
        to.write(bytes).await;
    }
    // No more reports; the program's last words are still due.
    let Some(mut complaints) = complaints else { return };
    while let Ok(len @ 1..) = complaints.read(&mut buffer).await {
        to.write(buffer.get(..len).unwrap_or_default().to_vec()).await;
    }
}

/// Our own stderr. A reader that stops reading does not hold the program up.
struct Stderr {
    /// `None` if no descriptor is left for a watched copy.
    to: Option<OwnOutput>,
    written: Arc<AtomicU64>,
}

impl Stderr {
    async fn write(&mut self, bytes: Vec<u8>) {
        let done = match &mut self.to {
            Some(stderr) => stderr.write(bytes).await,
            None => write_blocking(io::stderr(), &bytes),
        };
        // A failed write to stderr cannot be reported anywhere.
        if done.is_ok() {
            self.written.fetch_add(1, Ordering::Relaxed);
        }
    }
}
