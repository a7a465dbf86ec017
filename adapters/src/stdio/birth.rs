//! How a guardian is born: its pipes, its connection, its arguments; `sys::linux::process::clone` does the rest.

use super::kin::Scope;
use super::{image, wire};
use crate::spawn::prepare::{c_string, declared, to_c_strings};
use crate::spawn::program;
use crate::sys::linux::descriptors;
use crate::sys::linux::failure::During;
use crate::sys::linux::process::clone::{CStrings, PLACES, Places, execute_guardian};
use crate::sys::linux::process::pidfd;
use rekindle_core::{Environment, Pid, SpawnError};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The supervisor's pidfd is the last that a guardian is given.
const _: () = assert!(wire::SUPERVISOR_FD as usize + 1 == PLACES);

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
    let pipe = || descriptors::pipe().doing("create a pipe");
    let ((its_stdin, stdin), (stdout, its_stdout), (stderr, its_stderr)) = (pipe()?, pipe()?, pipe()?);
    let (control, its_control) = UnixStream::pair().doing("create a connection to the guardian")?;
    let supervisor = pidfd::open_own().doing("open a descriptor of this process")?;

    let places: Places = [
        (0, its_stdin.as_raw_fd()),
        (1, its_stdout.as_raw_fd()),
        (2, its_stderr.as_raw_fd()),
        (wire::CONTROL_FD, its_control.as_raw_fd()),
        (wire::SUPERVISOR_FD, supervisor.as_raw_fd()),
    ];
    let (pid, pidfd) = execute_guardian(places, image, &argv, &envp)?;
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
