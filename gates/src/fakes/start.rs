//! The effects of one start, as a fake.

use super::log::{Call, Entry, Log, lock};
use super::run::Run;
use super::seam::Seam;
use crate::builders;
use async_trait::async_trait;
use rekindle_core::effects::{
    ChildExit, KillError, KillSignal, ReleaseError, SpawnBgResumeDeps, SpawnError, WatchError,
};
use rekindle_core::{
    Endpoint, ExecuteError, KillPolicy, LockClaim, Nonce, Outcome, Pid, SpawnBgPlan, execute_spawn_bg_resume,
};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// A started child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FakeChild {
    /// The pid, if the child has one.
    pub pid: Option<Pid>,
}

/// A fake connection, the proof of liveness. The log records the close.
#[derive(Debug)]
pub struct FakeConnection(Log);

impl Drop for FakeConnection {
    fn drop(&mut self) {
        self.0.push(Entry::ConnectionClosed);
    }
}

/// A step of a script: something happens to the start.
pub type Step<'s> = &'s dyn Fn(&FakeStart);

/// The executor's result over a [`FakeStart`].
pub type Ended = Result<Outcome<FakeConnection>, ExecuteError>;

/// The effects of one start. Every effect waits for an answer from the test.
#[derive(Debug)]
pub struct FakeStart {
    /// All calls and answers, in order.
    pub log: Log,
    /// Creating the child.
    pub spawn: Seam<FakeChild, SpawnError>,
    /// The socket.
    pub socket: Seam<FakeConnection, WatchError>,
    /// The exit.
    pub exit: Seam<ChildExit, WatchError>,
    /// SIGTERM.
    pub term: Seam<(), KillError>,
    /// SIGKILL.
    pub kill: Seam<(), KillError>,
    /// The release.
    pub release: Seam<(), ReleaseError>,
    timers: Mutex<HashMap<Duration, Seam<(), WatchError>>>,
    watched: Mutex<Vec<Endpoint>>,
    released: Mutex<Vec<Nonce>>,
}

impl FakeStart {
    /// Effects without answers: all of them wait for the test.
    pub fn silent() -> Self {
        let log = Log::default();
        Self {
            spawn: Seam::new(Call::Spawn, &log),
            socket: Seam::new(Call::Socket, &log),
            exit: Seam::new(Call::Exit, &log),
            term: Seam::new(Call::Kill(KillSignal::Term), &log),
            kill: Seam::new(Call::Kill(KillSignal::Kill), &log),
            release: Seam::new(Call::Release, &log),
            timers: Mutex::default(),
            watched: Mutex::default(),
            released: Mutex::default(),
            log,
        }
    }

    /// Effects whose spawn, signals and release succeed at once; the test answers the observations.
    pub fn new() -> Self {
        let start = Self::silent();
        start.spawn.answer(Ok(builders::child()));
        start.term.answer(Ok(()));
        start.kill.answer(Ok(()));
        start.release.answer(Ok(()));
        start
    }

    /// A connection, for the socket's answer.
    pub fn connection(&self) -> FakeConnection {
        FakeConnection(self.log.clone())
    }

    /// The socket answers.
    pub fn socket_alive(&self) {
        self.socket.answer(Ok(self.connection()));
    }

    /// The child ends.
    pub fn child_exits(&self, exit: ChildExit) {
        self.exit.answer(Ok(exit));
    }

    /// The timer with the length `after`.
    pub fn timer(&self, after: Duration) -> Seam<(), WatchError> {
        let seam = || Seam::new(Call::Timer(after), &self.log);
        lock(&self.timers).entry(after).or_insert_with(seam).clone()
    }

    /// Ends the timer with the length `after`.
    pub fn elapse(&self, after: Duration) {
        self.timer(after).answer(Ok(()));
    }

    /// The length of the running timer.
    pub fn running_timer(&self) -> Option<Duration> {
        self.log.outstanding().into_iter().find_map(Call::time)
    }

    /// Jumps to the end of the running timer; returns the length of the jump.
    pub fn jump(&self) -> Option<Duration> {
        let after = self.running_timer()?;
        self.elapse(after);
        Some(after)
    }

    /// Starts the built plan under the built claim, takes one step of `script` at each stall, and expects the end after
    /// the last step.
    ///
    /// # Panics
    /// If the start ends early, or still waits after the last step.
    pub fn play(&self, script: &[Step<'_>]) -> Ended {
        self.play_by(builders::then_kill(), script)
    }

    /// The same, with a plan that ends its worker by `kill_policy`.
    ///
    /// # Panics
    /// As [`Self::play`].
    pub fn play_by(&self, kill_policy: KillPolicy, script: &[Step<'_>]) -> Ended {
        let (plan, claim) = (builders::plan_ending_by(kill_policy), builders::claim());
        let mut run = Run::new(execute_spawn_bg_resume(&plan, Some(&claim), self));
        for step in script {
            run.stall();
            step(self);
        }
        run.finish()
    }

    /// The watched endpoints.
    pub fn watched(&self) -> Vec<Endpoint> {
        lock(&self.watched).clone()
    }

    /// The nonces of the claims in all release calls.
    pub fn released(&self) -> Vec<Nonce> {
        lock(&self.released).clone()
    }
}

impl Default for FakeStart {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SpawnBgResumeDeps for FakeStart {
    type Child = FakeChild;
    type Connection = FakeConnection;

    async fn spawn_child(&self, _plan: &SpawnBgPlan) -> Result<FakeChild, SpawnError> {
        self.spawn.ask().await
    }

    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<FakeConnection, WatchError> {
        lock(&self.watched).push(endpoint.clone());
        self.socket.ask().await
    }

    async fn await_child_exit(&self, _child: &FakeChild) -> Result<ChildExit, WatchError> {
        self.exit.ask().await
    }

    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        self.timer(after).ask().await
    }

    async fn kill_child(&self, _child: &FakeChild, how: KillSignal) -> Result<(), KillError> {
        match how {
            KillSignal::Term => self.term.ask().await,
            KillSignal::Kill => self.kill.ask().await,
        }
    }

    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError> {
        lock(&self.released).push(claim.nonce.clone());
        self.release.ask().await
    }

    fn child_pid(&self, child: &FakeChild) -> Option<Pid> {
        child.pid
    }
}
