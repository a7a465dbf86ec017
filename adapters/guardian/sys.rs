//! The guardian's system calls, without a library underneath.
//!
//! The numbers are the kernel's, and never change. A negative result is an errno.

use core::arch::{asm, global_asm};
use core::ffi::c_char;

/// The numbers of the system calls.
#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const READ: usize = 0;
    pub(super) const WRITE: usize = 1;
    pub(super) const CLOSE: usize = 3;
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const GETPID: usize = 39;
    pub(super) const CLONE: usize = 56;
    pub(super) const EXECVE: usize = 59;
    pub(super) const KILL: usize = 62;
    pub(super) const CHDIR: usize = 80;
    pub(super) const SETPGID: usize = 109;
    pub(super) const GETPPID: usize = 110;
    pub(super) const SETSID: usize = 112;
    pub(super) const GETPGID: usize = 121;
    pub(super) const GETSID: usize = 124;
    pub(super) const PRCTL: usize = 157;
    pub(super) const GETDENTS64: usize = 217;
    pub(super) const CLOCK_GETTIME: usize = 228;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const WAITID: usize = 247;
    pub(super) const OPENAT: usize = 257;
    pub(super) const READLINKAT: usize = 267;
    pub(super) const PPOLL: usize = 271;
    pub(super) const SIGNALFD4: usize = 289;
    pub(super) const PIPE2: usize = 293;
}

/// The numbers of the system calls, shared by the newer architectures.
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
mod number {
    pub(super) const CHDIR: usize = 49;
    pub(super) const OPENAT: usize = 56;
    pub(super) const CLOSE: usize = 57;
    pub(super) const PIPE2: usize = 59;
    pub(super) const GETDENTS64: usize = 61;
    pub(super) const READ: usize = 63;
    pub(super) const WRITE: usize = 64;
    pub(super) const PPOLL: usize = 73;
    pub(super) const SIGNALFD4: usize = 74;
    pub(super) const READLINKAT: usize = 78;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const WAITID: usize = 95;
    pub(super) const CLOCK_GETTIME: usize = 113;
    pub(super) const KILL: usize = 129;
    pub(super) const RT_SIGPROCMASK: usize = 135;
    pub(super) const SETPGID: usize = 154;
    pub(super) const GETPGID: usize = 155;
    pub(super) const GETSID: usize = 156;
    pub(super) const SETSID: usize = 157;
    pub(super) const PRCTL: usize = 167;
    pub(super) const GETPID: usize = 172;
    pub(super) const GETPPID: usize = 173;
    pub(super) const CLONE: usize = 220;
    pub(super) const EXECVE: usize = 221;
}

/// The same number on every processor.
const PIDFD_SEND_SIGNAL: usize = 424;
const PIDFD_OPEN: usize = 434;

// A program begins with its arguments on the stack and no return address.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call begin");
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x0, sp", "b begin");
#[cfg(target_arch = "riscv64")]
global_asm!(".globl _start", "_start:", "mv a0, sp", "tail begin");

/// # Safety
/// As for the system call.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, [a, b, c, d, e]: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention; the caller answers for the rest.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// # Safety
/// As for the system call.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, [a, b, c, d, e]: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention; the caller answers for the rest.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c,
            in("x3") d, in("x4") e, options(nostack));
    }
    result
}

/// # Safety
/// As for the system call.
#[cfg(target_arch = "riscv64")]
unsafe fn call(number: usize, [a, b, c, d, e]: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention; the caller answers for the rest.
    unsafe {
        asm!("ecall", in("a7") number, inlateout("a0") a as isize => result, in("a1") b, in("a2") c,
            in("a3") d, in("a4") e, options(nostack));
    }
    result
}

/// A descriptor to wait for.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct PollFd {
    pub(crate) fd: i32,
    pub(crate) events: i16,
    pub(crate) revents: i16,
}

pub(crate) const POLLIN: i16 = 1;

/// The length of the kernel's data about one signal.
pub(crate) const SIGNAL_LEN: usize = 128;

/// Seconds and nanoseconds.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;
pub(crate) const SIGCHLD: i32 = 17;
pub(crate) const SIGCONT: i32 = 18;

const EINTR: isize = -4;
const ECHILD: isize = -10;
pub(crate) const ETXTBSY: isize = -26;

const SIG_SETMASK: usize = 2;
const MASK_LEN: usize = 8;
const AT_FDCWD: isize = -100;
const O_DIRECTORY: usize = if cfg!(target_arch = "aarch64") { 0o40_000 } else { 0o200_000 };
const O_CLOEXEC: usize = 0o2_000_000;
const CLONE_PIDFD: usize = 0x1000;
const PR_SET_PDEATHSIG: usize = 1;
const PR_SET_NAME: usize = 15;
const PR_SET_CHILD_SUBREAPER: usize = 36;
const SFD_NONBLOCK: usize = 0o4_000;
const CLOCK_MONOTONIC: usize = 1;
const P_ALL: usize = 0;
const P_PID: usize = 1;
const WEXITED: usize = 4;
const WNOHANG: usize = 1;
const WSTOPPED: usize = 2;
const WNOWAIT: usize = 0x0100_0000;
const CLD_EXITED: i32 = 1;

/// The exit of a child.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Returned(i32),
    Signalled(i32),
    /// Another process took the status.
    Unknown,
}

pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: ends this process.
        unsafe { call(number::EXIT_GROUP, [status as usize, 0, 0, 0, 0]) };
    }
}

pub(crate) fn set_signal_mask(blocked: u64) {
    // SAFETY: reads a mask of the given length.
    unsafe { call(number::RT_SIGPROCMASK, [SIG_SETMASK, (&raw const blocked) as usize, 0, MASK_LEN, 0]) };
}

pub(crate) fn new_session() {
    // SAFETY: changes the session of this process.
    unsafe { call(number::SETSID, [0; 5]) };
}

/// The process session, named by its leader's pid; negative if there is no such process.
pub(crate) fn session_of(pid: i32) -> i32 {
    // SAFETY: asks for a number.
    unsafe { call(number::GETSID, [pid as usize, 0, 0, 0, 0]) as i32 }
}

/// The process group of a process; negative if there is no such process.
pub(crate) fn group_of(pid: i32) -> i32 {
    // SAFETY: asks for a number.
    unsafe { call(number::GETPGID, [pid as usize, 0, 0, 0, 0]) as i32 }
}

/// Makes a process the leader of a new process group; 0 means this process.
pub(crate) fn new_group(pid: i32) -> isize {
    // SAFETY: changes the group of a process of ours.
    unsafe { call(number::SETPGID, [pid as usize, pid as usize, 0, 0, 0]) }
}

pub(crate) fn name_this_process(name: &core::ffi::CStr) {
    // SAFETY: reads a string that ends with a NUL.
    unsafe { call(number::PRCTL, [PR_SET_NAME, name.as_ptr() as usize, 0, 0, 0]) };
}

/// Makes this process the new parent of orphaned descendants.
pub(crate) fn adopt_orphans() -> isize {
    // SAFETY: changes an attribute of this process.
    unsafe { call(number::PRCTL, [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0]) }
}

/// A descriptor that is readable once a child has ended. SIGCHLD has to be blocked.
pub(crate) fn watch_children() -> isize {
    let mask = 1_u64 << (SIGCHLD - 1);
    let flags = SFD_NONBLOCK | O_CLOEXEC;
    // SAFETY: reads a mask of the given length.
    unsafe { call(number::SIGNALFD4, [-1_isize as usize, (&raw const mask) as usize, MASK_LEN, flags, 0]) }
}

/// Has the kernel kill this process at its parent's end.
pub(crate) fn die_with_parent() -> isize {
    // SAFETY: changes an attribute of this process.
    unsafe { call(number::PRCTL, [PR_SET_PDEATHSIG, SIGKILL as usize, 0, 0, 0]) }
}

pub(crate) fn this_process() -> i32 {
    // SAFETY: asks for a number.
    unsafe { call(number::GETPID, [0; 5]) as i32 }
}

pub(crate) fn parent() -> i32 {
    // SAFETY: asks for a number.
    unsafe { call(number::GETPPID, [0; 5]) as i32 }
}

/// A copy of this process. In the parent: the pid and a pidfd; in the child zero.
pub(crate) fn fork(pidfd: &mut i32) -> isize {
    let flags = CLONE_PIDFD | SIGCHLD as usize;
    // SAFETY: the child has a copy of this process's memory, stack included, and shares none of it.
    unsafe { call(number::CLONE, [flags, 0, core::ptr::from_mut(pidfd) as usize, 0, 0]) }
}

pub(crate) fn enter(directory: *const c_char) -> isize {
    // SAFETY: reads a string placed by the kernel at the start of this program.
    unsafe { call(number::CHDIR, [directory as usize, 0, 0, 0, 0]) }
}

/// Executes a program; returns only on failure, with the errno.
///
/// # Safety
/// `path` ends with a NUL; `argv` and `envp` are arrays of such strings that end with a null.
pub(crate) unsafe fn execute(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> isize {
    // SAFETY: the caller's.
    unsafe { call(number::EXECVE, [path as usize, argv as usize, envp as usize, 0, 0]) }
}

pub(crate) fn kill(pid: i32, signal: i32) {
    // SAFETY: sends a signal.
    unsafe { call(number::KILL, [pid as isize as usize, signal as usize, 0, 0, 0]) };
}

pub(crate) fn pidfd_open(pid: i32) -> isize {
    // SAFETY: opens a descriptor.
    unsafe { call(PIDFD_OPEN, [pid as usize, 0, 0, 0, 0]) }
}

pub(crate) fn pidfd_kill(pidfd: i32, signal: i32) {
    // SAFETY: sends a signal.
    unsafe { call(PIDFD_SEND_SIGNAL, [pidfd as usize, signal as usize, 0, 0, 0]) };
}

/// A pipe, closed on exec.
pub(crate) fn pipe() -> Option<[i32; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: writes two numbers into an array of two.
    let result = unsafe { call(number::PIPE2, [(&raw mut ends) as usize, O_CLOEXEC, 0, 0, 0]) };
    (result == 0).then_some(ends)
}

pub(crate) fn close(fd: i32) {
    // SAFETY: closes an unused descriptor.
    unsafe { call(number::CLOSE, [fd as usize, 0, 0, 0, 0]) };
}

/// Opens a file for reading.
pub(crate) fn open(path: &core::ffi::CStr) -> isize {
    // SAFETY: reads a string that ends with a NUL.
    unsafe { call(number::OPENAT, [AT_FDCWD as usize, path.as_ptr() as usize, O_CLOEXEC, 0, 0]) }
}

/// Opens a directory for listing.
pub(crate) fn open_directory(path: &core::ffi::CStr) -> isize {
    let flags = O_CLOEXEC | O_DIRECTORY;
    // SAFETY: reads a string that ends with a NUL.
    unsafe { call(number::OPENAT, [AT_FDCWD as usize, path.as_ptr() as usize, flags, 0, 0]) }
}

pub(crate) fn read(fd: i32, buffer: &mut [u8]) -> isize {
    // SAFETY: writes into the buffer, no further than its length.
    unsafe { call(number::READ, [fd as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0]) }
}

/// The target of a symbolic link, without a NUL at the end.
pub(crate) fn read_link(path: &core::ffi::CStr, buffer: &mut [u8]) -> isize {
    let to = buffer.as_mut_ptr() as usize;
    // SAFETY: reads a string that ends with a NUL, and writes into the buffer, no further than its length.
    unsafe { call(number::READLINKAT, [AT_FDCWD as usize, path.as_ptr() as usize, to, buffer.len(), 0]) }
}

pub(crate) fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: reads the bytes. A missing reader is noticed elsewhere.
    unsafe { call(number::WRITE, [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0]) };
}

pub(crate) fn list(directory: i32, buffer: &mut [u8]) -> isize {
    // SAFETY: writes into the buffer, no further than its length.
    unsafe {
        call(number::GETDENTS64, [directory as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0])
    }
}

/// Waits until one of `fds` is ready, or `milliseconds` are over.
pub(crate) fn poll(fds: &mut [PollFd], milliseconds: Option<u64>) -> isize {
    let length = milliseconds
        .map(|ms| Timespec { seconds: (ms / 1_000) as i64, nanoseconds: (ms % 1_000 * 1_000_000) as i64 });
    let length = length.as_ref().map_or(0, |length| core::ptr::from_ref(length) as usize);
    // SAFETY: writes into the array, within its length, and reads a time that lives until the return.
    unsafe { call(number::PPOLL, [fds.as_mut_ptr() as usize, fds.len(), length, 0, MASK_LEN]) }
}

/// Milliseconds on a monotonic clock.
pub(crate) fn now_ms() -> u64 {
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: writes one time.
    unsafe { call(number::CLOCK_GETTIME, [CLOCK_MONOTONIC, (&raw mut now) as usize, 0, 0, 0]) };
    now.seconds as u64 * 1_000 + now.nanoseconds as u64 / 1_000_000
}

/// The exit of a child, if ended; the child is left unreaped.
pub(crate) fn peek(pid: i32) -> Option<End> {
    match wait(P_PID, pid, WEXITED | WNOHANG | WNOWAIT) {
        Ok(Some((_, end))) => Some(end),
        Ok(None) => None,
        Err(_) => Some(End::Unknown),
    }
}

/// An ended, unreaped child, if any.
pub(crate) fn ended_child() -> Option<i32> {
    Some(wait(P_ALL, 0, WEXITED | WNOHANG | WNOWAIT).ok()??.0)
}

/// Whether any child still runs. The kernel refuses to wait for a stop if no child could stop any more, and an ended
/// child cannot, reaped or not.
pub(crate) fn has_running_children() -> bool {
    wait(P_ALL, 0, WSTOPPED | WNOHANG | WNOWAIT) != Err(ECHILD)
}

/// Waits for a child's end and reaps the child.
pub(crate) fn reap(pid: i32) {
    let _ = wait(P_PID, pid, WEXITED);
}

/// Reaps a process if it is an ended child; `true` if reaped.
pub(crate) fn reap_if_ended(pid: i32) -> bool {
    matches!(wait(P_PID, pid, WEXITED | WNOHANG), Ok(Some(_)))
}

/// The child with news, and its exit; or the errno.
fn wait(kind: usize, pid: i32, options: usize) -> Result<Option<(i32, End)>, isize> {
    // The kernel's `siginfo_t`: 128 bytes; these fields describe a child's change.
    const CODE: usize = 2;
    const PID: usize = 4;
    const STATUS: usize = 6;
    let mut info = [0_i32; 32];
    loop {
        let to = (&raw mut info) as usize;
        // SAFETY: writes into an array of the length expected by the kernel.
        match unsafe { call(number::WAITID, [kind, pid as usize, to, options, 0]) } {
            EINTR => {}
            0 if info[PID] == 0 => return Ok(None),
            0 if info[CODE] == CLD_EXITED => return Ok(Some((info[PID], End::Returned(info[STATUS])))),
            0 => return Ok(Some((info[PID], End::Signalled(info[STATUS])))),
            errno => return Err(errno),
        }
    }
}
