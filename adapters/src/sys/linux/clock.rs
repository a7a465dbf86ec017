//! The wall clock, for time stamps read by people. No decision depends on the wall clock.

use rekindle_core::record::Written;

use crate::sys::linux::procfs;
pub use jiff::Timestamp;
use std::time::{Duration, SystemTime};

/// The current time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Whether a file written at `modified_at` (seconds since the epoch) is older than this boot.
///
/// Only surely older counts: the kernel gives the time of the boot in whole seconds, and the clock may have been set
/// meanwhile.
pub fn written(modified_at: i64) -> Written {
    const SLACK: Duration = Duration::from_secs(2);
    let modified =
        u64::try_from(modified_at).ok().map(|secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs));
    match (modified, procfs::booted_at()) {
        (Some(modified), Some(booted)) if modified + SLACK < booted => Written::BeforeThisBoot,
        (Some(_) | None, Some(_) | None) => Written::ThisBoot,
    }
}
