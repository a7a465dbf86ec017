//! A child and the programs it may become; signals.

use super::promises::Promise;
use super::protocol::{ChildStep, Killed, Kind, LifelineLock, Model};
use super::survey::Pinned;
use super::world::{Life, Pending, Process, Role, SLOTS, Socket, World};
use rekindle_core::KillSignal;

/// One step of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Bind,
    Listen,
    CloseDescriptors,
    Fork,
    Exit,
}

fn program(kind: Kind, role: Role) -> &'static [Program] {
    use Program::{Bind, CloseDescriptors, Exit, Fork, Listen};
    match (kind, role) {
        (Kind::Polite | Kind::Stubborn, Role::Leader) | (Kind::Daemonising, Role::Second) => &[Bind, Listen],
        (Kind::FdClosing, Role::Leader) => &[CloseDescriptors, Bind, Listen],
        (Kind::Daemonising, Role::Leader) => &[Fork, Exit],
        (Kind::Leaving, Role::Leader) => &[Fork, Bind, Listen],
        (Kind::Hung, _) | (_, Role::Second) => &[],
    }
}

/// Every process of every start.
pub fn processes() -> impl Iterator<Item = Process> {
    (0..SLOTS as u8).flat_map(|start| [Role::Leader, Role::Second].map(|role| Process { start, role }))
}

impl Model {
    /// Whether a process has something to do.
    pub fn can_step(&self, world: &World, process: Process) -> bool {
        let Life::Alive { steps, signal, .. } = world.life(process) else { return false };
        let start = &world.starts[usize::from(process.start)];
        let kind = self.kinds[usize::from(process.start)];
        signal != Pending::Kill && (!start.executed || usize::from(steps) < program(kind, process.role).len())
    }

    /// The next step of a process.
    pub fn process_step(&self, world: &mut World, process: Process) {
        if world.starts[usize::from(process.start)].executed {
            self.program_step(world, process);
        } else {
            self.child_step(world, process);
        }
    }

    /// Steps 5 to 8 of a start.
    fn child_step(&self, world: &mut World, process: Process) {
        let Life::Alive { steps, .. } = world.life(process) else { return };
        let launcher = usize::from(process.start);
        let inode = world.starts[launcher].inode;
        match self.protocol.child[usize::from(steps)] {
            ChildStep::Lock => {
                let held_by_others = world.is_held(inode);
                let launchers = self.protocol.lifeline_lock == LifelineLock::Launchers;
                if world.lifeline != Some(inode) || (held_by_others && !launchers) {
                    return world.end(process);
                }
                if let Life::Alive { holds, .. } = &mut world.starts[launcher].leader {
                    *holds = true;
                }
            }
            ChildStep::Mark => world.marks[usize::from(inode)] = Some(process.start),
            ChildStep::DropClaim => world.starts[launcher].claim = None,
            ChildStep::Exec => {
                let start = &mut world.starts[launcher];
                start.executed = true;
                // Close-on-exec, if it has not been let go before.
                start.claim = None;
            }
            ChildStep::Nothing => {}
        }
        let executed = world.starts[launcher].executed;
        if let Life::Alive { steps, .. } = &mut world.starts[launcher].leader {
            *steps = if executed { 0 } else { *steps + 1 };
        }
    }

    fn program_step(&self, world: &mut World, process: Process) {
        let Life::Alive { steps, .. } = world.life(process) else { return };
        let kind = self.kinds[usize::from(process.start)];
        match program(kind, process.role)[usize::from(steps)] {
            // It cannot bind where something stands, and gives up.
            Program::Bind if world.socket != Socket::Absent => return world.end(process),
            Program::Bind => world.socket = Socket::Bound(process),
            Program::Listen => {
                if world.socket == Socket::Bound(process) {
                    world.socket = Socket::Listening(process);
                }
            }
            Program::CloseDescriptors => {
                if let Life::Alive { holds, .. } = world.life_mut(process) {
                    *holds = false;
                }
            }
            Program::Fork => {
                let start = &mut world.starts[usize::from(process.start)];
                start.second = Life::born(start.leader.holds());
            }
            Program::Exit => return world.end(process),
        }
        if let Life::Alive { steps, .. } = world.life_mut(process) {
            *steps += 1;
        }
    }

    /// Signals a worker, as `adapters/src/worker/signal.rs` does: its leader and the group of that, its peer, what is
    /// in the leader's session, and every holder of its lifeline.
    pub fn signal(&self, world: &mut World, worker: &Pinned, how: KillSignal) {
        for process in processes() {
            let alive = world.life(process).is_alive();
            if !alive || !self.is_reached(world, worker, process) {
                continue;
            }
            if world.starts[usize::from(process.start)].generation != worker.generation {
                world.broken.add(Promise::SignalsItsGeneration);
            }
            let heeds_term = self.kinds[usize::from(process.start)] != Kind::Stubborn;
            if let Life::Alive { signal, .. } = world.life_mut(process) {
                *signal = match (how, *signal) {
                    (KillSignal::Kill, _) => Pending::Kill,
                    (KillSignal::Term, Pending::None) if heeds_term => Pending::Term,
                    (KillSignal::Term, pending) => pending,
                };
            }
        }
    }

    fn is_reached(&self, world: &World, worker: &Pinned, process: Process) -> bool {
        let start = &world.starts[usize::from(process.start)];
        let of_leader = worker.leader == Some(process.start);
        let is_leader = of_leader && process.role == Role::Leader;
        if self.protocol.kill == Killed::LeaderAlone {
            return is_leader;
        }
        let in_session = of_leader
            && self.kinds[usize::from(process.start)] == Kind::Leaving
            && (worker.ours || start.leader.is_alive());
        let holds = matches!(world.life(process), Life::Alive { holds: true, .. }) && !start.unlocked;
        is_leader
            || in_session
            || worker.peer == Some(process)
            || (holds && worker.lifeline == Some(start.inode))
    }
}
