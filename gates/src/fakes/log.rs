//! The ordered log of a fake: calls and answers of every seam.

use rekindle_core::KillSignal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The name of an effect in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// The child is created.
    Spawn,
    /// A wait for the socket.
    Socket,
    /// A wait for the exit.
    Exit,
    /// A timer of this length.
    Timer(Duration),
    /// The child is signalled.
    Kill(KillSignal),
    /// The claim is given up.
    Release,
    /// The child's standard input is closed.
    CloseStdin,
    /// A wait for another request of the same stop.
    AskedAgain,
}

impl Call {
    /// The signal of a kill.
    pub fn signal(self) -> Option<KillSignal> {
        match self {
            Self::Kill(signal) => Some(signal),
            Self::Spawn
            | Self::Socket
            | Self::Exit
            | Self::Timer(_)
            | Self::Release
            | Self::CloseStdin
            | Self::AskedAgain => None,
        }
    }

    /// The duration of a timer.
    pub fn time(self) -> Option<Duration> {
        match self {
            Self::Timer(after) => Some(after),
            Self::Spawn
            | Self::Socket
            | Self::Exit
            | Self::Kill(_)
            | Self::Release
            | Self::CloseStdin
            | Self::AskedAgain => None,
        }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// The call was polled for the first time.
    Asked(Call),
    /// The call returned a result.
    Answered(Call),
    /// The call returned an error.
    Failed(Call),
    /// The call was dropped before an answer.
    Dropped(Call),
    /// The proof of liveness, a connection, was closed.
    ConnectionClosed,
}

/// The ordered log; clones share the entries.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    /// All entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// The number of entries equal to `entry`.
    pub fn count(&self, entry: Entry) -> usize {
        self.lock().iter().filter(|known| **known == entry).count()
    }

    /// The index of the first entry equal to `entry`.
    pub fn position(&self, entry: Entry) -> Option<usize> {
        self.lock().iter().position(|known| *known == entry)
    }

    /// The number of calls of `call`.
    pub fn asked(&self, call: Call) -> usize {
        self.count(Entry::Asked(call))
    }

    /// The signals in the log, in order, also those without success.
    pub fn kills(&self) -> Vec<KillSignal> {
        self.all_asked().into_iter().filter_map(Call::signal).collect()
    }

    /// The sum of all timers in the log.
    pub fn time_asked(&self) -> Duration {
        self.all_asked().into_iter().filter_map(Call::time).sum()
    }

    /// The calls with neither an answer nor a drop.
    pub fn outstanding(&self) -> Vec<Call> {
        let mut open: Vec<Call> = vec![];
        for entry in self.lock().iter() {
            match entry {
                Entry::Asked(call) => open.push(*call),
                Entry::Answered(call) | Entry::Failed(call) | Entry::Dropped(call) => {
                    let at = open.iter().position(|known| known == call);
                    open.remove(at.expect("only what was asked answers or is dropped"));
                }
                Entry::ConnectionClosed => {}
            }
        }
        open
    }

    pub(crate) fn push(&self, entry: Entry) {
        self.lock().push(entry);
    }

    /// Every call that was asked, in order.
    fn all_asked(&self) -> Vec<Call> {
        let asked = |entry: &Entry| match entry {
            Entry::Asked(call) => Some(*call),
            Entry::Answered(_) | Entry::Failed(_) | Entry::Dropped(_) | Entry::ConnectionClosed => None,
        };
        self.lock().iter().filter_map(asked).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        lock(&self.0)
    }
}

/// Locks the mutex, even after a panic: the failed test has already reported the panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
