//! A sealed file in memory.

use crate::sys::linux::failure::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::write;
use std::ffi::CStr;
use std::os::fd::OwnedFd;

/// Since Linux 6.3 a flag marks a file in memory as a program; nix does not have the flag yet.
const MFD_EXEC: MFdFlags = MFdFlags::from_bits_retain(0x10);

/// A program in memory, under a name for people to read.
pub(crate) fn program(name: &CStr, content: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = match memfd_create(name, flags | MFD_EXEC) {
        // An older kernel has no such flag, and lets every file in memory be executed.
        Err(Errno::EINVAL) => memfd_create(name, flags),
        made => made,
    }?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}
