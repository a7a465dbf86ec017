//! The stack of a child until exec.
//!
//! The stack is kept for the next child: unmapping memory used on another processor interrupts the processor, and takes
//! longer than everything else about a stack.
//!
//! # Invariants
//! 1. No two children share a stack: each stack is spare, or in use by one child.
//! 2. A child with a full stack faults, and never touches other memory.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs`.
#![expect(unsafe_code, reason = "a stack is memory that the compiler knows nothing of")]

use crate::sys::linux::failure::Errno;
use nix::libc::c_void;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// The length; a child needs a few hundred bytes.
const LEN: NonZeroUsize = NonZeroUsize::new(64 << 10).expect("a stack has a length");
/// The guard page below the stack: an overflow faults instead of touching other memory.
const GUARD_LEN: usize = 4 << 10;

/// An unused stack. If two children are born at once, one of their stacks is unmapped afterwards.
static SPARE: Mutex<Option<Mapping>> = Mutex::new(None);

/// A stack for one child after the other.
pub(super) struct Stack {
    /// `None` once given back.
    mapping: Option<Mapping>,
    top: *mut c_void,
}

impl Stack {
    /// Takes the spare stack, or makes a new one.
    pub(super) fn take() -> Result<Self, Errno> {
        let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mapping = spare.map_or_else(Mapping::new, Ok)?;
        Ok(Self { top: mapping.base.as_ptr().wrapping_byte_add(LEN.get()), mapping: Some(mapping) })
    }

    /// The initial stack pointer of a child.
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

// SAFETY: the memory belongs to the owner of this value, on any thread.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new() -> Result<Self, Errno> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: fresh memory of our own, at an address chosen by the kernel.
        let base = unsafe { mmap_anonymous(None, LEN, protection, MapFlags::MAP_PRIVATE)? };
        let mapping = Self { base };
        // SAFETY: the first page of the memory above, not used yet.
        unsafe { mprotect(base, GUARD_LEN, ProtFlags::PROT_NONE)? };
        Ok(mapping)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the stack is unused: the child has executed its program or ended.
        let _ = unsafe { munmap(self.base, LEN.get()) };
    }
}
