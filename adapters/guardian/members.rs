//! Who belongs to the guarded session, as `/proc` shows it.

use crate::sys;
use core::ffi::CStr;

/// How often the processes are looked for again, since one may fork while another is being signalled.
const PASSES_MAX: u32 = 3;
/// What a directory entry of the kernel begins with: inode and offset of 8 bytes each, its length, its type.
const ENTRY_LEN_AT: usize = 16;
const ENTRY_NAME_AT: usize = 19;

/// A session: the one that the guardian leads, and the group of the child in it.
#[derive(Clone, Copy)]
pub(crate) struct Session {
    /// The guardian, which gives the session its name and belongs to nobody else's.
    pub(crate) guardian: i32,
    /// The child, which gives its group its name for as long as it is not reaped.
    pub(crate) child: i32,
}

impl Session {
    /// Whether any process of the session runs besides the guardian; `None` where that cannot be seen.
    pub(crate) fn is_populated(self) -> Option<bool> {
        let mut populated = false;
        for_each_process(|pid| populated |= self.has(pid).is_some())?;
        Some(populated)
    }

    /// Signals every process of the session but the guardian.
    pub(crate) fn signal(self, signals: &[i32]) {
        // The group in one step, which nobody can fork out of.
        signals.iter().for_each(|signal| sys::kill(-self.child, *signal));
        for _ in 0..PASSES_MAX {
            let mut found = false;
            let seen = for_each_process(|pid| {
                if self.has(pid).is_some_and(|group| group != self.child) {
                    found = true;
                    self.signal_one(pid, signals);
                }
            });
            // A polite request is made once; a second one means haste to many programs.
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
        // Still of the session now that the pid is pinned? Otherwise it ended, and the pid may be a stranger's.
        if self.has(pid).is_some() {
            signals.iter().for_each(|signal| sys::pidfd_kill(pidfd, *signal));
        }
        sys::close(pidfd);
    }

    /// The group of a running process, if it belongs to the session.
    fn has(self, pid: i32) -> Option<i32> {
        // Asked first, since it costs a hundredth of what `/proc` does.
        if pid == self.guardian || sys::session_of(pid) != self.guardian {
            return None;
        }
        let mut name = Name::new(b"/proc/");
        name.push_number(pid);
        name.push(b"/stat");
        let fd = sys::open(name.as_c_str()?) as i32;
        if fd < 0 {
            return None;
        }
        let mut text = [0_u8; 512];
        let len = usize::try_from(sys::read(fd, &mut text)).unwrap_or(0);
        sys::close(fd);
        let stat = Stat::parse(text.get(..len)?)?;
        (stat.session == self.guardian && !matches!(stat.state, b'Z' | b'X')).then_some(stat.group)
    }
}

/// What `/proc/PID/stat` tells.
struct Stat {
    state: u8,
    group: i32,
    session: i32,
}

impl Stat {
    fn parse(text: &[u8]) -> Option<Self> {
        // The name is in parentheses and may hold anything, parentheses included.
        let after_name = text.iter().rposition(|byte| *byte == b')')? + 1;
        let mut fields = text.get(after_name..)?.split(|byte| *byte == b' ').filter(|it| !it.is_empty());
        let state = *fields.next()?.first()?;
        let _parent = fields.next()?;
        Some(Self { state, group: number(fields.next()?)?, session: number(fields.next()?)? })
    }
}

pub(crate) fn number(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i32, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(i32::from(digit))
    })
}

/// Calls `visit` with the pid of every process; `None` if `/proc` does not list them all.
fn for_each_process(mut visit: impl FnMut(i32)) -> Option<()> {
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

/// The first entry of a listing, if it is a process, and what follows it.
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
    fn new(text: &[u8]) -> Self {
        let mut name = Self { bytes: [0; 32], len: 0 };
        name.push(text);
        name
    }

    fn push(&mut self, text: &[u8]) {
        for byte in text {
            // The last byte stays the NUL that ends it.
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
