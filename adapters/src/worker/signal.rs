//! Signals every process of a worker, and no other.
//!
//! # Invariants
//! 1. An unjudged process gets no signal: each signal goes through a [`Pin`], which needs a warrant.
//! 2. Relatives come first. If the lifeline is still held once they are gone, all processes are looked at; if still
//!    held after that, all descriptors of all processes.
//!
//! Checked by `smoke/tests/smoke/spawn/companions.rs`, `ground/namespaces.rs` and `command/scale.rs`.

use super::members::{Judge, Search, found};
use super::pin::Pin;
use super::process::Process;
use super::watch::Worker;
use crate::sys::linux::process::pidfd::exits_within_ms;
use crate::sys::linux::process::signals::{Signal, of_stop, send_to_group};
use crate::sys::linux::procfs;
use rekindle_core::{KillError, KillSignal, Lifeline, OsFailure, Pid, StopSignal};
use std::collections::BTreeSet;

/// How often to look for processes again, since a process may fork while another is being signalled.
const PASSES_MAX: u32 = 3;
/// How long a signalled worker is given before a search for further processes, in milliseconds: most workers have none,
/// and are gone by then.
const PROMPT_END_MS: u8 = 5;

/// Signals every process of a worker: the leader with its process group, the recorded peer, all processes of the
/// leader's process session, and every holder of the lifeline. Unjudged processes are left alone.
///
/// # Errors
/// If a process could not be signalled; the others were.
pub fn signal(worker: &Worker, how: KillSignal) -> Result<(), KillError> {
    signal_by(worker, how, StopSignal::TERM)
}

/// As [`signal()`], with another signal for [`KillSignal::Term`].
///
/// # Errors
/// As for [`signal()`].
pub fn signal_by(worker: &Worker, how: KillSignal, stop: StopSignal) -> Result<(), KillError> {
    let mut volley =
        Volley { worker, signals: signals(how, stop), signalled: BTreeSet::new(), trouble: None };
    // Searched while the leader is surely there: if the leader is not our child, the session's name may go with the
    // leader.
    let was_alone = is_alone(worker);
    let companions = if was_alone { Vec::new() } else { volley.look(Search::Relatives) };
    volley.signal_pinned();
    // Looked at again, since the worker may have forked before the signal.
    if !(was_alone && is_alone(worker)) {
        volley.signal_others(companions);
    }
    // Processes that ended meanwhile need no signal; then a failure does not matter.
    volley.trouble.filter(|_| !worker.is_gone()).map_or(Ok(()), |error| Err(error.into()))
}

/// Whether a worker is provably a single running process, so no search is needed. Most workers are; for a thousand
/// workers, a search each through all processes means a million looks.
fn is_alone(worker: &Worker) -> bool {
    let is_one = worker.processes().filter(|process| !process.has_exited()).count() == 1;
    // Checked last: if the leader still runs, the pid has been the leader's all the while.
    is_one
        && worker.leader.as_ref().is_some_and(|leader| {
            leader.pin_held().is_some() && procfs::is_childless(leader.identity().pid) && !leader.has_exited()
        })
}

/// One signal to all processes of a worker.
struct Volley<'w> {
    worker: &'w Worker,
    signals: Vec<Signal>,
    signalled: BTreeSet<Pid>,
    trouble: Option<OsFailure>,
}

impl Volley<'_> {
    /// Signals the pinned processes.
    fn signal_pinned(&mut self) {
        // The group first: while unreaped by us, the leader keeps its name.
        let group = self.worker.leader.as_ref().filter(|leader| leader.is_ours());
        if let Some(leader) = group {
            for signal in &self.signals {
                // An empty group is the goal; any other failure shows in the search for members.
                let _ = send_to_group(leader.identity().pid, *signal);
            }
        }
        for process in self.worker.processes() {
            if let Some(pin) = process.pin_held() {
                self.signalled.insert(process.identity().pid);
                self.send(pin);
            }
        }
    }

    /// Signals the companions, and any other members found.
    fn signal_others(&mut self, companions: Vec<Pid>) {
        self.signal_members(companions, Search::Relatives);
        for search in Search::ALL {
            if self.ends_promptly() || (search > Search::Relatives && !self.somebody_is_unseen()) {
                return;
            }
            for _ in 0..PASSES_MAX {
                let fresh = self.look(search);
                if !self.signal_members(fresh, search) {
                    break;
                }
            }
        }
    }

    /// Whether the lifeline is held by a process that has not been signalled.
    fn somebody_is_unseen(&self) -> bool {
        let holds =
            |pid: &Pid| self.worker.lifeline.as_ref().is_some_and(|lifeline| lifeline.is_held_by(*pid));
        let listens = self.worker.listener.is_some();
        listens || (self.worker.ask_lifeline() == Lifeline::Held && !self.signalled.iter().any(holds))
    }

    fn look(&mut self, search: Search) -> Vec<Pid> {
        match found(self.worker, search) {
            Ok(members) => members,
            Err(error) => {
                self.trouble.get_or_insert(error);
                Vec::new()
            }
        }
    }

    /// Signals members that have not been signalled; `false` if there are none.
    fn signal_members(&mut self, members: Vec<Pid>, search: Search) -> bool {
        let fresh: Vec<Pid> = members.into_iter().filter(|pid| self.signalled.insert(*pid)).collect();
        let judge = Judge::of(self.worker, search);
        for pid in &fresh {
            // Judged again once pinned: otherwise the process ended, and the pid may have been reused.
            match Pin::of(*pid, || judge.warrant(*pid)) {
                Ok(Some(pin)) => self.send(&pin),
                Ok(None) => {}
                Err(error) => {
                    self.trouble.get_or_insert(error);
                }
            }
        }
        !fresh.is_empty()
    }

    fn send(&mut self, pin: &Pin) {
        for signal in self.signals.clone() {
            if let Err(error) = pin.send(signal) {
                self.trouble.get_or_insert(error);
            }
        }
    }

    /// Whether the worker is gone within a moment: then no search is needed.
    fn ends_promptly(&self) -> bool {
        for pin in self.worker.processes().filter_map(Process::pin_held) {
            // A process that does not end, or cannot be waited for, is no prompt end.
            if !exits_within_ms(pin.pidfd(), PROMPT_END_MS) {
                return false;
            }
        }
        self.worker.is_gone()
    }
}

/// SIGCONT follows the stop signal, since a stopped process would not handle the stop signal.
fn signals(how: KillSignal, stop: StopSignal) -> Vec<Signal> {
    match how {
        KillSignal::Term => vec![of_stop(stop), Signal::SIGCONT],
        KillSignal::Kill => vec![Signal::SIGKILL],
    }
}
