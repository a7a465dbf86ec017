//! A lifecycle lock with a release at the end of its scope.

use super::lock::LifecycleLock;
use super::outcome::Released;
use rekindle_core::shown::Shown;

/// Releases the lock on drop, if held.
///
/// ```
/// use rekindle::lifecycle::{Acquired, LifecycleLock};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("daemon.lock");
/// let guard = LifecycleLock::new(&path).into_guard();
/// assert!(matches!(guard.lock().acquire().await?, Acquired::Ours { .. }));
/// assert!(path.exists());
/// drop(guard);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LifecycleGuard(LifecycleLock);

impl LifecycleLock {
    /// The same lock, released at the end of its scope.
    pub fn into_guard(self) -> LifecycleGuard {
        LifecycleGuard(self)
    }
}

impl LifecycleGuard {
    /// The guarded lock.
    pub fn lock(&self) -> &LifecycleLock {
        &self.0
    }
}

impl Drop for LifecycleGuard {
    fn drop(&mut self) {
        match self.0.release() {
            Ok(Released::Released | Released::NotHeld { .. }) => {}
            Err(error) => {
                tracing::warn!(path = %Shown(self.0.path()), %error, "a lifecycle lock could not be released");
            }
        }
    }
}
