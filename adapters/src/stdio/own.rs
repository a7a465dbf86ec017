//! Our own standard streams, for a program between a client and a child.
//!
//! tokio's `stdin` reads on a thread, and a runtime waits for the thread at shutdown. Here a pipe is opened a second
//! time, so it can be non-blocking without a change for other owners of the pipe. Every other kind of file is read and
//! written on a separate thread. The runtime does not wait for this thread; it ends with the process.
//!
//! # Invariants
//! 1. O_NONBLOCK belongs to the open file description, shared with a client: the flag is neither set nor cleared.
//! 2. EAGAIN is neither the end of an input nor a failure of an output: the thread polls and tries again.
//!
//! Checked by `smoke/tests/smoke/stdio/supervise.rs`.

use crate::sys::linux::descriptors::{PipeEnd, reopen_pipe, write_once};
use crate::sys::linux::failure::During;
use crate::sys::linux::poll::{Readiness, wait_until};
use rekindle_core::OsFailure;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

/// The size of one read, and so the most that one direction holds.
const CHUNK_LEN: usize = 64 << 10;

/// Our own standard input.
#[derive(Debug)]
pub enum OwnInput {
    /// A pipe, watched by the runtime.
    Pipe(pipe::Receiver, Vec<u8>),
    /// Any other file, read on a thread.
    Thread(mpsc::Receiver<io::Result<Vec<u8>>>),
}

impl OwnInput {
    /// Descriptor 0.
    ///
    /// # Errors
    /// If the descriptor is closed, or no thread can be made for reading.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn open() -> Result<Self, OsFailure> {
        let stdin = io::stdin();
        if let Some(pipe) = reopen_pipe(&stdin, PipeEnd::Read) {
            let pipe = pipe::Receiver::from_file(pipe).doing("read the standard input")?;
            return Ok(Self::Pipe(pipe, vec![0; CHUNK_LEN]));
        }
        let file = File::from(stdin.as_fd().try_clone_to_owned().doing("read the standard input")?);
        // One chunk waits during the next read.
        let (sender, receiver) = mpsc::channel(1);
        spawn("rekindle-stdin", move || read_all(file, &sender)).doing("read the standard input")?;
        Ok(Self::Thread(receiver))
    }

    /// The next chunk; empty at the end.
    ///
    /// # Errors
    /// If the read fails.
    ///
    /// # Cancel safety
    /// Safe; bytes already read are not lost.
    pub async fn chunk(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Pipe(pipe, buffer) => {
                let len = pipe.read(buffer).await?;
                Ok(buffer.get(..len).unwrap_or_default().to_vec())
            }
            Self::Thread(chunks) => chunks.recv().await.unwrap_or_else(|| Ok(Vec::new())),
        }
    }
}

fn read_all(mut file: File, chunks: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        let read = match file.read(&mut buffer) {
            Err(error) if waited_for(&error, &file, Readiness::Readable) => continue,
            read => read.map(|len| buffer.get(..len).unwrap_or_default().to_vec()),
        };
        let is_last = read.as_ref().map_or(true, Vec::is_empty);
        if chunks.blocking_send(read).is_err() || is_last {
            return;
        }
    }
}

/// Our own standard output or standard error.
#[derive(Debug)]
pub enum OwnOutput {
    /// A pipe, watched by the runtime.
    Pipe(pipe::Sender),
    /// Any other file, written on a thread; each write gets a result.
    Thread(mpsc::Sender<Asked>),
}

/// One write, and the channel for the result.
type Asked = (Vec<u8>, oneshot::Sender<io::Result<()>>);

impl OwnOutput {
    /// Descriptor 1.
    ///
    /// # Errors
    /// If the descriptor is closed, or no thread can be made for writing.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    #[expect(clippy::disallowed_methods, reason = "each write says how it went")]
    pub fn stdout() -> Result<Self, OsFailure> {
        Self::open(io::stdout().as_fd()).doing("write the standard output")
    }

    /// Descriptor 2.
    ///
    /// # Errors
    /// As [`Self::stdout`].
    ///
    /// # Panics
    /// As [`Self::stdout`].
    pub fn stderr() -> Result<Self, OsFailure> {
        Self::open(io::stderr().as_fd()).doing("write the standard error")
    }

    /// A descriptor from our parent, under another number.
    ///
    /// # Errors
    /// As [`Self::stdout`].
    ///
    /// # Panics
    /// As [`Self::stdout`].
    pub fn handed(fd: &OwnedFd) -> Result<Self, OsFailure> {
        Self::open(fd.as_fd()).doing("write to a descriptor that was handed to us")
    }

    fn open(fd: BorrowedFd<'_>) -> io::Result<Self> {
        if let Some(pipe) = reopen_pipe(fd, PipeEnd::Write) {
            return Ok(Self::Pipe(pipe::Sender::from_file(pipe)?));
        }
        let file = File::from(fd.try_clone_to_owned()?);
        let (sender, receiver) = mpsc::channel(1);
        spawn("rekindle-stdout", move || write_all(&file, receiver))?;
        Ok(Self::Thread(sender))
    }

    /// Writes all bytes, and returns once the kernel has taken all of them.
    ///
    /// # Errors
    /// If no reader is left, or the write fails.
    ///
    /// # Cancel safety
    /// Not safe: a part may have been written.
    pub async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.write_all(&bytes).await,
            Self::Thread(writes) => {
                let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
                let (answer, answered) = oneshot::channel();
                writes.send((bytes, answer)).await.ok().ok_or_else(gone)?;
                answered.await.ok().ok_or_else(gone)?
            }
        }
    }
}

fn write_all(file: &File, mut writes: mpsc::Receiver<Asked>) {
    while let Some((bytes, answer)) = writes.blocking_recv() {
        // The caller may have given up.
        let _ = answer.send(write_blocking(file, &bytes));
    }
}

/// Writes all bytes to a descriptor, and blocks the thread meanwhile, even if the descriptor is non-blocking.
///
/// # Errors
/// If no reader is left, or the write fails; a part may have been written.
pub fn write_blocking(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write_once(&to, bytes).map_err(io::Error::from) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
            Err(error) if waited_for(&error, &to, Readiness::Writable) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether to repeat a failed read or write: the call was interrupted, or a non-blocking descriptor was not ready and
/// has been waited for.
fn waited_for(error: &io::Error, fd: impl AsFd, readiness: Readiness) -> bool {
    match error.kind() {
        io::ErrorKind::Interrupted => true,
        io::ErrorKind::WouldBlock => {
            // Also ready if the other side is gone; the next call then fails.
            wait_until(fd, readiness).is_ok()
        }
        _ => false,
    }
}

/// Resolves when our standard input has no writer any more, even with unread data. Never resolves if the state is
/// unknown.
pub async fn input_hung_up() {
    told_by_thread(|| wait_until(io::stdin(), Readiness::HungUp).is_ok()).await;
}

/// Resolves when our standard output is a pipe or a socket that nobody reads any more. Never resolves for other files.
#[expect(clippy::disallowed_methods, reason = "nothing is written")]
pub async fn output_hung_up() {
    told_by_thread(|| wait_until(io::stdout(), Readiness::Abandoned).is_ok()).await;
}

/// Resolves when `wait` returns true on its own thread; else never.
async fn told_by_thread(wait: impl FnOnce() -> bool + Send + 'static) {
    let (tell, told) = oneshot::channel();
    let watch = move || {
        if wait() {
            // The caller may have given up.
            let _ = tell.send(());
        }
    };
    let watched = spawn("rekindle-hangup", watch);
    if watched.is_err() || told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).stack_size(256 << 10).spawn(body).map(drop)
}
