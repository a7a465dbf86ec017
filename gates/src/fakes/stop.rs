//! The effects of one stop, as a fake.

use super::log::{Call, Log, lock};
use super::seam::Seam;
use async_trait::async_trait;
use rekindle_core::effects::{ChildExit, KillError, KillSignal, WatchError};
use rekindle_core::stop::StopDeps;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

/// The effects of one stop. Every effect waits for an answer from the test.
#[derive(Debug)]
pub struct FakeStop {
    /// All calls and answers, in order.
    pub log: Log,
    /// The exit.
    pub exit: Seam<ChildExit, WatchError>,
    /// Closing stdin.
    pub stdin: Seam<(), Infallible>,
    /// SIGTERM.
    pub term: Seam<(), KillError>,
    /// SIGKILL.
    pub kill: Seam<(), KillError>,
    again: Seam<(), Infallible>,
    timers: Mutex<HashMap<Duration, Seam<(), WatchError>>>,
}

impl FakeStop {
    /// Effects without answers: all of them wait for the test.
    pub fn silent() -> Self {
        let log = Log::default();
        Self {
            exit: Seam::new(Call::Exit, &log),
            stdin: Seam::new(Call::CloseStdin, &log),
            term: Seam::new(Call::Kill(KillSignal::Term), &log),
            kill: Seam::new(Call::Kill(KillSignal::Kill), &log),
            again: Seam::new(Call::AskedAgain, &log),
            timers: Mutex::default(),
            log,
        }
    }

    /// Closing stdin and both signals succeed at once.
    pub fn new() -> Self {
        let stop = Self::silent();
        stop.stdin.answer(Ok(()));
        stop.term.answer(Ok(()));
        stop.kill.answer(Ok(()));
        stop
    }

    /// Another caller asks for the stop.
    pub fn ask_again(&self) {
        self.again.answer(Ok(()));
    }

    /// The worker ends.
    pub fn exits(&self, exit: ChildExit) {
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
}

impl Default for FakeStop {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl StopDeps for FakeStop {
    async fn close_stdin(&self) {
        match self.stdin.ask().await {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    async fn signal(&self, how: KillSignal) -> Result<(), KillError> {
        match how {
            KillSignal::Term => self.term.ask().await,
            KillSignal::Kill => self.kill.ask().await,
        }
    }

    async fn await_exit(&self) -> Result<ChildExit, WatchError> {
        self.exit.ask().await
    }

    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        self.timer(after).ask().await
    }

    async fn asked_again(&self) {
        match self.again.ask().await {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
}
