//! Orphans: children that this process did not start.
//!
//! The kernel hands each process that lost its parent to the first process of its pid namespace, or to a child
//! subreaper above it. A process that is handed orphans and does not reap them collects zombies.
//!
//! # Invariants
//! 1. The exit status of a child that we started is never taken: the caller names these children.
//! 2. Nothing waits: a child that has not ended is left alone.
//!
//! Checked by `smoke/tests/smoke/stdio/orphans.rs`.

use nix::errno::Errno;
use nix::sys::prctl::get_child_subreaper;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::getpid;
use rekindle_core::Pid;

/// How far [`reap_all_but`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "orphans behind a child of ours are not reaped yet"]
pub enum Reaped {
    /// Every orphan that had ended was reaped.
    All,
    /// A child of ours is a zombie, and hides the orphans behind it until it is reaped.
    UpToOurs,
}

/// Whether the kernel hands orphans to this process.
pub fn come_to_us() -> bool {
    // Every kernel since 3.4 answers.
    getpid().as_raw() == 1 || get_child_subreaper().unwrap_or(false)
}

/// Reaps every child that has ended, but for `ours`.
pub fn reap_all_but(ours: &[Pid]) -> Reaped {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        let ended = match waitid(Id::All, look) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => pid,
            Err(Errno::EINTR) => continue,
            // No child is left, or none has ended.
            Ok(_) | Err(_) => return Reaped::All,
        };
        if ours.iter().any(|pid| pid.as_raw() == ended.as_raw()) {
            return Reaped::UpToOurs;
        }
        // No other thread reaps it. Its status interests nobody.
        let _ = waitid(Id::Pid(ended), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG);
    }
}
