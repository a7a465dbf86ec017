//! Our ends of a child's pipes, which can be closed under whoever uses them.

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

/// Where a child's input goes. Shutting it down or dropping it closes it; so does whoever stops the child.
#[derive(Debug)]
pub struct ChildStdin {
    shared: Arc<Mutex<Input>>,
}

#[derive(Debug)]
struct Input {
    pipe: Option<pipe::Sender>,
    waiting: Option<Waker>,
}

/// Closes a child's input and looks at it, beside whoever writes to it.
#[derive(Debug, Clone)]
pub struct InputTap {
    shared: Arc<Mutex<Input>>,
}

impl ChildStdin {
    pub(super) fn new(pipe: OwnedFd) -> Result<Self, OsFailure> {
        let pipe = pipe::Sender::from_owned_fd(pipe).doing("use the child's input")?;
        Ok(Self { shared: Arc::new(Mutex::new(Input { pipe: Some(pipe), waiting: None })) })
    }

    /// A second handle on it, which does not keep it open.
    #[doc(hidden)]
    pub fn tap(&self) -> InputTap {
        InputTap { shared: Arc::clone(&self.shared) }
    }
}

impl InputTap {
    /// Closes the input. Whoever is writing to it is told that it is closed.
    pub fn close(&self) {
        let mut input = lock(&self.shared);
        input.pipe = None;
        if let Some(waiting) = input.waiting.take() {
            waiting.wake();
        }
    }

    /// How many bytes the child has not read yet; zero once the input is closed.
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
        // A pipe that is dropped wakes nobody.
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

/// Where a child's output comes from. It ends once all of what the child wrote has been read, whoever else still holds
/// the other end of the pipe by then.
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

/// Who may still write to the pipe.
#[derive(Debug, Clone, Copy)]
enum Writer {
    /// The child.
    Child,
    /// Only others; these many bytes were there when the child ended, and may be the child's.
    Others { owed: usize },
    /// Nobody who is listened to. What is owed is still delivered.
    Ignored { owed: usize },
}

/// Says what became of the child that writes, beside whoever reads.
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

    /// A second handle on it, which does not keep it open.
    #[doc(hidden)]
    pub fn tap(&self) -> OutputTap {
        OutputTap { shared: Arc::clone(&self.shared) }
    }
}

impl OutputTap {
    /// The child has ended: what is in the pipe now is the last of it.
    pub fn child_ended(&self) {
        let mut output = lock(&self.shared);
        if let (Some(pipe), Writer::Child) = (&output.pipe, output.writer) {
            let owed = unread(pipe).unwrap_or(0);
            output.writer = Writer::Others { owed: usize::try_from(owed).unwrap_or(usize::MAX) };
        }
    }

    /// Whether anybody can still write to it; nobody is asked once it is closed at our end.
    pub fn has_writers(&self) -> bool {
        let output = lock(&self.shared);
        let Some(pipe) = &output.pipe else { return false };
        // What cannot be asked is taken to have some, which only costs time.
        !is_hung_up(pipe).unwrap_or(false)
    }

    /// Others have had their time: after what is owed, the output ends.
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
        // What it initialises is initialised in `into` too: it begins where that is filled to.
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

/// A panic while a pipe was looked at says nothing about the pipe.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
