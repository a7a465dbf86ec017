//! Cutting the head of a file that another process appends to, and finding the data behind a hole.

use crate::sys::linux::failure::{Errno, from_rustix};
use crate::sys::linux::fs::FileStatus;
use nix::sys::statfs::fstatfs;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::retry_on_intr;
use std::os::fd::AsFd;

/// Removes the first `len` bytes of a file: every other byte moves. `len` is a multiple of the block, and less than the
/// length of the file. The kernel does this between two writes.
pub(crate) fn collapse_head(file: impl AsFd, len: u64) -> Result<(), Errno> {
    retry_on_intr(|| fallocate(file.as_fd(), FallocateFlags::COLLAPSE_RANGE, 0, len)).map_err(from_rustix)
}

/// Frees the room of the first `len` bytes of a file; no byte moves.
pub(crate) fn punch_head(file: impl AsFd, len: u64) -> Result<(), Errno> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    retry_on_intr(|| fallocate(file.as_fd(), flags, 0, len)).map_err(from_rustix)
}

/// The position of the first data; the length of the file if there is only a hole. A file system without holes has data
/// everywhere. Moves the descriptor's own position.
pub(crate) fn first_data(file: impl AsFd, stat: &FileStatus) -> u64 {
    if stat.allocated >= stat.len {
        // The search for data would wait for a writer.
        return 0;
    }
    match seek(file, SeekFrom::Data(0)) {
        Ok(at) => at.min(stat.len),
        Err(rustix::io::Errno::NXIO) => stat.len,
        Err(_) => 0,
    }
}

/// The block of the file system with this file, in bytes.
pub(crate) fn block_size(file: impl AsFd) -> Result<u64, Errno> {
    Ok(u64::try_from(fstatfs(file)?.block_size()).unwrap_or(0))
}
