//! Hears what a worker says about itself while it starts: the launcher's end of the `sd_notify` protocol.
//!
//! The worker is told of a datagram socket in its session's directory (`NOTIFY_SOCKET`). What arrives there is read as
//! [`rekindle_core::notify`] says, once its sender is known to be of the worker.
//!
//! # Invariants
//! 1. Only a process of the worker is believed: of our user, by what the kernel says of the sender, and in the leader's
//!    session or a holder of its lifeline. The same holds for the process that `MAINPID=` names.
//! 2. Descriptors that come with a message are closed at once: that is what `BARRIER=1` waits for, and a sender which
//!    waits so is still there to be recognised.
//! 3. The socket has a name only while the claim is held.
//!
//! Checked by `smoke/tests/smoke/ready/notify.rs`.

use crate::endpoint::bound::BoundSocket;
use crate::endpoint::probe::{Connection, Lookout};
use crate::ready::listen::{pauses, see_listener};
use crate::store::session_dir::SessionDir;
use crate::sys::linux::failure::During;
use crate::sys::linux::procfs;
use crate::sys::linux::socket::{Message, ask_for_senders, receive_message};
use crate::sys::linux::user::our_uid;
use crate::worker::{Worker, is_kin};
use rekindle_core::notify::{Assignment, DATAGRAM_LEN_MAX, Notices, parse};
use rekindle_core::{Host, OsFailure, Pid, ProcessIdentity, WatchError};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::time::Instant;

pub use crate::store::session_dir::NOTIFY_FILE;

/// How many unread messages are heard at the end: more than the kernel lets wait unless it is told to.
const UNREAD_MAX: usize = 64;

/// One byte more than is understood, so that a message that is too long can be told from one that fits.
const READ_LEN: usize = DATAGRAM_LEN_MAX + 1;

/// Where messages arrive, registered with the runtime that waits for them.
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
    /// The worker, to tell its processes from others; known once it exists.
    worker: Option<Worker>,
    /// The process that the worker named as the one that matters, or that said itself that it is ready.
    main: Option<ProcessIdentity>,
}

impl NotifyListener {
    /// Binds the socket in the session's directory, in the place of one that was left there. Only under the claim.
    ///
    /// # Errors
    /// If its socket cannot be bound.
    pub fn open(dir: &SessionDir, here: Arc<Host>, notices: Notices) -> Result<Self, OsFailure> {
        dir.remove(NOTIFY_FILE)?;
        let socket = BoundSocket::datagram(&dir.path_of(NOTIFY_FILE))?;
        ask_for_senders(&socket).during("ask for the senders on", socket.path())?;
        let heard = Mutex::new(Heard { notices, worker: None, main: None });
        Ok(Self { socket, began: Instant::now(), here, heard })
    }

    /// Where the worker has to send to.
    pub fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Says whose words count. Until then nothing is read, and so nothing lost.
    ///
    /// # Errors
    /// If the worker cannot be pinned a second time.
    pub fn listen_to(&self, worker: &Worker) -> Result<(), OsFailure> {
        let worker = worker.pinned_again(&self.here)?;
        self.lock().worker = Some(worker);
        Ok(())
    }

    /// What was said so far.
    pub fn notices(&self) -> Notices {
        self.lock().notices.clone()
    }

    /// The process that matters, where it is known.
    pub fn main_process(&self) -> Option<ProcessIdentity> {
        self.lock().main.clone()
    }

    /// Until when the worker may take, as it stands now.
    pub fn deadline(&self) -> Instant {
        self.began + self.notices().deadline()
    }

    /// Hears what was said last and not read yet, and takes the socket's name away. Only under the claim.
    pub fn close(&self) {
        for _ in 0..UNREAD_MAX {
            let Ok(message) = receive_message(&self.socket, READ_LEN) else { break };
            self.take(&message);
        }
        self.socket.remove();
    }

    /// The socket, to be waited on by one watch.
    ///
    /// # Errors
    /// If there is no descriptor left for it.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub(crate) fn mailbox(&self) -> Result<Mailbox, OsFailure> {
        let socket = std::os::unix::net::UnixDatagram::from(self.socket.try_clone_fd()?);
        Ok(Mailbox(UnixDatagram::from_std(socket).during("watch", self.path())?))
    }

    /// Waits for the next message and hears it, whoever sent it.
    ///
    /// # Errors
    /// If the socket cannot be read.
    ///
    /// # Cancel safety
    /// Safe; what was not read stays in the socket.
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
        // A panic elsewhere does not unsay anything.
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
            // A mere messenger may say it too, and is gone at once; only the leader is known to stay.
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

    /// The identity of a process of the worker; the pid meant it before and after it was looked at.
    fn verified(&self, pid: Pid, here: &Host) -> Option<ProcessIdentity> {
        let identity = procfs::identify(pid, here)?;
        let same = self.is_of_worker(pid.as_raw()) && procfs::identify(pid, here)? == identity;
        same.then_some(identity)
    }
}

/// Hears the worker until it is ready, and goes on hearing it until its socket is.
pub(super) async fn await_notified(
    listener: &NotifyListener,
    socket: &Path,
) -> Result<Connection, WatchError> {
    let mailbox = listener.mailbox()?;
    let (mut backoff, mut lookout) = (pauses(socket), Lookout::at(socket));
    loop {
        if !listener.notices().is_ready() {
            listener.hear_next(&mailbox).await?;
            continue;
        }
        if let Some(connection) = see_listener(&mut lookout, socket)? {
            return Ok(connection);
        }
        tokio::select! {
            heard = listener.hear_next(&mailbox) => heard?,
            () = backoff.wait() => {}
        }
    }
}
