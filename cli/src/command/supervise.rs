//! `rekindle supervise`: a transparent proxy between a client and a program that speaks over stdin and stdout.
//!
//! Nothing but the program's own bytes is ever written to stdout. Each direction holds a chunk or two at most, so that a
//! side that does not read holds the other one up, and does not fill our memory.

mod pumps;
mod voice;

use crate::args::SuperviseArgs;
use crate::report::{Exit, Report};
use pumps::{Delivered, Passed, pump_in, pump_out};
use rekindle::adapters::stdio::{ChildStdout, OwnInput, OwnOutput, input_hung_up};
use rekindle::core::{OsFailure, SpawnError};
use rekindle::stdio::StderrMode;
use rekindle::{StdioChild, StdioLaunch, StdioStopped, StopPolicy};
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use voice::{Cause, Voice};

/// Without a grace for stdin: how long a program whose input ended may be silent before it is asked to go.
const SILENCE: Duration = Duration::from_secs(1);
/// Without a grace for stdin: how long it may take to read everything and to answer.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long whoever reads our output may take once we were told to go.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two looks at how much of its input the program has read.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

pub(crate) async fn run(args: SuperviseArgs, report: &Report) -> Exit {
    let (voice, complaints) = Voice::new(report);
    // The last word of ours that may wait for a reader of stderr: a program runs after it.
    tracing::info!(program = args.command.first(), "starting the program");
    match Supervision::begin(&args, &voice).await {
        Ok((supervision, stderr)) => {
            let complaining = tokio::spawn(complaints.speak(Some(stderr)));
            let (exit, written) = supervision.run(&voice).await;
            voice.fall_silent(complaining, FLUSH_TIMEOUT).await;
            report.wrote(written);
            exit
        }
        Err(error) => {
            voice.not_started(&error);
            let complaining = tokio::spawn(complaints.speak(None));
            voice.fall_silent(complaining, FLUSH_TIMEOUT).await;
            Exit::NeverStarted
        }
    }
}

/// The signals that tell us to go.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// A program that runs, and all that passes between it and the client.
struct Supervision {
    child: StdioChild,
    policy: StopPolicy,
    signals: Signals,
    input: watch::Receiver<Delivered>,
    output: watch::Receiver<Passed>,
}

impl Supervision {
    async fn begin(args: &SuperviseArgs, voice: &Voice) -> Result<(Self, ChildStdout), SpawnError> {
        // Before there is anything that a signal would have to end.
        let signals =
            Signals::listen().map_err(|error| OsFailure::new("listen for signals", error.to_string()))?;
        let (from_client, to_client) = (OwnInput::open()?, OwnOutput::stdout()?);
        let mut command = args.command.iter().cloned();
        let teller = voice.clone();
        let launch = StdioLaunch::new(command.next().unwrap_or_default())
            .args(command)
            .term_grace(args.graces.term_grace)
            .kill_grace(args.graces.kill_grace)
            .stderr(StderrMode::Stream)
            .on_event(move |event| teller.event(event));
        let mut child = StdioChild::spawn(launch).await?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            unreachable!("a child that was just started has its streams");
        };
        let (delivered, input) = watch::channel(Delivered::SoFar);
        let (passed, output) = watch::channel(Passed::default());
        tokio::spawn(pump_in(from_client, stdin, delivered));
        tokio::spawn(pump_out(stdout, to_client, passed));
        let policy = StopPolicy { stdin_grace: args.stdin_grace, ..args.graces.stop_policy() };
        Ok((Self { child, policy, signals, input, output }, stderr))
    }

    /// How the program ended, and whether what it wrote went through.
    async fn run(mut self, voice: &Voice) -> (Exit, io::Result<()>) {
        let mut cause = self.has_to_stop().await;
        if cause == Cause::EndOfInput && self.policy.stdin_grace.is_zero() {
            cause = self.let_it_answer().await;
        }
        voice.cause(cause);
        let (stopped, told_to_go) = self.stop(cause).await;
        voice.stopped(&stopped);
        self.flush(told_to_go).await;
        let written = self.output.borrow().written();
        (exit_of(&stopped), written)
    }

    async fn has_to_stop(&mut self) -> Cause {
        // A client that has left cannot wait for the delivery of what it sent: that may take as long as an end would.
        let delivery_timeout = self.policy.stdin_grace.saturating_add(self.policy.term_grace);
        let abandoned = async {
            input_hung_up().await;
            sleep(delivery_timeout).await;
        };
        tokio::select! {
            _ = self.child.wait() => Cause::ChildExited,
            () = self.signals.next() => Cause::Signal,
            () = is_refused(&mut self.output) => Cause::OutputClosed,
            // The pump goes on for as long as its program, so the channel does too.
            _ = self.input.wait_for(|delivered| *delivered == Delivered::All) => Cause::EndOfInput,
            () = abandoned => Cause::ClientLeft,
        }
    }

    /// Passes the end of the input on, and lets the program read what was sent and answer it.
    async fn let_it_answer(&mut self) -> Cause {
        let deadline = Instant::now() + ANSWERS_TIMEOUT;
        let child = &self.child;
        let read_all = async {
            while child.unread_input() > 0 {
                sleep(LOOK_PAUSE).await;
            }
        };
        let mut seen = self.output.clone();
        let answered = async {
            read_all.await;
            child.close_stdin();
            seen.mark_unchanged();
            while let Ok(changed) = timeout(SILENCE, seen.changed()).await {
                if changed.is_err() {
                    // Its output has ended, and so, most likely, will it.
                    sleep(SILENCE).await;
                    break;
                }
            }
        };
        tokio::select! {
            _ = child.wait() => Cause::ChildExited,
            () = self.signals.next() => Cause::Signal,
            () = is_refused(&mut self.output) => Cause::OutputClosed,
            () = answered => Cause::EndOfInput,
            () = sleep_until(deadline) => Cause::EndOfInput,
        }
    }

    /// Stops the program, and says whether a signal wanted that.
    async fn stop(&mut self, cause: Cause) -> (StdioStopped, bool) {
        let child = &self.child;
        let mut told_to_go = cause == Cause::Signal;
        let mut stopping = std::pin::pin!(child.stop(&self.policy));
        loop {
            tokio::select! {
                stopped = &mut stopping => return (stopped, told_to_go),
                () = self.signals.next() => {
                    told_to_go = true;
                    // Asking is all that is wanted; the answer is that of the first.
                    let _ = timeout(Duration::ZERO, child.stop(&self.policy)).await;
                }
            }
        }
    }

    /// Lets the client read what it has not read yet, for as long as nobody is in a hurry.
    async fn flush(&mut self, told_to_go: bool) {
        let mut output = self.output.clone();
        let flushed = output.wait_for(Passed::is_over);
        if told_to_go {
            // What it did not read by then, it does not want.
            let _ = timeout(FLUSH_TIMEOUT, flushed).await;
            return;
        }
        tokio::select! {
            _ = flushed => {}
            () = async { self.signals.next().await; sleep(FLUSH_TIMEOUT).await } => {}
        }
    }
}

/// Resolves when nobody reads our output any more.
async fn is_refused(output: &mut watch::Receiver<Passed>) {
    if output.wait_for(Passed::is_refused).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn exit_of(stopped: &StdioStopped) -> Exit {
    stopped.exit.map_or(Exit::Failed, Exit::of_exit)
}
