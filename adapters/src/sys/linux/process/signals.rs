//! Signals to send, and signals to read instead of handle.

use crate::sys::linux::failure::{During, Errno};
use nix::sys::signal::{SigSet, SigmaskHow, kill, killpg, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid as NixPid;
use rekindle_core::{OsFailure, Pid, StopSignal};
use std::io;

pub(crate) use nix::sys::signal::Signal;

/// The system's number of a stop signal. A signal that this architecture lacks is SIGTERM.
pub(crate) fn of_stop(signal: StopSignal) -> Signal {
    format!("SIG{}", signal.name()).parse().unwrap_or(Signal::SIGTERM)
}

/// Signals a child of ours before it is reaped: until then the pid is not reused.
pub(crate) fn send_to_child(pid: Pid, signal: Signal) -> Result<(), Errno> {
    kill(NixPid::from_raw(pid.as_raw()), signal)
}

/// Signals the process group of a child of ours that leads the group and is not reaped yet.
pub(crate) fn send_to_group(leader: Pid, signal: Signal) -> Result<(), Errno> {
    killpg(NixPid::from_raw(leader.as_raw()), signal)
}

/// Blocked signals, read together with their senders.
pub(crate) struct BlockedSignals {
    read_from: SignalFd,
    before: SigSet,
}

/// A received signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) signal: Signal,
    /// Whether a process sent the signal, rather than the kernel.
    pub(crate) was_sent: bool,
}

impl BlockedSignals {
    /// Blocks these signals, and SIGCHLD.
    pub(crate) fn block(signals: &[Signal]) -> Result<Self, OsFailure> {
        let mask: SigSet = signals.iter().copied().chain([Signal::SIGCHLD]).collect();
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), Some(&mut before)).doing("block signals")?;
        Ok(Self {
            read_from: SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).doing("read signals")?,
            before,
        })
    }

    /// The signal mask before.
    pub(super) fn before(&self) -> SigSet {
        self.before
    }

    /// Waits for the next signal; `None` for a signal without a name.
    pub(crate) fn next(&self) -> io::Result<Option<Heard>> {
        let Some(heard) = self.read_from.read_signal()? else { return Ok(None) };
        let signal = i32::try_from(heard.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
        Ok(signal.map(|signal| Heard { signal, was_sent: heard.ssi_code <= 0 }))
    }

    /// Restores the signal mask from before.
    pub(crate) fn restore(&self) {
        // The mask was valid before, so it is accepted.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
