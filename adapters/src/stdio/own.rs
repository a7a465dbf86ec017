//! Our own standard streams, for a program that stands between a client and its child.
//!
//! tokio's `stdin` reads on a thread that a runtime waits for when it is shut down. Here a pipe is opened a second
//! time, so that it can be non-blocking without making it so for those who share it with us; everything else is read
//! and written on a thread that nobody waits for: it goes with the process.
//!
//! # Invariants
//! 1. O_NONBLOCK belongs to the open file description, which a client may share with us: it is neither set nor cleared.
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

/// How much is read at once, and so the most that one direction holds.
const CHUNK_LEN: usize = 64 << 10;

/// Our own standard input.
#[derive(Debug)]
pub enum OwnInput {
    /// A pipe, which the runtime watches.
    Pipe(pipe::Receiver, Vec<u8>),
    /// Anything else, read on a thread.
    Thread(mpsc::Receiver<io::Result<Vec<u8>>>),
}

impl OwnInput {
    /// Descriptor 0.
    ///
    /// # Errors
    /// If it is closed, or there can be no thread to read it.
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
        // One chunk waits while the next is read.
        let (sender, receiver) = mpsc::channel(1);
        spawn("rekindle-stdin", move || read_all(file, &sender)).doing("read the standard input")?;
        Ok(Self::Thread(receiver))
    }

    /// What comes next; empty at the end.
    ///
    /// # Errors
    /// If it cannot be read.
    ///
    /// # Cancel safety
    /// Safe; nothing that was read is lost.
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

/// Our own standard output, or that for complaints.
#[derive(Debug)]
pub enum OwnOutput {
    /// A pipe, which the runtime watches.
    Pipe(pipe::Sender),
    /// Anything else, written on a thread; each write answers.
    Thread(mpsc::Sender<Asked>),
}

/// One write and whom to tell how it went.
type Asked = (Vec<u8>, oneshot::Sender<io::Result<()>>);

impl OwnOutput {
    /// Descriptor 1.
    ///
    /// # Errors
    /// If it is closed, or there can be no thread to write it.
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

    /// A descriptor that was handed to us under another number.
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

    /// Writes all of it, and returns once it is out of our hands.
    ///
    /// # Errors
    /// If nobody reads it any more, or it cannot be written.
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
        // Whoever asked may have given up.
        let _ = answer.send(write_blocking(file, &bytes));
    }
}

/// Writes all of it to a descriptor, and blocks the thread for that long, also where the descriptor does not block.
///
/// # Errors
/// If nobody reads it any more, or it cannot be written; a part of it may have been.
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

/// Whether a read or write that failed is to be tried again: it was interrupted, or would have had to wait on a
/// descriptor that does not block, and has been waited for.
fn waited_for(error: &io::Error, fd: impl AsFd, readiness: Readiness) -> bool {
    match error.kind() {
        io::ErrorKind::Interrupted => true,
        io::ErrorKind::WouldBlock => {
            // Also ready when the other side is gone, which the next try says.
            wait_until(fd, readiness).is_ok()
        }
        _ => false,
    }
}

/// Resolves when nobody can write to our standard input any more, though not all of it may have been read; never where
/// that cannot be told.
pub async fn input_hung_up() {
    let (tell, told) = oneshot::channel();
    let watch = move || {
        let stdin = io::stdin();
        if wait_until(&stdin, Readiness::HungUp).is_err() {
            return;
        }
        // Whoever waited may have given up.
        let _ = tell.send(());
    };
    let watched = spawn("rekindle-hangup", watch);
    if watched.is_err() || told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).stack_size(256 << 10).spawn(body).map(drop)
}
