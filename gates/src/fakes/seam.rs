//! One effect, with answers from the test.

use super::log::{Call, Entry, Log, lock};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// One effect. Each call waits for one answer; an early answer waits for the next call.
///
/// Clones share the effect.
#[derive(Debug)]
pub struct Seam<T, E> {
    call: Call,
    log: Log,
    shared: Arc<Mutex<Shared<Result<T, E>>>>,
}

#[derive(Debug)]
struct Shared<A> {
    answers: VecDeque<A>,
    waiting: Vec<Waker>,
}

impl<T, E> Clone for Seam<T, E> {
    fn clone(&self) -> Self {
        Self { call: self.call, log: self.log.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<T, E> Seam<T, E> {
    /// An effect without answers yet.
    pub fn new(call: Call, log: &Log) -> Self {
        let shared = Shared { answers: VecDeque::new(), waiting: vec![] };
        Self { call, log: log.clone(), shared: Arc::new(Mutex::new(shared)) }
    }

    /// Gives one answer, to the waiting call or to the next call.
    pub fn answer(&self, answer: Result<T, E>) {
        let waiting = {
            let mut shared = lock(&self.shared);
            shared.answers.push_back(answer);
            std::mem::take(&mut shared.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether a call waits for an answer.
    pub fn is_waiting(&self) -> bool {
        self.log.outstanding().contains(&self.call)
    }

    pub(crate) fn ask(&self) -> Ask<T, E> {
        Ask { seam: self.clone(), progress: Progress::New }
    }
}

/// One call of an effect.
pub(crate) struct Ask<T, E> {
    seam: Seam<T, E>,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    New,
    Waiting,
    Over,
}

impl<T, E> Future for Ask<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(self.progress != Progress::Over, "{:?} was polled after it had answered", self.seam.call);
        if self.progress == Progress::New {
            self.progress = Progress::Waiting;
            self.seam.log.push(Entry::Asked(self.seam.call));
        }
        let answer = {
            let mut shared = lock(&self.seam.shared);
            let answer = shared.answers.pop_front();
            if answer.is_none() {
                shared.waiting.push(cx.waker().clone());
            }
            answer
        };
        let Some(answer) = answer else { return Poll::Pending };
        self.progress = Progress::Over;
        let entry = if answer.is_ok() { Entry::Answered } else { Entry::Failed };
        self.seam.log.push(entry(self.seam.call));
        Poll::Ready(answer)
    }
}

impl<T, E> Drop for Ask<T, E> {
    fn drop(&mut self) {
        if self.progress == Progress::Waiting {
            self.seam.log.push(Entry::Dropped(self.seam.call));
        }
    }
}
