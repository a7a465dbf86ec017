//! What is measured against: bare system calls, some of them through the C of `floor.c`.
#![expect(unsafe_code, reason = "the floor is what the kernel needs, with nothing in between")]

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

/// A path as the kernel wants it.
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
    /// `command[0]` is the program.
    pub(crate) fn new<S: AsRef<OsStr>>(command: &[S]) -> Self {
        let owned: Vec<CString> = command.iter().map(c_path).collect();
        let pointers = owned.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, _owned: owned, output: None }
    }

    /// The same program, with nobody to read its output.
    pub(crate) fn silent(self) -> Self {
        let null = File::options().write(true).open("/dev/null").expect("every system has it");
        Self { output: Some(null), ..self }
    }

    /// Starts it by vfork, with an empty environment.
    pub(crate) fn start(&self) -> pid_t {
        let (environment, output) = ([ptr::null()], self.output.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        // SAFETY: arrays of strings that end with NULL and outlive the call, which waits until they were read.
        let pid =
            unsafe { floor_start(self.pointers[0], self.pointers.as_ptr(), environment.as_ptr(), output) };
        assert!(pid > 0, "a program did not start: errno {}", -pid);
        pid
    }

    /// Starts it as a worker is started, in a directory that holds a fresh lifeline; and reaps it, which must have gone well.
    pub(crate) fn run_as_worker(&self, dir: &File) {
        let environment = [ptr::null()];
        // SAFETY: as above.
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
        assert_eq!(status, 0, "the steps before its program failed");
    }

    /// Starts it and reaps it.
    pub(crate) fn run(&self) {
        reap(self.start());
    }
}

/// Waits for a child's end.
pub(crate) fn reap(pid: pid_t) {
    // SAFETY: waits for a child of ours.
    let reaped = unsafe { floor_reap(pid) };
    assert_eq!(reaped, 0, "a child could not be reaped");
}

/// Sends a signal to a child that was not reaped yet.
pub(crate) fn signal(pid: pid_t, signal: c_int) {
    // SAFETY: signals a process.
    unsafe { libc::kill(pid, signal) };
}

/// Whether a process exists.
pub(crate) fn exists(pid: pid_t) -> bool {
    // SAFETY: asks about a process.
    unsafe { libc::kill(pid, 0) == 0 }
}

/// Opens a descriptor of a process.
pub(crate) fn pidfd(pid: pid_t) -> OwnedFd {
    // SAFETY: a new descriptor, which nobody else owns.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        OwnedFd::from_raw_fd(RawFd::try_from(fd).expect("a descriptor is small"))
    }
}

/// Waits until a descriptor is readable.
pub(crate) fn poll(fd: &OwnedFd) {
    let mut fds = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure of our own.
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

/// One attempt to connect: a fresh socket, as a refused one cannot be tried again everywhere.
pub(crate) fn connect(address: &libc::sockaddr_un) -> Option<OwnedFd> {
    let len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: a new descriptor, which nobody else owns, and an address of our own.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        let socket = OwnedFd::from_raw_fd(fd);
        (libc::connect(fd, ptr::from_ref(address).cast(), len) == 0).then_some(socket)
    }
}

/// Connects, trying until it works. Whoever else wants the processor gets it: it may be the worker.
pub(crate) fn spin_connect(path: &Path) -> OwnedFd {
    let address = address(path);
    loop {
        if let Some(socket) = connect(&address) {
            return socket;
        }
        std::thread::yield_now();
    }
}

/// Connects as soon as the name appears, by hand: what sleeping until an event costs on this machine. The events are
/// handed out, since closing them makes the kernel wait for milliseconds.
pub(crate) fn inotify_connect(path: &Path) -> (OwnedFd, OwnedFd) {
    let dir = c_path(path.parent().expect("a socket is in a directory"));
    // SAFETY: a new descriptor, which nobody else owns, and a string that outlives the call.
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
    // SAFETY: system calls on a string and on a descriptor of our own.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC, 0o600);
        assert_eq!(libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB), 0, "nobody else locks it");
        libc::close(fd);
    }
}

/// The lock of old: a file of one's own, linked to the name that is fought for, and both removed.
pub(crate) fn create_write_link_unlink(private: &CStr, name: &CStr, content: &[u8]) {
    // SAFETY: system calls on strings, a buffer and a descriptor of our own.
    unsafe {
        let fd = libc::open(
            private.as_ptr(),
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC,
            0o600,
        );
        assert!(fd >= 0, "a private name is free");
        libc::write(fd, content.as_ptr().cast(), content.len());
        libc::close(fd);
        assert_eq!(libc::link(private.as_ptr(), name.as_ptr()), 0, "nobody else locks it");
        libc::unlink(private.as_ptr());
        libc::unlink(name.as_ptr());
    }
}

/// Writes a file under a private name and renames it into place.
pub(crate) fn write_rename(private: &CStr, name: &CStr, content: &[u8]) {
    // SAFETY: as above.
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
    // SAFETY: as above.
    let len = unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        let len = libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len());
        libc::close(fd);
        len
    };
    usize::try_from(len).expect("the file can be read")
}

/// The classic: a file is rewritten whole, forced to the disk, and renamed into place.
///
/// # Errors
/// If the disk refuses.
pub(crate) fn write_fsync_rename(private: &Path, name: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(private)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(private, name)
}

/// How many bytes are allocated.
pub(crate) fn allocated() -> usize {
    // SAFETY: asks for numbers.
    unsafe { libc::mallinfo2() }.uordblks
}

/// How much processor time this thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills in a value of our own.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A child that begins a session of its own the way std offers it.
pub(crate) fn with_pre_exec(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    let begin = || {
        // SAFETY: one system call, which is allowed between fork and exec.
        if unsafe { libc::setsid() } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(begin) };
}

/// Memory that is really there, so that a fork has page tables to copy.
pub(crate) fn touched(len: usize) -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut memory: Vec<u8> = Vec::with_capacity(len);
    // Small pages, as an allocator that has grown for a while has them.
    // SAFETY: advice about memory of our own.
    unsafe { libc::madvise(memory.as_mut_ptr().cast(), len, libc::MADV_NOHUGEPAGE) };
    memory.resize(len, 0);
    for page in memory.chunks_mut(PAGE) {
        page[0] = 1;
    }
    memory
}
