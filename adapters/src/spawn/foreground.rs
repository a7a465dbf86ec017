//! Runs a program in the foreground, under a lock.
//!
//! # Invariants
//! 1. The lock is held as long as the program runs, even after our end: the program inherits the locked descriptor.
//! 2. With [`run`] the program does not outlive this process: the kernel kills the program with us. With [`run_on`] the
//!    program goes on. Either way, what inherited the lock keeps the lock.
//! 3. A signal sent to us is passed on; a signal from the terminal reaches the whole group, and is not sent twice.
//! 4. No exit is missed: SIGCHLD is blocked and read, never handled.
//! 5. No zombie stays: if the kernel reparents orphans to this process, as for pid 1, each orphan is reaped.
//!
//! Checked by `smoke/tests/smoke/lifecycle/marker.rs` and `session/send.rs`.

use super::program;
use crate::sys::linux::failure::{During, describe};
use crate::sys::linux::process::orphans::{self, Reaped};
use crate::sys::linux::process::signals::{BlockedSignals, Signal, send_to_child};
use crate::sys::linux::process::tied::{self, AtOurEnd};
use rekindle_core::{ChildExit, OsFailure, SpawnError};
use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

/// The signals passed on to the program.
const FORWARDED: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// Runs a program to its end, passing signals on; returns the exit. The program shares our terminal and our standard
/// streams, and inherits `lock`.
///
/// Only for the main thread of a process without other tasks: signals are blocked meanwhile, the kernel ties the
/// program's life to the starting thread, and as pid 1 every other child is reaped.
///
/// # Errors
/// If the program could not be started.
pub fn run(command: &[OsString], lock: BorrowedFd<'_>) -> Result<ChildExit, SpawnError> {
    start_and_attend(command, &[], lock, AtOurEnd::Dies)
}

/// The same with `variables` added to the environment, for a program that goes on if this process is killed.
///
/// # Errors
/// If the program could not be started.
pub fn run_on(
    command: &[OsString],
    variables: &[(&'static str, OsString)],
    lock: BorrowedFd<'_>,
) -> Result<ChildExit, SpawnError> {
    start_and_attend(command, variables, lock, AtOurEnd::GoesOn)
}

fn start_and_attend(
    command: &[OsString],
    variables: &[(&'static str, OsString)],
    lock: BorrowedFd<'_>,
    at_our_end: AtOurEnd,
) -> Result<ChildExit, SpawnError> {
    let (name, args) = command.split_first().ok_or(SpawnError::NoProgram)?;
    let path = program::resolve(name)?;
    let signals = BlockedSignals::block(&FORWARDED)?;
    let mut command_line = Command::new(&path);
    command_line.arg0(name).args(args).envs(variables.iter().cloned());
    let spawned = tied::spawn(&mut command_line, lock, &signals, at_our_end);
    let spawned = spawned.map_err(|error| match error.raw_os_error() {
        Some(errno) => program::explain(&path, errno),
        None => OsFailure::new("start", error.to_string()).on(&path).into(),
    });
    let ended = spawned.and_then(|child| Ok(attend(child, &signals).doing("wait for the program")?));
    // Only now: otherwise the program's end would have been reported as a signal.
    signals.restore();
    ended.map(to_exit)
}

/// Passes signals on, and reaps orphans, until the program has ended.
fn attend(mut child: Child, signals: &BlockedSignals) -> io::Result<ExitStatus> {
    let orphans_come = orphans::come_to_us();
    let program = [pid_of(&child)];
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if orphans_come && orphans::reap_all_but(&program) == Reaped::UpToOurs {
            // The program has ended meanwhile.
            continue;
        }
        // The kernel sends a terminal's signals to the whole group, so the program has the signal already.
        let heard = signals.next()?.filter(|heard| heard.was_sent);
        if let Some(heard) = heard.filter(|heard| FORWARDED.contains(&heard.signal)) {
            pass_on(&child, heard.signal);
        }
    }
}

/// The child is not reaped yet, so the pid still names the child.
fn pass_on(child: &Child, signal: Signal) {
    if let Err(errno) = send_to_child(pid_of(child), signal) {
        tracing::warn!(%signal, why = describe(errno as i32), "a signal could not be passed on");
    }
}

fn pid_of(child: &Child) -> rekindle_core::Pid {
    let pid = i32::try_from(child.id()).ok().and_then(rekindle_core::Pid::new);
    pid.expect("the kernel's pids are positive and 31 bits long")
}

fn to_exit(status: ExitStatus) -> ChildExit {
    match (status.code(), status.signal()) {
        (Some(code), _) => ChildExit::Code(code),
        (None, Some(signal)) if status.core_dumped() => ChildExit::CoreDumped(signal),
        (None, Some(signal)) => ChildExit::Signal(signal),
        (None, None) => ChildExit::Unknown,
    }
}
