//! A guardian as its supervisor sees it: what it is told, what it tells, and what is done should it be lost.

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

/// How long the guardian may take to say that the child runs: a directory on a dead server must not hold us for ever.
const BIRTH_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two looks at a process that ends this instant.
const LOOK_PAUSE: Duration = Duration::from_millis(1);
/// How often those are looked for whom a lost guardian left behind.
const LOOKS_MAX: u32 = 200;

/// A child that runs, and what belongs to it.
#[derive(Debug)]
pub struct Birth {
    /// Its pid.
    pub pid: Pid,
    /// Where its input goes.
    pub stdin: ChildStdin,
    /// Where its output comes from.
    pub stdout: ChildStdout,
    /// Where its complaints come from.
    pub stderr: ChildStdout,
    /// Who is told to end it.
    pub orders: Orders,
    /// Who tells that it ended.
    pub guardian: Guardian,
}

/// Starts a guardian and through it the child, and returns once the child runs its program.
///
/// # Errors
/// If it could not be started; nothing of it is left running then.
///
/// # Cancel safety
/// If dropped, whatever was started is ended by its guardian.
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

/// What the guardian is told. Dropping it says that the supervision is over: the guardian then ends the child in
/// order, by itself.
#[derive(Debug)]
pub struct Orders {
    session: Pid,
    scope: Scope,
    to: OwnedWriteHalf,
}

impl Orders {
    /// Has every process that belongs to the child signalled.
    ///
    /// # Errors
    /// If the guardian cannot be told. That it is gone, with all of them, is no error.
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

    /// The pid of the guardian, which gives the session its name.
    pub fn session(&self) -> Pid {
        self.session
    }

    /// The running processes of the child: those of its session and, unless [`Detached::Leave`] was chosen, all other
    /// descendants. To be asked before the guardian is reaped: its pid names the session.
    pub fn members(&self) -> Vec<Pid> {
        members::running(self.session, self.scope)
    }

    /// The running descendants that are left alone. To be asked before the guardian is reaped.
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

/// How a guardian went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The running descendants that were left alone; 64 of them at most.
    pub left: Vec<Pid>,
    /// How the guardian itself ended. Unless it returned 0, it may have left more descendants, unnamed.
    pub guardian: ChildExit,
}

/// What the guardian tells.
#[derive(Debug)]
pub struct Guardian {
    /// Its pid, which is the name of the session; nobody else's until it is reaped.
    session: Pid,
    news: OwnedReadHalf,
    pidfd: Option<OwnedFd>,
}

impl Guardian {
    /// Resolves when the child has ended, with how it did; `None` if the guardian is gone and did not say.
    ///
    /// # Cancel safety
    /// Not safe: half a message may be lost.
    pub async fn await_end(&mut self) -> Option<ChildExit> {
        loop {
            match self.hear().await? {
                [wire::RETURNED, status, _] => return Some(ChildExit::Code(status)),
                [wire::SIGNALLED, signal, _] => return Some(ChildExit::Signal(signal)),
                // A guardian of this very library says nothing else.
                [_, _, _] => {}
            }
        }
    }

    /// Resolves when no process that belongs to the child is left, nor the guardian, which is reaped then.
    ///
    /// A guardian that was killed took the child along; the others of its session are ended here.
    ///
    /// # Cancel safety
    /// Safe; the guardian is reaped then by the reaper's thread.
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
        // Unreaped, it still gives the session its name.
        for _ in 0..LOOKS_MAX {
            if members::end_session(self.session) == 0 {
                break;
            }
            sleep(LOOK_PAUSE).await;
        }
        let end = self.pidfd.take().map(|pidfd| reap(&pidfd));
        Departure { left, guardian: end.unwrap_or(ChildExit::Unknown) }
    }

    /// One message; `None` once there will be no more.
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
