//! One order of all that can happen: processes first, transactions next, time last.

use super::kernel::Kernel;
use super::objects::{Life, Pending, Process};
use super::perform::Choice;
use super::program::Setting;
use alloc::vec::Vec;

/// How many steps may be taken before whoever asked is told that there is no end.
const STEPS_MAX: usize = 2000;
/// How often anybody waits for another before it has waited long enough.
const WAITS_MAX: u32 = 2;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Actor(usize, Choice),
    Process(Process),
    Obeys(Process),
}

impl Setting {
    /// Lets everything happen that can, until nobody has anything left to do or there is no end to it.
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
        Move::Actor(_, Choice::Go | Choice::Socket) => 2,
        Move::Actor(_, Choice::Time) => 1,
        Move::Actor(_, Choice::GiveUp) => 0,
    }
}
