//! What is said on stderr: the program's own complaints, unchanged, and with `--json` what happens to it.

use crate::report::{Report, printable};
use rekindle::adapters::stdio::{ChildStdout, OwnOutput};
use rekindle::core::{KillSignal, SpawnError};
use rekindle::{StdioEnd, StdioEvent, StdioStopped};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How much of the program's complaints is passed on at once.
const CHUNK_LEN: usize = 16 << 10;

/// Why a program is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    EndOfInput,
    /// The input has ended, and the program does not read far enough to be told.
    ClientLeft,
    Signal,
    OutputClosed,
    ChildExited,
}

impl Cause {
    fn word(self) -> &'static str {
        match self {
            Self::EndOfInput => "end-of-input",
            Self::ClientLeft => "client-left",
            Self::Signal => "signal",
            Self::OutputClosed => "output-closed",
            Self::ChildExited => "child-exited",
        }
    }
}

/// Says what happens. It never blocks: what is said is a handful of lines, and written elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    json: bool,
    lines: UnboundedSender<String>,
}

/// What is to be written, and the complaints beside it.
#[derive(Debug)]
pub(super) struct Complaints {
    lines: UnboundedReceiver<String>,
}

impl Voice {
    pub(super) fn new(report: &Report) -> (Self, Complaints) {
        let (sender, receiver) = unbounded_channel();
        (Self { json: report.is_json(), lines: sender }, Complaints { lines: receiver })
    }

    pub(super) fn event(&self, event: StdioEvent) {
        match event {
            StdioEvent::Started { pid } => self.tell(&json!({ "event": "started", "pid": pid })),
            StdioEvent::Signalled { how } => {
                let signal = match how {
                    KillSignal::Term => "SIGTERM",
                    KillSignal::Kill => "SIGKILL",
                };
                self.tell(&json!({ "event": "signalled", "signal": signal }));
            }
            StdioEvent::Exited { exit } => {
                self.tell(&json!({ "event": "exited", "exit_code": exit.code(), "signal": exit.signal() }));
            }
            // Told with its cause, by `cause`.
            _ => {}
        }
    }

    pub(super) fn cause(&self, cause: Cause) {
        self.tell(&json!({ "event": "stopping", "why": cause.word() }));
    }

    pub(super) fn stopped(&self, stopped: &StdioStopped) {
        self.tell(&json!({
            "event": "stopped",
            "end": stopped.end,
            "survivors": stopped.survivors,
            "trouble": stopped.trouble,
        }));
        if stopped.end == StdioEnd::GaveUp {
            let left: Vec<String> = stopped.survivors.iter().map(ToString::to_string).collect();
            self.say(&format!("gave up: still running: {}", left.join(", ")));
        }
    }

    pub(super) fn not_started(&self, error: &SpawnError) {
        let (message, next) = (error.to_string(), "check the command after `--`");
        self.tell(&json!({
            "event": "failed",
            "outcome": "spawn-start-failed",
            "message": message,
            "next": next,
        }));
        self.say(&message);
        self.say(&format!("next: {next}"));
    }

    /// For machines.
    fn tell(&self, event: &Value) {
        if self.json {
            self.line(event.to_string());
        }
    }

    /// For people.
    fn say(&self, text: &str) {
        if !self.json {
            self.line(format!("rekindle: {}", printable(text)));
        }
    }

    fn line(&self, mut line: String) {
        line.push('\n');
        // Nobody listens any more: there is nobody to tell.
        let _ = self.lines.send(line);
    }

    /// Waits until all is said; not for long, should nobody be reading.
    pub(super) async fn fall_silent(self, complaining: JoinHandle<()>, at_most: Duration) {
        drop(self);
        let _ = timeout(at_most, complaining).await;
    }
}

impl Complaints {
    /// Writes everything to stderr until there is nothing more to write.
    pub(super) async fn speak(mut self, mut stderr: Option<ChildStdout>) {
        let mut to = Stderr::open();
        let mut buffer = vec![0; CHUNK_LEN];
        loop {
            let read = async {
                match &mut stderr {
                    Some(stderr) => stderr.read(&mut buffer).await.unwrap_or(0),
                    None => std::future::pending().await,
                }
            };
            let bytes = tokio::select! {
                biased;
                line = self.lines.recv() => match line {
                    Some(line) => line.into_bytes(),
                    None => break,
                },
                len = read => match len {
                    0 => {
                        stderr = None;
                        continue;
                    }
                    len => buffer.get(..len).unwrap_or_default().to_vec(),
                },
            };
            to.write(bytes).await;
        }
        self.rest(stderr, &mut to).await;
    }

    /// There is nothing more to be said by us; what the program said last is still due.
    async fn rest(self, stderr: Option<ChildStdout>, to: &mut Stderr) {
        let Some(mut stderr) = stderr else { return };
        let mut buffer = vec![0; CHUNK_LEN];
        while let Ok(len @ 1..) = stderr.read(&mut buffer).await {
            to.write(buffer.get(..len).unwrap_or_default().to_vec()).await;
        }
    }
}

/// Our own stderr. Nobody may be reading it; the program is not held up for that.
enum Stderr {
    Watched(OwnOutput),
    /// Where the system has no descriptor to spare.
    Plain,
}

impl Stderr {
    fn open() -> Self {
        OwnOutput::stderr().map_or(Self::Plain, Self::Watched)
    }

    async fn write(&mut self, bytes: Vec<u8>) {
        let _ = match self {
            Self::Watched(stderr) => stderr.write(bytes).await,
            Self::Plain => io::stderr().write_all(&bytes),
        };
    }
}
