//! `rekindle supervise`: a transparent proxy between a client and a program that speaks over stdin and stdout.
//!
//! Nothing but the program's own bytes is ever written to stdout. Each direction holds a chunk or two at most, so that a
//! side that does not read holds the other one up, and does not fill our memory.

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

/// How long whoever reads our output may take once we were told to go.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause before another look for orphans that the guardian's zombie hides.
const ORPHANS_PAUSE: Duration = Duration::from_millis(2);

pub(crate) async fn run(args: SuperviseArgs, report: &Report) -> Exit {
    let (events, outlets) = match EventWriter::new(report, args.events_fd.as_deref()) {
        Ok(writer) => writer,
        Err(error) => {
            // On stderr: stdout is the program's.
            report.progress(&error.to_string());
            return Exit::NeverStarted;
        }
    };
    // The last word of ours that may wait for a reader of stderr: a program runs after it.
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
    Exit::NeverStarted
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
    async fn begin(args: &SuperviseArgs, events: &EventWriter) -> Result<(Self, ChildStdout), SpawnError> {
        let listen = |error: std::io::Error| OsFailure::new("listen for signals", error.to_string());
        // Before there is anything that a signal would have to end.
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
        let flushed = output.wait_for(|passed| passed.is_over());
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

    /// The program's own status. Where some of its output could not be written, its success is none, and an end that we
    /// made of it is not its own.
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
            (Some(ChildExit::Code(0)), Some(_)) | (None, _) => Exit::Failed,
            (Some(ChildExit::Signal(_)), Some(_)) if ended_by_us => Exit::Failed,
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

/// Reaps orphans that the kernel hands to us, until the runtime ends. The guardian, `ours`, is reaped elsewhere.
async fn reap_orphans(mut deaths: Signal, ours: Pid) {
    loop {
        match orphans::reap_all_but(&[ours]) {
            Reaped::All if deaths.recv().await.is_none() => return,
            Reaped::All => {}
            Reaped::UpToOurs => sleep(ORPHANS_PAUSE).await,
        }
    }
}
