//! `rekindle supervise`: a transparent proxy between a client and a program over stdin and stdout.
//!
//! Only the program's own bytes are written to stdout. Each direction buffers two chunks at most, so a slow reader
//! slows the writer down, and our memory stays bounded.

mod cause;
mod events;
mod patience;
mod pumps;

use crate::args::SuperviseArgs;
use crate::report::{Exit, Report};
use cause::Cause;
use events::{EventWriter, Outlets};
use pumps::{Delivered, Passed, pump_in, pump_out};
use rekindle::frontend::orphans::{self, Reaped};
use rekindle::frontend::{OwnInput, OwnOutput};
use rekindle::stdio::ChildStdout;
use rekindle::stdio::{StderrMode, StdioEnd};
use rekindle::{ChildExit, OsFailure, Pid, SpawnError};
use rekindle::{StdioChild, StdioLaunch, StdioStopped, StopPolicy};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// How long the reader of our output may take after a signal to us.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause before the next look for orphans hidden behind the guardian's zombie.
const ORPHANS_PAUSE: Duration = Duration::from_millis(2);

pub(crate) async fn run(args: SuperviseArgs, report: &Report) -> Exit {
    let (events, outlets) = match EventWriter::new(report, args.events_fd.as_deref()) {
        Ok(writer) => writer,
        Err(error) => {
            // Log lines go to stderr, since stdout belongs to the program.
            report.progress(&error.to_string());
            return Exit::WrapperFailed;
        }
    };
    // The last log line that may block on stderr: the program runs from here on.
    tracing::info!(program = args.command.first().map(tracing::field::debug), "starting the program");
    match Supervision::begin(&args, &events).await {
        Ok((supervision, stderr)) => {
            let written = outlets.write(Some(stderr));
            let exit = supervision.run(&events).await;
            events.finish(written, FLUSH_TIMEOUT).await;
            exit
        }
        Err(error) => not_started(events, outlets, &error, report).await,
    }
}

async fn not_started(events: EventWriter, outlets: Outlets, error: &SpawnError, report: &Report) -> Exit {
    events.not_started(error, report);
    events.finish(outlets.write(None), FLUSH_TIMEOUT).await;
    Exit::of_spawn_error(error)
}

/// The signals that end us.
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

/// A running program, and the streams between the program and the client.
struct Supervision {
    child: StdioChild,
    policy: StopPolicy,
    signals: Signals,
    input: watch::Receiver<Delivered>,
    output: watch::Receiver<Passed>,
}

impl Supervision {
    async fn begin(args: &SuperviseArgs, events: &EventWriter) -> Result<(Self, ChildStdout), SpawnError> {
        let listen = |error: std::io::Error| OsFailure::new("listen for signals", error.to_string());
        // Signals are caught before a process exists that a signal would have to end.
        let signals = Signals::listen().map_err(listen)?;
        let deaths =
            orphans::come_to_us().then(|| signal(SignalKind::child())).transpose().map_err(listen)?;
        let (from_client, to_client) = (OwnInput::open()?, OwnOutput::stdout()?);
        let mut child = StdioChild::spawn(launch(args, events)).await?;
        if let Some(deaths) = deaths {
            tokio::spawn(reap_orphans(deaths, child.guardian_pid()));
        }
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            unreachable!("a child that was just started has its streams");
        };
        let (delivered, input) = watch::channel(Delivered::default());
        let (passed, output) = watch::channel(Passed::default());
        tokio::spawn(pump_in(from_client, stdin, delivered));
        tokio::spawn(pump_out(stdout, to_client, passed));
        let policy = StopPolicy { stdin_grace: args.stdin_grace, ..args.graces.stop_policy() };
        Ok((Self { child, policy, signals, input, output }, stderr))
    }

    async fn run(mut self, events: &EventWriter) -> Exit {
        let mut cause = self.has_to_stop().await;
        let decided_at = Instant::now();
        if cause == Cause::GraceOver && self.policy.stdin_grace.is_zero() {
            cause = self.let_it_answer().await;
        }
        events.cause(cause);
        let (stopped, told_to_go) = self.stop(cause).await;
        let after = events.ended_at().saturating_duration_since(decided_at);
        if let Some(ended) = cause.ended(&stopped, &self.policy, after) {
            events.ended_by_us(cause, &ended);
        }
        events.stopped(&stopped);
        self.flush(told_to_go).await;
        self.exit(&stopped, events)
    }

    /// Stops the program; `true` if a signal asked for the stop.
    async fn stop(&mut self, cause: Cause) -> (StdioStopped, bool) {
        let child = &self.child;
        let mut told_to_go = cause == Cause::Signal;
        let mut stopping = std::pin::pin!(child.stop(&self.policy));
        loop {
            tokio::select! {
                stopped = &mut stopping => return (stopped, told_to_go),
                () = self.signals.next() => {
                    told_to_go = true;
                    // The second call only hurries the stop; the outcome comes from the first.
                    let _ = timeout(Duration::ZERO, child.stop(&self.policy)).await;
                }
            }
        }
    }

    /// Lets the client read the rest of the output: without a limit, or for [`FLUSH_TIMEOUT`] after a signal.
    async fn flush(&mut self, told_to_go: bool) {
        let mut output = self.output.clone();
        let flushed = output.wait_for(|passed| passed.is_over());
        if told_to_go {
            // The client had its time; the rest is dropped.
            let _ = timeout(FLUSH_TIMEOUT, flushed).await;
            return;
        }
        tokio::select! {
            _ = flushed => {}
            () = async { self.signals.next().await; sleep(FLUSH_TIMEOUT).await } => {}
        }
    }

    /// The exit code for the program's exit. A success with lost output becomes a failure, and so does an end by our
    /// signal with lost output.
    fn exit(&self, stopped: &StdioStopped, events: &EventWriter) -> Exit {
        let lost = self.output.borrow().lost;
        if let Some(errno) = lost {
            events.output_lost(errno);
        }
        let ended_by_us = match stopped.end {
            StdioEnd::Terminated | StdioEnd::Killed => true,
            StdioEnd::HadEnded | StdioEnd::ClosedStdin | StdioEnd::GaveUp => false,
        };
        match (stopped.exit, lost) {
            (Some(ChildExit::Code(0)), Some(_)) | (None, _) => Exit::WrapperFailed,
            (Some(ChildExit::Signal(_) | ChildExit::CoreDumped(_)), Some(_)) if ended_by_us => {
                Exit::WrapperFailed
            }
            (Some(exit), _) => Exit::of_exit(exit),
        }
    }
}

fn launch(args: &SuperviseArgs, events: &EventWriter) -> StdioLaunch {
    let mut command = args.command.iter().cloned();
    let teller = events.clone();
    let launch = StdioLaunch::new(command.next().unwrap_or_default())
        .args(command)
        .term_grace(args.graces.term_grace)
        .kill_grace(args.graces.kill_grace)
        .stderr(StderrMode::Stream)
        .on_event(move |event| teller.event(event));
    if args.leave_detached { launch.leave_detached() } else { launch }
}

/// Reaps orphans that the kernel reparents to us, until the runtime ends. The guardian, `ours`, is reaped elsewhere.
async fn reap_orphans(mut deaths: Signal, ours: Pid) {
    loop {
        match orphans::reap_all_but(&[ours]) {
            Reaped::All if deaths.recv().await.is_none() => return,
            Reaped::All => {}
            Reaped::UpToOurs => sleep(ORPHANS_PAUSE).await,
        }
    }
}
