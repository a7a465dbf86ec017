//! Sends a signal of the caller's choice, once, to the processes of a worker.
//!
//! # Invariants
//! 1. An unjudged process gets no signal: each signal goes through a [`Pin`], which needs a warrant.
//! 2. A process gets the signal at most once.
//!
//! Checked by `smoke/tests/smoke/watch/signal.rs`.

use super::members::{Judge, Search, found};
use super::pin::Pin;
use super::process::Process;
use super::watch::Worker;
use crate::sys::linux::process::signals::Signal;
use rekindle_core::signal::SignalNumber;
use rekindle_core::{KillError, OsFailure, Pid};
use std::collections::BTreeSet;

/// Signals the started process alone, and returns the signalled process: none if the started process has ended, or is
/// not proved to be the recorded process.
///
/// # Errors
/// If the signal cannot be sent. This crate sends no real-time signal.
pub fn signal_leader(worker: &Worker, signal: SignalNumber) -> Result<Vec<Pid>, KillError> {
    let signal = named(signal)?;
    let mut sent = Vec::new();
    for leader in worker.leader.iter().filter(|leader| !leader.has_exited()) {
        if let Some(pin) = leader.pin_held() {
            pin.send(signal)?;
            sent.push(leader.identity().pid);
        }
    }
    Ok(sent)
}

/// Signals every visible process of the worker once, and returns the signalled processes. A process that is born
/// meanwhile may be left out.
///
/// # Errors
/// If a process cannot be signalled, or the processes cannot be listed; others may have been signalled.
pub fn signal_members(worker: &Worker, signal: SignalNumber) -> Result<Vec<Pid>, KillError> {
    let signal = named(signal)?;
    let pinned: Vec<&Process> = worker.processes().filter(|process| !process.has_exited()).collect();
    let mut sent = BTreeSet::new();
    // Searched while the leader is surely there: the session's name may go with the leader.
    let members = found(worker, Search::Everybody)?;
    let judge = Judge::of(worker, Search::Everybody);
    let others = members.into_iter().filter(|pid| pinned.iter().all(|it| it.identity().pid != *pid));
    let others =
        others.filter_map(|pid| Pin::of(pid, || judge.warrant(pid)).map(|pin| Some((pid, pin?))).transpose());
    let others = others.collect::<Result<Vec<_>, OsFailure>>()?;
    for process in pinned {
        if let Some(pin) = process.pin_held() {
            pin.send(signal)?;
            sent.insert(process.identity().pid);
        }
    }
    for (pid, pin) in others {
        pin.send(signal)?;
        sent.insert(pid);
    }
    Ok(sent.into_iter().collect())
}

fn named(signal: SignalNumber) -> Result<Signal, KillError> {
    let why = |_| OsFailure::new(format!("send signal {signal}"), "real-time signals are not sent");
    Ok(Signal::try_from(signal.as_raw()).map_err(why)?)
}
