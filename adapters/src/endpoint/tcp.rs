//! Who listens on a TCP port, and how a client gets there.
//!
//! A port is open to every user of the machine, so an accepted connection proves nothing: the kernel's socket tables name
//! the listening socket, and a process of the worker has to hold it.
//!
//! # Invariants
//! 1. A listener that no process of the worker holds is foreign; a foreign listener is never connected to for a proof.
//! 2. What cannot be looked into is [`Owner::Unverified`], and needs a listener of our user and a held lifeline.
//!
//! Checked by `smoke/tests/smoke/endpoint/*.rs`.

use crate::endpoint::probe::{Connection, Probed};
use crate::sys::linux::failure::During;
use crate::sys::linux::procfs;
use crate::sys::linux::tcp_table::{self, TcpListenerRow};
use crate::worker::{self, Worker};
use rekindle_core::endpoint::{reached_at, serves};
use rekindle_core::plan::ForeignListener;
use rekindle_core::view::Contact;
use rekindle_core::{OsFailure, Owner, Pid};
use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// How long a listener of this machine may take to accept a connection: longer only with a full backlog.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// The listener on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listener {
    /// No process listens.
    Nobody,
    /// The worker listens.
    Ours {
        /// Whether the listener is proved to be the worker's.
        owner: Owner,
        /// The address to connect to.
        at: SocketAddr,
        /// The listening process, if known.
        pid: Option<Pid>,
    },
    /// A process that is no part of the worker listens.
    Foreign {
        /// The process in words.
        who: String,
        /// The address to connect to.
        at: SocketAddr,
    },
}

/// Looks for the listener that receives what is sent to `wanted`. Without a worker, every listener is foreign.
///
/// # Errors
/// If the kernel's tables cannot be read.
pub fn listener(wanted: SocketAddr, worker: Option<&Worker>) -> Result<Listener, OsFailure> {
    let rows: Vec<TcpListenerRow> =
        tcp_table::listeners(None)?.into_iter().filter(|row| serves(row.bound, wanted)).collect();
    let Some(first) = rows.first() else { return Ok(Listener::Nobody) };
    let links: HashSet<PathBuf> = rows.iter().map(TcpListenerRow::link).collect();
    if let Some(worker) = worker {
        for pid in worker::members(worker)? {
            if let Some(link) = held_by(pid, &links)
                && let Some(row) = rows.iter().find(|row| row.link() == link)
            {
                let at = reached_at(row.bound, wanted);
                return Ok(Listener::Ours { owner: Owner::Verified, at, pid: Some(pid) });
            }
        }
    }
    Ok(Listener::Foreign { who: holder_in_words(&links, first.uid), at: reached_at(first.bound, wanted) })
}

/// The socket among `links` that a process has open.
fn held_by(pid: Pid, links: &HashSet<PathBuf>) -> Option<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    descriptors
        .flatten()
        .find_map(|entry| fs::read_link(entry.path()).ok().filter(|link| links.contains(link)))
}

fn holder_in_words(links: &HashSet<PathBuf>, uid: u32) -> String {
    let holder =
        procfs::processes().ok().and_then(|all| all.into_iter().find(|pid| held_by(*pid, links).is_some()));
    match holder {
        Some(pid) => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("`{}` (pid {pid})", name.trim_end())
        }
        None => format!("a process of user {uid}"),
    }
}

/// The process that listens on a port, in words, if the session has no worker. `None` if no process listens, or the tables
/// cannot be read.
pub fn foreign_listener(at: SocketAddr) -> Option<String> {
    match listener(at, None) {
        Ok(Listener::Foreign { who, .. }) => Some(who),
        Ok(Listener::Nobody | Listener::Ours { .. }) | Err(_) => None,
    }
}

/// Probes a TCP port: whether the worker listens there. A worker that must not get a connection for a mere look is not
/// connected to.
pub fn probe(at: SocketAddr, worker: Option<&Worker>, contact: Contact, foreign: ForeignListener) -> Probed {
    match (listener(at, worker), foreign) {
        (Err(failure), _) => Probed::Indeterminate { why: failure.to_string() },
        (Ok(Listener::Nobody), _) => Probed::Dormant { why: "nobody listens on the port".to_owned() },
        (Ok(Listener::Ours { owner, at, pid }), _) => connected(at, Some(owner), pid, contact),
        (Ok(Listener::Foreign { at, .. }), ForeignListener::Allowed) => connected(at, None, None, contact),
        (Ok(Listener::Foreign { who, .. }), ForeignListener::Refused) => Probed::Foreign { who },
    }
}

fn connected(at: SocketAddr, owner: Option<Owner>, pid: Option<Pid>, contact: Contact) -> Probed {
    let stream = match contact {
        Contact::Gentle => None,
        Contact::Connect => match TcpStream::connect_timeout(&at, CONNECT_MAX) {
            Ok(stream) => Some(stream),
            Err(error) => return Probed::Indeterminate { why: format!("a process listens, and {error}") },
        },
    };
    Probed::Live(Connection::to_port(at, owner, pid, stream))
}

/// A free port of `at`'s host: the port of `at` if it is free, else another.
///
/// # Errors
/// If the host is not of this machine, or no port is free.
pub fn free_port(at: SocketAddr) -> Result<SocketAddr, OsFailure> {
    let bound = TcpListener::bind(at).or_else(|_| TcpListener::bind(SocketAddr::new(at.ip(), 0)));
    bound.and_then(|bound| bound.local_addr()).doing(&format!("choose a free port of {}", at.ip()))
}
