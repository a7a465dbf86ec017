//! Sessions for programs without an async runtime. Each call blocks the thread until the call has ended.
//!
//! ```
//! use rekindle::blocking::Sessions;
//! use rekindle::{Ensured, RejectReason};
//!
//! let dir = tempfile::tempdir()?;
//! let sessions = Sessions::open(dir.path().join("workers"))?;
//! match sessions.attach(&"cache".parse()?)? {
//!     Ensured::Running(worker) => println!("it answers on {}", worker.endpoint),
//!     Ensured::Rejected(rejection) => assert_eq!(rejection.reason, RejectReason::NotRunning),
//!     other => println!("{other}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The outcomes are the same as for [`rekindle::Sessions`](crate::Sessions). To use a connection, convert the
//! connection by [`Connection::into_std`](crate::Connection::into_std) for a Unix socket, and by
//! [`Connection::into_tcp`](crate::Connection::into_tcp) for a TCP port.
//!
//! # Invariants
//! 1. Inside an async runtime nothing panics and nothing stalls: every call that would block returns
//!    [`Error::InsideRuntime`].
//! 2. A start has ended when the call returns: no thread of ours continues the start.
//!
//! Checked by `smoke/tests/smoke/session/blocking.rs`.

use crate::error::Error;
use crate::launch::Launch;
use crate::outcome::{DryRun, Ensured, Restarted, Stopped};
use crate::sessions::{
    self, Claimed, Collected, Collection, Diagnoses, Force, Forgotten, Listing, LogQuery, Logs, SessionView,
    Unlocked, WorkerWatch,
};
use rekindle_core::stop::StopPolicy;
use rekindle_core::{ChildExit, KillChange, OsFailure, SessionId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// The sessions of one state directory, for programs without an async runtime. Cheap to clone; any thread may call.
#[derive(Debug, Clone)]
pub struct Sessions {
    sessions: sessions::Sessions,
    runtime: Arc<OwnRuntime>,
}

/// A runtime that may be dropped anywhere. The last clone drops the runtime.
#[derive(Debug)]
struct OwnRuntime(Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        // A plain drop panics inside another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Sessions {
    /// The sessions below `dir`: [`Sessions::open`](crate::Sessions::open).
    ///
    /// # Errors
    /// As there, or if the system refuses the resources for a runtime.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::new(sessions::Sessions::open(dir)?)
    }

    /// The sessions of this user: [`Sessions::open_default`](crate::Sessions::open_default).
    ///
    /// # Errors
    /// As there, or if the system refuses the resources for a runtime.
    pub fn open_default() -> Result<Self, Error> {
        Self::new(sessions::Sessions::open_default()?)
    }

    /// The same sessions as `sessions`, for blocking calls.
    ///
    /// # Errors
    /// If the system refuses the resources for a runtime.
    pub fn new(sessions: sessions::Sessions) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| OsFailure::new("make a runtime", error.to_string()))?;
        // The only thread has no other work.
        let sessions = sessions.spawn_on_calling_thread();
        Ok(Self { sessions, runtime: Arc::new(OwnRuntime(Some(runtime))) })
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.sessions.dir()
    }

    /// Ensures that the worker of `session` runs: [`Sessions::ensure`](crate::Sessions::ensure).
    ///
    /// # Errors
    /// As there, or [`Error::InsideRuntime`].
    pub fn ensure(&self, session: &SessionId, launch: Launch) -> Result<Ensured, Error> {
        self.block_on(self.sessions.ensure(session, launch))
    }

    /// Connects to the worker of `session` if running: [`Sessions::attach`](crate::Sessions::attach).
    ///
    /// # Errors
    /// As there, or [`Error::InsideRuntime`].
    pub fn attach(&self, session: &SessionId) -> Result<Ensured, Error> {
        self.block_on(self.sessions.attach(session))
    }

    /// The decision of [`Self::ensure`]: [`Sessions::dry_run`](crate::Sessions::dry_run).
    ///
    /// # Errors
    /// As there, or [`Error::InsideRuntime`].
    pub fn dry_run(&self, session: &SessionId, launch: Launch) -> Result<DryRun, Error> {
        self.block_on(self.sessions.dry_run(session, launch))
    }

    /// Ends the worker of `session`: [`Sessions::stop`](crate::Sessions::stop).
    ///
    /// # Errors
    /// As there, or [`Error::InsideRuntime`].
    pub fn stop(&self, session: &SessionId, policy: &StopPolicy) -> Result<Stopped, Error> {
        self.block_on(self.sessions.stop(session, policy))
    }

    /// Ends the worker of `session` by the recorded kill policy:
    /// [`Sessions::stop_as_recorded`](crate::Sessions::stop_as_recorded).
    ///
    /// # Errors
    /// As there, or [`Error::InsideRuntime`].
    pub fn stop_as_recorded(&self, session: &SessionId, change: &KillChange) -> Result<Stopped, Error> {
        self.block_on(self.sessions.stop_as_recorded(session, change))
    }

    /// Ends the worker of `session` and starts another: [`Sessions::restart`](crate::Sessions::restart). The error
    /// [`Error::InsideRuntime`] is in [`Restarted::started`].
    pub fn restart(&self, session: &SessionId, launch: Launch) -> Restarted {
        let restarted = self.block_on(async { Ok(self.sessions.restart(session, launch).await) });
        restarted.unwrap_or_else(|error| Restarted { replaced: None, started: Err(error) })
    }

    /// Takes the claim of `session` to send a message to the worker: [`Sessions::claim`](crate::Sessions::claim).
    ///
    /// # Errors
    /// As there, or [`Error::InsideRuntime`].
    pub fn claim(&self, session: &SessionId, wait: Duration) -> Result<Claimed, Error> {
        self.block_on(self.sessions.claim(session, wait))
    }

    /// Waits until the current worker of `session` has ended: [`Sessions::wait`](crate::Sessions::wait).
    ///
    /// # Errors
    /// As there, or [`Error::InsideRuntime`].
    pub fn wait(&self, session: &SessionId) -> Result<ChildExit, Error> {
        self.block_on(self.sessions.wait(session))
    }

    /// Waits until a worker returned by [`Self::ensure`] has ended: [`WorkerWatch::wait`].
    ///
    /// # Errors
    /// As there, or [`Error::InsideRuntime`].
    pub fn wait_for(&self, worker: &WorkerWatch) -> Result<ChildExit, Error> {
        self.block_on(worker.wait())
    }

    /// Every session: [`Sessions::list`](crate::Sessions::list).
    ///
    /// # Errors
    /// As there.
    pub fn list(&self) -> Result<Listing, Error> {
        self.sessions.list()
    }

    /// The record, the state, the claim and the lifeline of one session: [`Sessions::show`](crate::Sessions::show).
    ///
    /// # Errors
    /// As there.
    pub fn show(&self, session: &SessionId) -> Result<SessionView, Error> {
        self.sessions.show(session)
    }

    /// The logs of `session` up to their present end: [`Sessions::logs`](crate::Sessions::logs).
    ///
    /// # Errors
    /// As there.
    pub fn logs(&self, session: &SessionId, query: LogQuery) -> Result<Logs, Error> {
        self.sessions.logs(session, query)
    }

    /// Clears the claim of `session`: [`Sessions::unlock`](crate::Sessions::unlock).
    ///
    /// # Errors
    /// As there.
    pub fn unlock(&self, session: &SessionId, force: Force) -> Result<Unlocked, Error> {
        self.sessions.unlock(session, force)
    }

    /// Clears `session` if nothing can be proved about its worker from here:
    /// [`Sessions::forget`](crate::Sessions::forget).
    ///
    /// # Errors
    /// As there.
    pub fn forget(&self, session: &SessionId) -> Result<Forgotten, Error> {
        self.sessions.forget(session)
    }

    /// Removes the sessions whose worker is provably gone: [`Sessions::gc`](crate::Sessions::gc).
    ///
    /// # Errors
    /// As there.
    pub fn gc(&self, what: &Collection) -> Result<Collected, Error> {
        self.sessions.gc(what)
    }

    /// Claim holders, evidence, and the next command: [`Sessions::diagnose`](crate::Sessions::diagnose).
    ///
    /// # Errors
    /// As there.
    pub fn diagnose(&self, only: Option<&SessionId>) -> Result<Diagnoses, Error> {
        self.sessions.diagnose(only)
    }

    fn block_on<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if Handle::try_current().is_ok() {
            return Err(Error::InsideRuntime);
        }
        let runtime = self.runtime.0.as_ref().expect("it is taken only when nobody is left to call");
        runtime.block_on(call)
    }
}
