//! A fixed order of all possible events: processes first, transactions next, time last.

use super::kernel::Kernel;
use super::objects::{Life, Pending, Process};
use super::perform::Choice;
use super::program::Setting;
use alloc::vec::Vec;

/// The greatest number of steps before a run is given up.
const STEPS_MAX: usize = 2000;
/// The number of waits before an actor has waited long enough.
const WAITS_MAX: u32 = 2;

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Actor(usize, Choice),
    Process(Process),
    Obeys(Process),
}

impl Setting {
    /// Lets all possible events happen, until no step is left or the limit of steps is reached.
    pub fn run(&self, kernel: &mut Kernel, mut look: impl FnMut(&Kernel)) {
        let mut waits = 0;
        for _ in 0..STEPS_MAX {
            let moves = self.moves(kernel);
            let given_up = moves.iter().copied().find(|it| matches!(it, Move::Actor(_, Choice::GiveUp)));
            waits += u32::from(given_up.is_some());
            let eager = moves.iter().copied().max_by_key(eagerness);
            let Some(next) = given_up.filter(|_| waits > WAITS_MAX).or(eager) else { return };
            match next {
                Move::Actor(id, choice) => self.actor_step(kernel, id, choice),
                Move::Process(process) => self.process_step(kernel, process),
                Move::Obeys(process) => kernel.end(process),
            }
            look(kernel);
        }
    }

    fn moves(&self, kernel: &Kernel) -> Vec<Move> {
        let mut moves = Vec::new();
        for id in 0..kernel.actors.len() {
            self.choices(kernel, id, |choice| moves.push(Move::Actor(id, choice)));
        }
        for process in Kernel::processes() {
            let Life::Alive { signal, .. } = kernel.life(process) else { continue };
            if self.can_step(kernel, process) {
                moves.push(Move::Process(process));
            }
            if signal != Pending::None {
                moves.push(Move::Obeys(process));
            }
        }
        moves
    }
}

fn eagerness(next: &Move) -> u8 {
    match next {
        Move::Obeys(_) => 5,
        Move::Process(_) => 4,
        Move::Actor(_, Choice::Exit | Choice::ExitFails) => 3,
        Move::Actor(_, Choice::Go | Choice::Socket | Choice::Stranger) => 2,
        Move::Actor(_, Choice::Time) => 1,
        Move::Actor(_, Choice::GiveUp) => 0,
    }
}
