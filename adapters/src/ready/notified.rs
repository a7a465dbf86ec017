//! Readiness by notification: a worker is ready when it has sent `READY=1` and a process listens at its endpoint.
//!
//! [`super::notify`] receives the messages.
//!
//! Checked by `smoke/tests/smoke/ready/notify.rs`.

use super::Site;
use crate::endpoint::probe::Connection;
use crate::ready::listen::{ListenerLookout, pauses};
use crate::ready::notify::NotifyListener;
use rekindle_core::WatchError;

/// Receives messages until the worker is ready, and further until its socket is.
pub(super) async fn await_notified(
    listener: &NotifyListener,
    site: &Site<'_>,
) -> Result<Connection, WatchError> {
    let mailbox = listener.mailbox()?;
    let (mut backoff, mut lookout) = (pauses(site.endpoint), ListenerLookout::at(site));
    loop {
        if !listener.notices().is_ready() {
            listener.hear_next(&mailbox).await?;
            continue;
        }
        if let Some(connection) = lookout.look()? {
            return Ok(connection);
        }
        tokio::select! {
            heard = listener.hear_next(&mailbox) => heard?,
            () = backoff.wait() => {}
        }
    }
}
