//! What passes bytes on, unchanged, one chunk at a time.

use rekindle::adapters::stdio::{ChildStdin, ChildStdout, OwnInput, OwnOutput};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// How much is passed on at once.
const CHUNK_LEN: usize = 64 << 10;

/// How much of the client's input is in the program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    /// All that was read so far, or most of it; there may be more.
    SoFar,
    /// All that there will ever be.
    All,
}

/// How much of the program's output has passed.
#[derive(Debug, Default)]
pub(super) struct Passed {
    chunks: u64,
    ended: bool,
    /// Why nothing more can be written, if nothing can: nobody reads it any more, say.
    refused: Option<io::Error>,
}

impl Passed {
    /// Whether nothing more will pass.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.is_refused()
    }

    /// Whether our standard output takes no more.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// How the last write went, for the report.
    pub(super) fn written(&self) -> io::Result<()> {
        match &self.refused {
            None => Ok(()),
            // An error cannot be cloned; its number says all of it.
            Some(error) => {
                Err(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error))
            }
        }
    }
}

/// Passes the client's input on. The program's stays open until somebody closes it.
pub(super) async fn pump_in(mut from: OwnInput, mut to: ChildStdin, delivered: watch::Sender<Delivered>) {
    // An input that cannot be read has ended.
    while let Ok(chunk) = from.chunk().await {
        if chunk.is_empty() {
            break;
        }
        // A program that closed its input may go on; what comes then is thrown away, so that its end is still seen.
        let _ = to.write_all(&chunk).await;
    }
    delivered.send_replace(Delivered::All);
    std::future::pending::<()>().await;
    drop(to);
}

/// Passes the program's output on.
pub(super) async fn pump_out(mut from: ChildStdout, mut to: OwnOutput, passed: watch::Sender<Passed>) {
    let mut buffer = vec![0; CHUNK_LEN];
    // An output that cannot be read has ended.
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let chunk = buffer.get(..len).unwrap_or_default().to_vec();
        if let Err(error) = to.write(chunk).await {
            passed.send_modify(|passed| passed.refused = Some(error));
            break;
        }
        passed.send_modify(|passed| passed.chunks += 1);
    }
    passed.send_modify(|passed| passed.ended = true);
}
