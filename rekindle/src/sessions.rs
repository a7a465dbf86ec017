//! The public API: the sessions of one state directory. One file for each operation.

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
pub(crate) mod wait;

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
use rekindle_core::stop::StopPolicy;
use rekindle_core::stores::{ClaimStore, RecordStore};
use rekindle_core::{ChildExit, Host, Intent, SessionId};
pub use show::{ClaimView, LifelineView, RecordView, SessionView};
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub use unlock::{Force, Forgotten, Unlocked};
pub use wait::WorkerWatch;

/// The sessions of one state directory. Cheap to clone; any number may be open on one directory.
///
/// The methods that are `async` need a tokio runtime with I/O and time enabled.
#[derive(Debug, Clone)]
pub struct Sessions {
    root: StateRoot,
    here: Arc<Host>,
    spawn_on: SpawnOn,
    #[cfg(feature = "testing")]
    simulated: Option<crate::testing::Machine>,
}

impl Sessions {
    /// The sessions below `dir`, which is created with the first start.
    ///
    /// # Errors
    /// If it exists and is not ours alone, a directory that leads to it is not to be trusted, or its file system does not keep
    /// locks.
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
    /// As for [`Self::open`], or if there is no such directory to be found.
    pub fn open_default() -> Result<Self, Error> {
        Self::open(StateRoot::locate()?)
    }

    /// The same sessions, with their claims kept in a store of the caller's own.
    ///
    /// The directory stays what it is on this machine: its kernel lock guards each step of a start, and sockets, lifelines and
    /// logs stand in it. The store says who may decide, and which number the next start gets.
    #[must_use]
    pub fn claims(self, claims: impl ClaimStore<SessionDir> + 'static) -> Self {
        Self { root: self.root.claims(Arc::new(claims)), ..self }
    }

    /// The same sessions, with their records kept in a store of the caller's own.
    #[must_use]
    pub fn records(self, records: impl RecordStore<SessionDir> + 'static) -> Self {
        Self { root: self.root.records(Arc::new(records)), ..self }
    }

    /// The same sessions, with workers spawned by the thread that asks. For programs that have nothing else to do
    /// meanwhile: everything then happens on one thread.
    #[must_use]
    pub fn spawn_on_calling_thread(self) -> Self {
        Self { spawn_on: SpawnOn::CallingThread, ..self }
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        self.root.path()
    }

    /// Makes sure that the worker of `session` runs, by `launch` if it has to be started.
    ///
    /// # Errors
    /// [`Error`] if the session or the state directory cannot be worked with. That a worker did not come up, or that
    /// another launcher was first, is an outcome.
    ///
    /// # Cancel safety
    /// The transaction runs in a task of its own: whoever drops this future only stops watching, and the start goes
    /// on to its end as long as the runtime lives. If the process ends, the next call adopts the worker.
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

    /// The first step of [`Self::ensure`] alone, for programs that have no runtime yet: connects to a worker that is known
    /// to run. `None` if there is more to do, or anything to wait for: then [`Self::ensure`] does it.
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

    /// Connects to the worker of `session` if it runs; starts, takes and creates nothing.
    ///
    /// # Errors
    /// As for [`Self::ensure`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn attach(&self, session: &SessionId) -> Result<Ensured, Error> {
        self.ensure(session, Launch::attach().intent(Intent::Attach)).await
    }

    /// What [`Self::ensure`] would do, taking and creating nothing.
    ///
    /// # Errors
    /// As for [`Self::ensure`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn dry_run(&self, session: &SessionId, launch: Launch) -> Result<DryRun, Error> {
        self.transaction(session, launch).dry_run().await
    }

    /// Every session, in order, those included whose files somebody removed under a living worker.
    ///
    /// # Errors
    /// If the state directory cannot be listed. What cannot be looked at alone is left out, and [`Listing::left_out`] says
    /// why.
    pub fn list(&self) -> Result<Listing, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return Ok(machine.list(self.dir()));
        }
        list::list(&self.root, &self.here)
    }

    /// Everything about one session.
    ///
    /// # Errors
    /// If it is unknown, or its record cannot be read.
    pub fn show(&self, session: &SessionId) -> Result<SessionView, Error> {
        show::show(&self.root, &self.here, session)
    }

    /// Ends the worker of `session`, with all its processes, and removes its claim and its socket.
    ///
    /// # Errors
    /// If the session is unknown, its record cannot be read, or its worker is not ours to stop. That the worker does
    /// not run, or would not end, is an outcome.
    ///
    /// # Cancel safety
    /// If dropped, the worker may have been signalled and may still run; stopping again is safe.
    pub async fn stop(&self, session: &SessionId, policy: &StopPolicy) -> Result<Stopped, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return machine.stop(session);
        }
        stop::stop(&self.root, &self.here, session, policy).await
    }

    /// Waits until the worker of `session` that runs now has ended, with all its processes; returns at once if none runs.
    ///
    /// How it ended is known if its record says so, else it is [`ChildExit::Unknown`]. [`Running::wait`](crate::Running::wait)
    /// knows more about a worker that this process started.
    ///
    /// # Errors
    /// If the session is unknown or cannot be looked at, or [`Error::Unjudged`] if it cannot be told from here whether its
    /// worker runs.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait(&self, session: &SessionId) -> Result<ChildExit, Error> {
        wait::wait(&self.root, &self.here, session).await
    }

    /// Clears the claim of `session`, if no launcher holds it: one whose holder is provably gone, or with
    /// [`Force::Yes`] any.
    ///
    /// # Errors
    /// [`Error::Claimed`] if it is not to be cleared; or if the session is unknown.
    pub fn unlock(&self, session: &SessionId, force: Force) -> Result<Unlocked, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return machine.unlock(session, force);
        }
        unlock::unlock(&self.root, &self.here, session, force)
    }

    /// Clears `session`, of whose worker nothing can be proved from here: its record is set aside, and the next start begins
    /// anew. Signals nobody, and says what could not be proved.
    ///
    /// # Errors
    /// [`Error::StillRuns`] if its worker provably runs, [`Error::Claimed`] if a launcher is at work on it; or if the session
    /// is unknown or cannot be worked with.
    pub fn forget(&self, session: &SessionId) -> Result<Forgotten, Error> {
        unlock::forget(&self.root, &self.here, session)
    }

    /// Removes the sessions whose worker is provably gone, with their records and logs. The last run of each that failed is
    /// kept unless `what` says otherwise.
    ///
    /// # Errors
    /// If the state directory cannot be listed, or a session that was named does not exist. A session that cannot be removed is
    /// kept, and says why.
    pub fn gc(&self, what: &Collection) -> Result<Collected, Error> {
        #[cfg(feature = "testing")]
        if let Some(machine) = &self.simulated {
            return machine.collect(what);
        }
        gc::gc(&self.root, &self.here, what, |_| true)
    }

    /// What is held, by whom, since when, why that is believed and what to do next; of one session or of all.
    ///
    /// # Errors
    /// If a session is unknown or cannot be looked at.
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
    /// Sessions on this machine.
    pub fn sessions(&self) -> Sessions {
        Sessions { simulated: Some(self.clone()), ..Sessions::on(StateRoot::nowhere()) }
    }
}
