//! Polls a future by hand, on one thread, without a runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The limit of polls in one [`Run::settle`]: a future that wakes itself more often spins.
pub const POLLS_MAX: usize = 1_000;

/// A future, polled on the test's order and only after a wake-up.
///
/// A future without a registered waker therefore stalls here, as in a runtime.
#[derive(Debug)]
pub struct Run<F: Future> {
    future: Option<Pin<Box<F>>>,
    woken: Arc<Woken>,
    polls: usize,
    budget: usize,
}

#[derive(Debug)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<F: Future> Run<F> {
    /// A future before the first poll.
    pub fn new(future: F) -> Self {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self { future: Some(Box::pin(future)), woken, polls: 0, budget: usize::MAX }
    }

    /// The same future, polled at most `polls` times in total.
    #[must_use]
    pub fn at_most(self, polls: usize) -> Self {
        Self { budget: polls, ..self }
    }

    /// Polls the future until a stall, the end, or the end of the budget. Returns the output, if the future is over.
    ///
    /// # Panics
    /// If the future wakes itself without end.
    pub fn settle(&mut self) -> Option<F::Output> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        let before = self.polls;
        while self.polls < self.budget && self.woken.0.swap(false, Ordering::Relaxed) {
            let future = self.future.as_mut()?;
            assert!(self.polls - before < POLLS_MAX, "the future wakes itself without end");
            self.polls += 1;
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                self.future = None;
                return Some(output);
            }
        }
        None
    }

    /// Polls the future to a stall, and expects the end of the future.
    ///
    /// # Panics
    /// If the future still waits.
    pub fn finish(&mut self) -> F::Output {
        let output = self.settle();
        output.unwrap_or_else(|| panic!("the future still waits after {} polls", self.polls))
    }

    /// Polls the future to a stall, and expects that the future still waits.
    ///
    /// # Panics
    /// If the future is over.
    pub fn stall(&mut self) {
        assert!(self.settle().is_none(), "the future is over after {} polls", self.polls);
    }

    /// The number of polls so far.
    pub fn polls(&self) -> usize {
        self.polls
    }

    /// Whether the budget is spent although the future is not over.
    pub fn is_spent(&self) -> bool {
        self.future.is_some() && self.polls >= self.budget
    }
}
