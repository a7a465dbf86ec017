//! The guardian's program, in a sealed file in memory.

use crate::sys::linux::failure::During;
use crate::sys::linux::fs::memory_file;
use rekindle_core::OsFailure;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guardian"));

/// The file, made at the start of the first child; uses one descriptor from then on.
pub(super) fn guardian() -> Result<BorrowedFd<'static>, OsFailure> {
    static FILE: OnceLock<OwnedFd> = OnceLock::new();
    let file = match FILE.get() {
        Some(file) => file,
        None => {
            let made = memory_file::program(c"rekindle-guardian", PROGRAM);
            let made = made.doing("put the guardian's program into memory")?;
            FILE.get_or_init(|| made)
        }
    };
    Ok(file.as_fd())
}
