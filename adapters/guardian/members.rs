//! The processes to end with the child, as `/proc` shows them.

use crate::kin::{self, Foreign, LIFELINE_FD, Look, Scope, Stat, belongs, number};
use crate::sys;
use core::ffi::CStr;

/// How often one signal looks for processes, since a process may fork while another is being signalled.
const PASSES_MAX: u32 = 3;
/// The layout of a directory entry of the kernel: inode and offset of 8 bytes each, then length and type.
const ENTRY_LEN_AT: usize = 16;
const ENTRY_NAME_AT: usize = 19;
/// The longest path of a link in `/proc`.
const PATH_LEN_MAX: usize = 4096;

/// The child and its processes.
#[derive(Clone, Copy)]
pub(crate) struct Members {
    /// The guardian: the name of the process session, and the ancestor of all.
    pub(crate) guardian: i32,
    /// The child: the name of its group until reaped.
    pub(crate) child: i32,
    /// The scope of membership.
    pub(crate) scope: Scope,
}

impl Members {
    /// Whether any process of the child runs; `None` if unknown.
    pub(crate) fn is_populated(self) -> Option<bool> {
        let mut populated = false;
        self.for_each(|_| populated = true)?;
        Some(populated)
    }

    /// Calls `visit` with each running process of the child; `None` if `/proc` does not list them all.
    pub(crate) fn for_each(self, mut visit: impl FnMut(i32)) -> Option<()> {
        let mut foreign = Foreign::new();
        for_each_process(|pid| {
            if belongs(pid, self.guardian, self.scope, &Proc, &mut foreign) {
                visit(pid);
            }
        })
    }

    /// Signals every process of the child.
    pub(crate) fn signal(self, signals: &[i32]) {
        // The group in one step: no process can escape by a fork.
        signals.iter().for_each(|signal| sys::kill(-self.child, *signal));
        for _ in 0..PASSES_MAX {
            let mut found = false;
            let seen = self.for_each(|pid| {
                if sys::group_of(pid) != self.child {
                    found = true;
                    self.signal_one(pid, signals);
                }
            });
            // SIGTERM is sent once; many programs take a second SIGTERM as haste.
            if seen.is_none() || !found || signals != [sys::SIGKILL] {
                return;
            }
        }
    }

    fn signal_one(self, pid: i32, signals: &[i32]) {
        let pidfd = sys::pidfd_open(pid) as i32;
        if pidfd < 0 {
            return;
        }
        // Judged again once pinned: if the process ended, the pid may have been reused.
        if belongs(pid, self.guardian, self.scope, &Proc, &mut Foreign::new()) {
            signals.iter().for_each(|signal| sys::pidfd_kill(pidfd, *signal));
        }
        sys::close(pidfd);
    }
}

/// The facts from the kernel.
struct Proc;

impl Look for Proc {
    fn session(&self, pid: i32) -> i32 {
        sys::session_of(pid)
    }

    fn stat(&self, pid: i32) -> Option<Stat> {
        let mut name = Name::of(pid);
        name.push(b"/stat");
        let fd = sys::open(name.as_c_str()?) as i32;
        if fd < 0 {
            return None;
        }
        let mut text = [0_u8; 512];
        let len = usize::try_from(sys::read(fd, &mut text)).unwrap_or(0);
        sys::close(fd);
        Stat::parse(text.get(..len)?)
    }

    fn keeps_lifeline(&self, pid: i32) -> bool {
        let mut name = Name::of(pid);
        name.push(b"/fd/");
        name.push_number(LIFELINE_FD);
        let Some(name) = name.as_c_str() else { return false };
        let mut target = [0_u8; PATH_LEN_MAX];
        let len = usize::try_from(sys::read_link(name, &mut target)).unwrap_or(0);
        kin::is_lifeline(target.get(..len).unwrap_or_default())
    }
}

/// Calls `visit` with the pid of every process; `None` if `/proc` does not list them all.
pub(crate) fn for_each_process(mut visit: impl FnMut(i32)) -> Option<()> {
    let directory = sys::open_directory(c"/proc") as i32;
    if directory < 0 {
        return None;
    }
    let mut buffer = [0_u8; 4096];
    let complete = loop {
        let len = match sys::list(directory, &mut buffer) {
            0 => break Some(()),
            len if len > 0 => len as usize,
            _ => break None,
        };
        let mut rest = buffer.get(..len)?;
        while let Some((pid, after)) = entry(rest) {
            pid.into_iter().for_each(&mut visit);
            rest = after;
        }
    };
    sys::close(directory);
    complete
}

/// Calls `visit` with the pid of every child of this single-threaded process. `None` if the kernel was built without
/// such a list, or `/proc` is missing.
///
/// A child reaped meanwhile moves the later entries up: then an entry may be left out.
pub(crate) fn for_each_child(mut visit: impl FnMut(i32)) -> Option<()> {
    let list = sys::open(c"/proc/thread-self/children") as i32;
    if list < 0 {
        return None;
    }
    let mut buffer = [0_u8; 4096];
    let mut pid = 0_i32;
    while let Ok(len @ 1..) = usize::try_from(sys::read(list, &mut buffer)) {
        for byte in buffer.get(..len).unwrap_or_default() {
            // Each pid is followed by a space.
            match number(&[*byte]) {
                Some(digit) => pid = pid.saturating_mul(10).saturating_add(digit),
                None => visit(core::mem::take(&mut pid)),
            }
        }
    }
    sys::close(list);
    Some(())
}

/// The first entry of a listing, if a process, and the rest of the listing.
fn entry(listing: &[u8]) -> Option<(Option<i32>, &[u8])> {
    let len = [*listing.get(ENTRY_LEN_AT)?, *listing.get(ENTRY_LEN_AT + 1)?];
    let len = usize::from(u16::from_ne_bytes(len));
    let name = listing.get(ENTRY_NAME_AT..len)?.split(|byte| *byte == 0).next()?;
    Some((number(name), listing.get(len..)?))
}

/// A short path on the stack.
struct Name {
    bytes: [u8; 32],
    len: usize,
}

impl Name {
    /// The directory of a process.
    fn of(pid: i32) -> Self {
        let mut name = Self { bytes: [0; 32], len: 0 };
        name.push(b"/proc/");
        name.push_number(pid);
        name
    }

    fn push(&mut self, text: &[u8]) {
        for byte in text {
            // The last byte stays the final NUL.
            if let Some(slot) = self.bytes.get_mut(self.len).filter(|_| self.len < 31) {
                *slot = *byte;
                self.len += 1;
            }
        }
    }

    fn push_number(&mut self, number: i32) {
        let mut rest = number.unsigned_abs();
        let mut digits = [0_u8; 10];
        let mut first = digits.len();
        while first > 0 && (rest > 0 || first == digits.len()) {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.push(digits.get(first..).unwrap_or_default());
    }

    fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}
