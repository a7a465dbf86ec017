//! Waits for facts: a true predicate, a polled future. Intervals prove nothing.

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

/// How long a fact may take to come true: much longer than ever needed, even on a busy machine.
pub const FACT_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(3);

/// Waits until `look` returns a value, and returns the value.
///
/// # Panics
/// If no value appears within [`FACT_TIMEOUT`]; `what` describes the awaited fact.
pub fn for_some<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    try_for_some(look).unwrap_or_else(|| panic!("waited in vain until {what}"))
}

/// Whether `is_so` within [`FACT_TIMEOUT`], for places where no panic is allowed.
pub fn comes_true(mut is_so: impl FnMut() -> bool) -> bool {
    try_for_some(|| is_so().then_some(())).is_some()
}

fn try_for_some<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + FACT_TIMEOUT;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        thread::sleep(LOOK_PAUSE);
    }
}

/// Waits until `is_so`.
///
/// # Panics
/// As [`for_some`].
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for_some(what, || is_so().then_some(()));
}

/// Waits until a file exists at `path`.
///
/// # Panics
/// As [`for_some`].
pub fn until_there(path: &Path) {
    until(&format!("`{}` is there", path.display()), || path.symlink_metadata().is_ok());
}

/// Runs a future on a new runtime.
///
/// # Panics
/// If no runtime can be made.
pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime needs three descriptors").block_on(future)
}

/// Polls a future once, and returns whether the future still waits.
pub async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// Awaits a future as long as a fact may take.
///
/// # Panics
/// If the future is not ready by then.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(FACT_TIMEOUT, future).await else {
        panic!("waited in vain until {what}");
    };
    output
}
