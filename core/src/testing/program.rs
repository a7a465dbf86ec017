//! A child between fork and exec, the child's possible programs, and the signals to these processes.

use super::actor::Pinned;
use super::kernel::{Kernel, SLOTS};
use super::objects::{Life, Pending, Place, Process, Role, Socket};
use super::sabotage::{Conduct, Sabotage};
use crate::effects::KillSignal;
use crate::session::plan::PortChoice;
use crate::session::view::EndpointView;
use crate::start::order::ChildStep;

/// The behaviour of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The program binds, listens, and ends on SIGTERM. The program may be slow.
    Polite,
    /// The program never binds, and ends on SIGTERM.
    Hung,
    /// The program binds and listens, and ends only on SIGKILL.
    Stubborn,
    /// The program first closes every inherited descriptor, including the lifeline.
    FdClosing,
    /// The program forks a process that binds and listens, and exits 0.
    Daemonising,
    /// The program forks an idle process, then binds and listens; the idle process survives the program.
    Leaving,
    /// The program exits before binding.
    Failing,
    /// The program never binds, and no signal ends the program.
    Unkillable,
    /// The program does not exist: the child ends at exec.
    Missing,
}

impl Kind {
    /// All kinds that a launcher can handle without help.
    pub const ALL: [Self; 6] =
        [Self::Polite, Self::Hung, Self::Stubborn, Self::FdClosing, Self::Daemonising, Self::Leaving];

    /// The number of the program's steps until readiness at an endpoint.
    pub fn steps_to_ready(self, place: Place) -> u8 {
        let listening = match place {
            Place::Path | Place::Port(_) => 2,
            Place::Nowhere => 0,
        };
        match self {
            Self::FdClosing | Self::Leaving => 1 + listening,
            Self::Polite | Self::Hung | Self::Stubborn | Self::Daemonising => listening,
            Self::Failing | Self::Unkillable | Self::Missing => 0,
        }
    }
}

/// The program of each start, the endpoint of the session, and the way of performing effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The kind of each start's program.
    pub kinds: [Kind; SLOTS],
    /// The endpoint of the session.
    pub endpoint: EndpointView,
    /// The choice of the session's port.
    pub port: PortChoice,
    /// The way of performing effects.
    pub conduct: Conduct,
}

/// A step of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Bind,
    Listen,
    CloseDescriptors,
    Fork,
    Exit,
}

fn program(kind: Kind, role: Role, place: Place) -> &'static [Step] {
    match place {
        Place::Path | Place::Port(_) => listening_program(kind, role),
        Place::Nowhere => silent_program(kind, role),
    }
}

/// The program of a worker without an endpoint.
fn silent_program(kind: Kind, role: Role) -> &'static [Step] {
    use Step::{CloseDescriptors, Exit, Fork};
    match (kind, role) {
        (Kind::FdClosing, Role::Leader) => &[CloseDescriptors],
        (Kind::Daemonising, Role::Leader) => &[Fork, Exit],
        (Kind::Leaving, Role::Leader) => &[Fork],
        (Kind::Failing, Role::Leader) => &[Exit],
        (Kind::Polite | Kind::Stubborn | Kind::Hung | Kind::Unkillable | Kind::Missing, Role::Leader)
        | (_, Role::Second) => &[],
    }
}

fn listening_program(kind: Kind, role: Role) -> &'static [Step] {
    use Step::{Bind, CloseDescriptors, Exit, Fork, Listen};
    match (kind, role) {
        (Kind::Polite | Kind::Stubborn, Role::Leader) | (Kind::Daemonising, Role::Second) => &[Bind, Listen],
        (Kind::FdClosing, Role::Leader) => &[CloseDescriptors, Bind, Listen],
        (Kind::Daemonising, Role::Leader) => &[Fork, Exit],
        (Kind::Leaving, Role::Leader) => &[Fork, Bind, Listen],
        (Kind::Failing, Role::Leader) => &[Exit],
        (Kind::Hung | Kind::Unkillable | Kind::Missing, Role::Leader | Role::Second)
        | (Kind::Polite | Kind::Stubborn | Kind::FdClosing | Kind::Leaving | Kind::Failing, Role::Second) => {
            &[]
        }
    }
}

impl Setting {
    fn kind(&self, process: Process) -> Kind {
        self.kinds[usize::from(process.start)]
    }

    /// Whether a process has a next step.
    pub fn can_step(&self, kernel: &Kernel, process: Process) -> bool {
        let Life::Alive { steps, signal, .. } = kernel.life(process) else { return false };
        let start = &kernel.starts[usize::from(process.start)];
        let steps_left = usize::from(steps) < program(self.kind(process), process.role, start.place).len();
        signal != Pending::Kill && (!start.executed || steps_left)
    }

    /// The next step of a process.
    pub fn process_step(&self, kernel: &mut Kernel, process: Process) {
        if kernel.starts[usize::from(process.start)].executed {
            self.program_step(kernel, process);
        } else {
            self.child_step(kernel, process);
        }
    }

    fn child_step(&self, kernel: &mut Kernel, process: Process) {
        let Life::Alive { steps, .. } = kernel.life(process) else { return };
        let slot = usize::from(process.start);
        let (inode, dir) = (kernel.starts[slot].inode, kernel.starts[slot].dir);
        let in_place = kernel.files.lifeline == Some(inode) && kernel.dir == dir;
        match self.conduct.child[usize::from(steps)] {
            Some(ChildStep::TakeLifeline) => {
                let of_launcher = self.conduct.has(Sabotage::LifelineOfLauncher);
                // The child opens the lifeline by name in the held directory, and accepts only the prepared file.
                if !in_place || (kernel.is_held(inode) && !of_launcher) {
                    kernel.starts[slot].left = true;
                    return kernel.end(process);
                }
                if let Life::Alive { holds, .. } = &mut kernel.starts[slot].leader {
                    *holds = true;
                }
            }
            Some(ChildStep::Mark) => kernel.marks[usize::from(inode)] = Some(process.start),
            Some(ChildStep::CheckPlace) if !in_place => {
                kernel.starts[slot].left = true;
                return kernel.end(process);
            }
            Some(ChildStep::CheckPlace) | None => {}
            Some(ChildStep::LetGoOfClaim) => kernel.starts[slot].claim = None,
            Some(ChildStep::Exec) if self.kinds[slot] == Kind::Missing => return kernel.end(process),
            Some(ChildStep::Exec) => {
                let start = &mut kernel.starts[slot];
                start.executed = true;
                // Close-on-exec, unless the child has closed the copy before.
                start.claim = None;
            }
        }
        let executed = kernel.starts[slot].executed;
        if let Life::Alive { steps, .. } = &mut kernel.starts[slot].leader {
            *steps = if executed { 0 } else { *steps + 1 };
        }
    }

    fn program_step(&self, kernel: &mut Kernel, process: Process) {
        let Life::Alive { steps, .. } = kernel.life(process) else { return };
        let slot = usize::from(process.start);
        let place = kernel.starts[slot].place;
        match program(self.kind(process), process.role, place)[usize::from(steps)] {
            // The program gives up if the place is occupied or the directory is removed.
            Step::Bind
                if kernel.socket_at(place) != Socket::Absent
                    || (place == Place::Path && kernel.dir.is_none()) =>
            {
                return kernel.end(process);
            }
            Step::Bind => kernel.put_socket(place, Socket::Bound(process)),
            Step::Listen => {
                if kernel.socket_at(place) == Socket::Bound(process) {
                    kernel.put_socket(place, Socket::Listening(process));
                }
            }
            Step::CloseDescriptors => {
                if let Life::Alive { holds, .. } = kernel.life_mut(process) {
                    *holds = false;
                }
            }
            Step::Fork => {
                let start = &mut kernel.starts[slot];
                start.second = Life::born(start.leader.holds());
            }
            Step::Exit => return kernel.end(process),
        }
        if let Life::Alive { steps, .. } = kernel.life_mut(process) {
            *steps += 1;
        }
    }

    /// Signals a worker: the leader with its process group, the peer, the leader's process session, and every holder of
    /// the lifeline.
    pub fn signal(&self, kernel: &mut Kernel, worker: &Pinned, how: KillSignal) {
        for process in Kernel::processes() {
            if !kernel.life(process).is_alive() || !self.is_reached(kernel, worker, process) {
                continue;
            }
            if kernel.starts[usize::from(process.start)].generation != worker.generation {
                kernel.broken.signalled_a_stranger = true;
            }
            let kind = self.kind(process);
            if kind == Kind::Unkillable {
                continue;
            }
            let heeds_term = kind != Kind::Stubborn;
            if let Life::Alive { signal, .. } = kernel.life_mut(process) {
                *signal = match (how, *signal) {
                    (KillSignal::Kill, Pending::None | Pending::Term | Pending::Kill) => Pending::Kill,
                    (KillSignal::Term, Pending::None) if heeds_term => Pending::Term,
                    (KillSignal::Term, pending) => pending,
                };
            }
        }
    }

    fn is_reached(&self, kernel: &Kernel, worker: &Pinned, process: Process) -> bool {
        let is_leader = worker.leader == Some(process.start) && process.role == Role::Leader;
        is_leader || (!self.conduct.has(Sabotage::KillOfLeader) && self.is_member(kernel, worker, process))
    }

    /// Whether a process is a member of a worker.
    pub(super) fn is_member(&self, kernel: &Kernel, worker: &Pinned, process: Process) -> bool {
        let start = &kernel.starts[usize::from(process.start)];
        let of_leader = worker.leader == Some(process.start);
        let is_leader = of_leader && process.role == Role::Leader;
        let in_session =
            of_leader && self.kind(process) == Kind::Leaving && (worker.ours || start.leader.is_alive());
        let holds = kernel.life(process).holds() && !start.unlocked;
        is_leader
            || in_session
            || worker.peer == Some(process)
            || (holds && worker.lifeline == Some(start.inode))
    }
}
