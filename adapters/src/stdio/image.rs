//! The guardian's program, in a file in memory that cannot be changed any more.

use crate::sys::linux::failure::During;
use rekindle_core::OsFailure;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::OnceLock;

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guardian"));

/// The file, made when the first child is started; it costs one descriptor from then on.
pub(super) fn guardian() -> Result<BorrowedFd<'static>, OsFailure> {
    static FILE: OnceLock<OwnedFd> = OnceLock::new();
    let file = match FILE.get() {
        Some(file) => file,
        None => {
            let made = make().doing("put the guardian's program into memory")?;
            FILE.get_or_init(|| made)
        }
    };
    Ok(std::os::fd::AsFd::as_fd(file))
}

fn make() -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Since Linux 6.3 one says that a file in memory is a program; before, nobody knows the flag.
    let file = match memfd_create(c"rekindle-guardian", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(c"rekindle-guardian", flags),
        made => made,
    }?;
    let mut rest = PROGRAM;
    while !rest.is_empty() {
        let written = write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file)
}
