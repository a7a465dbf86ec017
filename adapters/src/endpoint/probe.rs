//! Does anybody answer at a socket path, and is it who we think?
//!
//! # Invariants
//! 1. What is no socket is never connected to, and never followed.
//! 2. The inode that was inspected is the one that is connected to, however often the name is swapped.
//! 3. A refusal is *dormant*, which is not death; what cannot be told is *indeterminate*.
//! 4. The connection that proved liveness is handed out: a worker that ends when its first client leaves must not
//!    lose it to a probe.
//! 5. Nothing blocks: `connect` on a non-blocking Unix socket answers at once.
//! 6. The whole way to the socket is judged before anything at its end is believed: once, by whoever looks again and again.
//!
//! Checked by `smoke/tests/smoke/probe/paths.rs` and `ground/places.rs`.

use crate::store::trust::{Mend, Place, Untrusted, judge_last};
use crate::store::way::{self, Way, WayError};
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::{FileKind, FileStatus, Inode, fstat, lstat, pin, stat};
use crate::sys::linux::socket::{Calls, Carries, connect_to, peer, unnamed};
use crate::sys::linux::socket_table::ListeningSockets;
use crate::sys::linux::user::our_uid;
use rekindle_core::protocol::Greeting;
use rekindle_core::shown::Shown;
use rekindle_core::{Liveness, OsFailure, Pid};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a full backlog is retried before the verdict is *indeterminate*.
pub const BUSY_RETRY_MAX: Duration = Duration::from_millis(500);
/// How long to wait between two tries on a full backlog.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// A connection to a live worker, made or yet to be made.
///
/// What proved that a worker is live is mostly that it accepted a connection, and that is this one. Where the worker said
/// so itself ([`ReadyKind::Notify`](rekindle_core::ReadyKind::Notify)), or listens from birth
/// ([`ReadyKind::Listen`](rekindle_core::ReadyKind::Listen)), nobody has connected to it, and the connection is made
/// when it is asked for.
#[derive(Debug)]
pub struct Connection {
    end: End,
    socket: PathBuf,
    peer: Option<Pid>,
    greeting: Option<Greeting>,
}

/// Our end of a connection.
#[derive(Debug)]
enum End {
    Open(UnixStream),
    Deferred,
}

impl Connection {
    /// A connection on which hands were shaken.
    pub(crate) fn greeted(
        stream: UnixStream,
        socket: PathBuf,
        peer: Option<Pid>,
        greeting: Greeting,
    ) -> Self {
        Self { end: End::Open(stream), socket, peer, greeting: Some(greeting) }
    }

    /// The socket that it leads to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the worker said of itself, if it was asked on this very connection.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeting.as_ref()
    }

    /// The process that listens, as the kernel named it when the connection was made; `None` where it has no pid in
    /// our namespace, or where no connection was made.
    pub fn peer(&self) -> Option<Pid> {
        self.peer
    }

    /// Whether it was made already; otherwise nobody has connected to the worker for it.
    pub fn is_open(&self) -> bool {
        matches!(self.end, End::Open(_))
    }

    /// The connection, in blocking mode.
    ///
    /// # Errors
    /// If the mode cannot be set; or, where it is yet to be made, if the worker does not answer now.
    pub fn into_std(self) -> io::Result<UnixStream> {
        let stream = self.into_stream()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// The connection, for tokio.
    ///
    /// # Errors
    /// If it cannot be registered; or, where it is yet to be made, if the worker does not answer now.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn into_tokio(self) -> io::Result<tokio::net::UnixStream> {
        tokio::net::UnixStream::from_std(self.into_stream()?)
    }

    /// To a worker that nobody has connected to.
    pub fn deferred(socket: &Path) -> Self {
        Self { end: End::Deferred, socket: socket.to_owned(), peer: None, greeting: None }
    }

    fn into_stream(self) -> io::Result<UnixStream> {
        if let End::Open(stream) = self.end {
            return Ok(stream);
        }
        match probe_once(&self.socket) {
            Probed::Live(Self { end: End::Open(stream), .. }) => Ok(stream),
            found => {
                let socket = Shown(&self.socket);
                Err(io::Error::other(format!("failed to connect to `{socket}`: {}", found.why())))
            }
        }
    }
}

/// What a probe found.
#[derive(Debug)]
pub enum Probed {
    /// It answers, and it is our user.
    Live(Connection),
    /// Nothing is there, or nobody listens.
    Dormant {
        /// Which of the two.
        why: String,
    },
    /// It could not be judged.
    Indeterminate {
        /// Why not.
        why: String,
    },
    /// It is no socket of ours.
    Forged {
        /// What it is.
        why: String,
    },
}

impl Probed {
    /// The verdict without what it stands on.
    pub fn liveness(&self) -> Liveness {
        match self {
            Self::Live(_) => Liveness::Live,
            Self::Dormant { .. } => Liveness::Dormant,
            Self::Indeterminate { .. } => Liveness::Indeterminate,
            Self::Forged { .. } => Liveness::Forged,
        }
    }

    /// Why, in words.
    pub fn why(&self) -> &str {
        match self {
            Self::Live(connection) if !connection.is_open() => "somebody listens on it",
            Self::Live(_) => "it accepts connections",
            Self::Dormant { why } | Self::Indeterminate { why } | Self::Forged { why } => why,
        }
    }
}

/// What one look found.
#[derive(Debug)]
pub(crate) enum Look {
    Found(Probed),
    /// There is no such name yet, in a directory that can be trusted; when there is one, the directory will tell.
    Absent,
    /// The listener's backlog is full: somebody is there, and has no time.
    Busy,
}

impl Look {
    /// The verdict of one who does not look again.
    fn into_probed(self) -> Probed {
        match self {
            Self::Found(probed) => probed,
            Self::Absent => Probed::Dormant { why: "nothing is there".to_owned() },
            Self::Busy => {
                let why = "somebody listens and does not accept: the backlog is full";
                Probed::Indeterminate { why: why.to_owned() }
            }
        }
    }
}

/// Probes a socket path; a full backlog is retried on a new socket for half a second.
///
/// # Cancel safety
/// Safe; a connection in the making is closed.
pub async fn probe(path: &Path) -> Probed {
    let deadline = Instant::now() + BUSY_RETRY_MAX;
    let mut lookout = Lookout::at(path);
    loop {
        match lookout.look() {
            Look::Busy if Instant::now() < deadline => sleep(BUSY_PAUSE).await,
            look => return look.into_probed(),
        }
    }
}

/// Probes a socket path without waiting: a full backlog is *indeterminate* at once.
pub fn probe_once(path: &Path) -> Probed {
    Lookout::at(path).look().into_probed()
}

/// Probes the socket of a worker that must not be connected to for a mere look: where the kernel's table of sockets
/// knows a listener by this path, and a socket of ours stands there, it is live without a connection.
///
/// A listener that the table knows by another spelling is connected to, since nothing else can be said of it.
///
/// # Cancel safety
/// As for [`probe`].
pub async fn probe_gently(path: &Path) -> Probed {
    match Lookout::at(path).look_gently() {
        Look::Busy => probe(path).await,
        look => look.into_probed(),
    }
}

/// Whether a socket of ours stands at a path, in a directory that can be trusted.
pub fn stands_trusted(path: &Path) -> bool {
    Lookout::at(path).stands_trusted()
}

/// Somebody who looks at one path, once or again and again: the way to it is judged with the first look, and then only where
/// it has come to lead to another directory.
pub(crate) struct Lookout<'p> {
    path: &'p Path,
    judged: Option<Inode>,
}

impl<'p> Lookout<'p> {
    pub(crate) fn at(path: &'p Path) -> Self {
        Self { path, judged: None }
    }

    /// Looks once, as [`probe_gently`] does.
    pub(crate) fn look_gently(&mut self) -> Look {
        if self.stands_trusted() && ListeningSockets::read().contains(self.path) {
            return Look::Found(Probed::Live(Connection::deferred(self.path)));
        }
        self.look()
    }

    fn stands_trusted(&mut self) -> bool {
        let trusted_place = matches!(self.judge_directory(), Ok(None));
        trusted_place && lstat(self.path).is_ok_and(|stat| why_not_our_socket(&stat).is_none())
    }

    /// Looks once.
    pub(crate) fn look(&mut self) -> Look {
        let looked = match self.judge_directory() {
            Ok(None) => inspect(self.path),
            Ok(Some(verdict)) => Ok(Look::Found(verdict)),
            Err(error) => Err(error),
        };
        looked.unwrap_or_else(|error| Look::Found(Probed::Indeterminate { why: error.to_string() }))
    }

    /// Who can write to the directory, or to one that leads to it, can put anything in the socket's place.
    fn judge_directory(&mut self) -> Result<Option<Probed>, OsFailure> {
        let dir = directory_of(self.path);
        if let Some(judged) = self.judged
            && let Ok(stat) = stat(&dir)
            && stat.inode == judged
        {
            return Ok(judge_last(&dir, &stat, Place::Socket).err().as_ref().map(untrusted));
        }
        match way::judge(&dir, Place::Socket) {
            Ok(Way::Whole(stat)) => {
                self.judged = Some(stat.inode);
                Ok(None)
            }
            Ok(Way::Ends(_)) => {
                Ok(Some(Probed::Dormant { why: format!("there is no directory `{}`", Shown(&dir)) }))
            }
            Err(WayError::Untrusted(fault)) => Ok(Some(untrusted(&fault))),
            Err(WayError::Os(failure)) => Err(failure),
        }
    }
}

fn inspect(path: &Path) -> Result<Look, OsFailure> {
    // Pinned: whatever the name comes to mean, this stays what was inspected.
    let pinned = match pin(path) {
        Ok(pinned) => pinned,
        Err(Errno::ENOENT) => return Ok(Look::Absent),
        Err(error) => return Err(error).during("inspect the socket", path),
    };
    let stat = fstat(&pinned).during("inspect the socket", path)?;
    if let Some(why) = why_not_our_socket(&stat) {
        return Ok(forged(why));
    }
    let stream = unnamed(Carries::Streams, Calls::ReturnAtOnce).doing("create a socket")?;
    match connect_pinned(&stream, &pinned, &stat, path) {
        Ok(()) => judge_peer(stream, path),
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(dormant("nobody listens on it")),
        Err(Errno::EAGAIN) => Ok(Look::Busy),
        Err(Errno::EPROTOTYPE) => Ok(forged("it is not a stream socket".into())),
        Err(Errno::ESTALE) => Ok(forged("it was replaced while it was being connected to".into())),
        Err(error) => Err(error).during("connect to the socket", path),
    }
}

fn dormant(why: &str) -> Look {
    Look::Found(Probed::Dormant { why: why.to_owned() })
}

fn forged(why: String) -> Look {
    Look::Found(Probed::Forged { why })
}

fn untrusted(fault: &Untrusted) -> Probed {
    Probed::Forged { why: fault.to_string() }
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Why what stands somewhere is no socket of ours; `None` if it is one.
pub(crate) fn why_not_our_socket(stat: &FileStatus) -> Option<String> {
    let kind = match stat.kind {
        FileKind::Socket if stat.is_ours() => return None,
        FileKind::Socket => return Some(format!("the socket belongs to user {}", stat.uid)),
        FileKind::Link => "a symbolic link",
        FileKind::Fifo => "a FIFO",
        FileKind::Directory => "a directory",
        FileKind::File => "a regular file",
        FileKind::Device => "a device",
        FileKind::Other => "of an unknown kind",
    };
    Some(format!("it is {kind}, not a socket"))
}

/// Connects to the pinned inode by way of `/proc`, which also takes paths that no socket address could hold.
fn connect_pinned(
    stream: &OwnedFd,
    pinned: &OwnedFd,
    inspected: &FileStatus,
    path: &Path,
) -> Result<(), Errno> {
    let magic = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    match connect_to(Path::new(&magic), stream) {
        Err(Errno::ENOENT) if lstat(Path::new("/proc/self/fd")) == Err(Errno::ENOENT) => {
            // No /proc: connect by name, and see afterwards whether the name still means the same.
            connect_to(path, stream)?;
            let same = lstat(path).is_ok_and(|now| now.inode == inspected.inode);
            if same { Ok(()) } else { Err(Errno::ESTALE) }
        }
        other => other,
    }
}

fn judge_peer(stream: OwnedFd, path: &Path) -> Result<Look, OsFailure> {
    let peer = peer(&stream).during("ask who listens on the socket", path)?;
    if peer.uid != our_uid() {
        return Ok(forged(format!("user {} listens on it", peer.uid)));
    }
    let connection = Connection {
        end: End::Open(UnixStream::from(stream)),
        socket: path.to_owned(),
        peer: Pid::new(peer.pid),
        greeting: None,
    };
    Ok(Look::Found(Probed::Live(connection)))
}

/// Whether a socket could ever be put at `path` and trusted there: its directory exists, and the whole way to it is ours or root's.
///
/// # Errors
/// If a directory cannot be inspected.
pub fn judge_place(path: &Path) -> Result<Option<Probed>, OsFailure> {
    Lookout::at(path).judge_directory()
}

/// What helps where a place is not trusted; `None` if nothing is wrong with the way to it.
pub fn mend(path: &Path) -> Option<Mend> {
    match way::judge(&directory_of(path), Place::Socket) {
        Err(WayError::Untrusted(fault)) => Some(fault.mend().clone()),
        Ok(_) | Err(WayError::Os(_)) => None,
    }
}
