//! A child between fork and exec, the programs that it may become, and the signals that reach them.

use super::actor::Pinned;
use super::kernel::{Kernel, SLOTS};
use super::objects::{Life, Pending, Process, Role, Socket};
use super::sabotage::{Conduct, Sabotage};
use crate::effects::KillSignal;
use crate::start::order::ChildStep;

/// What a program is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It binds, listens, and ends on SIGTERM. It may be slow.
    Polite,
    /// It never binds, and ends on SIGTERM.
    Hung,
    /// It binds and listens, and ends only on SIGKILL.
    Stubborn,
    /// It closes every inherited descriptor first, its lifeline among them.
    FdClosing,
    /// It forks a process that binds and listens, and exits 0.
    Daemonising,
    /// It forks a process that does nothing, then binds and listens; the other stays when it ends.
    Leaving,
    /// It exits before it binds.
    Failing,
    /// It never binds, and no signal ends it.
    Unkillable,
    /// There is no such program: the child ends where it should execute it.
    Missing,
}

impl Kind {
    /// All that a launcher can cope with by itself.
    pub const ALL: [Self; 6] =
        [Self::Polite, Self::Hung, Self::Stubborn, Self::FdClosing, Self::Daemonising, Self::Leaving];

    /// How many steps its program takes until it is ready.
    pub fn steps_to_ready(self) -> u8 {
        match self {
            Self::FdClosing | Self::Leaving => 3,
            Self::Polite | Self::Hung | Self::Stubborn | Self::Daemonising => 2,
            Self::Failing | Self::Unkillable | Self::Missing => 0,
        }
    }
}

/// Which program each start runs, and how effects are performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// What each start's program is like.
    pub kinds: [Kind; SLOTS],
    /// How effects are performed.
    pub conduct: Conduct,
}

/// One step of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Bind,
    Listen,
    CloseDescriptors,
    Fork,
    Exit,
}

fn program(kind: Kind, role: Role) -> &'static [Step] {
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

    /// Whether a process has something to do.
    pub fn can_step(&self, kernel: &Kernel, process: Process) -> bool {
        let Life::Alive { steps, signal, .. } = kernel.life(process) else { return false };
        let start = &kernel.starts[usize::from(process.start)];
        let steps_left = usize::from(steps) < program(self.kind(process), process.role).len();
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
                // Opened by its name in the directory that is held; what stands there has to be the prepared file.
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
                // Close-on-exec, if it has not been let go before.
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
        match program(self.kind(process), process.role)[usize::from(steps)] {
            // It cannot bind where something stands, or where its directory is gone, and gives up.
            Step::Bind if kernel.socket != Socket::Absent || kernel.dir.is_none() => {
                return kernel.end(process);
            }
            Step::Bind => kernel.socket = Socket::Bound(process),
            Step::Listen => {
                if kernel.socket == Socket::Bound(process) {
                    kernel.socket = Socket::Listening(process);
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

    /// Signals a worker: its leader and the group of that, its peer, what is in the leader's session, and every holder of
    /// its lifeline.
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
        let start = &kernel.starts[usize::from(process.start)];
        let of_leader = worker.leader == Some(process.start);
        let is_leader = of_leader && process.role == Role::Leader;
        if self.conduct.has(Sabotage::KillOfLeader) {
            return is_leader;
        }
        let in_session =
            of_leader && self.kind(process) == Kind::Leaving && (worker.ours || start.leader.is_alive());
        let holds = kernel.life(process).holds() && !start.unlocked;
        is_leader
            || in_session
            || worker.peer == Some(process)
            || (holds && worker.lifeline == Some(start.inode))
    }
}
