//! What happened to the seams of a fake, in the order in which it happened.

use rekindle_core::KillSignal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One effect, as the log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// The child is created.
    Spawn,
    /// The socket is waited for.
    Socket,
    /// The exit is waited for.
    Exit,
    /// That much time is waited for.
    Timer(Duration),
    /// The child is signalled.
    Kill(KillSignal),
    /// The claim is given up.
    Release,
    /// The child's standard input is closed.
    CloseStdin,
    /// Somebody may ask again for the same stop.
    AskedAgain,
}

impl Call {
    /// The signal, of a call that sends one.
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

    /// How long it waits, of a timer.
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

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// It was polled for the first time.
    Asked(Call),
    /// It gave its result.
    Answered(Call),
    /// It gave an error.
    Failed(Call),
    /// It was dropped before it had answered: aborted.
    Dropped(Call),
    /// The connection that had proved liveness was closed.
    ConnectionClosed,
}

/// The ordered log; its clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    /// Everything so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// How often `entry` stands in it.
    pub fn count(&self, entry: Entry) -> usize {
        self.lock().iter().filter(|known| **known == entry).count()
    }

    /// Where `entry` stands in it for the first time.
    pub fn position(&self, entry: Entry) -> Option<usize> {
        self.lock().iter().position(|known| *known == entry)
    }

    /// How often `call` was asked.
    pub fn asked(&self, call: Call) -> usize {
        self.count(Entry::Asked(call))
    }

    /// The signals that were sent or tried, in their order.
    pub fn kills(&self) -> Vec<KillSignal> {
        self.all_asked().into_iter().filter_map(Call::signal).collect()
    }

    /// All the time that was waited for, were every timer to run out.
    pub fn time_asked(&self) -> Duration {
        self.all_asked().into_iter().filter_map(Call::time).sum()
    }

    /// What was asked and has neither answered nor been dropped.
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

/// A test that failed while it held the lock has said so already.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
