//! Who listens on a TCP port, and how a client gets there.
//!
//! A port is open to every user of the machine, so an accepted connection proves nothing: the kernel names the listening
//! sockets, and `/proc/PID/fd` shows the processes with these sockets open. [`rekindle_core::ownership`] judges.
//!
//! # Invariants
//! 1. A listener that is not the worker's is never connected to for a proof, unless the caller vouched for the listener.
//! 2. A connection counts only if the listening socket was the worker's before *and* after the connect.
//! 3. A look that finds the worker's own socket at once looks into no other process.
//! 4. A socket of ours listens at no time: another launcher would take the socket for a stranger's.
//!
//! Checked by `smoke/tests/smoke/endpoint/*.rs`.

use crate::endpoint::probe::{Connection, Probed};
use crate::sys::linux::failure::During;
use crate::sys::linux::procfs;
use crate::sys::linux::socket::bind_port;
use crate::sys::linux::socket::tcp_table::{self, link_of};
use crate::sys::linux::user::our_uid;
use crate::worker::{self, Worker};
use rekindle_core::ownership::{
    HeldBy, ListenerFacts, ListeningSocket, Network, Outsider, Precedence, Sight, Whose, WorkerFacts,
    deciding, looked_for_at, reached, whose,
};
use rekindle_core::plan::ForeignListener;
use rekindle_core::view::Contact;
use rekindle_core::warrant::Sameness;
use rekindle_core::{Lifeline, OsFailure, Owner, Pid};
use std::cell::OnceCell;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// How long a listener of this machine may take to accept a connection: longer only with a full backlog.
pub(super) const CONNECT_MAX: Duration = Duration::from_millis(500);

/// How often a probe looks, if the listener changes under the look.
const LOOKS_MAX: usize = 3;

/// How many ports are tried before the kernel has none that is free in both families.
const PORTS_MAX: usize = 16;

/// The question whose listener is at an address.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'w> {
    /// The address.
    pub at: SocketAddr,
    /// The worker, if a worker runs.
    pub worker: Option<&'w Worker>,
    /// The treatment of a listener that is not the worker's.
    pub foreign: ForeignListener,
}

/// The listener at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listener {
    /// No process listens.
    Nobody,
    /// The worker listens, or its relay.
    Found(Found),
    /// A listener that the caller vouched for, without a worker behind.
    RelayToNobody,
    /// A stranger listens.
    Foreign(Outsider),
}

/// A listener that counts as the worker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whether the listener is proved to be the worker's; `None` for a relay on the caller's word.
    pub owner: Option<Owner>,
    /// The address to connect to.
    pub at: SocketAddr,
    /// The network namespace of the listener.
    pub network: Network,
    holding: Option<Holding>,
}

/// A process with a listening socket open.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holding {
    pid: Pid,
    descriptor: PathBuf,
    link: PathBuf,
}

impl Holding {
    /// Whether the process still has the same socket open. If so, the socket has listened all the while.
    fn lasts(&self) -> bool {
        fs::read_link(&self.descriptor).is_ok_and(|link| link == self.link)
    }
}

impl Found {
    /// The listening process, if known.
    pub fn pid(&self) -> Option<Pid> {
        self.holding.as_ref().map(|holding| holding.pid)
    }

    /// Whether the listener is still the worker's after a connect.
    pub(crate) fn is_confirmed(&self, asked: &Asked<'_>) -> bool {
        match (&self.holding, self.owner) {
            (Some(holding), _) => holding.lasts(),
            (None, None) => true,
            (None, Some(_)) => asked.listener().is_ok_and(|now| now == Listener::Found(self.clone())),
        }
    }

    /// A connection to the listener, made already or deferred.
    pub(crate) fn connection(&self, stream: Option<TcpStream>) -> Connection {
        Connection::to_port(self.at, self.owner, self.pid(), stream)
    }
}

/// All listeners of the machine, read once for many sessions, at the first question.
#[derive(Debug, Default)]
pub struct Listeners(OnceCell<Vec<ListeningSocket>>);

impl Listeners {
    fn get(&self) -> Result<&[ListeningSocket], OsFailure> {
        match self.0.get() {
            Some(rows) => Ok(rows),
            None => {
                let rows = tcp_table::listeners()?;
                Ok(self.0.get_or_init(|| rows))
            }
        }
    }
}

impl Asked<'_> {
    /// Looks for the listener that receives the connections to the address.
    ///
    /// # Errors
    /// If the kernel does not name the listeners, or the processes cannot be listed.
    pub fn listener(&self) -> Result<Listener, OsFailure> {
        self.among(&tcp_table::listeners_at(looked_for_at(self.at))?)
    }

    /// The same, among listeners that were read before.
    ///
    /// # Errors
    /// As for [`Self::listener`].
    pub fn listener_among(&self, listeners: &Listeners) -> Result<Listener, OsFailure> {
        self.among(listeners.get()?)
    }

    fn among(&self, rows: &[ListeningSocket]) -> Result<Listener, OsFailure> {
        match self.judged(rows, Network::Here)? {
            Listener::Nobody => self.elsewhere(),
            found => Ok(found),
        }
    }

    /// Looks in the worker's own network namespaces.
    fn elsewhere(&self) -> Result<Listener, OsFailure> {
        for pid in self.worker.map(worker::family).unwrap_or_default() {
            if procfs::shares_namespace(pid, "net") == Sameness::Same {
                continue;
            }
            // A process that has ended meanwhile has no table.
            let Ok(rows) = tcp_table::listeners_of(pid) else { continue };
            match self.judged(&rows, Network::Elsewhere)? {
                found @ Listener::Found(_) => return Ok(found),
                // A stranger of that namespace is in nobody's way here.
                Listener::Nobody | Listener::RelayToNobody | Listener::Foreign(_) => {}
            }
        }
        Ok(Listener::Nobody)
    }

    fn judged(&self, rows: &[ListeningSocket], network: Network) -> Result<Listener, OsFailure> {
        let wanted = looked_for_at(self.at);
        let ranked: Vec<(&ListeningSocket, Precedence)> =
            rows.iter().filter_map(|row| Some((row, Precedence::of(row, wanted)?))).collect();
        let precedences: Vec<Precedence> = ranked.iter().map(|(_, precedence)| *precedence).collect();
        let ranked: Vec<_> = deciding(&precedences).into_iter().filter_map(|at| ranked.get(at)).collect();
        if ranked.is_empty() {
            return Ok(Listener::Nobody);
        }
        let holders = Holders::look(ranked.iter().map(|(row, _)| *row), self.worker)?;
        let facts: Vec<ListenerFacts> = ranked
            .iter()
            .zip(&holders.sockets)
            .map(|((row, precedence), socket)| ListenerFacts {
                precedence: *precedence,
                network,
                held_by: socket.held_by(),
                user: if row.uid == our_uid() { Sameness::Same } else { Sameness::Other },
            })
            .collect();
        let worker = self.worker.map(|worker| holders.facts_of(worker)).transpose()?;
        let judged = whose(&facts, worker, self.foreign);
        let of = |at: usize| ranked.get(at).zip(holders.sockets.get(at));
        Ok(match judged {
            Whose::Nobody => Listener::Nobody,
            Whose::RelayToNobody => Listener::RelayToNobody,
            Whose::Workers(at, owner) => of(at).map_or(Listener::Nobody, |((row, precedence), socket)| {
                let at = reached(row, *precedence, wanted);
                let holding = socket.member.clone().filter(|_| network == Network::Here);
                Listener::Found(Found { owner: Some(owner), at, network, holding })
            }),
            Whose::Relay(at) => of(at).map_or(Listener::Nobody, |((row, precedence), _)| {
                let at = reached(row, *precedence, wanted);
                Listener::Found(Found { owner: None, at, network, holding: None })
            }),
            Whose::Stranger(at) => of(at).map_or(Listener::Nobody, |((row, _), socket)| {
                let named = |pid: Pid| Some((pid, procfs::name(pid)?));
                Listener::Foreign(Outsider { process: socket.other.and_then(named), uid: row.uid })
            }),
        })
    }

    /// Probes the address. A worker that must not get a connection for a mere look is not connected to.
    pub fn probe(&self, contact: Contact) -> Probed {
        let mut probed = Probed::Indeterminate { why: "the listener changed during the look".to_owned() };
        for _ in 0..LOOKS_MAX {
            match self.listener() {
                Ok(Listener::Found(found)) if contact == Contact::Connect => match found.connect(self) {
                    Connected::Confirmed(connection) => return Probed::Live(connection),
                    Connected::Changed => {}
                    Connected::Failed(error) => {
                        probed = Probed::Indeterminate { why: format!("a process listens, and {error}") };
                    }
                },
                listener => return judged_gently(listener),
            }
        }
        probed
    }

    /// Whether the worker listens, among listeners that were read before. The worker is not connected to.
    pub fn is_listened_at(&self, listeners: &Listeners) -> bool {
        matches!(self.listener_among(listeners), Ok(Listener::Found(_)))
    }
}

/// The end of a connect for a proof.
enum Connected {
    /// The worker accepted.
    Confirmed(Connection),
    /// The listener left during the connect.
    Changed,
    Failed(io::Error),
}

impl Found {
    fn connect(&self, asked: &Asked<'_>) -> Connected {
        if self.network == Network::Elsewhere {
            return Connected::Confirmed(self.connection(None));
        }
        match TcpStream::connect_timeout(&self.at, CONNECT_MAX) {
            Ok(stream) if self.is_confirmed(asked) => Connected::Confirmed(self.connection(Some(stream))),
            Ok(_) => Connected::Changed,
            Err(error) => Connected::Failed(error),
        }
    }
}

fn judged_gently(listener: Result<Listener, OsFailure>) -> Probed {
    match listener {
        Err(failure) => Probed::Indeterminate { why: failure.to_string() },
        Ok(Listener::Nobody) => Probed::Dormant { why: "nobody listens on the port".to_owned() },
        Ok(Listener::RelayToNobody) => {
            Probed::Dormant { why: "no worker runs behind the process that listens on the port".to_owned() }
        }
        Ok(Listener::Found(found)) => Probed::Live(found.connection(None)),
        Ok(Listener::Foreign(who)) => Probed::Foreign { who: who.to_string() },
    }
}

/// The processes with listening sockets open.
struct Holders {
    sockets: Vec<Socket>,
    /// Whether a process of the worker hides its descriptors.
    hides: bool,
}

/// One listening socket, and the processes with the socket open.
struct Socket {
    link: PathBuf,
    member: Option<Holding>,
    other: Option<Pid>,
}

impl Socket {
    fn held_by(&self) -> HeldBy {
        match (&self.member, self.other) {
            (Some(_), _) => HeldBy::Member,
            (None, Some(_)) => HeldBy::Others,
            (None, None) => HeldBy::Unseen,
        }
    }
}

impl Holders {
    /// Looks into the worker's known processes; into all processes only if these have not all of the sockets.
    fn look<'r>(
        rows: impl Iterator<Item = &'r ListeningSocket>,
        worker: Option<&Worker>,
    ) -> Result<Self, OsFailure> {
        let sockets = rows.map(|row| Socket { link: link_of(row), member: None, other: None }).collect();
        let mut holders = Self { sockets, hides: false };
        let known = worker.map(worker::known).unwrap_or_default();
        for pid in &known {
            holders.look_into(*pid, || true);
            if holders.are_members() {
                return Ok(holders);
            }
        }
        for pid in procfs::processes()?.into_iter().filter(|pid| !known.contains(pid)) {
            holders.look_into(pid, || worker.is_some_and(|worker| worker::is_family(worker, pid)));
            if worker.is_some() && holders.are_members() {
                break;
            }
        }
        Ok(holders)
    }

    fn are_members(&self) -> bool {
        self.sockets.iter().all(|socket| socket.member.is_some())
    }

    /// Looks at the descriptors of a process. The question whether the process is a member is asked last: a process may
    /// have become a member during the look.
    fn look_into(&mut self, pid: Pid, is_member: impl Fn() -> bool) {
        let path = format!("/proc/{pid}/fd");
        let descriptors = match fs::read_dir(&path) {
            Ok(descriptors) => descriptors,
            Err(error) => {
                let hides = error.kind() == io::ErrorKind::PermissionDenied;
                self.hides |= hides && is_member();
                return;
            }
        };
        for entry in descriptors.flatten() {
            let Ok(link) = fs::read_link(entry.path()) else { continue };
            let Some(socket) = self.sockets.iter_mut().find(|it| it.member.is_none() && it.link == link)
            else {
                continue;
            };
            if is_member() {
                socket.member = Some(Holding { pid, descriptor: entry.path(), link });
            } else {
                socket.other = socket.other.or(Some(pid));
            }
            if self.are_members() {
                return;
            }
        }
    }

    /// The facts about the worker. Whether every process is visible matters only if a socket has no visible holder.
    fn facts_of(&self, worker: &Worker) -> Result<WorkerFacts, OsFailure> {
        let lifeline = worker.ask_lifeline();
        let is_unseen = self.sockets.iter().any(|socket| socket.held_by() == HeldBy::Unseen);
        // A held lifeline without a visible holder belongs to a hidden process.
        let is_partial =
            is_unseen && (self.hides || (lifeline == Lifeline::Held && !worker::has_visible_holder(worker)?));
        Ok(WorkerFacts { sight: if is_partial { Sight::Partial } else { Sight::Whole }, lifeline })
    }
}

/// The process that listens at an address, in words, if the session has no worker. `None` if no process listens, or the
/// kernel does not say.
pub fn foreign_listener(at: SocketAddr) -> Option<String> {
    match (Asked { at, worker: None, foreign: ForeignListener::Refused }).listener() {
        Ok(Listener::Foreign(who)) => Some(who.to_string()),
        Ok(Listener::Nobody | Listener::Found(_) | Listener::RelayToNobody) | Err(_) => None,
    }
}

/// Whether any process listens at an address.
///
/// # Errors
/// If the kernel does not name the listeners.
pub fn is_taken(at: SocketAddr) -> Result<bool, OsFailure> {
    let wanted = looked_for_at(at);
    let rows = tcp_table::listeners_at(wanted)?;
    Ok(rows.iter().any(|row| Precedence::of(row, wanted).is_some()))
}

/// A free port of `at`'s host: the port of `at` if the port is free, else another. Only under the claim: another
/// launcher's worker may be about to bind the port.
///
/// # Errors
/// If the host is not of this machine, or no port is free.
pub fn free_port(at: SocketAddr) -> Result<SocketAddr, OsFailure> {
    let bind = |at: SocketAddr| -> io::Result<SocketAddr> {
        // Bound, and not listening: the socket is in nobody's way, and closed at once.
        TcpListener::from(bind_port(at)?).local_addr()
    };
    let doing = format!("choose a free port of {}", at.ip());
    if at.port() != 0 && bind(at).is_ok() {
        return Ok(at);
    }
    let mut chosen = bind(SocketAddr::new(at.ip(), 0)).doing(&doing)?;
    for _ in 0..PORTS_MAX {
        // A program that listens on `localhost` may take the other family.
        if !is_taken(chosen)? {
            break;
        }
        chosen = bind(SocketAddr::new(at.ip(), 0)).doing(&doing)?;
    }
    Ok(chosen)
}
