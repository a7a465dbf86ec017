//! How long a program is waited for before it has to stop: for a reason to stop, and then for its last answer.

use super::Supervision;
use super::cause::Cause;
use super::pumps::{Passed, is_refused};
use rekindle::StdioChild;
use rekindle::adapters::stdio::input_hung_up;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Without a grace for stdin: how long a program whose input ended may be silent before it has to stop. The official
/// MCP clients wait for as long before they send SIGTERM.
pub(super) const SILENCE: Duration = Duration::from_secs(2);
/// Without a grace for stdin: how long a program may read nothing of what is left of its input.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a grace for stdin: how long a program may answer once it has read everything.
pub(super) const ANSWERS_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause between two looks at how much of its input the program has read.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

impl Supervision {
    /// Waits for a reason to stop the program.
    pub(super) async fn has_to_stop(&mut self) -> Cause {
        // A client that has left cannot wait for the delivery of what it sent: that may take as long as an end would.
        let delivery_timeout = self.policy.stdin_grace.saturating_add(self.policy.term_grace);
        let (child, delivered) = (&self.child, self.input.clone());
        let abandoned = async {
            input_hung_up().await;
            stands_still(delivery_timeout, || (delivered.borrow().chunks, child.unread_input())).await;
        };
        tokio::select! {
            _ = child.wait() => Cause::ChildExited,
            () = self.signals.next() => Cause::Signal,
            () = is_refused(&mut self.output) => Cause::OutputClosed,
            // The pump goes on for as long as its program, so the channel does too.
            _ = self.input.wait_for(|delivered| delivered.all) => Cause::GraceOver,
            () = abandoned => Cause::ClientLeft,
        }
    }

    /// Passes the end of the input on, and lets the program read what was sent and answer it.
    pub(super) async fn let_it_answer(&mut self) -> Cause {
        let (child, output) = (&self.child, self.output.clone());
        let answered = async {
            if !reads_all(child).await {
                return Cause::Unread;
            }
            child.close_stdin();
            match timeout(ANSWERS_TIMEOUT, is_silent(output)).await {
                Ok(()) => Cause::Silent,
                Err(_) => Cause::StillAnswering,
            }
        };
        tokio::select! {
            _ = child.wait() => Cause::ChildExited,
            () = self.signals.next() => Cause::Signal,
            () = is_refused(&mut self.output) => Cause::OutputClosed,
            cause = answered => cause,
        }
    }
}

/// Resolves when `place` has not changed for `time`.
async fn stands_still<T: PartialEq>(time: Duration, place: impl Fn() -> T) {
    let (mut at, mut since) = (place(), Instant::now());
    while since.elapsed() < time {
        sleep(LOOK_PAUSE).await;
        let now = place();
        if now != at {
            (at, since) = (now, Instant::now());
        }
    }
}

/// Whether a program reads all of its input, however slowly.
async fn reads_all(child: &StdioChild) -> bool {
    let all_read = async {
        while child.unread_input() > 0 {
            sleep(LOOK_PAUSE).await;
        }
    };
    tokio::select! {
        () = all_read => true,
        () = stands_still(READ_TIMEOUT, || child.unread_input()) => false,
    }
}

/// Resolves when a program has been silent for long enough. It is not silent while the client does not take what the
/// program said.
async fn is_silent(mut output: watch::Receiver<Passed>) {
    loop {
        let is_held_up = output.borrow_and_update().is_held_up;
        let changed = match timeout(SILENCE, output.changed()).await {
            Ok(changed) => changed,
            Err(_) if is_held_up => continue,
            Err(_) => return,
        };
        if changed.is_err() {
            // Its output has ended, and so, most likely, will it.
            sleep(SILENCE).await;
            return;
        }
    }
}
