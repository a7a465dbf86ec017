//! The supervisor's ends of a child's pipes, closable while in use.

use crate::sys::linux::failure::During;
use crate::sys::linux::poll::{is_hung_up, unread};
use rekindle_core::OsFailure;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

/// The child's stdin. A shutdown, a drop or a stop of the child closes the pipe.
#[derive(Debug)]
pub struct ChildStdin {
    shared: Arc<Mutex<Input>>,
}

#[derive(Debug)]
struct Input {
    pipe: Option<pipe::Sender>,
    waiting: Option<Waker>,
}

/// A handle to close and inspect a child's input, beside the writer.
#[derive(Debug, Clone)]
pub struct InputTap {
    shared: Arc<Mutex<Input>>,
}

impl ChildStdin {
    pub(super) fn new(pipe: OwnedFd) -> Result<Self, OsFailure> {
        let pipe = pipe::Sender::from_owned_fd(pipe).doing("use the child's input")?;
        Ok(Self { shared: Arc::new(Mutex::new(Input { pipe: Some(pipe), waiting: None })) })
    }

    /// A second handle, which does not keep the input open.
    #[doc(hidden)]
    pub fn tap(&self) -> InputTap {
        InputTap { shared: Arc::clone(&self.shared) }
    }
}

impl InputTap {
    /// Closes the input. A pending write fails.
    pub fn close(&self) {
        let mut input = lock(&self.shared);
        input.pipe = None;
        if let Some(waiting) = input.waiting.take() {
            waiting.wake();
        }
    }

    /// The number of bytes that the child has not read yet; zero once the input is closed.
    pub fn unread(&self) -> u64 {
        let input = lock(&self.shared);
        input.pipe.as_ref().and_then(unread).unwrap_or(0)
    }
}

impl Drop for ChildStdin {
    fn drop(&mut self) {
        lock(&self.shared).pipe = None;
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut input = lock(&self.shared);
        let Some(pipe) = &mut input.pipe else {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the child's input was closed",
            )));
        };
        let written = Pin::new(pipe).poll_write(cx, bytes);
        // A dropped pipe wakes no waiter.
        input.waiting = written.is_pending().then(|| cx.waker().clone());
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.shared).pipe = None;
        Poll::Ready(Ok(()))
    }
}

/// The child's stdout or stderr. Ends once all output of the child has been read, even if other processes still hold
/// the pipe.
#[derive(Debug)]
pub struct ChildStdout {
    shared: Arc<Mutex<Output>>,
}

#[derive(Debug)]
struct Output {
    pipe: Option<pipe::Receiver>,
    writer: Writer,
    waiting: Option<Waker>,
}

/// The possible writers of the pipe.
#[derive(Debug, Clone, Copy)]
enum Writer {
    /// The child, and possibly other processes.
    Child,
    /// Only other processes; `owed` bytes were in the pipe at the child's end, and may be the child's.
    Others { owed: usize },
    /// Further writers are ignored. Owed bytes are still delivered.
    Ignored { owed: usize },
}

/// Reports the child's end to the reader.
#[derive(Debug, Clone)]
pub struct OutputTap {
    shared: Arc<Mutex<Output>>,
}

impl ChildStdout {
    pub(super) fn new(pipe: OwnedFd) -> Result<Self, OsFailure> {
        let pipe = pipe::Receiver::from_owned_fd(pipe).doing("use the child's output")?;
        let output = Output { pipe: Some(pipe), writer: Writer::Child, waiting: None };
        Ok(Self { shared: Arc::new(Mutex::new(output)) })
    }

    /// A second handle, which does not keep the output open.
    #[doc(hidden)]
    pub fn tap(&self) -> OutputTap {
        OutputTap { shared: Arc::clone(&self.shared) }
    }
}

impl OutputTap {
    /// The child has ended: the pipe now holds its last output.
    pub fn child_ended(&self) {
        let mut output = lock(&self.shared);
        if let (Some(pipe), Writer::Child) = (&output.pipe, output.writer) {
            let owed = unread(pipe).unwrap_or(0);
            output.writer = Writer::Others { owed: usize::try_from(owed).unwrap_or(usize::MAX) };
        }
    }

    /// Whether the pipe still has a writer; `false` once closed at our end.
    pub fn has_writers(&self) -> bool {
        let output = lock(&self.shared);
        let Some(pipe) = &output.pipe else { return false };
        // If the state is unknown, a writer is assumed; the only cost is time.
        !is_hung_up(pipe).unwrap_or(false)
    }

    /// The time of other writers is over: after the owed bytes, the output ends.
    pub fn ignore_others(&self) {
        let mut output = lock(&self.shared);
        if let Writer::Others { owed } = output.writer {
            output.writer = Writer::Ignored { owed };
        }
        if let Some(waiting) = output.waiting.take() {
            waiting.wake();
        }
    }
}

impl Drop for ChildStdout {
    fn drop(&mut self) {
        lock(&self.shared).pipe = None;
    }
}

impl AsyncRead for ChildStdout {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        lock(&self.shared).poll_read(cx, into)
    }
}

impl Output {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Writer::Ignored { owed: 0 } = self.writer {
            self.pipe = None;
        }
        let Some(pipe) = &mut self.pipe else { return Poll::Ready(Ok(())) };
        let limit = if let Writer::Ignored { owed } = self.writer { owed } else { into.remaining() };
        // `limited` begins at the filled end of `into`, so bytes initialised in `limited` are initialised in `into`
        // too.
        let mut limited = ReadBuf::new(into.initialize_unfilled_to(limit.min(into.remaining())));
        let read = Pin::new(pipe).poll_read(cx, &mut limited);
        let len = limited.filled().len();
        into.advance(len);
        if let Writer::Others { owed } | Writer::Ignored { owed } = &mut self.writer {
            *owed = owed.saturating_sub(len);
        }
        self.waiting = read.is_pending().then(|| cx.waker().clone());
        read
    }
}

/// A panic during an access leaves the pipe valid.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
