//! The TCP port of a worker that was given another endpoint: for a message, never for a decision.
//!
//! Many servers know ports only, and some ignore the port of their environment. A start of such a program fails by its
//! time-out, and the message names the port.
//!
//! Checked by `smoke/tests/smoke/command/addresses.rs`.

use crate::sys::linux::socket::tcp_table;
use crate::worker::{self, Worker};
use rekindle_core::ownership::{Families, ListeningSocket};
use rekindle_core::{Endpoint, Pid};
use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// A TCP port on which a process of the worker listens, as an address to connect to. `None` if no such process is seen, or
/// if a process of the worker listens on the port of `given`.
pub fn tcp_port(worker: &Worker, given: &Endpoint) -> Option<SocketAddr> {
    let members = worker::members(worker).ok()?;
    let rows = tcp_table::listeners().ok()?;
    let listeners: HashMap<PathBuf, SocketAddr> =
        rows.iter().map(|row| (tcp_table::link_of(row), reached_at(row))).collect();
    let held: Vec<SocketAddr> = members.into_iter().flat_map(|pid| held_by(pid, &listeners)).collect();
    let is_given = |at: &SocketAddr| given.tcp().is_some_and(|given| given.port() == at.port());
    if held.iter().any(is_given) { None } else { held.first().copied() }
}

/// The listeners that a process has open.
fn held_by(pid: Pid, listeners: &HashMap<PathBuf, SocketAddr>) -> Vec<SocketAddr> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.filter_map(|link| listeners.get(&link).copied()).collect()
}

/// A wildcard listener is reached at the loopback interface.
fn reached_at(listener: &ListeningSocket) -> SocketAddr {
    let host = match (listener.bound.ip(), listener.families) {
        (IpAddr::V6(host), Families::Own) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        (host, Families::Own | Families::Both) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        (host, Families::Own | Families::Both) => host,
    };
    SocketAddr::new(host, listener.bound.port())
}
