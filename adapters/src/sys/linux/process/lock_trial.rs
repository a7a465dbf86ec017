//! Tries whether exclusive flocks exclude one another in a directory, in a helper process with a deadline.
//!
//! A flock may hang in the kernel, and a process that waits there cannot always be killed. So a process of our own asks:
//! a grandchild, which no parent has to reap, and which ends by its own alarm as soon as the kernel allows.
//!
//! # Invariants
//! 1. The trial returns within [`TRIAL_TIMEOUT`] and the time of a fork, whatever the file system does.
//! 2. The helper keeps none of our descriptors: a helper that hangs holds no lock, socket or pipe of ours.
//! 3. The trial leaves no file: the file is nameless from birth, or loses its name before a lock is asked for.
//! 4. A trial that could not be made is an error and no verdict.
//!
//! Checked by the tests below and `smoke/tests/smoke/ground/lockless.rs`.

use crate::sys::linux::descriptors::pipe;
use crate::sys::linux::failure::{During, Errno, refused, retried};
use crate::sys::linux::fs::PRIVATE_FILE;
use crate::sys::linux::fs::flock::{LockKind, try_flock};
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, alarm, fork, unlink, write};
use rekindle_core::OsFailure;
use rekindle_core::claim::home::Locks;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The limit for an answer.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// The life of a helper, in seconds: longer than anybody waits.
const HELPER_ALARM: u32 = 4;

/// The words of a helper: one byte each, and an errno behind the last two.
mod word {
    pub(super) const LOCKING: u8 = b'L';
    pub(super) const EXCLUDE: u8 = b'x';
    pub(super) const OVERLAP: u8 = b'o';
    pub(super) const REFUSED: u8 = b'r';
    pub(super) const FAILED: u8 = b'f';
}

/// Tries the locks of a directory and of a file in the directory; `unused` is a free name for the file, if the file
/// system makes no nameless files.
///
/// # Errors
/// If the trial could not be made: no process, no descriptor, no file, or a directory that does not open in time.
pub(crate) fn try_locks(dir: &Path, unused: &OsStr) -> Result<Locks, OsFailure> {
    let nul = |_nul| refused("try the locks of", Errno::EINVAL as i32).on(dir);
    let here = CString::new(dir.as_os_str().as_bytes()).map_err(nul)?;
    let file = CString::new(dir.join(unused).as_os_str().as_bytes()).map_err(nul)?;
    let (answers, helpers_end) = pipe().during("try the locks of", dir)?;
    start_helper(&here, &file, &helpers_end).during("start a process to try the locks of", dir)?;
    drop(helpers_end);
    listen(&answers).map_err(|errno| refused("try the locks of", errno as i32).on(dir))
}

/// Starts the helper and reaps the process in between.
fn start_helper(dir: &CStr, file: &CStr, answers: &OwnedFd) -> Result<(), Errno> {
    let mut before = SigSet::empty();
    // No handler of ours may run in the children.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    #[expect(unsafe_code, reason = "a fork copies one thread only, so the child is restricted")]
    // SAFETY: the child makes system calls only and allocates nothing: `between` and `help` return never.
    let forked = match unsafe { fork() } {
        Ok(ForkResult::Child) => between(dir, file, answers.as_fd()),
        Ok(ForkResult::Parent { child }) => Ok(child),
        Err(error) => Err(error),
    };
    let restored = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    // Another part of this process may have reaped the child: then nothing is left to reap.
    let _ = retried(|| waitpid(forked?, None));
    forked.map(drop).and(restored)
}

/// The child: forks the helper and ends at once.
fn between(dir: &CStr, file: &CStr, answers: BorrowedFd<'_>) -> ! {
    #[expect(unsafe_code, reason = "the child is restricted as before")]
    // SAFETY: as in `start_helper`.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => help(dir, file, answers),
        Ok(ForkResult::Parent { .. }) => {}
        Err(error) => tell(answers, word::FAILED, error as i32),
    }
    leave()
}

/// The helper.
fn help(dir: &CStr, file: &CStr, answers: BorrowedFd<'_>) -> ! {
    let prepared = keep_only(answers).and_then(|()| end_in_time());
    match prepared.and_then(|()| try_directory(dir, answers)) {
        Ok(Tried::Exclude) => match try_file(dir, file, answers) {
            Ok(tried) => tried.tell(answers),
            Err(error) => tell(answers, word::FAILED, error as i32),
        },
        Ok(tried) => tried.tell(answers),
        Err(error) => tell(answers, word::FAILED, error as i32),
    }
    leave()
}

/// The answer of the kernel about two descriptors of one file.
enum Tried {
    Exclude,
    Overlap,
    Refused(Errno),
}

impl Tried {
    fn tell(self, answers: BorrowedFd<'_>) {
        match self {
            Self::Exclude => tell(answers, word::EXCLUDE, 0),
            Self::Overlap => tell(answers, word::OVERLAP, 0),
            Self::Refused(error) => tell(answers, word::REFUSED, error as i32),
        }
    }
}

/// Closes every descriptor but the pipe: a helper that hangs must keep nothing of ours.
fn keep_only(answers: BorrowedFd<'_>) -> Result<(), Errno> {
    let kept = answers.as_raw_fd().unsigned_abs();
    let close = |first: u32, last: u32| {
        #[expect(unsafe_code, reason = "nix does not offer the call")]
        // SAFETY: the call reads no memory; the helper uses no descriptor but the pipe.
        let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        Errno::result(result).map(drop)
    };
    if kept > 0 {
        close(0, kept - 1)?;
    }
    close(kept + 1, u32::MAX)
}

fn end_in_time() -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "changing a disposition is unsafe, since a handler could do anything")]
    // SAFETY: no handler is installed, only the default restored.
    unsafe {
        signal(Signal::SIGALRM, SigHandler::SigDfl)?;
    }
    let mut alarm_only = SigSet::empty();
    alarm_only.add(Signal::SIGALRM);
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&alarm_only), None)?;
    let _earlier = alarm::set(HELPER_ALARM);
    Ok(())
}

fn try_directory(dir: &CStr, answers: BorrowedFd<'_>) -> Result<Tried, Errno> {
    let open = || open(dir, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    Ok(try_two(&open()?, &open()?, answers))
}

fn try_file(dir: &CStr, file: &CStr, answers: BorrowedFd<'_>) -> Result<Tried, Errno> {
    let mode = Mode::from_bits_truncate(PRIVATE_FILE);
    let both = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    match open(dir, both | OFlag::O_TMPFILE, mode) {
        Ok(first) => {
            let second = open(own_link(&first, &mut [0; LINK_LEN_MAX])?, both, Mode::empty())?;
            Ok(try_two(&first, &second, answers))
        }
        // A file system without nameless files.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::ENOSYS | Errno::EINVAL) => {
            let first = open(file, both | OFlag::O_CREAT | OFlag::O_EXCL, mode)?;
            let second = open(file, both, Mode::empty());
            unlink(file)?;
            Ok(try_two(&first, &second?, answers))
        }
        Err(error) => Err(error),
    }
}

/// Locks both descriptors of one file. A lock of another process on the first proves as much as one of ours.
fn try_two(first: &OwnedFd, second: &OwnedFd, answers: BorrowedFd<'_>) -> Tried {
    tell(answers, word::LOCKING, 0);
    for fd in [first, second] {
        match try_flock(fd, LockKind::Exclusive) {
            Ok(true) => {}
            Ok(false) => return Tried::Exclude,
            Err(error) => return Tried::Refused(error),
        }
    }
    Tried::Overlap
}

/// Room for `/proc/self/fd/`, ten digits and the NUL.
const LINK_LEN_MAX: usize = 32;

/// The kernel's link to an open file, written without an allocation.
fn own_link<'b>(fd: &OwnedFd, buffer: &'b mut [u8; LINK_LEN_MAX]) -> Result<&'b CStr, Errno> {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    let (prefix, rest) = buffer.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    let mut number = fd.as_raw_fd().unsigned_abs();
    let mut digits = [0_u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let digits = &digits[at..];
    rest[..digits.len()].copy_from_slice(digits);
    rest[digits.len()] = 0;
    CStr::from_bytes_until_nul(buffer).map_err(|_no_nul| Errno::EINVAL)
}

/// Best effort: a parent that has gone hears nothing.
fn tell(answers: BorrowedFd<'_>, word: u8, errno: i32) {
    let mut message = [word, 0, 0, 0, 0];
    message[1..].copy_from_slice(&errno.to_ne_bytes());
    let _ = write(answers, &message);
}

/// Ends a child without running anything of the parent's.
fn leave() -> ! {
    #[expect(unsafe_code, reason = "the exit of std would run the parent's handlers")]
    // SAFETY: the call never returns.
    unsafe {
        libc::_exit(0)
    }
}

/// Hears the helper's words until a verdict or the deadline.
fn listen(answers: &OwnedFd) -> Result<Locks, Errno> {
    let deadline = Instant::now() + TRIAL_TIMEOUT;
    let mut is_locking = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(answers.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, wait) {
            Ok(0) if left.is_zero() || left < Duration::from_millis(1) => {
                return if is_locking { Ok(Locks::Hang) } else { Err(Errno::ETIMEDOUT) };
            }
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        // A message is shorter than a pipe's unit, so it arrives whole.
        let mut message = [0_u8; 5];
        if retried(|| nix::unistd::read(answers, &mut message))? < message.len() {
            // The helper was killed.
            return Err(Errno::ESRCH);
        }
        let [word, errno @ ..] = message;
        match word {
            word::LOCKING => is_locking = true,
            word::EXCLUDE => return Ok(Locks::Exclude),
            word::OVERLAP => return Ok(Locks::Overlap),
            word::REFUSED => return Ok(Locks::Refused),
            _ => return Err(Errno::from_raw(i32::from_ne_bytes(errno))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn locks_of_a_local_directory_exclude_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            assert_eq!(try_locks(dir.path(), OsStr::new("unused")), Ok(Locks::Exclude));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_trial_that_cannot_be_made_is_no_verdict() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let error = try_locks(&missing, OsStr::new("unused")).unwrap_err();
        assert_eq!(error.raw_errno(), Some(Errno::ENOENT as i32));
    }

    #[test]
    fn a_link_to_an_open_file_is_spelled_with_its_number() {
        let file = OwnedFd::from(fs::File::open("/dev/null").unwrap());
        let expected = format!("/proc/self/fd/{}", file.as_raw_fd());
        assert_eq!(own_link(&file, &mut [0; LINK_LEN_MAX]).unwrap().to_str().unwrap(), expected);
    }
}
