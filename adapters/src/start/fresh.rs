//! Starts a new worker: prepares the session before the process exists.
//!
//! # Invariants
//! 1. The order of a start: fresh lifeline, stale socket removed, record `starting`, then the process.
//!    [`rekindle_core::start::order`] decides the order; this module performs.
//!
//! Checked by `smoke/tests/smoke/session/*.rs`.

use super::progress::{SpawnOn, Start, write};
use crate::endpoint::bound::{self, BoundSocket};
use crate::endpoint::socket_file::{self, Place, StaleSocket};
use crate::endpoint::tcp::{self, Asked, Listener};
use crate::ready::notify::NotifyListener;
use crate::spawn::env_file;
use crate::spawn::program;
use crate::spawn::{Provision, SpawnRequest, spawn};
use crate::store::claim_lock::HeldClaim;
use crate::store::lifeline::{self, LifelineProbe};
use crate::store::record_file;
use crate::sys::linux::clock;
use crate::sys::linux::procfs;
use crate::sys::linux::random;
use crate::worker::Worker;
use async_trait::async_trait;
use jiff::Timestamp;
use rekindle_core::notify::Notices;
use rekindle_core::readiness::Provides;
use rekindle_core::seams::Spawner;
use rekindle_core::shown::Shown;
use rekindle_core::start::order::{self, Begun, Order, OrderEffect, OrderEvent, Room};
use rekindle_core::{Endpoint, Generation, Nonce, OsFailure, SessionRecord, SpawnBgPlan, SpawnError};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Starts a new worker, in the safe order.
#[derive(Debug)]
pub struct FreshWorker {
    start: Start,
    generation: Generation,
}

impl FreshWorker {
    /// A new worker, as `generation`.
    pub fn new(start: &Start, generation: Generation) -> Self {
        Self { start: start.clone(), generation }
    }
}

#[async_trait]
impl Spawner<Worker> for FreshWorker {
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Worker, SpawnError> {
        match self.start.spawn_on {
            SpawnOn::CallingThread => self.start.spawn(plan, self.generation),
            SpawnOn::BlockingThread => {
                let (start, plan, generation) = (self.start.clone(), plan.clone(), self.generation);
                tokio::task::spawn_blocking(move || start.spawn(&plan, generation))
                    .await
                    .unwrap_or_else(|error| Err(OsFailure::new("spawn the worker", error.to_string()).into()))
            }
        }
    }
}

impl Start {
    fn spawn(&self, plan: &SpawnBgPlan, generation: Generation) -> Result<Worker, SpawnError> {
        // A missing program changes nothing.
        program::resolve(plan.program().ok_or(SpawnError::NoProgram)?)?;
        if plan.cwd.as_os_str().is_empty() {
            return Err(SpawnError::NoWorkingDirectory);
        }
        // The record has the paths of the files, and never the values.
        let recorded = self.recorded_as.as_deref().unwrap_or(plan);
        let plan = &plan.with_variables(env_file::read(&plan.env_files)?);
        let begun = self.claim.with(|held| Beginning::new(self, held, plan, recorded, generation).run());
        let begun = begun.unwrap_or_else(|| Err(SpawnError::Abandoned { why: "its claim is gone".into() }));
        begun.inspect(|worker| {
            self.note(|notes| notes.reaped = worker.reaped_exit());
            if plan.target().tcp().is_some() {
                self.note_worker(worker);
            }
            self.note_place(plan);
        })
    }
}

/// Performs a start, in the safe order.
struct Beginning<'s> {
    start: &'s Start,
    held: &'s HeldClaim,
    plan: &'s SpawnBgPlan,
    recorded: &'s SpawnBgPlan,
    generation: Generation,
    lifeline: Option<LifelineProbe>,
    stale: Option<StaleSocket>,
    described: Option<(Nonce, Timestamp)>,
    provided: Provided,
    worker: Option<Worker>,
}

/// The means of readiness handed to the worker.
enum Provided {
    Nothing,
    NotifySocket(Arc<NotifyListener>),
    /// Our copy is dropped with the start: after the worker's death no process listens.
    Socket(BoundSocket),
    /// The same for a TCP port, which leaves no file.
    Port(OwnedFd),
}

impl<'s> Beginning<'s> {
    fn new(
        start: &'s Start,
        held: &'s HeldClaim,
        plan: &'s SpawnBgPlan,
        recorded: &'s SpawnBgPlan,
        generation: Generation,
    ) -> Self {
        Self {
            start,
            held,
            plan,
            recorded,
            generation,
            lifeline: None,
            stale: None,
            described: None,
            provided: Provided::Nothing,
            worker: None,
        }
    }

    fn run(mut self) -> Result<Worker, SpawnError> {
        let (mut order, mut failed) = (Order::default(), None);
        loop {
            let event = match order.effect() {
                OrderEffect::Done(begun) => return self.begun(begun, failed),
                effect => self.perform(effect).unwrap_or_else(|error| {
                    failed.get_or_insert(error);
                    OrderEvent::Failed
                }),
            };
            order = order::step(order, event);
        }
    }

    fn begun(self, begun: Begun, failed: Option<SpawnError>) -> Result<Worker, SpawnError> {
        match (begun, self.worker) {
            (Begun::Started, Some(worker)) => Ok(worker),
            (Begun::Started | Begun::NotStarted, _) => {
                let unnamed = || SpawnError::Abandoned { why: "a step of the start failed".into() };
                Err(failed.unwrap_or_else(unnamed))
            }
        }
    }

    fn perform(&mut self, effect: OrderEffect) -> Result<OrderEvent, SpawnError> {
        let dir = self.held.dir();
        match effect {
            OrderEffect::CheckPlace => dir.require_in_place()?,
            OrderEffect::RenewLifeline => self.lifeline = Some(lifeline::renew(dir)?),
            OrderEffect::LookAtSocket => return self.look_at_socket(),
            OrderEffect::RemoveSocket => self.stale.take().map_or(Ok(()), StaleSocket::remove)?,
            OrderEffect::WriteStarting => self.write_starting()?,
            OrderEffect::Provide => self.provide()?,
            OrderEffect::Fork => self.fork()?,
            OrderEffect::WriteIdentity => self.write_identity(),
            OrderEffect::Done(_) => {}
        }
        Ok(OrderEvent::Did)
    }

    fn look_at_socket(&mut self) -> Result<OrderEvent, SpawnError> {
        let taken = |why| Err(SpawnError::Abandoned { why });
        let socket = match self.plan.target() {
            Endpoint::Unix(socket) => socket,
            Endpoint::None => return Ok(OrderEvent::Room(Room::Free)),
            Endpoint::Tcp(at) => {
                let asked = Asked { at: *at, worker: None, foreign: self.plan.foreign_listener };
                return match asked.listener()? {
                    Listener::Foreign(who) => taken(format!("{who} listens on {}", self.plan.target())),
                    Listener::Nobody | Listener::RelayToNobody | Listener::Found(_) => {
                        Ok(OrderEvent::Room(Room::Free))
                    }
                };
            }
        };
        let place = socket_file::look(self.held.dir(), socket, self.start.left_behind)?;
        let room = place.room();
        match place {
            Place::Free => {}
            Place::Stale(stale) => self.stale = Some(stale),
            Place::Taken { why } => {
                return taken(format!("`{}`: {why}", Shown(socket)));
            }
        }
        Ok(OrderEvent::Room(room))
    }

    fn write_starting(&mut self) -> Result<(), SpawnError> {
        let launcher = procfs::this_process(&self.start.here);
        let (nonce, started_at) = (random::nonce()?, clock::now());
        let record =
            SessionRecord::starting(self.recorded, self.generation, nonce.clone(), launcher, started_at);
        record_file::write(self.held.dir(), &record)?;
        self.start.note(|notes| notes.record = Some(record));
        self.described = Some((nonce, started_at));
        Ok(())
    }

    fn provide(&mut self) -> Result<(), SpawnError> {
        self.provided = match self.plan.ready.kind().row().provides {
            Provides::NotifySocket => {
                let notices = Notices::none(self.plan.observe_timeout);
                Provided::NotifySocket(self.start.open_notify_listener(self.held.dir(), notices)?)
            }
            Provides::BoundSocket => match self.plan.target() {
                Endpoint::Unix(socket) => Provided::Socket(BoundSocket::stream(socket)?),
                Endpoint::Tcp(at) => Provided::Port(bind(*at)?),
                Endpoint::None => Provided::Nothing,
            },
            Provides::Nothing => Provided::Nothing,
        };
        Ok(())
    }

    fn fork(&mut self) -> Result<(), SpawnError> {
        let (Some(lifeline), Some((nonce, started_at))) = (self.lifeline.take(), &self.described) else {
            return Err(SpawnError::Abandoned { why: "its lifeline was not prepared".into() });
        };
        let provision = match &self.provided {
            Provided::Nothing => Provision::Nothing,
            Provided::NotifySocket(listener) => Provision::NotifySocket(listener),
            Provided::Socket(socket) => Provision::Socket(socket.as_fd()),
            Provided::Port(socket) => Provision::Socket(socket.as_fd()),
        };
        let (plan, claim, generation) = (self.plan, self.held, self.generation);
        let (nonce, host, started_at) = (nonce, &*self.start.here, *started_at);
        let request = SpawnRequest { plan, claim, generation, nonce, lifeline, host, started_at, provision };
        match (spawn(request), &self.provided) {
            (Ok(worker), Provided::NotifySocket(listener)) => {
                // The worker runs: without recognition its messages are not believed, and the time-out ends the worker.
                if let Err(error) = listener.listen_to(&worker) {
                    tracing::warn!(session = %plan.session_id, %error, "the worker will not be recognised");
                }
                self.worker = Some(worker);
            }
            (Ok(worker), Provided::Nothing | Provided::Socket(_) | Provided::Port(_)) => {
                self.worker = Some(worker);
            }
            (Err(error), Provided::NotifySocket(listener)) => {
                listener.close();
                return Err(error);
            }
            (Err(error), Provided::Socket(socket)) => {
                socket.remove();
                return Err(error);
            }
            (Err(error), Provided::Nothing | Provided::Port(_)) => return Err(error),
        }
        Ok(())
    }

    fn write_identity(&mut self) {
        let identity = self.worker.as_ref().and_then(|worker| worker.identity().cloned());
        let record = self.start.note(|notes| {
            let record = notes.record.as_mut()?;
            record.worker = identity;
            Some(record.clone())
        });
        if let Some(record) = record {
            write(self.held, &record);
        }
    }
}

/// Binds the worker's port. If a stranger was quicker, the start was never begun, and the call looks again.
fn bind(at: SocketAddr) -> Result<OwnedFd, SpawnError> {
    bound::port(at).map_err(|failure| match tcp::foreign_listener(at) {
        Some(who) => SpawnError::Abandoned { why: format!("{who} listens on {at}") },
        None => failure.into(),
    })
}
