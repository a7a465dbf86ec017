//! Judges an endpoint: does a process listen, and is the process ours?
//!
//! # Invariants
//! 1. Only a socket is connected to; links are never followed.
//! 2. The connect goes to the inspected inode, however often the name is swapped.
//! 3. A refused connect is *dormant*, and proves no death; an undecidable case is *indeterminate*.
//! 4. The connection that proved liveness is handed out: a worker that ends when its first client leaves must not lose
//!    the client to a probe.
//! 5. Nothing blocks: `connect` on a non-blocking Unix socket returns at once.
//! 6. The whole way to the socket is judged before anything at the end is believed; a repeated look judges the way
//!    once.
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
use rekindle_core::{Endpoint, EndpointKind, Liveness, OsFailure, Owner, Pid};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a full backlog is retried before the verdict is *indeterminate*.
pub const BUSY_RETRY_MAX: Duration = Duration::from_millis(500);
/// The pause between two tries on a full backlog.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// A connection to a live worker, open or deferred.
///
/// Most workers prove liveness by accepting a connection; then the connection is open. A worker that reports readiness
/// ([`ReadyKind::Notify`](rekindle_core::ReadyKind::Notify)), or listens from birth
/// ([`ReadyKind::Listen`](rekindle_core::ReadyKind::Listen)), had no client so far; then the connection is made on
/// demand. A worker without an endpoint cannot be connected to.
#[derive(Debug)]
pub struct Connection {
    end: End,
    endpoint: Endpoint,
    owner: Option<Owner>,
    peer: Option<Pid>,
    greeting: Option<Greeting>,
}

/// Our end of a connection: open, or deferred.
#[derive(Debug)]
enum End {
    Unix(UnixStream),
    Tcp(TcpStream),
    Deferred,
}

impl Connection {
    /// A connection with an answered handshake.
    pub(crate) fn greeted(
        stream: UnixStream,
        socket: PathBuf,
        peer: Option<Pid>,
        greeting: Greeting,
    ) -> Self {
        let endpoint = Endpoint::Unix(socket);
        Self { end: End::Unix(stream), endpoint, owner: None, peer, greeting: Some(greeting) }
    }

    /// A connection to a listener on a TCP port, open if there is a stream.
    pub(crate) fn to_port(
        at: SocketAddr,
        owner: Option<Owner>,
        peer: Option<Pid>,
        stream: Option<TcpStream>,
    ) -> Self {
        let end = stream.map_or(End::Deferred, End::Tcp);
        Self { end, endpoint: Endpoint::Tcp(at), owner, peer, greeting: None }
    }

    /// The endpoint at which the worker was found.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The path of the worker's socket, if the endpoint is a Unix socket.
    pub fn socket(&self) -> Option<&Path> {
        self.endpoint.socket()
    }

    /// Whether the listener on a TCP port is proved to be the worker's; `None` for other endpoints, and for a listener
    /// that the caller vouched for.
    pub fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// The worker's greeting, if the handshake was made on this connection.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeting.as_ref()
    }

    /// The listening process, named by the kernel at the connect. `None` if the process has no pid in our namespace, or
    /// without a connect.
    pub fn peer(&self) -> Option<Pid> {
        self.peer
    }

    /// Whether the connection is open already; otherwise the worker had no client from here.
    pub fn is_open(&self) -> bool {
        !matches!(self.end, End::Deferred)
    }

    /// The connection to a Unix socket, in blocking mode.
    ///
    /// # Errors
    /// If the endpoint is no Unix socket, or the mode cannot be set; or, for a deferred connection, if the worker does
    /// not accept now.
    pub fn into_std(self) -> io::Result<UnixStream> {
        let stream = self.into_stream()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// The connection to a Unix socket, for tokio.
    ///
    /// # Errors
    /// If the endpoint is no Unix socket, or the descriptor cannot be registered; or, for a deferred connection, if the worker does not accept now.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn into_tokio(self) -> io::Result<tokio::net::UnixStream> {
        tokio::net::UnixStream::from_std(self.into_stream()?)
    }

    /// The connection to a TCP port, in blocking mode.
    ///
    /// # Errors
    /// If the endpoint is no TCP port, or the mode cannot be set; or, for a deferred connection, if the worker does not
    /// accept now.
    pub fn into_tcp(self) -> io::Result<TcpStream> {
        let stream = match (self.end, &self.endpoint) {
            (End::Tcp(stream), _) => stream,
            (End::Deferred, Endpoint::Tcp(at)) => TcpStream::connect(at)?,
            (End::Unix(_) | End::Deferred, endpoint) => return Err(unlike(endpoint, EndpointKind::Tcp)),
        };
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// The connection to a TCP port, for tokio.
    ///
    /// # Errors
    /// As for [`Self::into_tcp`], or if the descriptor cannot be registered.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn into_tokio_tcp(self) -> io::Result<tokio::net::TcpStream> {
        let stream = self.into_tcp()?;
        stream.set_nonblocking(true)?;
        tokio::net::TcpStream::from_std(stream)
    }

    /// A deferred connection: the worker has no client from here yet.
    pub fn deferred(endpoint: Endpoint) -> Self {
        Self { end: End::Deferred, endpoint, owner: None, peer: None, greeting: None }
    }

    /// The same connection, with the listening process of an earlier connect.
    pub(crate) fn known_as(self, peer: Option<Pid>) -> Self {
        Self { peer, ..self }
    }

    fn into_stream(self) -> io::Result<UnixStream> {
        let socket = match (self.end, self.endpoint) {
            (End::Unix(stream), _) => return Ok(stream),
            (End::Deferred, Endpoint::Unix(socket)) => socket,
            (End::Tcp(_) | End::Deferred, endpoint) => return Err(unlike(&endpoint, EndpointKind::Unix)),
        };
        match probe_once(&socket) {
            Probed::Live(Self { end: End::Unix(stream), .. }) => Ok(stream),
            found => {
                let socket = Shown(&socket);
                Err(io::Error::other(format!("failed to connect to `{socket}`: {}", found.why())))
            }
        }
    }
}

/// The error for a connection of another kind than the caller's.
fn unlike(endpoint: &Endpoint, wanted: EndpointKind) -> io::Error {
    let why = format!("the worker's endpoint is `{endpoint}`, and not {wanted}");
    io::Error::new(io::ErrorKind::Unsupported, why)
}

/// The verdict of a probe.
#[derive(Debug)]
pub enum Probed {
    /// A process of our user accepts connections.
    Live(Connection),
    /// The file is missing, or no process listens.
    Dormant {
        /// Whether the file is missing or the connect was refused.
        why: String,
    },
    /// The probe gave no decision.
    Indeterminate {
        /// The reason.
        why: String,
    },
    /// The path does not lead to a socket of ours.
    Forged {
        /// The kind of file, or the fault.
        why: String,
    },
    /// A process that is no part of the worker listens on the port.
    Foreign {
        /// The process in words.
        who: String,
    },
}

impl Probed {
    /// The verdict alone, without the connection or the reason.
    pub fn liveness(&self) -> Liveness {
        match self {
            Self::Live(_) => Liveness::Live,
            Self::Dormant { .. } => Liveness::Dormant,
            Self::Indeterminate { .. } => Liveness::Indeterminate,
            Self::Forged { .. } | Self::Foreign { .. } => Liveness::Forged,
        }
    }

    /// The reason, in words.
    pub fn why(&self) -> &str {
        match self {
            Self::Live(connection) if !connection.is_open() => "somebody listens on it",
            Self::Live(_) => "it accepts connections",
            Self::Dormant { why } | Self::Indeterminate { why } | Self::Forged { why } => why,
            Self::Foreign { who } => who,
        }
    }
}

/// The result of one look.
#[derive(Debug)]
pub(crate) enum Look {
    Found(Probed),
    /// The name is missing, but the directory is trusted; the creation of the name is an event of the directory.
    Absent,
    /// The listener's backlog is full: a process listens, but is busy.
    Busy,
}

impl Look {
    /// The verdict if this was the last look.
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

/// Probes a worker that must not get a connection for a mere look. If the kernel's socket table shows a listener at
/// this path, and the file is a socket of ours, the worker is live without a connection.
///
/// A listener under another spelling of the path is connected to, since the table cannot decide.
///
/// # Cancel safety
/// As for [`probe`].
pub async fn probe_gently(path: &Path) -> Probed {
    match Lookout::at(path).look_gently() {
        Look::Busy => probe(path).await,
        look => look.into_probed(),
    }
}

/// Whether a socket of ours exists at a path, in a trusted directory.
pub fn stands_trusted(path: &Path) -> bool {
    Lookout::at(path).stands_trusted()
}

/// Looks at one path, once or repeatedly. The first look judges the way; later looks judge again only if the path leads
/// to another directory.
pub(crate) struct Lookout<'p> {
    path: &'p Path,
    judged: Option<Inode>,
}

impl<'p> Lookout<'p> {
    pub(crate) fn at(path: &'p Path) -> Self {
        Self { path, judged: None }
    }

    /// Looks once, in the way of [`probe_gently`].
    pub(crate) fn look_gently(&mut self) -> Look {
        if self.stands_trusted() && ListeningSockets::read().contains(self.path) {
            return Look::Found(Probed::Live(Connection::deferred(Endpoint::Unix(self.path.to_owned()))));
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

    /// A user who can write to the directory, or to one above, can replace the socket.
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
    // Pinned: the descriptor keeps the inspected inode, even if the name changes.
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

/// Why a file is not a socket of ours; `None` for a socket of ours.
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

/// Connects to the pinned inode through `/proc`; also works for paths too long for a socket address.
fn connect_pinned(
    stream: &OwnedFd,
    pinned: &OwnedFd,
    inspected: &FileStatus,
    path: &Path,
) -> Result<(), Errno> {
    let magic = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    match connect_to(Path::new(&magic), stream) {
        Err(Errno::ENOENT) if lstat(Path::new("/proc/self/fd")) == Err(Errno::ENOENT) => {
            // Without /proc: connect by name, then check that the name still means the pinned inode.
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
        end: End::Unix(UnixStream::from(stream)),
        endpoint: Endpoint::Unix(path.to_owned()),
        owner: None,
        peer: Pid::new(peer.pid),
        greeting: None,
    };
    Ok(Look::Found(Probed::Live(connection)))
}

/// Whether a socket at `path` could be trusted: the directory exists, and every directory of the way belongs to us or
/// root.
///
/// # Errors
/// If a directory cannot be inspected.
pub fn judge_place(path: &Path) -> Result<Option<Probed>, OsFailure> {
    Lookout::at(path).judge_directory()
}

/// The remedy for an untrusted place; `None` if the way is trusted.
pub fn mend(path: &Path) -> Option<Mend> {
    match way::judge(&directory_of(path), Place::Socket) {
        Err(WayError::Untrusted(fault)) => Some(fault.mend().clone()),
        Ok(_) | Err(WayError::Os(_)) => None,
    }
}
