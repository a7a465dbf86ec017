//! Everything that a child needs, laid out in memory before it exists: between clone and exec nothing may allocate.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A child that is ready to be born.
pub(crate) struct Prepared {
    pub(crate) program: CString,
    pub(crate) argv: CStrings,
    pub(crate) envp: CStrings,
    pub(crate) cwd: CString,
    /// Descriptors 0, 1 and 2.
    pub(crate) stdio: [OwnedFd; 3],
    /// The locked session directory, of which the child has a copy.
    pub(crate) claim: RawFd,
    /// The path that is to lead to it, still, when the child has its lifeline.
    pub(crate) session_path: CString,
    pub(crate) lifeline_device: u64,
    pub(crate) lifeline_number: u64,
    /// What follows pid and start time in the lifeline's mark.
    pub(crate) mark_tail: Vec<u8>,
    /// The socket that it inherits.
    pub(crate) socket: Option<RawFd>,
    /// The variable that names the pid it will have.
    pub(crate) listen_pid: Option<PidVariable>,
}

/// The name of the variable that says whose inherited sockets are.
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// Room for [`LISTEN_PID`], the longest pid and the NUL that ends it.
const PID_VARIABLE_LEN: usize = LISTEN_PID.len() + 10 + 1;

/// A variable of the environment that only the child can fill in: its own pid.
pub(crate) struct PidVariable(Box<[Cell<u8>; PID_VARIABLE_LEN]>);

impl PidVariable {
    pub(crate) fn new() -> Self {
        let mut text = [0; PID_VARIABLE_LEN];
        for (slot, byte) in text.iter_mut().zip(LISTEN_PID) {
            *slot = *byte;
        }
        Self(Box::new(text.map(Cell::new)))
    }

    /// Writes the number; touches nothing but the room that was made for it.
    pub(crate) fn fill_in(&self, digits: &[u8]) {
        for (slot, digit) in self.0.iter().skip(LISTEN_PID.len()).zip(digits) {
            slot.set(*digit);
        }
    }

    pub(crate) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

/// Strings and the NULL-terminated array of pointers to them that the kernel wants.
pub(crate) struct CStrings {
    pointers: Vec<*const c_char>,
    _owned: Vec<CString>,
}

impl CStrings {
    pub(crate) fn new(owned: Vec<CString>) -> Self {
        Self::with(owned, None)
    }

    /// The strings, and one more that somebody else owns for as long.
    pub(crate) fn with(owned: Vec<CString>, more: Option<*const c_char>) -> Self {
        let texts = owned.iter().map(|text| text.as_ptr());
        let pointers = texts.chain(more).chain([std::ptr::null()]).collect();
        Self { pointers, _owned: owned }
    }

    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

impl Prepared {
    pub(super) fn stdio_raw(&self) -> [RawFd; 3] {
        self.stdio.each_ref().map(AsRawFd::as_raw_fd)
    }

    pub(super) fn lifeline_name(&self) -> &'static CStr {
        c"lifeline"
    }
}
