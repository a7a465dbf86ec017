//! Sleeps of less than a millisecond.
//!
//! tokio counts time in milliseconds and rounds up, and a worker needs microseconds from `bind` to `listen`. The
//! kernel's timers are exact, and waiting for one blocks no thread.
//!
//! Without a timer, tokio's sleep is used, and only the duration changes.
//!
//! Checked by `smoke/tests/smoke/probe/hints.rs`.

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// From here on tokio's own sleep is exact enough.
const SHORT_BELOW: Duration = Duration::from_millis(1);

/// Waits for a duration, even if shorter than a tick of tokio's clock.
#[derive(Debug, Default)]
pub(crate) struct ShortSleep(Option<AsyncFd<Timer>>);

impl ShortSleep {
    /// Waits. Safe to drop: the next wait overwrites the rest.
    pub(crate) async fn wait(&mut self, length: Duration) {
        match self.timer(length) {
            // The timer may be readable since an earlier wait: a waiter woken early polls again.
            Some(timer) if set(timer, length) => {
                if let Ok(mut ready) = timer.readable().await {
                    ready.clear_ready();
                }
            }
            Some(_) | None => sleep(length).await,
        }
    }

    /// The timer for short waits, made at the first.
    fn timer(&mut self, length: Duration) -> Option<&AsyncFd<Timer>> {
        if length >= SHORT_BELOW {
            return None;
        }
        if self.0.is_none() {
            self.0 = open();
        }
        self.0.as_ref()
    }
}

/// A timer for tokio to watch.
#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

fn open() -> Option<AsyncFd<Timer>> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    let timer = Timer(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).ok()?);
    #[expect(unsafe_code, reason = "tokio marks registering a descriptor unsafe")]
    // SAFETY: a `Timer` names the same open descriptor until it is dropped, and the `AsyncFd` owns it.
    unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }.ok()
}

/// Sets a timer anew; the previous setting and expiration are cleared.
fn set(timer: &AsyncFd<Timer>, length: Duration) -> bool {
    // All zeroes would stop the timer.
    let once = Expiration::OneShot(TimeSpec::new(0, length.subsec_nanos().max(1).into()));
    timer.get_ref().0.set(once, TimerSetTimeFlags::empty()).is_ok()
}
