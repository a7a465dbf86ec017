//! Time limits of a supervised program: until a reason to stop appears, then until the last answer.

use super::Supervision;
use super::cause::{ANSWERS_TIMEOUT, Cause, READ_TIMEOUT, SILENCE};
use super::pumps::{Passed, is_refused};
use rekindle::StdioChild;
use rekindle::frontend::input_hung_up;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// The pause between two looks at the unread input.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

impl Supervision {
    /// Waits for a reason to stop the program.
    pub(super) async fn has_to_stop(&mut self) -> Cause {
        // After the client has left, delivery may stand still for as long as an end may take.
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
            // The pump lives as long as the program, so the channel does too.
            _ = self.input.wait_for(|delivered| delivered.all) => Cause::GraceOver,
            () = abandoned => Cause::ClientLeft,
        }
    }

    /// Passes the end of the input on once the program has read all, and waits for the last answer.
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

/// Resolves when the value of `place` has not changed for `time`.
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

/// Resolves when a program has been silent for [`SILENCE`]. Output waiting for the client is not silence.
async fn is_silent(mut output: watch::Receiver<Passed>) {
    loop {
        let is_held_up = output.borrow_and_update().is_held_up;
        let changed = match timeout(SILENCE, output.changed()).await {
            Ok(changed) => changed,
            Err(_) if is_held_up => continue,
            Err(_) => return,
        };
        if changed.is_err() {
            // The program closed its output, and most likely ends soon.
            sleep(SILENCE).await;
            return;
        }
    }
}
