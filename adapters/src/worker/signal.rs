//! Signals every process of a worker, and no other.
//!
//! # Invariants
//! 1. Whom nobody can judge gets no signal: each goes through a [`Pin`], which needs a warrant.
//! 2. Relatives first. Only while the lifeline is held after those are gone are all processes looked at, and only while it
//!    is held after that, all of their descriptors.
//!
//! Checked by `smoke/tests/smoke/spawn/companions.rs`, `ground/namespaces.rs` and `command/scale.rs`.

use super::members::{Judge, Search, found};
use super::pin::Pin;
use super::process::Process;
use super::watch::Worker;
use crate::sys::linux::process::pidfd::exits_within_ms;
use crate::sys::linux::process::signals::{Signal, send_to_group};
use crate::sys::linux::procfs;
use rekindle_core::{KillError, KillSignal, Lifeline, OsFailure, Pid};
use std::collections::BTreeSet;

/// How often the processes are looked for again, since one may fork while another is being signalled.
const PASSES_MAX: u32 = 3;
/// How long a worker that was signalled is given before its other processes are looked for, in milliseconds: most have none,
/// and are gone by then.
const PROMPT_END_MS: u8 = 5;

/// Signals every process of a worker: its leader and the group of that, the process that answered, everything in the
/// leader's session, and every holder of its lifeline. Processes that are not to be judged from here are left alone.
///
/// # Errors
/// If one of them could not be signalled; the others were.
pub fn signal(worker: &Worker, how: KillSignal) -> Result<(), KillError> {
    let mut volley = Volley { worker, how, signalled: BTreeSet::new(), trouble: None };
    // Looked for while the leader is sure to be there: with a leader that is not ours, the session's name goes.
    let was_alone = is_alone(worker);
    let companions = if was_alone { Vec::new() } else { volley.look(Search::Relatives) };
    volley.signal_pinned();
    // Looked at once more, since it may have forked before it was signalled.
    if !(was_alone && is_alone(worker)) {
        volley.signal_others(companions);
    }
    // Those that ended meanwhile need no signal, and then nothing was wrong.
    volley.trouble.filter(|_| !worker.is_gone()).map_or(Ok(()), |error| Err(error.into()))
}

/// Whether a worker provably is one process that runs, so that there is nobody else to look for. Most workers are, and to
/// look through all processes for each of a thousand workers is to look a million times.
fn is_alone(worker: &Worker) -> bool {
    let is_one = worker.processes().filter(|process| !process.has_exited()).count() == 1;
    // Asked last whether it still runs: so long its pid has been its own.
    is_one
        && worker.leader.as_ref().is_some_and(|leader| {
            leader.pin_held().is_some() && procfs::is_childless(leader.identity().pid) && !leader.has_exited()
        })
}

/// One signal to all of a worker.
struct Volley<'w> {
    worker: &'w Worker,
    how: KillSignal,
    signalled: BTreeSet<Pid>,
    trouble: Option<OsFailure>,
}

impl Volley<'_> {
    /// The processes that the worker is known by.
    fn signal_pinned(&mut self) {
        // The group first: unreaped by us, the leader keeps its name.
        let group = self.worker.leader.as_ref().filter(|leader| leader.is_ours());
        if let Some(leader) = group {
            for signal in signals(self.how) {
                // An empty group is what is wanted; anything else shows in the looks for the members.
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

    /// The companions, and whoever else turns out to belong to the worker.
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

    /// Whether the lifeline is held by somebody who has not been signalled.
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

    /// Signals those who have not been signalled; `false` if there is none.
    fn signal_members(&mut self, members: Vec<Pid>, search: Search) -> bool {
        let fresh: Vec<Pid> = members.into_iter().filter(|pid| self.signalled.insert(*pid)).collect();
        let judge = Judge::of(self.worker, search);
        for pid in &fresh {
            // Still a member now that the pid is pinned? Otherwise it ended, and the pid may be a stranger's.
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
        for signal in signals(self.how) {
            if let Err(error) = pin.send(*signal) {
                self.trouble.get_or_insert(error);
            }
        }
    }

    /// Whether the worker is gone within a moment: then nobody needs to be looked for.
    fn ends_promptly(&self) -> bool {
        for pin in self.worker.processes().filter_map(Process::pin_held) {
            // One that does not end, or cannot be waited for, is no prompt end.
            if !exits_within_ms(pin.pidfd(), PROMPT_END_MS) {
                return false;
            }
        }
        self.worker.is_gone()
    }
}

/// SIGCONT follows SIGTERM, since a stopped process would not hear it.
fn signals(how: KillSignal) -> &'static [Signal] {
    match how {
        KillSignal::Term => &[Signal::SIGTERM, Signal::SIGCONT],
        KillSignal::Kill => &[Signal::SIGKILL],
    }
}
