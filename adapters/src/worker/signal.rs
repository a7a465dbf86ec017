//! Signals every process of a worker, and no other.

use super::{Process, Worker};
use crate::os::failure;
use crate::procfs;
use rekindle_core::{KillError, KillSignal, OsFailure, Pid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

/// How often the processes are looked for again, since one may fork while another is being signalled.
const PASSES_MAX: u32 = 3;
/// How long a worker that was signalled is given before its other processes are looked for: most have none, and are gone
/// by then. To look through the descriptors of all processes takes about as long on a quiet machine.
const PROMPT_END: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// Signals every process of a worker: its leader and the group of that, the process that answered, everything in the
/// leader's session, and every holder of its lifeline.
///
/// # Errors
/// If one of them could not be signalled; the others were.
pub fn signal(worker: &Worker, how: KillSignal) -> Result<(), KillError> {
    let mut trouble = None;
    // Looked for while the leader is sure to be there: with a leader that is not ours, the session's name goes.
    let was_alone = is_alone(worker);
    let companions = if was_alone { Vec::new() } else { companions(worker) };
    signal_pinned(worker, how, &mut trouble);
    // Looked at once more, since it may have forked before it was signalled.
    if !(was_alone && is_alone(worker)) {
        signal_others(worker, companions, how, &mut trouble);
    }
    // Those that ended meanwhile need no signal, and then nothing was wrong.
    trouble.filter(|_| !worker.is_gone()).map_or(Ok(()), |error| Err(error.into()))
}

/// Whether a worker provably is one process that runs, so that there is nobody else to look for. Most workers are, and to
/// look through all processes for each of a thousand workers is to look a million times.
fn is_alone(worker: &Worker) -> bool {
    let is_one = worker.processes().filter(|process| !process.has_exited()).count() == 1;
    // Asked last whether it still runs: so long its pid has been its own.
    is_one
        && worker
            .leader
            .as_ref()
            .is_some_and(|leader| procfs::is_childless(leader.identity().pid) && !leader.has_exited())
}

/// Signals the companions of a worker, and whoever else turns out to belong to it.
fn signal_others(worker: &Worker, companions: Vec<Pid>, how: KillSignal, trouble: &mut Option<OsFailure>) {
    let mut signalled: BTreeSet<Pid> =
        worker.processes().filter(|it| it.pidfd().is_some()).map(|it| it.identity().pid).collect();
    for pid in companions {
        if signalled.insert(pid) {
            signal_member(worker, pid, how, trouble);
        }
    }
    if signalled.len() <= worker.processes().count() && ends_promptly(worker) {
        return;
    }
    for _ in 0..PASSES_MAX {
        let fresh: Vec<Pid> = members(worker).into_iter().filter(|pid| signalled.insert(*pid)).collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            signal_member(worker, pid, how, trouble);
        }
    }
}

/// Whether a worker is gone within a moment: then nobody holds its lifeline, and nobody needs to be looked for.
fn ends_promptly(worker: &Worker) -> bool {
    for pidfd in worker.processes().filter_map(Process::pidfd) {
        // One that does not end, or cannot be waited for, is no prompt end.
        let ended = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&PROMPT_END));
        if ended != Ok(1) {
            return false;
        }
    }
    worker.is_gone()
}

/// The processes of the leader's session, other than the leader.
fn companions(worker: &Worker) -> Vec<Pid> {
    // A session whose name may have changed hands is nobody's.
    let named = worker.leader.as_ref().filter(|leader| names_its_session(leader));
    let Some(leader) = named.map(|leader| leader.identity().pid) else { return Vec::new() };
    let others = procfs::processes().into_iter().filter(|pid| *pid != leader && !is_us(*pid));
    others.filter(|pid| is_in_session(worker, *pid)).collect()
}

/// The processes of a worker that run, as far as they can be told.
pub fn members(worker: &Worker) -> Vec<Pid> {
    let pinned = worker.processes().filter(|it| !it.has_exited()).map(|it| it.identity().pid);
    let mut members: BTreeSet<Pid> = pinned.collect();
    members.extend(procfs::processes().into_iter().filter(|pid| is_member(worker, *pid)));
    members.into_iter().collect()
}

/// Whether a process belongs to a worker by its session or its lifeline. We ourselves never do, even when a worker
/// runs us to stop it.
fn is_member(worker: &Worker, pid: Pid) -> bool {
    !is_us(pid)
        && (is_in_session(worker, pid)
            || worker.lifeline.as_ref().is_some_and(|lifeline| lifeline.is_held_by(pid)))
}

fn is_us(pid: Pid) -> bool {
    pid.as_raw().unsigned_abs() == std::process::id()
}

/// Whether a process belongs to a worker, running or waiting to be reaped: who spoke may have ended already.
pub(crate) fn is_kin(worker: &Worker, pid: Pid) -> bool {
    let is_leader = || {
        let leader = worker.identity().filter(|leader| leader.pid == pid)?;
        (Some(procfs::stat(pid)?.start_time) == leader.start_time).then_some(())
    };
    let in_session = || {
        let leader = worker.leader.as_ref().filter(|leader| !leader.has_exited())?;
        // Asked between two looks at the leader: its pid has named its session all the while.
        let same = procfs::stat(pid)?.session == leader.identity().pid.as_raw();
        (same && !leader.has_exited()).then_some(())
    };
    let named = is_leader().or_else(in_session).is_some();
    named || worker.lifeline.as_ref().is_some_and(|lifeline| lifeline.is_held_by(pid))
}

/// A session is named by its leader's pid, which is the leader's for as long as it lives or waits for us to reap it.
fn is_in_session(worker: &Worker, pid: Pid) -> bool {
    let Some(leader) = &worker.leader else { return false };
    let session = leader.identity().pid.as_raw();
    // Nearly all processes belong to another one, which one short call tells.
    if procfs::session(pid) != Some(session) {
        return false;
    }
    let belongs = procfs::stat(pid).is_some_and(|stat| stat.session == session && !stat.is_zombie());
    // Asked afterwards: had the leader been reaped by somebody else meanwhile, the name might have changed hands.
    belongs && names_its_session(leader)
}

/// Whether a leader's pid still is the name of its session: it lives, or waits for us to reap it.
fn names_its_session(leader: &Process) -> bool {
    leader.pidfd().is_some() && (leader.is_ours() || !leader.has_exited())
}

fn signal_pinned(worker: &Worker, how: KillSignal, trouble: &mut Option<OsFailure>) {
    // The group first: unreaped by us, the leader keeps its name.
    let group = worker.leader.as_ref().filter(|leader| leader.is_ours());
    if let Some(group) =
        group.and_then(|leader| rustix::process::Pid::from_raw(leader.identity().pid.as_raw()))
    {
        for signal in signals(how) {
            // An empty group is what is wanted; anything else shows in the passes over the members.
            let _ = kill_process_group(group, *signal);
        }
    }
    for process in worker.processes() {
        if let Some(pidfd) = process.pidfd() {
            send(pidfd.as_fd(), process.identity().pid, how, trouble);
        }
    }
}

fn signal_member(worker: &Worker, pid: Pid, how: KillSignal, trouble: &mut Option<OsFailure>) {
    let Some(raw) = rustix::process::Pid::from_raw(pid.as_raw()) else { return };
    match pidfd_open(raw, PidfdFlags::empty()) {
        // Still a member now that the pid is pinned? Otherwise it ended, and the pid may be a stranger's.
        Ok(pidfd) if is_member(worker, pid) => send(pidfd.as_fd(), pid, how, trouble),
        Ok(_) | Err(Errno::SRCH) => {}
        Err(error) => note(trouble, pid, error),
    }
}

fn send(pidfd: BorrowedFd<'_>, pid: Pid, how: KillSignal, trouble: &mut Option<OsFailure>) {
    for signal in signals(how) {
        match pidfd_send_signal(pidfd, *signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => note(trouble, pid, error),
        }
    }
}

fn note(trouble: &mut Option<OsFailure>, pid: Pid, error: Errno) {
    trouble.get_or_insert_with(|| failure(&format!("signal process {pid}"), &error.into()));
}

/// SIGCONT follows SIGTERM, since a stopped process would not hear it.
fn signals(how: KillSignal) -> &'static [Signal] {
    match how {
        KillSignal::Term => &[Signal::TERM, Signal::CONT],
        KillSignal::Kill => &[Signal::KILL],
    }
}
