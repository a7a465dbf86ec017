//! The child of a clone before exec of the worker: takes and marks the lifeline, then arranges the descriptors.
//!
//! The child makes system calls and touches prepared memory only: no allocation, no lock, no panic. The child reports
//! through shared memory, so no pipe is needed.
#![expect(unsafe_code, reason = "a child between clone and exec is beyond what safe Rust can express")]

use super::birth_time::BeforeBirth;
use super::prepared::Prepared;
use super::vfork::{clone_child, close_range, leave_parents_table, reset_signals};
use crate::sys::linux::process::pidfd::reap;
use nix::errno::Errno;
use nix::libc;
use nix::libc::{c_int, c_void};
use rekindle_core::Pid;
use std::os::fd::OwnedFd;
use std::ptr;

/// The worker's descriptor of the lifeline: clear of socket activation, which counts from 3.
pub(crate) const LIFELINE_FD: c_int = 10;
/// How long the child may take until exec, in seconds: a directory on a dead server must not block the launcher for
/// ever. An uninterruptible sleep cannot be bounded.
const SPAWN_TIMEOUT_S: i64 = 10;
/// How often to try the lifeline's lock: a query holds the lock for microseconds.
const LOCK_TRIES_MAX: u32 = 2_000;
/// How often to try a program again that is being written.
const BUSY_TRIES_MAX: u32 = 50;
/// The first descriptor of socket activation.
const SOCKET_FD: c_int = 3;
/// The number of connections that may wait for a worker before `accept`; the kernel applies its own limit.
const BACKLOG_MAX: c_int = c_int::MAX;
/// How long the child sleeps between two tries, in nanoseconds.
const RETRY_PAUSE_NS: i64 = 1_000_000;

/// The result of a birth.
pub(crate) enum Born {
    /// The child runs its program, or did.
    Running { pid: Pid, pidfd: OwnedFd, start_ticks: Option<u64> },
    /// The child failed before exec, and is gone.
    Failed { stage: Stage, errno: i32 },
}

/// The step of a child at its failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Session,
    Directory,
    OpenLifeline,
    LifelineReplaced,
    FilesMoved,
    LockLifeline,
    MarkLifeline,
    Descriptors,
    Listen,
    Exec,
}

/// Written by the child, then read by the launcher: the two never run at the same time.
struct Report {
    /// The next step of the child.
    reached: Stage,
    failed: Option<(Stage, i32)>,
    start_ticks: Option<u64>,
}

struct ChildArgs<'a> {
    prepared: &'a Prepared,
    stdio: [c_int; 3],
    born_after: BeforeBirth,
    report: *mut Report,
}

/// Creates the child and returns once the child's program runs, or the child is gone.
///
/// # Errors
/// The errno of a failed `clone` or `mmap`; no child exists then.
pub(crate) fn clone_and_exec(prepared: &Prepared) -> Result<Born, i32> {
    let mut report = Report { reached: Stage::Session, failed: None, start_ticks: None };
    let (stdio, born_after) = (prepared.stdio_raw(), BeforeBirth::now());
    let mut args = ChildArgs { prepared, stdio, born_after, report: &raw mut report };
    // SAFETY: `child_main` uses only its own stack and `args`; `args`, with everything behind its pointers, outlives
    // the child.
    let (pid, pidfd) = unsafe { clone_child(child_main, (&raw mut args).cast())? };
    let failed = match report.failed {
        // The child was killed on its way, by its timer or by another process.
        None if report.reached != Stage::Exec => Some((report.reached, libc::ETIMEDOUT)),
        failed => failed,
    };
    match failed {
        Some((stage, errno)) => {
            reap(&pidfd);
            Ok(Born::Failed { stage, errno })
        }
        None => Ok(Born::Running { pid, pidfd, start_ticks: report.start_ticks }),
    }
}

/// The child. Never returns into the launcher's code: executes its program or exits.
extern "C" fn child_main(args: *mut c_void) -> c_int {
    // SAFETY: `clone_and_exec` passes a `ChildArgs` that outlives the child, and waits meanwhile.
    let args = unsafe { &*args.cast::<ChildArgs<'_>>() };
    // SAFETY: as above, for the report; only the child touches it now.
    let report = unsafe { &mut *args.report };
    if let Err(failed) = become_worker(args, report) {
        report.failed = Some(failed);
    }
    // SAFETY: ends this process at once, without running the launcher's code.
    unsafe { libc::_exit(127) }
}

type Step = Result<(), (Stage, i32)>;

/// Steps 5 to 8 of a start, in the safe order.
fn become_worker(args: &ChildArgs<'_>, report: &mut Report) -> Step {
    let prepared = args.prepared;
    limit_time();
    let needed = args.stdio.into_iter().chain([prepared.claim]).chain(prepared.socket);
    leave_parents_table(needed).map_err(|errno| (Stage::Descriptors, errno))?;
    // Early: the less time has passed, the likelier the tick is the same. Not earlier: the call may have to open a
    // file.
    report.start_ticks = args.born_after.own_start_ticks();
    // SAFETY: takes no arguments.
    check(Stage::Session, unsafe { libc::setsid() })?;
    reset_signals();
    report.reached = Stage::Directory;
    // SAFETY: a system call on a prepared string.
    check(Stage::Directory, unsafe { libc::chdir(prepared.cwd.as_ptr()) })?;
    report.reached = Stage::OpenLifeline;
    let lifeline = take_lifeline(prepared)?;
    report.reached = Stage::MarkLifeline;
    mark_lifeline(prepared, lifeline, report.start_ticks)?;
    report.reached = Stage::Descriptors;
    let claim = arrange_descriptors(args.stdio, lifeline, prepared)?;
    // At the descriptor where a search looks: if the files are still in place, no search has happened.
    require_in_place(prepared, claim)?;
    // Only now may the claim's descriptor be closed: from here on the lifeline guards this process.
    close_all_others(prepared)?;
    report.reached = Stage::Listen;
    listen_on_socket(prepared)?;
    report.reached = Stage::Exec;
    Err((Stage::Exec, execute(prepared)))
}

/// Has the kernel kill this process if exec is late. Exec disarms the timer.
fn limit_time() {
    // SAFETY: zeroes are valid values of both structures, and the kernel reads them before the calls return. Called
    // directly, since libc's `timer_create` may start a thread.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGKILL;
        let mut timer: c_int = 0;
        let created =
            libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer);
        let mut length: libc::itimerspec = std::mem::zeroed();
        length.it_value.tv_sec = SPAWN_TIMEOUT_S;
        if created == 0 {
            libc::syscall(libc::SYS_timer_settime, timer, 0, &raw const length, ptr::null_mut::<c_void>());
        }
    }
}

fn check(stage: Stage, result: c_int) -> Result<c_int, (Stage, i32)> {
    if result < 0 { Err((stage, Errno::last_raw())) } else { Ok(result) }
}

fn take_lifeline(prepared: &Prepared) -> Result<c_int, (Stage, i32)> {
    let flags = libc::O_RDWR | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: opens a name in the held directory, through the child's copy of the descriptor.
    let fd = unsafe { libc::openat(prepared.claim, prepared.lifeline_name().as_ptr(), flags) };
    let fd = check(Stage::OpenLifeline, fd)?;
    // SAFETY: fills in the given value.
    let found = inode(|stat| unsafe { libc::fstat(fd, stat) })?;
    if found != (prepared.lifeline_device, prepared.lifeline_number) {
        return Err((Stage::LifelineReplaced, 0));
    }
    for _ in 0..LOCK_TRIES_MAX {
        // SAFETY: locks a descriptor of the child's own.
        if unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Ok(fd);
        }
        match Errno::last_raw() {
            libc::EWOULDBLOCK => pause(),
            libc::EINTR => {}
            errno => return Err((Stage::LockLifeline, errno)),
        }
    }
    Err((Stage::LockLifeline, libc::EWOULDBLOCK))
}

fn pause() {
    let length = libc::timespec { tv_sec: 0, tv_nsec: RETRY_PAUSE_NS };
    // SAFETY: reads a local value; the time left does not matter.
    unsafe { libc::nanosleep(&raw const length, ptr::null_mut()) };
}

/// A short text on the stack.
struct Text {
    bytes: [u8; 128],
    len: usize,
}

impl Text {
    fn push(&mut self, more: &[u8]) {
        for byte in more {
            if let Some(slot) = self.bytes.get_mut(self.len) {
                *slot = *byte;
                self.len += 1;
            }
        }
    }

    fn push_number(&mut self, number: u64) {
        let mut digits = [0_u8; 20];
        let mut rest = number;
        let mut first = digits.len();
        for (index, slot) in digits.iter_mut().enumerate().rev() {
            *slot = b'0' + (rest % 10) as u8;
            rest /= 10;
            first = index;
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(first..).unwrap_or_default());
    }
}

/// Writes the holder's identity into the lifeline, in one write.
fn mark_lifeline(prepared: &Prepared, lifeline: c_int, start_ticks: Option<u64>) -> Step {
    let mut known = Text { bytes: [0; 128], len: 0 };
    // SAFETY: asks for a number.
    let pid = unsafe { libc::getpid() };
    known.push(b"{\"pid\":");
    known.push_number(u64::from(pid.unsigned_abs()));
    if let Some(ticks) = start_ticks {
        known.push(b",\"start_time\":");
        known.push_number(ticks);
    }
    let parts = [known.bytes.get(..known.len).unwrap_or_default(), &prepared.mark_tail];
    let vector =
        parts.map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
    // SAFETY: writes from buffers that outlive the call, within their lengths.
    let written = unsafe { libc::writev(lifeline, vector.as_ptr(), 2) };
    match usize::try_from(written) {
        Ok(len) if len == known.len + prepared.mark_tail.len() => Ok(()),
        Ok(_) => Err((Stage::MarkLifeline, libc::ENOSPC)),
        Err(_) => Err((Stage::MarkLifeline, Errno::last_raw())),
    }
}

/// 0 to 2 are the worker's streams, 3 is the inherited socket, 10 is the lifeline. Returns the claim's descriptor,
/// moved above these places.
fn arrange_descriptors(
    stdio: [c_int; 3],
    lifeline: c_int,
    prepared: &Prepared,
) -> Result<c_int, (Stage, i32)> {
    // SAFETY: moves descriptors of the child's own table.
    unsafe {
        // First all of them move away: one may occupy the place of another.
        let first_free = LIFELINE_FD + 1;
        let out_of_the_way = |fd| check(Stage::Descriptors, libc::fcntl(fd, libc::F_DUPFD, first_free));
        let lifeline = out_of_the_way(lifeline)?;
        let claim = out_of_the_way(prepared.claim)?;
        let mut moved = [0; 3];
        for (slot, fd) in moved.iter_mut().zip(stdio) {
            *slot = out_of_the_way(fd)?;
        }
        let socket = match prepared.socket {
            Some(fd) => Some(out_of_the_way(fd)?),
            None => None,
        };
        for (target, fd) in (0..).zip(moved) {
            check(Stage::Descriptors, libc::dup2(fd, target))?;
        }
        check(Stage::Descriptors, libc::dup2(lifeline, LIFELINE_FD))?;
        if let Some(socket) = socket {
            check(Stage::Descriptors, libc::dup2(socket, SOCKET_FD))?;
        }
        Ok(claim)
    }
}

/// Fails unless the lifeline still has its name and the session's directory its place. A process that finds the files
/// gone searches all processes for lifelines at their descriptor; a child that was not there yet has to leave.
fn require_in_place(prepared: &Prepared, claim: c_int) -> Step {
    let lifeline = inode(|stat| {
        // SAFETY: fills in the given value, for a name in the held directory.
        unsafe { libc::fstatat(claim, prepared.lifeline_name().as_ptr(), stat, libc::AT_SYMLINK_NOFOLLOW) }
    })?;
    // SAFETY: fills in the given value.
    let held = inode(|stat| unsafe { libc::fstat(claim, stat) })?;
    // SAFETY: as above, for a prepared string.
    let found = inode(|stat| unsafe { libc::stat(prepared.session_path.as_ptr(), stat) })?;
    let in_place = lifeline == (prepared.lifeline_device, prepared.lifeline_number) && held == found;
    if in_place { Ok(()) } else { Err((Stage::FilesMoved, 0)) }
}

/// Device and number of the file inspected by `look`.
fn inode(look: impl FnOnce(*mut libc::stat) -> c_int) -> Result<(u64, u64), (Stage, i32)> {
    // SAFETY: a `stat` of zeroes is a valid value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    check(Stage::FilesMoved, look(&raw mut stat))?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Closes everything except the descriptors placed by [`arrange_descriptors`].
fn close_all_others(prepared: &Prepared) -> Step {
    let first_closed = if prepared.socket.is_some() { SOCKET_FD + 1 } else { SOCKET_FD };
    close_range(first_closed.unsigned_abs(), LIFELINE_FD.unsigned_abs() - 1, 0)
        .and_then(|()| close_range(LIFELINE_FD.unsigned_abs() + 1, u32::MAX, 0))
        .map_err(|errno| (Stage::Descriptors, errno))
}

/// Begins to listen on the inherited socket: guarded by the lifeline, and in the worker's own name.
fn listen_on_socket(prepared: &Prepared) -> Step {
    if let Some(variable) = &prepared.listen_pid {
        let mut pid = Text { bytes: [0; 128], len: 0 };
        // SAFETY: asks for a number.
        pid.push_number(u64::from(unsafe { libc::getpid() }.unsigned_abs()));
        variable.fill_in(pid.bytes.get(..pid.len).unwrap_or_default());
        // SAFETY: a descriptor of the child's own table.
        check(Stage::Listen, unsafe { libc::listen(SOCKET_FD, BACKLOG_MAX) })?;
    }
    Ok(())
}

/// Executes the program; returns only on failure, with the errno.
fn execute(prepared: &Prepared) -> i32 {
    let mut errno = 0;
    for _ in 0..BUSY_TRIES_MAX {
        // SAFETY: an empty mask of the child's own, then strings and arrays terminated as the kernel requires.
        unsafe {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
            libc::execve(prepared.program.as_ptr(), prepared.argv.as_ptr(), prepared.envp.as_ptr());
        }
        errno = Errno::last_raw();
        // A process forked during the write still has the program open; the state passes soon.
        if errno != libc::ETXTBSY {
            break;
        }
        pause();
    }
    errno
}
