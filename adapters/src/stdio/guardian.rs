//! The supervisor's view of a guardian: orders, reports, and the work after a lost guardian.

#[cfg(doc)]
use super::Detached;
use super::birth::{self, Newborn, StdioSpec};
use super::kin::Scope;
use super::members;
use super::streams::{ChildStdin, ChildStdout};
use super::wire;
use crate::spawn::program;
use crate::sys::linux::failure::{During, Errno, describe, refused};
use crate::sys::linux::process::pidfd::{has_exited, reap};
use crate::worker::leave_to_reaper;
use rekindle_core::{ChildExit, KillError, KillSignal, OsFailure, Pid, SpawnError};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep, timeout};

/// How long the guardian may take to report that the child runs: a directory on a dead server must not block us for
/// ever.
const BIRTH_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two looks at an ending process.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// How often to look for processes left behind by a lost guardian.
const LOOKS_MAX: u32 = 200;

/// A running child, with its streams and its guardian.
#[derive(Debug)]
pub struct Birth {
    /// The child's pid.
    pub pid: Pid,
    /// The child's stdin.
    pub stdin: ChildStdin,
    /// The child's stdout.
    pub stdout: ChildStdout,
    /// The child's stderr.
    pub stderr: ChildStdout,
    /// The channel for orders to the guardian.
    pub orders: Orders,
    /// The guardian, with its reports.
    pub guardian: Guardian,
}

/// Starts a guardian and through the guardian the child; returns once the child runs its program.
///
/// # Errors
/// If the child could not be started; no process is left then.
///
/// # Cancel safety
/// If dropped, the guardian ends every started process.
///
/// # Panics
/// Outside a tokio runtime with I/O and time enabled.
pub async fn start(spec: &StdioSpec<'_>) -> Result<Birth, SpawnError> {
    let Newborn { pid, pidfd, control, stdin, stdout, stderr, program } = birth::create(spec)?;
    control.set_nonblocking(true).doing("use the connection to the guardian")?;
    let control = UnixStream::from_std(control).doing("use the connection to the guardian")?;
    let (news, orders) = control.into_split();
    let mut guardian = Guardian { session: pid, news, pidfd: Some(pidfd) };
    let orders = Orders { session: pid, scope: spec.detached.scope(), to: orders };
    let (stdin, stdout, stderr) =
        (ChildStdin::new(stdin)?, ChildStdout::new(stdout)?, ChildStdout::new(stderr)?);
    let lost = || OsFailure::new("start the child", "its guardian ended first");
    match timeout(BIRTH_TIMEOUT, guardian.hear()).await {
        Ok(Some([wire::STARTED, pid, _])) => {
            let pid = Pid::new(pid).ok_or_else(lost)?;
            Ok(Birth { pid, stdin, stdout, stderr, orders, guardian })
        }
        Ok(Some([wire::FAILED, stage, errno])) => Err(explain(stage, errno, spec.cwd, &program)),
        Ok(Some(_) | None) => Err(lost().into()),
        Err(_) => Err(refused("start the child", Errno::ETIMEDOUT as i32).on(program).into()),
    }
}

fn explain(stage: i32, errno: i32, cwd: &Path, path: &Path) -> SpawnError {
    let os = |operation: &str| refused(operation, errno);
    match stage {
        wire::STAGE_DIRECTORY => {
            SpawnError::Directory { cwd: cwd.to_owned(), why: format!("{} (errno {errno})", describe(errno)) }
        }
        wire::STAGE_EXEC => program::explain(path, errno),
        wire::STAGE_TIE => os("tie the child to its guardian").into(),
        wire::STAGE_CREATE => os("create a process").on(path).into(),
        _ => os("start").on(path).into(),
    }
}

/// Orders to the guardian. Dropping the orders ends the supervision: the guardian then ends the child in order, without
/// help.
#[derive(Debug)]
pub struct Orders {
    session: Pid,
    scope: Scope,
    to: OwnedWriteHalf,
}

impl Orders {
    /// Orders the guardian to signal every process that belongs to the child.
    ///
    /// # Errors
    /// If the guardian cannot be reached. If the guardian is gone, together with all processes, the call succeeds.
    pub fn signal(&self, how: KillSignal) -> Result<(), KillError> {
        let order = match how {
            KillSignal::Term => wire::TERMINATE,
            KillSignal::Kill => wire::KILL,
        };
        match self.to.try_write(&[order]) {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            Err(error) => Err(error).doing("tell the guardian of the child")?,
        }
    }

    /// The pid of the guardian, the name of the process session.
    pub fn session(&self) -> Pid {
        self.session
    }

    /// The running processes of the child: those of the process session and, unless [`Detached::Leave`] was chosen, all
    /// other descendants. Call before the guardian is reaped: the guardian's pid names the session.
    pub fn members(&self) -> Vec<Pid> {
        members::running(self.session, self.scope)
    }

    /// The running descendants that are left alone. Call before the guardian is reaped.
    pub fn left(&self) -> Vec<Pid> {
        match self.scope {
            Scope::Descendants => Vec::new(),
            Scope::Session => {
                let members = self.members();
                let mut left = members::running(self.session, Scope::Descendants);
                left.retain(|pid| !members.contains(pid));
                left
            }
        }
    }
}

/// The result of a guardian's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The running descendants that were left alone; 64 of them at most.
    pub left: Vec<Pid>,
    /// The guardian's exit. If not 0, more descendants may be left, without names.
    pub guardian: ChildExit,
}

/// The guardian's reports.
#[derive(Debug)]
pub struct Guardian {
    /// The guardian's pid, the name of the process session. Not reused before the guardian is reaped.
    session: Pid,
    news: OwnedReadHalf,
    pidfd: Option<OwnedFd>,
}

impl Guardian {
    /// Resolves to the child's exit once the child has ended; `None` if the guardian is gone without a report.
    ///
    /// # Cancel safety
    /// Not safe: half a message may be lost.
    pub async fn await_end(&mut self) -> Option<ChildExit> {
        loop {
            match self.hear().await? {
                [wire::RETURNED, status, _] => return Some(ChildExit::Code(status)),
                [wire::SIGNALLED, signal, _] => return Some(ChildExit::Signal(signal)),
                // Our guardian has no other message.
                [_, _, _] => {}
            }
        }
    }

    /// Resolves when no process of the child is left, and the guardian is gone and reaped.
    ///
    /// A killed guardian took the child along; other processes of the session are ended here.
    ///
    /// # Cancel safety
    /// Safe; the reaper's thread then reaps the guardian.
    pub async fn await_departure(mut self) -> Departure {
        let mut left = Vec::new();
        while let Some(message) = self.hear().await {
            if let [wire::LEFT, pid, _] = message {
                left.extend(Pid::new(pid));
            }
        }
        while self.pidfd.as_ref().is_some_and(|pidfd| !has_exited(pidfd)) {
            sleep(LOOK_PAUSE).await;
        }
        // While unreaped, the guardian still names the session.
        for _ in 0..LOOKS_MAX {
            if members::end_session(self.session) == 0 {
                break;
            }
            sleep(LOOK_PAUSE).await;
        }
        let end = self.pidfd.take().map(|pidfd| reap(&pidfd));
        Departure { left, guardian: end.unwrap_or(ChildExit::Unknown) }
    }

    /// One message; `None` at the end of all messages.
    async fn hear(&mut self) -> Option<wire::Message> {
        let mut bytes = [0; wire::MESSAGE_LEN];
        self.news.read_exact(&mut bytes).await.ok()?;
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Some([[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(i32::from_ne_bytes))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            leave_to_reaper(pidfd);
        }
    }
}
