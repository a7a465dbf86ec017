//! Judges whose listener receives the connections to a TCP address.
//!
//! Any user of the machine can listen on a port. The kernel names the listening sockets; the processes with such a
//! socket open show whose socket it is.
//!
//! # Invariants
//! 1. Only the most specific listeners receive: `127.0.0.1` before `0.0.0.0` before `[::]`. Less specific listeners do
//!    not count, whoever has them.
//! 2. Listeners of the same address share the connections (`SO_REUSEPORT`): if one of them is a stranger's, the address
//!    is a stranger's.
//! 3. A listener without a visible holder counts as the worker's only if some process of the worker cannot be looked
//!    into, and if user and lifeline agree.
//! 4. Without a worker every listener is a stranger's.
//!
//! Walked exhaustively by `gates/tests/ownership.rs`.

use crate::prelude::*;
use crate::process::id::Pid;
use crate::process::warrant::Sameness;
use crate::session::endpoint::{Owner, reached_at, serves};
use crate::session::lifeline::Lifeline;
use crate::session::plan::ForeignListener;
use crate::text::shown::Shown;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listening socket, as the kernel describes the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListeningSocket {
    /// The bound address.
    pub bound: SocketAddr,
    /// Whether an IPv6 socket also receives for IPv4.
    pub families: Families,
    /// The user of the socket.
    pub uid: u32,
    /// The inode, by which a descriptor names the socket.
    pub inode: u64,
}

/// The families for which a socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Families {
    /// Only the family of its address.
    Own,
    /// Also IPv4, if the address is an IPv6 wildcard; or the kernel does not say.
    Both,
}

/// The precedence of a listener for an address: the kernel gives a connection to the first listener in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precedence {
    /// Bound to this very address.
    Exact,
    /// Bound to every address of the family.
    Wildcard,
    /// Bound to every address of IPv6, and receives for IPv4 too.
    DualStack,
    /// Bound to the other loopback address: no connection to the wanted address arrives there. A program that was told
    /// `localhost` may listen there.
    OtherLoopback,
}

impl Precedence {
    /// The precedence of a listener for `wanted`; `None` if the listener receives nothing for `wanted`.
    ///
    /// ```
    /// use rekindle_core::ownership::{Families, ListeningSocket, Precedence};
    ///
    /// let any = ListeningSocket { bound: "[::]:80".parse()?, families: Families::Both, uid: 0, inode: 1 };
    /// assert_eq!(Precedence::of(&any, "127.0.0.1:80".parse()?), Some(Precedence::DualStack));
    /// let v6 = ListeningSocket { families: Families::Own, ..any };
    /// assert_eq!(Precedence::of(&v6, "127.0.0.1:80".parse()?), Some(Precedence::OtherLoopback));
    /// assert_eq!(Precedence::of(&v6, "[::1]:80".parse()?), Some(Precedence::Wildcard));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn of(listener: &ListeningSocket, wanted: SocketAddr) -> Option<Self> {
        if !serves(listener.bound, wanted) {
            return None;
        }
        let (at, to) = (listener.bound.ip(), wanted.ip().to_canonical());
        Some(match (at.to_canonical(), to) {
            (at, to) if at == to => Self::Exact,
            (at, to) if at.is_ipv4() == to.is_ipv4() => Self::Wildcard,
            (at, _) if at.is_unspecified() => match listener.families {
                Families::Both => Self::DualStack,
                // A loopback address of IPv6 is served, if only by its own name.
                Families::Own if to.is_loopback() => Self::OtherLoopback,
                Families::Own => return None,
            },
            _ => Self::OtherLoopback,
        })
    }

    /// Whether a connection to the wanted address can arrive at the listener.
    pub fn receives(self) -> bool {
        match self {
            Self::Exact | Self::Wildcard | Self::DualStack => true,
            Self::OtherLoopback => false,
        }
    }
}

/// The address to look for and to connect to, for a caller who names `asked`: a wildcard is reached by loopback.
pub fn looked_for_at(asked: SocketAddr) -> SocketAddr {
    let host = match asked.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, asked.port())
}

/// The address to connect to for a listener of this precedence, for a caller who wanted `wanted`.
pub fn reached(listener: &ListeningSocket, precedence: Precedence, wanted: SocketAddr) -> SocketAddr {
    match precedence {
        Precedence::OtherLoopback if listener.bound.ip().is_unspecified() => {
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), wanted.port())
        }
        Precedence::Exact | Precedence::Wildcard | Precedence::DualStack | Precedence::OtherLoopback => {
            reached_at(listener.bound, wanted)
        }
    }
}

/// The listeners that decide about an address, by index: those of the highest precedence. A listener at the other
/// loopback address decides only if no other listener does.
pub fn deciding(precedences: &[Precedence]) -> Vec<usize> {
    let first = precedences.iter().min();
    precedences
        .iter()
        .enumerate()
        .filter(|(_, precedence)| Some(*precedence) == first)
        .map(|(at, _)| at)
        .collect()
}

/// The network namespace of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// Ours.
    Here,
    /// That of the worker: no connection from here arrives there.
    Elsewhere,
}

/// The process with a listening socket open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeldBy {
    /// A process of the worker, perhaps besides others.
    Member,
    /// Visible processes, none of the worker.
    Others,
    /// No visible process.
    Unseen,
}

/// The facts about a deciding listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerFacts {
    /// The precedence for the wanted address.
    pub precedence: Precedence,
    /// The network namespace.
    pub network: Network,
    /// The process with the socket open.
    pub held_by: HeldBy,
    /// Whether the socket belongs to our user.
    pub user: Sameness,
}

/// Whether all processes of a worker can be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sight {
    /// All descriptors of all processes are visible.
    Whole,
    /// Some process hides its descriptors, or is itself hidden.
    Partial,
}

/// The facts about the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkerFacts {
    /// Whether all processes can be looked into.
    pub sight: Sight,
    /// The state of the lifeline.
    pub lifeline: Lifeline,
}

/// The judgement on an address. The index is that of the listener to name or to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// No process listens.
    Nobody,
    /// The worker listens.
    Workers(usize, Owner),
    /// A stranger listens, and the caller vouched for the stranger as the worker's relay.
    Relay(usize),
    /// A stranger listens that the caller vouched for, and no worker runs behind the stranger.
    RelayToNobody,
    /// A stranger listens.
    Stranger(usize),
}

/// Judges the deciding listeners of an address.
///
/// ```
/// use rekindle_core::ownership::{
///     HeldBy, ListenerFacts, Network, Precedence, Sight, Whose, WorkerFacts, whose,
/// };
/// use rekindle_core::plan::ForeignListener::Refused;
/// use rekindle_core::{Lifeline, Owner, warrant::Sameness};
///
/// let worker = WorkerFacts { sight: Sight::Whole, lifeline: Lifeline::Held };
/// let listener = ListenerFacts {
///     precedence: Precedence::Exact,
///     network: Network::Here,
///     held_by: HeldBy::Member,
///     user: Sameness::Same,
/// };
/// assert_eq!(whose(&[listener], Some(worker), Refused), Whose::Workers(0, Owner::Verified));
/// assert_eq!(whose(&[listener], None, Refused), Whose::Stranger(0));
/// ```
pub fn whose(listeners: &[ListenerFacts], worker: Option<WorkerFacts>, foreign: ForeignListener) -> Whose {
    let owners: Vec<Option<Owner>> = listeners.iter().map(|it| owner(it, worker)).collect();
    let at = |wanted: Option<Owner>| owners.iter().position(|owner| *owner == wanted);
    let strangers = at(None).filter(|at| listeners.get(*at).is_some_and(|it| it.precedence.receives()));
    let workers = at(Some(Owner::Verified))
        .map(|at| (at, Owner::Verified))
        .or_else(|| at(Some(Owner::Unverified)).map(|at| (at, Owner::Unverified)));
    match (strangers, workers, foreign, worker) {
        (Some(at), _, ForeignListener::Refused, _) => Whose::Stranger(at),
        (Some(at), _, ForeignListener::Allowed, Some(_)) => Whose::Relay(at),
        (Some(_), _, ForeignListener::Allowed, None) => Whose::RelayToNobody,
        (None, Some((at, owner)), _, _) => Whose::Workers(at, owner),
        // A stranger at the other loopback address is not in the way.
        (None, None, _, _) => Whose::Nobody,
    }
}

/// The owner of one listener; `None` for a stranger's.
fn owner(listener: &ListenerFacts, worker: Option<WorkerFacts>) -> Option<Owner> {
    let WorkerFacts { sight, lifeline } = worker?;
    match (listener.held_by, listener.network) {
        (HeldBy::Member, Network::Here) => Some(Owner::Verified),
        // The socket is the worker's, but the address means another socket here.
        (HeldBy::Member, Network::Elsewhere) => Some(Owner::Unverified),
        (HeldBy::Others, _) => None,
        (HeldBy::Unseen, _) => match (sight, listener.user, lifeline) {
            (Sight::Partial, Sameness::Same, Lifeline::Held) => Some(Owner::Unverified),
            (Sight::Partial, Sameness::Same, Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable)
            | (Sight::Partial, Sameness::Other | Sameness::Unknown, _)
            | (Sight::Whole, _, _) => None,
        },
    }
}

/// A process that is no part of the worker, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// The pid and the name, if the process is visible.
    pub process: Option<(Pid, String)>,
    /// The user of its listening socket.
    pub uid: u32,
}

impl fmt::Display for Outsider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, name)) => {
                write!(f, "`{}` (pid {pid}, user {})", Shown(name), self.uid)
            }
            None => write!(f, "a process of user {}", self.uid),
        }
    }
}
