//! Unix sockets: made, bound, connected, and queried for the process at the other end.
//!
//! # Invariants
//! 1. Every socket is close-on-exec.
//! 2. From the instant that a bound socket has a name, only the owner can use the socket.

pub(crate) mod tcp_table;

use crate::sys::linux::failure::{Errno, retried};
use crate::sys::linux::fs::{PRIVATE_FILE, fchmod};
use nix::sys::socket::sockopt::{PassCred, PeerCredentials, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrIn6,
    UnixAddr, UnixCredentials, bind, connect, getsockopt, recv, recvmsg, setsockopt, socket,
};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The traffic of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    /// A stream of bytes, by connections.
    Streams,
    /// Messages.
    Messages,
}

impl Carries {
    fn kind(self) -> SockType {
        match self {
            Self::Streams => SockType::Stream,
            Self::Messages => SockType::Datagram,
        }
    }
}

/// Whether a call on a socket may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    Wait,
    ReturnAtOnce,
}

/// The process at the other end of a connection, or the sender of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The pid; 0 if the process has no pid in our namespace.
    pub(crate) pid: i32,
    pub(crate) uid: u32,
}

impl From<UnixCredentials> for Peer {
    fn from(told: UnixCredentials) -> Self {
        Self { pid: told.pid(), uid: told.uid() }
    }
}

/// A socket without a name.
pub(crate) fn unnamed(carries: Carries, calls: Calls) -> Result<OwnedFd, Errno> {
    let flags = match calls {
        Calls::Wait => SockFlag::SOCK_CLOEXEC,
        Calls::ReturnAtOnce => SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
    };
    socket(AddressFamily::Unix, carries.kind(), flags, None)
}

/// Binds a socket for its owner alone: the kernel creates the file with the socket's mode, less the umask, so other
/// users cannot use the socket at any instant.
pub(crate) fn bind_private(path: &Path, carries: Carries, calls: Calls) -> Result<OwnedFd, Errno> {
    let fd = unnamed(carries, calls)?;
    fchmod(&fd, PRIVATE_FILE)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

/// Binds a TCP port. Connections of an earlier listener that have not ended yet do not keep the port.
pub(crate) fn bind_port(at: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, ReuseAddr, &true)?;
    match at {
        SocketAddr::V4(at) => bind(fd.as_raw_fd(), &SockaddrIn::from(at))?,
        SocketAddr::V6(at) => bind(fd.as_raw_fd(), &SockaddrIn6::from(at))?,
    }
    Ok(fd)
}

/// Begins to listen, with room for `backlog` waiting clients.
pub(crate) fn listen(fd: &OwnedFd, backlog: i32) -> Result<(), Errno> {
    nix::sys::socket::listen(fd, Backlog::new(backlog)?)
}

/// Connects to the socket at a path.
pub(crate) fn connect_to(path: &Path, by: &OwnedFd) -> Result<(), Errno> {
    let address = UnixAddr::new(path)?;
    retried(|| connect(by.as_raw_fd(), &address))
}

/// The listening process at the other end of a connection.
pub(crate) fn peer(connection: &OwnedFd) -> Result<Peer, Errno> {
    getsockopt(connection, PeerCredentials).map(Into::into)
}

/// Reads available bytes, without waiting; EAGAIN if there are none.
pub(crate) fn receive_now(from: impl AsFd, into: &mut [u8]) -> Result<usize, Errno> {
    retried(|| recv(from.as_fd().as_raw_fd(), into, MsgFlags::MSG_DONTWAIT))
}

/// Asks the kernel to name the sender with every message.
pub(crate) fn ask_for_senders(on: impl AsFd) -> Result<(), Errno> {
    setsockopt(&on.as_fd(), PassCred, &true)
}

/// One message, and its sender.
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sender: Option<Peer>,
}

/// The greatest number of descriptors in one message, by the kernel's limit.
const DESCRIPTORS_MAX: usize = 253;

/// Reads one message, without waiting, of at most `len_max` bytes. Attached descriptors are closed.
pub(crate) fn receive_message(from: impl AsFd, len_max: usize) -> io::Result<Message> {
    let mut bytes = vec![0; len_max];
    let mut space = nix::cmsg_space!(UnixCredentials, [RawFd; DESCRIPTORS_MAX]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let received = loop {
        match recvmsg::<UnixAddr>(from.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let mut sender = None;
    // Attachments that do not fit are dropped as a whole, sender included: an honest sender never attaches so many.
    for attached in received.cmsgs().into_iter().flatten() {
        match attached {
            ControlMessageOwned::ScmCredentials(credentials) => sender = Some(credentials.into()),
            ControlMessageOwned::ScmRights(descriptors) => {
                for descriptor in descriptors {
                    // An attached descriptor belongs to us now, and is not wanted.
                    let _ = nix::unistd::close(descriptor);
                }
            }
            _ => {}
        }
    }
    let len = received.bytes;
    bytes.truncate(len);
    Ok(Message { bytes, sender })
}
