//! Receives a starting worker's messages: the launcher's end of the `sd_notify` protocol.
//!
//! The worker's `NOTIFY_SOCKET` is a datagram socket in the session's directory. [`rekindle_core::notify`] interprets
//! each message, once the sender is known to belong to the worker.
//!
//! # Invariants
//! 1. Only a process of the worker is believed: a process of our user, by the kernel's credentials, that is in the
//!    leader's process session or holds the lifeline. The same rule applies to the process of `MAINPID=`.
//! 2. Descriptors attached to a message are closed at once: `BARRIER=1` waits for the close, and a waiting sender can
//!    still be recognised.
//! 3. The socket has a name only while the claim is held.
//!
//! Checked by `smoke/tests/smoke/ready/notify.rs`.

use crate::endpoint::bound::BoundSocket;
use crate::store::session_dir::SessionDir;
use crate::sys::linux::failure::During;
use crate::sys::linux::procfs;
use crate::sys::linux::socket::{Message, ask_for_senders, receive_message};
use crate::sys::linux::user::our_uid;
use crate::worker::{Worker, is_kin};
use rekindle_core::notify::{Assignment, DATAGRAM_LEN_MAX, Notices, parse};
use rekindle_core::{Host, OsFailure, Pid, ProcessIdentity};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::time::Instant;

pub use crate::store::session_dir::NOTIFY_FILE;

/// How many unread messages are read at the end: more than the kernel's default queue.
const UNREAD_MAX: usize = 64;

/// One byte more than the longest valid message, so longer messages are recognised.
const READ_LEN: usize = DATAGRAM_LEN_MAX + 1;

/// The receiving socket, registered with the waiting runtime.
pub(crate) struct Mailbox(UnixDatagram);

/// The launcher's end of the `sd_notify` protocol, for one start.
#[derive(Debug)]
pub struct NotifyListener {
    socket: BoundSocket,
    began: Instant,
    here: Arc<Host>,
    heard: Mutex<Heard>,
}

#[derive(Debug)]
struct Heard {
    notices: Notices,
    /// The worker, for recognising its processes; known after the spawn.
    worker: Option<Worker>,
    /// The worker's main process: the process of `MAINPID=`, or the sender of READY=1.
    main: Option<ProcessIdentity>,
}

impl NotifyListener {
    /// Binds the socket in the session's directory, and replaces a leftover socket. Only under the claim.
    ///
    /// # Errors
    /// If the socket cannot be bound.
    pub fn open(dir: &SessionDir, here: Arc<Host>, notices: Notices) -> Result<Self, OsFailure> {
        dir.remove(NOTIFY_FILE)?;
        let socket = BoundSocket::datagram(&dir.path_of(NOTIFY_FILE))?;
        ask_for_senders(&socket).during("ask for the senders on", socket.path())?;
        let heard = Mutex::new(Heard { notices, worker: None, main: None });
        Ok(Self { socket, began: Instant::now(), here, heard })
    }

    /// The path of the socket, for `NOTIFY_SOCKET`.
    pub fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Sets the worker whose messages count. Until then nothing is read, so nothing is lost.
    ///
    /// # Errors
    /// If the worker cannot be pinned a second time.
    pub fn listen_to(&self, worker: &Worker) -> Result<(), OsFailure> {
        let worker = worker.pinned_again(&self.here)?;
        self.lock().worker = Some(worker);
        Ok(())
    }

    /// All notices so far.
    pub fn notices(&self) -> Notices {
        self.lock().notices.clone()
    }

    /// The main process, if known.
    pub fn main_process(&self) -> Option<ProcessIdentity> {
        self.lock().main.clone()
    }

    /// The current deadline of the worker.
    pub fn deadline(&self) -> Instant {
        self.began + self.notices().deadline()
    }

    /// Reads the last messages, then removes the socket's name. Only under the claim.
    pub fn close(&self) {
        for _ in 0..UNREAD_MAX {
            let Ok(message) = receive_message(&self.socket, READ_LEN) else { break };
            self.take(&message);
        }
        self.socket.remove();
    }

    /// The socket, for one watch.
    ///
    /// # Errors
    /// If no descriptor is left.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub(crate) fn mailbox(&self) -> Result<Mailbox, OsFailure> {
        let socket = std::os::unix::net::UnixDatagram::from(self.socket.try_clone_fd()?);
        Ok(Mailbox(UnixDatagram::from_std(socket).during("watch", self.path())?))
    }

    /// Waits for the next message and takes the message, from any sender.
    ///
    /// # Errors
    /// If the socket cannot be read.
    ///
    /// # Cancel safety
    /// Safe; unread messages stay in the socket.
    pub(crate) async fn hear_next(&self, mailbox: &Mailbox) -> Result<(), OsFailure> {
        let Mailbox(socket) = mailbox;
        let message = socket.async_io(Interest::READABLE, || receive_message(socket, READ_LEN)).await;
        self.take(&message.during("read from", self.path())?);
        Ok(())
    }

    fn take(&self, message: &Message) {
        let Some(sender) = message.sender else {
            return tracing::info!("a message without a sender was ignored");
        };
        let mut heard = self.lock();
        if sender.uid != our_uid() || !heard.is_of_worker(sender.pid) {
            let (pid, uid) = (sender.pid, sender.uid);
            return tracing::info!(pid, uid, "a message of somebody who is not of the worker was ignored");
        }
        for said in parse(&message.bytes) {
            heard.believe(said, sender.pid, self.began.elapsed(), &self.here);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // A panic elsewhere does not undo any notice.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn is_of_worker(&self, pid: i32) -> bool {
        let pid = Pid::new(pid);
        self.worker.as_ref().zip(pid).is_some_and(|(worker, pid)| is_kin(worker, pid))
    }

    fn believe(&mut self, said: Assignment, sender: i32, at: Duration, here: &Host) {
        tracing::info!(?said, sender, "the worker says");
        match &said {
            Assignment::MainPid(pid) => match self.verified(*pid, here) {
                Some(main) => self.main = Some(main),
                None => return tracing::info!(%pid, "a main process that is not of the worker was ignored"),
            },
            // A short-lived messenger may send READY=1 too; only the leader is known to stay.
            Assignment::Ready if self.main.is_none() => {
                let leader = self.worker.as_ref().and_then(Worker::identity);
                self.main = leader.filter(|leader| leader.pid.as_raw() == sender).cloned();
            }
            Assignment::Ready
            | Assignment::Stopping
            | Assignment::Status(_)
            | Assignment::ExtendTimeout(_) => {}
        }
        self.notices = self.notices.clone().hear(said, at);
    }

    /// The identity of a process of the worker. The process is looked up twice, so the pid was not reused in between.
    fn verified(&self, pid: Pid, here: &Host) -> Option<ProcessIdentity> {
        let identity = procfs::identify(pid, here)?;
        let same = self.is_of_worker(pid.as_raw()) && procfs::identify(pid, here)? == identity;
        same.then_some(identity)
    }
}
