//! The physical limit: bare system calls, some of them in C (`floor.c`).
#![expect(unsafe_code, reason = "the floor is the kernel's time alone, without wrappers")]

use libc::{c_char, c_int, pid_t};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

unsafe extern "C" {
    fn floor_start(
        program: *const c_char,
        argv: *const *const c_char,
        envp: *const *const c_char,
        output: c_int,
    ) -> pid_t;
    fn floor_start_worker(
        program: *const c_char,
        argv: *const *const c_char,
        envp: *const *const c_char,
        dir: c_int,
    ) -> pid_t;
    fn floor_reap(pid: pid_t) -> c_int;
}

/// A path as a C string.
pub(crate) fn c_path(path: impl AsRef<OsStr>) -> CString {
    CString::new(path.as_ref().as_bytes()).expect("a path of ours holds no NUL byte")
}

/// A program with its arguments, laid out for `execve`.
#[derive(Debug)]
pub(crate) struct Program {
    pointers: Vec<*const c_char>,
    _owned: Vec<CString>,
    output: Option<File>,
}

impl Program {
    /// Lays out `command`; the first word is the program.
    pub(crate) fn new<S: AsRef<OsStr>>(command: &[S]) -> Self {
        let owned: Vec<CString> = command.iter().map(c_path).collect();
        let pointers = owned.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, _owned: owned, output: None }
    }

    /// Discards the output.
    pub(crate) fn silent(self) -> Self {
        let null = File::options().write(true).open("/dev/null").expect("every system has /dev/null");
        Self { output: Some(null), ..self }
    }

    /// Starts the program by vfork, with an empty environment.
    pub(crate) fn start(&self) -> pid_t {
        let (environment, output) = ([ptr::null()], self.output.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        // SAFETY: both arrays end with NULL and outlive the call; the call returns after the exec.
        let pid =
            unsafe { floor_start(self.pointers[0], self.pointers.as_ptr(), environment.as_ptr(), output) };
        assert!(pid > 0, "a program did not start: errno {}", -pid);
        pid
    }

    /// Starts the program by the steps of a worker's start, and reaps the program. `dir` holds a fresh lifeline.
    ///
    /// # Panics
    /// If a step fails.
    pub(crate) fn run_as_worker(&self, dir: &File) {
        let environment = [ptr::null()];
        // SAFETY: as in `start`.
        let pid = unsafe {
            floor_start_worker(
                self.pointers[0],
                self.pointers.as_ptr(),
                environment.as_ptr(),
                dir.as_raw_fd(),
            )
        };
        assert!(pid > 0, "a program did not start: errno {}", -pid);
        let mut status = 0;
        // SAFETY: waits for a child of ours.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0, "a step before the program failed");
    }

    /// Starts and reaps the program.
    pub(crate) fn run(&self) {
        reap(self.start());
    }
}

/// Waits for a child's exit, and reaps the child.
pub(crate) fn reap(pid: pid_t) {
    // SAFETY: waits for a child of ours.
    let reaped = unsafe { floor_reap(pid) };
    assert_eq!(reaped, 0, "a child could not be reaped");
}

/// Sends a signal to a process. The caller knows that the pid is not reused.
pub(crate) fn signal(pid: pid_t, signal: c_int) {
    // SAFETY: `kill` touches no memory.
    unsafe { libc::kill(pid, signal) };
}

/// Whether a process exists.
pub(crate) fn exists(pid: pid_t) -> bool {
    // SAFETY: `kill` touches no memory, and signal 0 sends nothing.
    unsafe { libc::kill(pid, 0) == 0 }
}

/// Opens a pidfd.
pub(crate) fn pidfd(pid: pid_t) -> OwnedFd {
    // SAFETY: the descriptor is new, and has no other owner.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        OwnedFd::from_raw_fd(RawFd::try_from(fd).expect("a descriptor is small"))
    }
}

/// Waits until a descriptor is readable.
pub(crate) fn poll(fd: &OwnedFd) {
    let mut fds = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the call writes to one structure of ours.
    while unsafe { libc::poll(&raw mut fds, 1, -1) } < 1 {}
}

/// The address of a Unix socket.
pub(crate) fn address(path: &Path) -> libc::sockaddr_un {
    // SAFETY: zeroes are a valid address.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (slot, byte) in address.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
        *slot = byte.cast_signed() as c_char;
    }
    address
}

/// One attempt to connect, with a fresh socket: not every system allows a second connect after a refusal.
pub(crate) fn connect(address: &libc::sockaddr_un) -> Option<OwnedFd> {
    let len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the descriptor is new and has no other owner; the address outlives the call.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        let socket = OwnedFd::from_raw_fd(fd);
        (libc::connect(fd, ptr::from_ref(address).cast(), len) == 0).then_some(socket)
    }
}

/// Connects in a loop. The loop yields the processor, since the worker may be waiting for one.
pub(crate) fn spin_connect(path: &Path) -> OwnedFd {
    let address = address(path);
    loop {
        if let Some(socket) = connect(&address) {
            return socket;
        }
        std::thread::yield_now();
    }
}

/// Sleeps until inotify reports the name, then connects. The inotify descriptor is returned, because closing one makes the
/// kernel wait for milliseconds.
pub(crate) fn inotify_connect(path: &Path) -> (OwnedFd, OwnedFd) {
    let dir = c_path(path.parent().expect("a socket is in a directory"));
    // SAFETY: the descriptor is new and has no other owner; the string outlives the call.
    let events = unsafe {
        let fd = libc::inotify_init1(libc::IN_CLOEXEC);
        libc::inotify_add_watch(fd, dir.as_ptr(), libc::IN_CREATE);
        OwnedFd::from_raw_fd(fd)
    };
    let address = address(path);
    if let Some(socket) = connect(&address) {
        return (socket, events);
    }
    poll(&events);
    (spin_connect(path), events)
}

/// Opens, locks and closes a file.
pub(crate) fn open_flock_close(path: &CStr) {
    // SAFETY: the string outlives the calls; the descriptor is ours.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC, 0o600);
        assert_eq!(libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB), 0, "the lock has no other contender");
        libc::close(fd);
    }
}

/// The traditional lock file: writes a private file, links the contended name to the file, removes both.
pub(crate) fn create_write_link_unlink(private: &CStr, name: &CStr, content: &[u8]) {
    // SAFETY: strings and buffer outlive the calls; the descriptor is ours.
    unsafe {
        let fd = libc::open(
            private.as_ptr(),
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC,
            0o600,
        );
        assert!(fd >= 0, "a private name is free");
        libc::write(fd, content.as_ptr().cast(), content.len());
        libc::close(fd);
        assert_eq!(libc::link(private.as_ptr(), name.as_ptr()), 0, "the lock has no other contender");
        libc::unlink(private.as_ptr());
        libc::unlink(name.as_ptr());
    }
}

/// Writes a file under a private name and renames it into place.
pub(crate) fn write_rename(private: &CStr, name: &CStr, content: &[u8]) {
    // SAFETY: strings and buffer outlive the calls; the descriptor is ours.
    unsafe {
        let fd = libc::open(
            private.as_ptr(),
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC,
            0o600,
        );
        assert!(fd >= 0, "a private name is free");
        libc::write(fd, content.as_ptr().cast(), content.len());
        libc::close(fd);
        assert_eq!(libc::rename(private.as_ptr(), name.as_ptr()), 0, "the directory is ours");
    }
}

/// Opens, reads and closes a small file.
pub(crate) fn open_read_close(path: &CStr, buffer: &mut [u8]) -> usize {
    // SAFETY: string and buffer outlive the calls; the descriptor is ours.
    let len = unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        let len = libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len());
        libc::close(fd);
        len
    };
    usize::try_from(len).expect("the file can be read")
}

/// The usual durable write: writes a whole file, forces the content to the disk, renames the file into place.
///
/// # Errors
/// If a system call fails.
pub(crate) fn write_fsync_rename(private: &Path, name: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(private)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(private, name)
}

/// Bytes allocated by malloc.
pub(crate) fn allocated() -> usize {
    // SAFETY: `mallinfo2` only reads the allocator's own counters.
    unsafe { libc::mallinfo2() }.uordblks
}

/// Processor time of the current thread.
pub(crate) fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to one structure of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Makes the child a session leader through std's `pre_exec`.
pub(crate) fn with_pre_exec(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    let begin = || {
        // SAFETY: `setsid` is async-signal-safe, as required between fork and exec.
        if unsafe { libc::setsid() } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the closure makes one async-signal-safe call.
    unsafe { command.pre_exec(begin) };
}

/// Allocates `len` bytes and touches every page, so that a fork has page tables to copy.
pub(crate) fn touched(len: usize) -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut memory: Vec<u8> = Vec::with_capacity(len);
    // Small pages: the usual state of a heap that grew slowly.
    // SAFETY: advice about memory of ours.
    unsafe { libc::madvise(memory.as_mut_ptr().cast(), len, libc::MADV_NOHUGEPAGE) };
    memory.resize(len, 0);
    for page in memory.chunks_mut(PAGE) {
        page[0] = 1;
    }
    memory
}
