//! Everything for a child, laid out in memory before the child exists: between clone and exec nothing may allocate.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A prepared child.
pub(crate) struct Prepared {
    pub(crate) program: CString,
    pub(crate) argv: CStrings,
    pub(crate) envp: CStrings,
    pub(crate) cwd: CString,
    /// Descriptors 0, 1 and 2.
    pub(crate) stdio: [OwnedFd; 3],
    /// The locked session directory; the child has a copy.
    pub(crate) claim: RawFd,
    /// The path that still has to lead to the session directory once the child has its lifeline.
    pub(crate) session_path: CString,
    pub(crate) lifeline_device: u64,
    pub(crate) lifeline_number: u64,
    /// The text after pid and start time in the lifeline's mark.
    pub(crate) mark_tail: Vec<u8>,
    /// The inherited socket.
    pub(crate) socket: Option<RawFd>,
    /// The variable for the child's pid.
    pub(crate) listen_pid: Option<PidVariable>,
}

/// The variable with the owner's pid of inherited sockets.
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// Room for [`LISTEN_PID`], the longest pid and the final NUL.
const PID_VARIABLE_LEN: usize = LISTEN_PID.len() + 10 + 1;

/// An environment variable that only the child can fill in: the child's own pid.
pub(crate) struct PidVariable(Box<[Cell<u8>; PID_VARIABLE_LEN]>);

impl PidVariable {
    pub(crate) fn new() -> Self {
        let mut text = [0; PID_VARIABLE_LEN];
        for (slot, byte) in text.iter_mut().zip(LISTEN_PID) {
            *slot = *byte;
        }
        Self(Box::new(text.map(Cell::new)))
    }

    /// Writes the number, and touches only the reserved room.
    pub(crate) fn fill_in(&self, digits: &[u8]) {
        for (slot, digit) in self.0.iter().skip(LISTEN_PID.len()).zip(digits) {
            slot.set(*digit);
        }
    }

    pub(crate) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

/// Strings, and the NULL-terminated array of pointers for the kernel.
pub(crate) struct CStrings {
    pointers: Vec<*const c_char>,
    _owned: Vec<CString>,
}

impl CStrings {
    pub(crate) fn new(owned: Vec<CString>) -> Self {
        Self::with(owned, None)
    }

    /// The strings, and one more, owned elsewhere for at least as long.
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
