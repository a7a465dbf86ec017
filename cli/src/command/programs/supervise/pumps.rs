//! Pumps between streams: bytes pass unchanged, one chunk at a time.

use rekindle::frontend::{OwnInput, OwnOutput};
use rekindle::stdio::{ChildStdin, ChildStdout};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// The size of one read.
const CHUNK_LEN: usize = 64 << 10;

/// The progress of the client's input into the program's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Delivered {
    pub(super) chunks: u64,
    /// The client's input has ended.
    pub(super) all: bool,
}

/// The progress of the program's output.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    ended: bool,
    /// The client has not taken the last chunk yet.
    pub(super) is_held_up: bool,
    /// The client closed the output, or writing to it failed.
    pub(super) refused: bool,
    /// The errno of a failed write, unless the client left.
    pub(super) lost: Option<i32>,
}

impl Passed {
    /// Whether no more output will pass.
    pub(super) fn is_over(self) -> bool {
        self.ended || self.refused
    }

    fn refuse(&mut self, error: &io::Error) {
        self.refused = true;
        let is_unwanted = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        self.lost = error.raw_os_error().filter(|_| !is_unwanted);
    }
}

/// Passes the client's input on. The program's stdin stays open until the stop closes it.
pub(super) async fn pump_in(mut from: OwnInput, mut to: ChildStdin, delivered: watch::Sender<Delivered>) {
    // A failed read is the end of the input.
    while let Ok(chunk) = from.chunk().await {
        if chunk.is_empty() {
            break;
        }
        // A program may close its input and go on; later input is read and dropped, so the end of the input is still
        // seen.
        let _ = to.write_all(&chunk).await;
        delivered.send_modify(|delivered| delivered.chunks += 1);
    }
    delivered.send_modify(|delivered| delivered.all = true);
    std::future::pending::<()>().await;
    drop(to);
}

/// Passes the program's output on.
pub(super) async fn pump_out(mut from: ChildStdout, mut to: OwnOutput, passed: watch::Sender<Passed>) {
    let mut buffer = vec![0; CHUNK_LEN];
    // A failed read is the end of the output.
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let chunk = buffer.get(..len).unwrap_or_default().to_vec();
        passed.send_modify(|passed| passed.is_held_up = true);
        if let Err(error) = to.write(chunk).await {
            passed.send_modify(|passed| passed.refuse(&error));
            break;
        }
        passed.send_modify(|passed| passed.is_held_up = false);
    }
    passed.send_modify(|passed| passed.ended = true);
}

/// Resolves when no more output can be passed on.
pub(super) async fn is_refused(output: &mut watch::Receiver<Passed>) {
    if output.wait_for(|passed| passed.refused).await.is_err() {
        std::future::pending::<()>().await;
    }
}
