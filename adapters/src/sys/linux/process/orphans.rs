//! Orphans: children not started by this process.
//!
//! The kernel reparents each orphan to the first process of its pid namespace, or to a child subreaper above. A process
//! that receives orphans without reaping them collects zombies.
//!
//! # Invariants
//! 1. The exit status of a child that we started is never taken: the caller names these children.
//! 2. Nothing waits: a running child is left alone.
//!
//! Checked by `smoke/tests/smoke/stdio/orphans.rs`.

use nix::errno::Errno;
use nix::sys::prctl::get_child_subreaper;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::getpid;
use rekindle_core::Pid;

/// The result of [`reap_all_but`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "orphans behind a child of ours are not reaped yet"]
pub enum Reaped {
    /// Every ended orphan was reaped.
    All,
    /// A child of ours is a zombie, and hides the orphans behind until reaped.
    UpToOurs,
}

/// Whether the kernel reparents orphans to this process.
pub fn come_to_us() -> bool {
    // Every kernel since 3.4 answers.
    getpid().as_raw() == 1 || get_child_subreaper().unwrap_or(false)
}

/// Reaps every ended child except `ours`.
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
        // No other thread reaps the orphan. The status is not needed.
        let _ = waitid(Id::Pid(ended), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG);
    }
}
