//! The sessions of one state directory: the operations of the public API, one file for each.

mod diagnosis;
mod ensure;
pub(crate) mod gc;
pub(crate) mod handshake;
pub(crate) mod list;
mod next_step;
mod rejection;
mod restore;
pub(crate) mod show;
pub(crate) mod snapshot;
mod stop;
pub(crate) mod unlock;
pub(crate) mod update_record;
pub(crate) mod watch;

use crate::error::Error;
use crate::launch::Launch;
use crate::outcome::{DryRun, Ensured, Stopped};
pub use diagnosis::{Diagnoses, Diagnosis};
use ensure::Ensure;
pub use gc::{Collected, Collection, FailedRuns, GcMode, Kept, KeptBecause, Repair};
pub use list::{LeftOut, Listing, SessionSummary};
use rekindle_adapters::start::SpawnOn;
use rekindle_adapters::{SessionDir, StateRoot, procfs};
use rekindle_core::shown::Shown;
use rekindle_core::signal::SignalNumber;
use rekindle_core::stop::StopPolicy;
use rekindle_core::stores::{ClaimStore, RecordStore};
use rekindle_core::{ChildExit, Host, Intent, SessionId};
pub use show::{ClaimView, LifelineView, RecordView, SessionView};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub use unlock::{Force, Forgotten, Unlocked};
pub use watch::wait::{Readied, WorkerWatch};
pub use watch::{Events, SessionStatus, Signalled, Standing, Whom};

/// The sessions of one state directory. Cheap to clone; several values may have the same directory open.
///
/// The `async` methods need a tokio runtime with I/O and time enabled.
#[derive(Debug, Clone)]
pub struct Sessions {
    root: StateRoot,
    here: Arc<Host>,
    spawn_on: SpawnOn,
    #[cfg(feature = "testing")]
    simulated: Option<crate::testing::Machine>,
}

impl Sessions {
    /// The sessions below `dir`. The first start creates `dir`.
    ///
    /// # Errors
    /// If `dir` exists and is not private to this user, a directory above `dir` is not trusted, or the file system has
    /// no locks.
    ///
    /// ```
    /// use rekindle::Sessions;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let sessions = Sessions::open(dir.path().join("workers"))?;
    /// assert!(sessions.list()?.sessions.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = StateRoot::open(dir)?;
        tracing::info!(dir = %Shown(root.path()), "opened the state directory");
        Ok(Self::on(root))
    }

    fn on(root: StateRoot) -> Self {
        Self {
            root,
            here: Arc::new(procfs::this_host()),
            spawn_on: SpawnOn::default(),
            #[cfg(feature = "testing")]
            simulated: None,
        }
    }

    /// The sessions of this user: `$REKINDLE_DIR`, `$XDG_STATE_HOME/rekindle` or `~/.local/state/rekindle`.
    ///
    /// # Errors
    /// As for [`Self::open`], or if no such directory is known.
    pub fn open_default() -> Result<Self, Error> {
        Self::open(StateRoot::locate()?)
    }

    /// The same sessions, with the claims in the caller's own store.
    ///
    /// The directory remains in use: its kernel lock guards each step of a start, and sockets, lifelines and logs are
    /// files in the directory. The store decides about the claim and numbers the starts.
    #[must_use]
    pub fn claims(self, claims: impl ClaimStore<SessionDir> + 'static) -> Self {
        Self { root: self.root.claims(Arc::new(claims)), ..self }
    }

    /// The same sessions, with the records in the caller's own store.
    #[must_use]
    pub fn records(self, records: impl RecordStore<SessionDir> + 'static) -> Self {
        Self { root: self.root.records(Arc::new(records)), ..self }
    }

    /// The same sessions; the calling thread itself spawns the workers. Meant for programs without other work in the
    /// meantime: the whole call then runs on one thread.
    #[must_use]
    pub fn spawn_on_calling_thread(self) -> Self {
        Self { spawn_on: SpawnOn::CallingThread, ..self }
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.root.path()
    }

    /// Ensures that the worker of `session` runs: attaches to a running worker, or starts a worker as `launch`
    /// describes.
    ///
    /// # Errors
    /// [`Error`] if the session or the state directory cannot be used. A worker that ended early and a claim held by
    /// another launcher are outcomes, not errors.
    ///
    /// # Cancel safety
    /// The transaction runs in its own task. Dropping the future only ends the observation: the start continues while
    /// the runtime lives. If the process ends, the next call adopts the worker.
    ///
    /// ```no_run
    /// use rekindle::{Endpoint, Ensured, Launch, Sessions};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = Sessions::open_default()?;
    /// // Port 0: a free port, which the session keeps.
    /// let web = Launch::new("my-server").args(["--port", "{port}"]).address("tcp:127.0.0.1:0".parse::<Endpoint>()?);
    /// match sessions.ensure(&"web".parse()?, web).await? {
    ///     Ensured::Running(worker) => println!("{worker}"),
    ///     Ensured::Exited(exited) => println!("{exited}; {:?}", exited.last_seen),
    ///     other => println!("{other}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ensure(&self, session: &SessionId, launch: Launch) -> Result<Ensured, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return machine.ensure(session, &launch, self.dir());
        }
        let transaction = tokio::spawn(self.transaction(session, launch).run());
        transaction
            .await
            .unwrap_or_else(|error| Err(Error::CutShort { session: session.clone(), why: error.to_string() }))
    }

    /// The first step of [`Self::ensure`] alone, for programs that have no runtime yet: connects to a worker known
    /// to run. `None` if more steps or a wait are necessary; [`Self::ensure`] performs them.
    ///
    /// # Errors
    /// As for [`Self::ensure`].
    pub fn attach_at_once(&self, session: &SessionId, launch: Launch) -> Result<Option<Ensured>, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return machine.attach_at_once(session, &launch, self.dir());
        }
        self.transaction(session, launch).at_once()
    }

    /// Connects to the worker of `session` if the worker runs. Starts no worker, takes no claim and creates no file. A
    /// worker without an endpoint is rejected with [`RejectReason::NoEndpoint`](crate::RejectReason::NoEndpoint).
    ///
    /// # Errors
    /// As for [`Self::ensure`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn attach(&self, session: &SessionId) -> Result<Ensured, Error> {
        self.ensure(session, Launch::attach().intent(Intent::Attach)).await
    }

    /// The decision of [`Self::ensure`], without taking the claim or creating a file.
    ///
    /// # Errors
    /// As for [`Self::ensure`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn dry_run(&self, session: &SessionId, launch: Launch) -> Result<DryRun, Error> {
        self.transaction(session, launch).dry_run().await
    }

    /// Every session, sorted, including sessions whose files were removed under a living worker.
    ///
    /// # Errors
    /// If the state directory cannot be listed. A session that cannot be read is left out, and [`Listing::left_out`]
    /// gives the reason.
    pub fn list(&self) -> Result<Listing, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return Ok(machine.list(self.dir()));
        }
        list::list(&self.root, &self.here)
    }

    /// The record, the state, the claim and the lifeline of one session.
    ///
    /// # Errors
    /// If the session is unknown, or its record cannot be read.
    pub fn show(&self, session: &SessionId) -> Result<SessionView, Error> {
        show::show(&self.root, &self.here, session)
    }

    /// A TCP port on which the worker of `session` listens instead of its endpoint, for a hint to people.
    #[doc(hidden)]
    pub fn port_instead(&self, session: &SessionId) -> Option<SocketAddr> {
        show::tcp_port(&self.root, &self.here, session)
    }

    /// Ends the worker of `session` with all its processes, and removes the claim and the socket.
    ///
    /// # Errors
    /// If the session is unknown, its record cannot be read, or the worker is not ours to stop. A worker that does not
    /// run and a worker that survives SIGKILL are outcomes, not errors.
    ///
    /// # Cancel safety
    /// If dropped, the worker may have been signalled and may still run; a second stop is safe.
    pub async fn stop(&self, session: &SessionId, policy: &StopPolicy) -> Result<Stopped, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return machine.stop(session);
        }
        stop::stop(&self.root, &self.here, session, policy).await
    }

    /// Waits until the current worker of `session` has ended, with all its processes. Returns at once if no worker
    /// runs.
    ///
    /// The result is the exit of the started process: from the kernel if the worker ends during the wait (since Linux 6.15),
    /// else from the record; [`ChildExit::Unknown`] if neither has the exit. The wait completes the record of the start,
    /// if the claim is free; while a stop is in progress, the wait lets the stop record the end.
    ///
    /// # Errors
    /// If the session is unknown or cannot be read, or [`Error::Unjudged`] if nothing proves whether the worker runs.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait(&self, session: &SessionId) -> Result<ChildExit, Error> {
        watch::wait::wait(&self.root, &self.here, session).await
    }

    /// Waits until the current worker of `session` is ready, or has ended. Returns at once if either is so already.
    ///
    /// # Errors
    /// As for [`Self::wait`], or if the session's directory cannot be watched.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait_until_ready(&self, session: &SessionId) -> Result<Readied, Error> {
        watch::wait::wait_until_ready(&self.root, &self.here, session).await
    }

    /// The events of these sessions, or of all sessions if none is named: the present state of each first, then each event
    /// as it happens. While nothing happens, nothing polls.
    ///
    /// The watcher needs three descriptors for each running worker. Records in a [`RecordStore`] of the caller's own give
    /// no event; a change there is seen with the next change in the session's directory.
    ///
    /// # Errors
    /// If the directories cannot be watched or listed.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    ///
    /// ```
    /// use rekindle::Sessions;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dir = tempfile::tempdir()?;
    /// let sessions = Sessions::open(dir.path().join("workers"))?;
    /// let mut events = sessions.events(&[])?;
    /// # let events = async move {
    /// loop {
    ///     println!("{}", events.next().await?);
    /// }
    /// # #[expect(unreachable_code)]
    /// # Ok::<(), rekindle::Error>(())
    /// # };
    /// # drop(events);
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self, only: &[SessionId]) -> Result<Events, Error> {
        Events::open(&self.root, &self.here, only)
    }

    /// The status of these sessions, in this order; of all sessions by name if none is named. Connects to no worker. An
    /// unknown session is a status, not an error.
    ///
    /// # Errors
    /// If the state directory cannot be listed.
    pub fn status(&self, only: &[SessionId]) -> Result<Vec<SessionStatus>, Error> {
        watch::status(&self.root, &self.here, only)
    }

    /// Sends a signal to the worker of `session`: to the started process, or to every visible process of the worker. Only
    /// processes that are proved to belong to the present start are signalled, each once, by pidfd.
    ///
    /// # Errors
    /// [`Error::NotRunning`], [`Error::Unjudged`] or [`Error::StartInProgress`] if there is no process that may be
    /// signalled, [`Error::LeaderEnded`] if only other processes of the worker are left; or if the session is unknown or
    /// cannot be read. A real-time signal is an error of the system's kind.
    pub fn signal(&self, session: &SessionId, signal: SignalNumber, whom: Whom) -> Result<Signalled, Error> {
        watch::signal(&self.root, &self.here, session, signal, whom)
    }

    /// Clears the claim of `session` if no launcher holds the claim. Without force, only a claim with a provably dead
    /// holder is cleared; with [`Force::Yes`], any.
    ///
    /// # Errors
    /// [`Error::Claimed`] if the claim must not be cleared; or if the session is unknown.
    pub fn unlock(&self, session: &SessionId, force: Force) -> Result<Unlocked, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return machine.unlock(session, force);
        }
        unlock::unlock(&self.root, &self.here, session, force)
    }

    /// Clears `session` if nothing can be proved about its worker from here: sets the record aside, so that the next
    /// start begins anew. Sends no signal, and reports the unproven facts.
    ///
    /// # Errors
    /// [`Error::StillRuns`] if the worker provably runs, [`Error::Claimed`] if a launcher holds the claim; or if the
    /// session is unknown or cannot be used.
    pub fn forget(&self, session: &SessionId) -> Result<Forgotten, Error> {
        unlock::forget(&self.root, &self.here, session)
    }

    /// Removes the sessions whose worker is provably gone, with their records and logs. The last run of a session, if
    /// failed, is kept unless `what` removes failed runs.
    ///
    /// # Errors
    /// If the state directory cannot be listed, or a named session does not exist. A session that cannot be removed is
    /// kept, with the reason in the result.
    pub fn gc(&self, what: &Collection) -> Result<Collected, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return machine.collect(what);
        }
        gc::gc(&self.root, &self.here, what, |_| true)
    }

    /// Diagnoses one session, or all: claim holders, evidence, and the next command.
    ///
    /// # Errors
    /// If a session is unknown or cannot be read.
    pub fn diagnose(&self, only: Option<&SessionId>) -> Result<Diagnoses, Error> {
        diagnosis::diagnose(&self.root, &self.here, only)
    }

    pub(crate) fn root(&self) -> &StateRoot {
        &self.root
    }

    pub(crate) fn here(&self) -> &Host {
        &self.here
    }

    fn transaction(&self, session: &SessionId, launch: Launch) -> Ensure {
        Ensure {
            root: self.root.clone(),
            here: self.here.clone(),
            spawn_on: self.spawn_on,
            session: session.clone(),
            launch,
        }
    }
}

#[cfg(feature = "testing")]
impl crate::testing::Machine {
    /// The sessions of the simulated machine.
    pub fn sessions(&self) -> Sessions {
        Sessions { simulated: Some(self.clone()), ..Sessions::on(StateRoot::nowhere()) }
    }
}
