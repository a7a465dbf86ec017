//! A child's start time, as `/proc/PID/stat` shows it, without reading `/proc`.
//!
//! The kernel takes a child's start time from the boot clock, between our last look at the clock before the birth and
//! the child's first look, and shows the time in ticks of a hundredth of a second. If both looks fall into the same
//! tick, the tick is the start time; if a tick passed in between, `/proc` is read.
//!
//! # Invariants
//! 1. The result is equal to `/proc`'s value, or `None`.
//! 2. The call in the child allocates nothing and takes no lock.
//!
//! Checked by the tests below and `smoke/tests/smoke/spawn/child.rs`.
#![expect(unsafe_code, reason = "a child between clone and exec asks the kernel directly")]

use nix::libc;
use nix::libc::c_int;

const NS_PER_S: u64 = 1_000_000_000;

/// The tick just before the birth of a child.
#[derive(Clone, Copy)]
pub(super) struct BeforeBirth {
    ticks: Option<u64>,
    ticks_per_s: u64,
}

impl BeforeBirth {
    /// The tick now. Call right before a child is created.
    pub(super) fn now() -> Self {
        // SAFETY: asks for a number.
        let ticks_per_s = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(0);
        Self { ticks: ticks_now(ticks_per_s), ticks_per_s }
    }

    /// The start time of the calling process; `None` if unknown. For a child created since: allocates nothing and takes
    /// no lock.
    pub(super) fn own_start_ticks(self) -> Option<u64> {
        match (self.ticks, ticks_now(self.ticks_per_s)) {
            (Some(before), Some(after)) if before == after => Some(after),
            _ => shown_start_ticks(),
        }
    }
}

/// The clock of start times, in ticks; `None` if a tick is not a whole number of nanoseconds, since the kernel then
/// rounds in its own way.
fn ticks_now(ticks_per_s: u64) -> Option<u64> {
    let tick_ns = NS_PER_S.checked_div(ticks_per_s).filter(|tick_ns| tick_ns * ticks_per_s == NS_PER_S)?;
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills in a value of its own.
    let told: c_int = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    let (seconds, ns) = (u64::try_from(now.tv_sec).ok()?, u64::try_from(now.tv_nsec).ok()?);
    (told == 0).then(|| (seconds * NS_PER_S + ns) / tick_ns)
}

/// Field 22 of this process's stat; `None` if /proc cannot be read.
fn shown_start_ticks() -> Option<u64> {
    let mut buffer = [0_u8; 1024];
    // SAFETY: reads into a buffer of its own, no further than its length.
    let len = unsafe {
        let fd = libc::open(c"/proc/self/stat".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return None;
        }
        let len = libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len());
        libc::close(fd);
        usize::try_from(len).ok()?
    };
    let text = buffer.get(..len)?;
    // The name ends at the last parenthesis; state is field 3, so the start time is the 20th field after the name.
    let after_name = text.iter().rposition(|byte| *byte == b')')?;
    let field =
        text.get(after_name + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty()).nth(19)?;
    let mut ticks: u64 = 0;
    for digit in field {
        ticks =
            ticks.checked_mul(10)?.checked_add(u64::from(digit.checked_sub(b'0').filter(|d| *d < 10)?))?;
    }
    Some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_a_hundredth_of_a_second() {
        // Later than the start of this process: the boot clock is never behind a start time taken from it.
        let shown = shown_start_ticks().unwrap();
        assert!(ticks_now(100).unwrap() >= shown);
        assert_eq!(ticks_now(0), None);
        assert_eq!(ticks_now(1024), None);
    }

    #[test]
    fn where_a_tick_went_by_proc_is_asked() {
        let long_ago = BeforeBirth { ticks: Some(0), ticks_per_s: 100 };
        assert_eq!(long_ago.own_start_ticks(), shown_start_ticks());
        let untold = BeforeBirth { ticks: None, ticks_per_s: 100 };
        assert_eq!(untold.own_start_ticks(), shown_start_ticks());
    }
}
