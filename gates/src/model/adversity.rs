//! Everything that may happen: a step of an actor or of a process, and what befalls them.

use super::launcher::{At, Choice, Launcher};
use super::operator::{Stopper, StopperAt, Unlocker};
use super::protocol::{Dropped, Model};
use super::worker::processes;
use super::world::{Actor, Life, Pending, Process, SLOTS, STOP, Socket, UNLOCK, World};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A launcher takes a step.
    Launcher(u8, Choice),
    /// The `stop` takes a step.
    Stop(Choice),
    /// The `unlock --force` takes a step.
    Unlock,
    /// A process takes a step.
    Step(Process),
    /// A process ends of the signal that it got.
    Obeys(Process),
    /// An actor is killed.
    Crash(Actor),
    /// A launcher's future is dropped.
    Drop(u8),
    /// A process dies by itself.
    Dies(Process),
    /// Somebody removes the socket.
    SocketVanishes,
}

impl Model {
    /// Everything that may happen next.
    pub fn acts(&self, world: &World, acts: &mut Vec<Act>) {
        acts.clear();
        for launcher in 0..SLOTS {
            self.choices(world, launcher, |choice| acts.push(Act::Launcher(launcher as u8, choice)));
        }
        self.stop_choices(world, |choice| acts.push(Act::Stop(choice)));
        if !world.unlocker.is_over() {
            acts.push(Act::Unlock);
        }
        for process in processes() {
            let Life::Alive { signal, .. } = world.life(process) else { continue };
            if self.can_step(world, process) {
                acts.push(Act::Step(process));
            }
            if signal != Pending::None {
                acts.push(Act::Obeys(process));
            } else if world.left.deaths > 0 {
                acts.push(Act::Dies(process));
            }
        }
        befall(world, acts);
    }

    /// Lets one thing happen.
    pub fn apply(&self, world: &mut World, act: Act) {
        match act {
            Act::Launcher(launcher, choice) => {
                self.launcher_step(world, usize::from(launcher), choice);
            }
            Act::Stop(choice) => self.stop_step(world, choice),
            Act::Unlock => self.unlock_step(world),
            Act::Step(process) => self.process_step(world, process),
            Act::Obeys(process) => world.end(process),
            Act::Crash(actor) => {
                world.left.crashes -= 1;
                crash(world, actor);
            }
            Act::Drop(launcher) => {
                world.left.drops -= 1;
                self.drop_future(world, usize::from(launcher));
            }
            Act::Dies(process) => {
                world.left.deaths -= 1;
                world.end(process);
            }
            Act::SocketVanishes => {
                world.left.removals -= 1;
                world.socket = Socket::Absent;
            }
        }
    }

    /// What was awaited is gone; the claim is marked retained, then unlocked.
    fn drop_future(&self, world: &mut World, launcher: usize) {
        let at = match self.protocol.dropped {
            Dropped::Retained => At::MarkRetained,
            Dropped::LeftHeld => At::UnlockRetained,
        };
        world.launchers[launcher] = Launcher::at(at);
    }
}

fn befall(world: &World, acts: &mut Vec<Act>) {
    let left = &world.left;
    if left.crashes > 0 {
        let launchers = (0..SLOTS).filter(|slot| !world.launchers[*slot].is_over());
        acts.extend(launchers.map(|slot| Act::Crash(slot as Actor)));
        if !world.stopper.is_over() {
            acts.push(Act::Crash(STOP));
        }
        if !world.unlocker.is_over() {
            acts.push(Act::Crash(UNLOCK));
        }
    }
    if left.drops > 0 {
        let launchers = (0..SLOTS).filter(|slot| world.launchers[*slot].can_be_dropped());
        acts.extend(launchers.map(|slot| Act::Drop(slot as u8)));
    }
    if left.removals > 0 && world.socket != Socket::Absent {
        acts.push(Act::SocketVanishes);
    }
}

/// The kernel closes its descriptors; a child that has a copy of one keeps the lock.
fn crash(world: &mut World, actor: Actor) {
    world.locks[usize::from(actor)] = None;
    match actor {
        STOP => world.stopper = Stopper::at(StopperAt::Crashed),
        UNLOCK => world.unlocker = Unlocker::Crashed,
        launcher => world.launchers[usize::from(launcher)] = Launcher::at(At::Crashed),
    }
}

/// Who does something, and what: one line of a history.
pub fn told(world: &World, act: Act) -> String {
    let process = |process: Process| format!("worker {} ({:?})", process.start, process.role).to_lowercase();
    match act {
        Act::Launcher(launcher, choice) => {
            let this = &world.launchers[usize::from(launcher)];
            let heard = if choice == Choice::Go { String::new() } else { format!(": {choice:?}") };
            format!("launcher {launcher}: {:?}{heard}", this.at)
        }
        Act::Stop(Choice::Go) => format!("stop: {:?}", world.stopper.at),
        Act::Stop(choice) => format!("stop: {:?}: {choice:?}", world.stopper.at),
        Act::Unlock => format!("unlock --force: {:?}", world.unlocker),
        Act::Step(by) => {
            let start = &world.starts[usize::from(by.start)];
            let Life::Alive { steps, .. } = world.life(by) else { return process(by) };
            let what = if start.executed { "program" } else { "child" };
            format!("{}: step {} of its {what}", process(by), steps + 1)
        }
        Act::Obeys(by) => format!("{} ends of its signal", process(by)),
        Act::Crash(STOP) => "the stop is killed".to_owned(),
        Act::Crash(UNLOCK) => "the unlock is killed".to_owned(),
        Act::Crash(launcher) => format!("launcher {launcher} is killed"),
        Act::Drop(launcher) => format!("the future of launcher {launcher} is dropped"),
        Act::Dies(by) => format!("{} dies", process(by)),
        Act::SocketVanishes => "somebody removes the socket".to_owned(),
    }
}
