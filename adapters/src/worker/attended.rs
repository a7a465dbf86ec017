//! A program that runs under a lock, and not without it.
//!
//! # Invariants
//! 1. The lock outlives this process for as long as the program does: the program inherits the locked descriptor.
//! 2. The program does not outlive this process: the kernel kills it with us. What it started itself is not killed, but
//!    has inherited the lock and keeps it.
//! 3. A signal that is sent to us is passed on; one that the terminal sends to all of us is not sent twice.
//! 4. No exit is missed: SIGCHLD is blocked and read, never handled.
//! 5. No zombie stays: where the kernel hands orphans to this process, as it does to pid 1, each of them is reaped.
//!
//! Checked by `smoke/tests/smoke/lifecycle/marker.rs`.

use crate::spawn::program;
use crate::sys::linux::failure::{During, describe};
use crate::worker::orphans::{self, Reaped};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpid, getppid};
use rekindle_core::{ChildExit, OsFailure, SpawnError};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

/// What is passed on to the program.
const FORWARDED: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// The lowest descriptor that the program may find the lock at: above those of socket activation.
const LOCK_FD_MIN: i32 = 10;

/// Runs a program to its end, passing signals on, and says how it ended. It shares our terminal and our standard
/// streams, and inherits `lock`.
///
/// Only for the main thread of a process that does nothing else: signals are blocked meanwhile, the kernel ties the
/// program's life to the thread that started it, and as pid 1 every other child is reaped.
///
/// # Errors
/// If it could not be started.
pub fn run_attended(command: &[OsString], lock: BorrowedFd<'_>) -> Result<ChildExit, SpawnError> {
    let (name, args) = command.split_first().ok_or(SpawnError::NoProgram)?;
    let path = program::resolve(name)?;
    let (signals, mask_before) = blocked_signals()?;
    let mut attended = Command::new(&path);
    attended.arg0(name).args(args);
    let (parent, lock) = (getpid(), lock.as_raw_fd());
    #[expect(unsafe_code, reason = "what runs between fork and exec is restricted")]
    // SAFETY: `under_lock` makes a few system calls and allocates nothing; `lock` is borrowed and open.
    unsafe {
        attended.pre_exec(move || under_lock(parent, lock, &mask_before));
    }
    let spawned = attended.spawn().map_err(|error| match error.raw_os_error() {
        Some(errno) => program::explain(&path, errno),
        None => OsFailure::new("start", error.to_string()).on(&path).into(),
    });
    let ended = spawned.and_then(|child| Ok(attend(child, &signals).doing("wait for the program")?));
    // Only now: the program's end would have been reported as a signal otherwise.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask_before), None);
    ended.map(to_exit)
}

/// Blocks what is passed on, so that it can be read together with who sent it; and says what was blocked before.
fn blocked_signals() -> Result<(SignalFd, SigSet), OsFailure> {
    let mask: SigSet = FORWARDED.into_iter().chain([Signal::SIGCHLD]).collect();
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut before)).doing("block signals")?;
    Ok((SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).doing("read signals")?, before))
}

/// In the child, before its program: hears signals, dies with its parent, and keeps a copy of the lock.
fn under_lock(parent: Pid, lock: i32, mask: &SigSet) -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)?;
    set_pdeathsig(Signal::SIGKILL)?;
    #[expect(unsafe_code, reason = "changing a disposition is unsafe, since a handler could do anything")]
    // SAFETY: no handler is installed, only the default restored, which we may have changed for ourselves.
    unsafe {
        signal(Signal::SIGXFSZ, SigHandler::SigDfl)?;
    }
    if getppid() != parent {
        // It died before we asked; nobody will tell us.
        return Err(Errno::ESRCH.into());
    }
    #[expect(
        unsafe_code,
        reason = "the descriptor came here as a number, through a closure that must be 'static"
    )]
    // SAFETY: the caller borrows the descriptor until after the fork.
    let lock = unsafe { BorrowedFd::borrow_raw(lock) };
    // Without close-on-exec: the copy is the program's.
    let _its_number = fcntl(lock, FcntlArg::F_DUPFD(LOCK_FD_MIN))?.into_raw_fd();
    Ok(())
}

/// Passes signals on, and reaps orphans, until the program has ended.
fn attend(mut child: Child, signals: &SignalFd) -> io::Result<ExitStatus> {
    let orphans_come = orphans::come_to_us();
    let program = [pid_of(&child)];
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if orphans_come && orphans::reap_all_but(&program) == Reaped::UpToOurs {
            // It has ended since it was asked.
            continue;
        }
        let Some(heard) = signals.read_signal()? else { continue };
        let signal = i32::try_from(heard.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
        // The kernel itself sends what is typed at a terminal, and sends it to the program too.
        let sent_to_us = heard.ssi_code <= 0;
        if let Some(signal) = signal.filter(|signal| FORWARDED.contains(signal) && sent_to_us) {
            pass_on(&child, signal);
        }
    }
}

/// The child is not reaped yet, so its pid is still its own.
fn pass_on(child: &Child, signal: Signal) {
    if let Err(errno) = kill(Pid::from_raw(pid_of(child).as_raw()), signal) {
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
        (None, Some(signal)) => ChildExit::Signal(signal),
        (None, None) => ChildExit::Unknown,
    }
}
