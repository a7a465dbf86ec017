//! Reaps children that nobody waits for, with one thread for all of them.

use super::{Parentage, Process};
use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rekindle_core::ChildExit;
use rustix::event::{PollFd, PollFlags, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::thread;

/// Reaps a child that has ended or is about to; waits for that.
pub(crate) fn reap(pidfd: &OwnedFd) -> ChildExit {
    loop {
        match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED) {
            Err(Errno::EINTR) => {}
            other => return exit_of(other),
        }
    }
}

/// How a child ended, leaving it unreaped. Only for one that has ended.
pub(super) fn peek(pidfd: &OwnedFd) -> ChildExit {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    exit_of(waitid(Id::PIDFd(pidfd.as_fd()), flags))
}

/// Somebody else may have taken the status, or the kernel threw it away because SIGCHLD is ignored: it is gone, and
/// that is all that can be said.
fn exit_of(status: nix::Result<WaitStatus>) -> ChildExit {
    match status {
        Ok(WaitStatus::Exited(_, code)) => ChildExit::Code(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => ChildExit::Signal(signal as i32),
        Ok(_) | Err(_) => ChildExit::Unknown,
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(pidfd) = self.pidfd.take().filter(|_| self.parentage == Parentage::Ours) else { return };
        if has_exited(&pidfd) {
            reap(&pidfd);
        } else {
            leave_to_reaper(pidfd);
        }
    }
}

/// Whether the process behind a pidfd has ended.
pub(crate) fn has_exited(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        match poll(&mut fds, Some(&now)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Hands a running child to the reaper's thread, which is started for the first of them.
pub(crate) fn leave_to_reaper(pidfd: OwnedFd) {
    static REAPER: OnceLock<Option<Reaper>> = OnceLock::new();
    let reaper = REAPER.get_or_init(Reaper::start);
    // Without a thread the child stays a zombie until this process ends; nothing worse can come of it.
    if let Some(reaper) = reaper {
        reaper.take(pidfd);
    }
}

struct Reaper {
    arrivals: Mutex<Sender<OwnedFd>>,
    doorbell: OwnedFd,
}

impl Reaper {
    fn start() -> Option<Self> {
        let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
        let doorbell = rustix::event::eventfd(0, flags).ok()?;
        let bell = doorbell.try_clone().ok()?;
        let (sender, receiver) = channel();
        thread::Builder::new()
            .name("rekindle-reaper".into())
            .stack_size(64 << 10)
            .spawn(move || reap_all(&receiver, &bell))
            .ok()?;
        Some(Self { arrivals: Mutex::new(sender), doorbell })
    }

    fn take(&self, pidfd: OwnedFd) {
        let sent = self.arrivals.lock().is_ok_and(|sender| sender.send(pidfd).is_ok());
        if sent {
            // The counter can only be full if the thread has that much to look at already.
            let _ = rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes());
        }
    }
}

fn reap_all(arrivals: &Receiver<OwnedFd>, doorbell: &OwnedFd) {
    let mut children: Vec<OwnedFd> = Vec::new();
    loop {
        children.extend(arrivals.try_iter());
        let ended: Vec<bool> = {
            let mut fds: Vec<PollFd<'_>> =
                std::iter::once(doorbell).chain(&children).map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            if poll(&mut fds, None).is_err() {
                continue;
            }
            fds.iter().skip(1).map(|fd| !fd.revents().is_empty()).collect()
        };
        let _ = rustix::io::read(doorbell, &mut [0_u8; 8]);
        let mut ended = ended.into_iter();
        children.retain(|child| {
            let gone = ended.next().unwrap_or(false);
            if gone {
                reap(child);
            }
            !gone
        });
    }
}
