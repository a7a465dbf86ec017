//! The promises for every state, and the abilities of the next launcher.

use super::scenario::{Adversity, Scenario, State};
use rekindle_core::RejectReason;
use rekindle_core::ensure::Conclusion;
use rekindle_core::plan::PortChoice;
use rekindle_core::readiness::ShownBy;
use rekindle_core::stop::session::StopSession;
use rekindle_core::testing::actor::{Actor, End, Task};
use rekindle_core::testing::kernel::{Kernel, SLOTS, STOP};
use rekindle_core::testing::objects::{Paper, Socket};
use rekindle_core::testing::program::Kind;

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Promise {
    /// Two workers are never alive for one session.
    OneWorker,
    /// Only the holder of the claim decides about a session.
    OneClaim,
    /// While the program of a claimer runs, no other process decides about the session.
    SendsAlone,
    /// The evidence of a held claim stays in place.
    EvidenceStays,
    /// A claim is released at most once.
    ReleasedOnce,
    /// A claim is released only on an observation, or if no worker was started.
    ReleasedOnAnObservation,
    /// Only the observed generation is signalled.
    SignalsItsGeneration,
    /// A stranger's listener is never taken for the worker's.
    NoStrangerAttached,
    /// A call without a worker gives up for no stranger, if a launcher chose the port.
    LostPortIsReplaced,
    /// When all actors are done, no claim is held, and no evidence names a living former holder.
    NoClaimIsLeft,
    /// After any history, the next launcher ends with exactly one worker, without help.
    NextLauncherSucceeds,
}

impl Promise {
    /// All promises.
    pub const ALL: [Self; 11] = [
        Self::OneWorker,
        Self::OneClaim,
        Self::SendsAlone,
        Self::EvidenceStays,
        Self::ReleasedOnce,
        Self::ReleasedOnAnObservation,
        Self::SignalsItsGeneration,
        Self::NoStrangerAttached,
        Self::LostPortIsReplaced,
        Self::NoClaimIsLeft,
        Self::NextLauncherSucceeds,
    ];
}

/// The launcher after all others.
const NEXT: usize = SLOTS - 1;
/// The limit of calls by the next launcher: one of the calls may adopt a worker, time out and end the worker.
const CALLS_MAX: usize = 3;
impl Scenario {
    /// The first of `asked` broken by the state, or by the step to the state.
    pub fn broken(&self, state: &State, asked: &[Promise]) -> Option<Promise> {
        asked.iter().copied().find(|promise| self.breaks(state, *promise))
    }

    fn breaks(&self, state: &State, promise: Promise) -> bool {
        let kernel = &state.kernel;
        match promise {
            Promise::OneWorker => self.workers(kernel) > 1,
            Promise::OneClaim => holders(kernel).count() > 1,
            Promise::SendsAlone => {
                let running = kernel.programs.iter().enumerate();
                let mut running = running.filter(|(_, dir)| dir.is_some() && **dir == kernel.dir);
                running.any(|(sender, _)| holders(kernel).any(|id| id != sender))
            }
            Promise::EvidenceStays => !holders(kernel).all(|id| is_evidence_of(kernel, id)),
            Promise::ReleasedOnce => kernel.broken.released_twice,
            Promise::ReleasedOnAnObservation => kernel.broken.released_blindly,
            Promise::SignalsItsGeneration => kernel.broken.signalled_a_stranger,
            Promise::NoStrangerAttached => kernel.broken.attached_to_a_stranger,
            Promise::LostPortIsReplaced => kernel.broken.port_not_replaced,
            // These promises are checked at the end.
            Promise::NoClaimIsLeft | Promise::NextLauncherSucceeds => false,
        }
    }

    /// The number of starts with a living worker.
    fn workers(&self, kernel: &Kernel) -> usize {
        (0..SLOTS).filter(|slot| self.is_worker(kernel, *slot)).count()
    }

    /// Whether a worker of this start is alive. After the observation of the start, a process left behind counts as
    /// none, unless the process shows that the worker is live: then any holder of the lifeline is the worker.
    fn is_worker(&self, kernel: &Kernel, slot: usize) -> bool {
        let start = &kernel.starts[slot];
        let shown_by_listener = self.setting.endpoint.shown_by == ShownBy::Listener;
        let leftover = self.setting.kinds[slot] == Kind::Leaving && start.observed && shown_by_listener;
        start.executed && (start.leader.is_alive() || (start.second.is_alive() && !leftover))
    }

    /// The first of `asked` broken once all actors are done: the next launcher has to cope with any remains.
    pub fn broken_at_end(&self, state: &State, asked: &[Promise]) -> Option<Promise> {
        let kernel = &state.kernel;
        let is_dead = |actor: u8| kernel.actors[usize::from(actor)].task == Task::Crashed;
        let held_by_the_living = matches!(kernel.files.evidence, Paper::Held(actor) if !is_dead(actor));
        let is_left = held_by_the_living || kernel.locks.iter().any(Option::is_some);
        if is_left && asked.contains(&Promise::NoClaimIsLeft) {
            return Some(Promise::NoClaimIsLeft);
        }
        let mut after = State { left: Adversity::NONE, ..*state };
        let mut broken = None;
        if self.setting.port == PortChoice::Caller && kernel.ports.contains(&Socket::Stranger) {
            let refused = self.next_launcher_is_refused(&mut after, asked, &mut broken);
            if !refused && broken.is_none() && asked.contains(&Promise::NextLauncherSucceeds) {
                return Some(Promise::NextLauncherSucceeds);
            }
            let strangers = after.kernel.ports.iter_mut().filter(|socket| **socket == Socket::Stranger);
            strangers.for_each(|socket| *socket = Socket::Absent);
        }
        let succeeds = self.next_launcher_succeeds(&mut after, asked, &mut broken);
        let fails = !succeeds && asked.contains(&Promise::NextLauncherSucceeds);
        broken.or(fails.then_some(Promise::NextLauncherSucceeds))
    }

    /// A stranger on the caller's own port is a conflict. The stranger stays, and no worker is started.
    fn next_launcher_is_refused(
        &self,
        state: &mut State,
        asked: &[Promise],
        broken: &mut Option<Promise>,
    ) -> bool {
        state.kernel.actors[NEXT] = Actor::of(self.launcher());
        self.run(state, asked, broken);
        let conflict = Conclusion::Rejected(RejectReason::TargetAddressConflict);
        state.kernel.actors[NEXT].task == Task::Done(End::Ensure(conflict))
            && state.kernel.ports.contains(&Socket::Stranger)
            && !state.kernel.starts[NEXT].is_alive()
    }

    fn next_launcher_succeeds(
        &self,
        state: &mut State,
        asked: &[Promise],
        broken: &mut Option<Promise>,
    ) -> bool {
        for _ in 0..CALLS_MAX {
            state.kernel.actors[NEXT] = Actor::of(self.launcher());
            self.run(state, asked, broken);
            match state.kernel.actors[NEXT].task {
                Task::Done(End::Ensure(Conclusion::Running(_))) => {
                    let clean = state.kernel.files.evidence == Paper::Absent
                        && state.kernel.locks.iter().all(Option::is_none);
                    return clean && self.workers(&state.kernel) == 1;
                }
                // A process of an earlier start lives but cannot be reached: the refused launcher can call `stop`.
                Task::Done(End::Ensure(Conclusion::Rejected(_))) if !state.kernel.running().is_empty() => {
                    state.kernel.actors[STOP] = Actor::of(Task::Stop(StopSession::default()));
                    self.run(state, asked, broken);
                }
                Task::Done(_)
                | Task::Absent
                | Task::Ensure(_)
                | Task::Stop(_)
                | Task::Unlock(_)
                | Task::Collect(_)
                | Task::Hold(_)
                | Task::Dropped
                | Task::Crashed => {}
            }
        }
        false
    }

    /// Runs the setting to its end: processes first, time last.
    fn run(&self, state: &mut State, asked: &[Promise], broken: &mut Option<Promise>) {
        let left = state.left;
        self.setting.run(&mut state.kernel, |kernel| {
            *broken = broken.or_else(|| self.broken(&State { kernel: *kernel, left }, asked));
        });
    }
}

/// The actors whose evidence has to be in place. If the directory was removed, the evidence is gone as well.
fn holders(kernel: &Kernel) -> impl Iterator<Item = usize> {
    let held = |(_, actor): &(usize, &Actor)| actor.holds && actor.dir.is_some() && actor.dir == kernel.dir;
    kernel.actors.iter().enumerate().filter(held).map(|(id, _)| id)
}

fn is_evidence_of(kernel: &Kernel, id: usize) -> bool {
    match kernel.files.evidence {
        Paper::Held(by) | Paper::Retained(by) => usize::from(by) == id,
        Paper::Absent => false,
    }
}
