//! How a guardian is born: `clone(VM | VFORK | PIDFD)`, its descriptors in their places, `execveat`.
//!
//! As in `spawn/raw.rs`, whose rules hold here too: everything is prepared beforehand, and between clone and exec only
//! system calls are made.
#![expect(unsafe_code, reason = "a child between clone and exec is beyond what safe Rust can express")]

use super::kin::Scope;
use super::{image, wire};
use crate::spawn::prepare::{CStrings, c_string, declared, to_c_strings};
use crate::spawn::program;
use crate::spawn::raw::{clone_child, leave_parents_table, reset_signals};
use crate::sys::linux::failure::{During, describe};
use libc::{c_char, c_int, c_void};
use nix::errno::Errno;
use rekindle_core::{Environment, OsFailure, Pid, SpawnError};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the guardian's own program is while it is executed; it closes with that.
const IMAGE_FD: c_int = wire::SUPERVISOR_FD + 1;
/// Out of the way of all descriptors that have a place.
const FIRST_FREE_FD: c_int = IMAGE_FD + 1;

/// What is to be run, and how it is ended when nobody is left to say so.
#[derive(Debug, Clone, Copy)]
pub struct StdioSpec<'a> {
    /// The program, looked up as a shell would, and its arguments.
    pub command: &'a [OsString],
    /// Where it starts; absolute.
    pub cwd: &'a Path,
    /// Its environment.
    pub environment: &'a Environment,
    /// How long it may take to end after SIGTERM, once its supervisor is gone.
    pub term_grace: Duration,
    /// How long the kernel may take to end it after SIGKILL, then.
    pub kill_grace: Duration,
    /// The fate of descendants with a session of their own.
    pub detached: Detached,
}

/// The fate of descendants with a session of their own: daemons, browsers, `setsid`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detached {
    /// End them with the child.
    #[default]
    End,
    /// Leave them alone, and name them.
    Leave,
}

impl Detached {
    pub(super) fn scope(self) -> Scope {
        match self {
            Self::End => Scope::Descendants,
            Self::Leave => Scope::Session,
        }
    }

    fn letter(self) -> u8 {
        match self {
            Self::End => wire::END_DETACHED,
            Self::Leave => wire::LEAVE_DETACHED,
        }
    }
}

/// A guardian that runs, with our ends of everything.
pub(super) struct Newborn {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    pub(super) control: UnixStream,
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// The child's program, for what may have to be said of it.
    pub(super) program: PathBuf,
}

/// Creates a guardian, and returns once it runs. What it does then, it tells over the connection.
///
/// # Errors
/// If it could not be created; nothing of it is left then.
pub(super) fn create(spec: &StdioSpec<'_>) -> Result<Newborn, SpawnError> {
    let program = program::resolve(spec.command.first().ok_or(SpawnError::NoProgram)?)?;
    let argv = CStrings::new(arguments(spec, &program)?);
    let envp = CStrings::new(to_c_strings(declared(spec.environment))?);
    let image = image::guardian()?;
    let pipe = || pipe_with(PipeFlags::CLOEXEC).doing("create a pipe");
    let ((its_stdin, stdin), (stdout, its_stdout), (stderr, its_stderr)) = (pipe()?, pipe()?, pipe()?);
    let (control, its_control) = UnixStream::pair().doing("create a connection to the guardian")?;
    let supervisor = pidfd_open(getpid(), PidfdFlags::empty()).doing("open a descriptor of this process")?;

    let places = [
        (0, its_stdin.as_raw_fd()),
        (1, its_stdout.as_raw_fd()),
        (2, its_stderr.as_raw_fd()),
        (wire::CONTROL_FD, its_control.as_raw_fd()),
        (wire::SUPERVISOR_FD, supervisor.as_raw_fd()),
    ];
    let (pid, pidfd) = execute(places, image, &argv, &envp)?;
    Ok(Newborn { pid, pidfd, control, stdin, stdout, stderr, program })
}

fn arguments(spec: &StdioSpec<'_>, program: &Path) -> Result<Vec<std::ffi::CString>, SpawnError> {
    // More milliseconds than the guardian's clock can add up are as good as for ever.
    let ms = |grace: Duration| u32::try_from(grace.as_millis()).unwrap_or(u32::MAX).to_string();
    let own = [
        c_string(OsStr::new("rekindle-guardian"), "its name"),
        c_string(OsStr::new(&ms(spec.term_grace)), "a grace"),
        c_string(OsStr::new(&ms(spec.kill_grace)), "a grace"),
        c_string(OsStr::new(&char::from(spec.detached.letter()).to_string()), "a choice"),
        c_string(spec.cwd.as_os_str(), "the working directory"),
        c_string(program.as_os_str(), "the program's path"),
        c_string(program.as_os_str(), "the program's path"),
    ];
    let rest = spec.command.iter().skip(1).map(|arg| c_string(arg, "an argument"));
    own.into_iter().chain(rest).collect()
}

/// Places and descriptors of ours.
type Places = [(c_int, c_int); 5];

struct ChildArgs {
    /// Which descriptor goes where.
    places: Places,
    image: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
    /// Why it could not; untouched if it could.
    errno: *mut i32,
}

fn execute(
    places: Places,
    image: BorrowedFd<'_>,
    argv: &CStrings,
    envp: &CStrings,
) -> Result<(Pid, OwnedFd), OsFailure> {
    let refused = |errno| OsFailure::new("start a guardian for the child", describe(errno)).errno(errno);
    let mut errno = 0;
    let mut args = ChildArgs {
        places,
        image: image.as_raw_fd(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        errno: &raw mut errno,
    };
    // SAFETY: `become_guardian` keeps to its own stack and to `args`, which with all that it points to outlives the
    // child.
    let (pid, pidfd) = unsafe { clone_child(become_guardian, (&raw mut args).cast()) }.map_err(refused)?;
    if errno != 0 {
        crate::worker::reap(&pidfd);
        return Err(refused(errno));
    }
    Ok((pid, pidfd))
}

/// The child of the clone. It never returns into our code: it executes the guardian or exits.
extern "C" fn become_guardian(args: *mut c_void) -> c_int {
    // SAFETY: `execute` passes a `ChildArgs` that outlives the child, and waits meanwhile.
    let args = unsafe { &*args.cast::<ChildArgs>() };
    reset_signals();
    let errno = arrange(args).err().unwrap_or_else(|| {
        // SAFETY: a descriptor of the child's own, then arrays that end as the kernel wants them to. All signals stay
        // blocked: the guardian wants none.
        unsafe {
            let flags = libc::AT_EMPTY_PATH;
            libc::syscall(libc::SYS_execveat, IMAGE_FD, c"".as_ptr(), args.argv, args.envp, flags);
        }
        Errno::last_raw()
    });
    // SAFETY: the errno outlives the child, and nobody else touches it now; then this process ends at once.
    unsafe {
        *args.errno = errno;
        libc::_exit(127)
    }
}

/// 0 to 4 are the guardian's, then comes its program, and nothing else is open.
fn arrange(args: &ChildArgs) -> Result<(), i32> {
    leave_parents_table(args.places.iter().map(|(_, fd)| *fd).chain([args.image]))?;
    let check = |result: c_int| if result < 0 { Err(Errno::last_raw()) } else { Ok(result) };
    // SAFETY: moves and closes descriptors of the child's own table.
    unsafe {
        // All of them out of the way first: one may stand where another has to go.
        let image = check(libc::fcntl(args.image, libc::F_DUPFD, FIRST_FREE_FD))?;
        let mut moved = args.places;
        for (_, fd) in &mut moved {
            *fd = check(libc::fcntl(*fd, libc::F_DUPFD, FIRST_FREE_FD))?;
        }
        for (place, fd) in moved {
            check(libc::dup2(fd, place))?;
        }
        check(libc::dup3(image, IMAGE_FD, libc::O_CLOEXEC))?;
        check(libc::syscall(libc::SYS_close_range, FIRST_FREE_FD, u32::MAX, 0) as c_int)?;
    }
    Ok(())
}
