//! The stack that a child runs on until it executes its program.
//!
//! It is kept for the next child: to unmap memory that a child has used on another processor, that processor is
//! interrupted, which takes longer than all else that a stack needs.
//!
//! # Invariants
//! 1. No two children run on one stack: it is spare, or somebody's.
//! 2. A child that needs more than there is faults; it does not run into other memory.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs`.
#![expect(unsafe_code, reason = "a stack is memory that the compiler knows nothing of")]

use crate::sys::linux::failure::Errno;
use nix::libc::c_void;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// Its length; a child needs a few hundred bytes of it.
const LEN: NonZeroUsize = NonZeroUsize::new(64 << 10).expect("a stack has a length");
/// The page below it, which faults instead of running into other memory.
const GUARD_LEN: usize = 4 << 10;

/// One that nobody runs on. Where two children are born at once, one of the stacks is unmapped afterwards.
static SPARE: Mutex<Option<Mapping>> = Mutex::new(None);

/// A stack of one's own, for one child after the other.
pub(super) struct Stack {
    /// There until it is given back.
    mapping: Option<Mapping>,
    top: *mut c_void,
}

impl Stack {
    /// The spare one, or a new one.
    pub(super) fn take() -> Result<Self, Errno> {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mapping = spare.map_or_else(Mapping::new, Ok)?;
        Ok(Self { top: mapping.base.as_ptr().wrapping_byte_add(LEN.get()), mapping: Some(mapping) })
    }

    /// Where a child begins.
    pub(super) fn top(&self) -> *mut c_void {
        self.top
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        *SPARE.lock().unwrap_or_else(PoisonError::into_inner) = self.mapping.take();
    }
}

struct Mapping {
    base: NonNull<c_void>,
}

// SAFETY: memory that belongs to whoever has this value, whichever thread that is.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new() -> Result<Self, Errno> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: fresh memory of our own, at an address that the kernel chooses.
        let base = unsafe { mmap_anonymous(None, LEN, protection, MapFlags::MAP_PRIVATE)? };
        let mapping = Self { base };
        // SAFETY: the first page of the memory above, which nothing uses yet.
        unsafe { mprotect(base, GUARD_LEN, ProtFlags::PROT_NONE)? };
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody runs on it any more: the child has executed its program or ended.
        let _ = unsafe { munmap(self.base, LEN.get()) };
    }
}
