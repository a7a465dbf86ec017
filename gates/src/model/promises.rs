//! What must hold in every state, and what a launcher that comes afterwards must be able to do.

use super::adversity::Act;
use super::launcher::{At, Choice, End, Launcher};
use super::operator::{Stopper, StopperAt};
use super::protocol::{Adversity, Kind, Model};
use super::world::{Paper, SLOTS, STOP, World};

/// A promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Promise {
    /// Two workers are never alive for one session.
    OneWorker,
    /// Nobody decides about a session but who holds the claim.
    OneClaim,
    /// The evidence of a claim that is held stays in place.
    EvidenceStays,
    /// A claim is released at most once.
    ReleasedOnce,
    /// A claim is released only on an observation, or if nothing was begun.
    ReleasedOnAnObservation,
    /// Only the generation that was seen is signalled.
    SignalsItsGeneration,
    /// When everybody is done, no claim is held, and no evidence speaks of a living holder that is done with it.
    NoClaimIsLeft,
    /// Whatever happened, the next launcher ends with exactly one worker, without help.
    NextLauncherSucceeds,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OneWorker,
        Self::OneClaim,
        Self::EvidenceStays,
        Self::ReleasedOnce,
        Self::ReleasedOnAnObservation,
        Self::SignalsItsGeneration,
        Self::NoClaimIsLeft,
        Self::NextLauncherSucceeds,
    ];
}

/// Some promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Promises(u8);

impl Promises {
    /// No promise.
    pub const NONE: Self = Self(0);

    /// These.
    pub fn of(promises: &[Promise]) -> Self {
        let mut some = Self::NONE;
        promises.iter().for_each(|promise| some.add(*promise));
        some
    }

    /// One more.
    pub fn add(&mut self, promise: Promise) {
        self.0 |= 1 << promise as u8;
    }

    /// The first that is in both.
    pub fn first_of(self, others: Self) -> Option<Promise> {
        Promise::ALL.into_iter().find(|promise| self.0 & others.0 & (1 << *promise as u8) != 0)
    }
}

/// The launcher that comes afterwards.
const NEXT: usize = SLOTS - 1;
/// How many calls may be needed: one ends what it had to adopt and ran out of time with.
const CALLS_MAX: usize = 3;
/// How many steps one call may take.
const STEPS_MAX: usize = 200;

impl Model {
    /// Checks what must hold in every state.
    pub fn check(&self, world: &mut World) {
        if self.workers(world) > 1 {
            world.broken.add(Promise::OneWorker);
        }
        let (mut deciding, mut stays) = (0, true);
        for (actor, launcher) in (0..).zip(&world.launchers) {
            if launcher.holds_evidence() {
                deciding += 1;
                let marked = launcher.at == At::UnlockRetained && world.evidence == Paper::Retained(actor);
                stays &= marked || world.evidence == Paper::Held(actor);
            }
        }
        if world.stopper.holds_evidence(self) {
            deciding += 1;
            stays &= world.evidence == Paper::Held(STOP);
        }
        if deciding > 1 {
            world.broken.add(Promise::OneClaim);
        }
        if !stays {
            world.broken.add(Promise::EvidenceStays);
        }
    }

    /// How many starts have a worker alive.
    fn workers(&self, world: &World) -> usize {
        (0..SLOTS).filter(|slot| self.is_worker(world, *slot)).count()
    }

    /// Whether a worker of this start is alive. A process that it left behind is none, once the start was observed.
    fn is_worker(&self, world: &World, slot: usize) -> bool {
        let start = world.start(slot);
        let leftover = self.kinds[slot] == Kind::Leaving && start.observed;
        start.executed && (start.leader.is_alive() || (start.second.is_alive() && !leftover))
    }

    /// Whether nobody has anything left to do.
    pub fn is_over(&self, world: &World) -> bool {
        world.launchers.iter().all(Launcher::is_over) && world.stopper.is_over() && world.unlocker.is_over()
    }

    /// Checks what must hold once everybody is done: whatever is left, the next launcher deals with it.
    pub fn check_end(&self, world: &mut World) {
        let held_by_the_living = matches!(world.evidence, Paper::Held(actor) if !world.is_dead(actor));
        if held_by_the_living || world.locks.iter().any(Option::is_some) {
            world.broken.add(Promise::NoClaimIsLeft);
        }
        let mut after = World { left: Adversity::NONE, ..*world };
        if !self.next_launcher_succeeds(&mut after) {
            after.broken.add(Promise::NextLauncherSucceeds);
        }
        world.broken = after.broken;
    }

    fn next_launcher_succeeds(&self, world: &mut World) -> bool {
        for _ in 0..CALLS_MAX {
            world.launchers[NEXT] = Launcher::at(At::Look);
            self.run(world);
            match world.launchers[NEXT].at {
                At::Done(End::Running) => {
                    let clean = world.evidence == Paper::Absent && !world.is_locked();
                    return clean && self.workers(world) == 1;
                }
                // It lives and cannot be reached: whoever is told so can end it.
                At::Done(End::Rejected) if self.workers(world) == 1 => {
                    world.stopper = Stopper::at(StopperAt::Record);
                    self.run(world);
                }
                _ => {}
            }
        }
        false
    }

    /// Everything happens that can, processes first and time last.
    fn run(&self, world: &mut World) {
        let mut acts = vec![];
        for _ in 0..STEPS_MAX {
            self.acts(world, &mut acts);
            let Some(act) = acts.iter().copied().max_by_key(eagerness) else { return };
            self.apply(world, act);
            self.check(world);
        }
    }
}

fn eagerness(act: &Act) -> u8 {
    match act {
        Act::Obeys(_) => 5,
        Act::Step(_) => 4,
        Act::Launcher(_, Choice::Exit | Choice::ExitFails) | Act::Stop(Choice::Exit) => 3,
        Act::Launcher(_, Choice::Go | Choice::Socket) | Act::Stop(Choice::Go) | Act::Unlock => 2,
        Act::Launcher(_, Choice::Time) | Act::Stop(Choice::Time) => 1,
        Act::Launcher(_, Choice::GiveUp)
        | Act::Stop(Choice::GiveUp | Choice::Socket | Choice::ExitFails)
        | Act::Crash(_)
        | Act::Drop(_)
        | Act::Dies(_)
        | Act::SocketVanishes => 0,
    }
}
