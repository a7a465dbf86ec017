//! Polls one future by hand, on one thread, without a runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The most polls that one [`Run::settle`] makes: a future that still wakes itself then spins.
pub const POLLS_MAX: usize = 1_000;

/// One future that is polled when the test says so, and only while it was woken.
///
/// A future that forgets to register its waker therefore stalls here, as it would in a runtime.
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
    /// A future that was not polled yet.
    pub fn new(future: F) -> Self {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self { future: Some(Box::pin(future)), woken, polls: 0, budget: usize::MAX }
    }

    /// The same, polled at most `polls` times in all, and never again.
    #[must_use]
    pub fn at_most(self, polls: usize) -> Self {
        Self { budget: polls, ..self }
    }

    /// Polls it until it stalls, or is over, or its budget is spent; its output, once it is over.
    ///
    /// # Panics
    /// If it wakes itself without end.
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

    /// Polls it until it stalls, and expects that it is over then.
    ///
    /// # Panics
    /// If it still waits for something.
    pub fn finish(&mut self) -> F::Output {
        let output = self.settle();
        output.unwrap_or_else(|| panic!("the future still waits after {} polls", self.polls))
    }

    /// Polls it until it stalls, and expects that it still waits then.
    ///
    /// # Panics
    /// If it is over.
    pub fn stall(&mut self) {
        assert!(self.settle().is_none(), "the future is over after {} polls", self.polls);
    }

    /// How often it was polled.
    pub fn polls(&self) -> usize {
        self.polls
    }

    /// Whether it may not be polled any more, though it is not over.
    pub fn is_spent(&self) -> bool {
        self.future.is_some() && self.polls >= self.budget
    }
}
