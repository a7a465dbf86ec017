//! The birth of a guardian: its pipes, its connection, its arguments; `sys::linux::process::clone` does the rest.

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

/// The supervisor's pidfd is the last of the guardian's descriptors.
const _: () = assert!(wire::SUPERVISOR_FD as usize + 1 == PLACES);

/// The program of a stdio child, and the graces for its end without a supervisor.
#[derive(Debug, Clone, Copy)]
pub struct StdioSpec<'a> {
    /// The program, looked up as a shell would, and its arguments.
    pub command: &'a [OsString],
    /// The working directory; absolute.
    pub cwd: &'a Path,
    /// The environment.
    pub environment: &'a Environment,
    /// After the supervisor's end: how long the child may take to end after SIGTERM.
    pub term_grace: Duration,
    /// After the supervisor's end: how long the child may take to end after SIGKILL.
    pub kill_grace: Duration,
    /// The treatment of detached descendants.
    pub detached: Detached,
}

/// The treatment of descendants with a process session of their own: daemons, browsers, `setsid`.
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

/// A running guardian, with the supervisor's ends of all connections.
pub(super) struct Newborn {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    pub(super) control: UnixStream,
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// The child's program, for error messages.
    pub(super) program: PathBuf,
}

/// Creates a guardian, and returns once the guardian runs. The guardian reports its further steps over the connection.
///
/// # Errors
/// If the guardian could not be created; no process is left then.
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
    // A grace beyond the range of the guardian's clock means for ever.
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
