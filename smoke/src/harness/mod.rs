//! The crash harness and the contention harness: exactly one worker, whatever is killed, fails or comes at once.
//!
//! | module | what it does |
//! |---|---|
//! | [`crash`] | `just crash`: kills and failures at every system call of a launcher, and kills at random moments |
//! | [`contend`] | `just contend`: many launchers at once, on every kind of session |
//! | [`markers`] | many daemons at once for one lifecycle lock |
//! | [`removal`], [`vandal`] | `just removal`: files go while everybody is at work |
//! | [`fuzz`] | `just fuzz`: mutated state directories and hostile peers, under every verb |
//! | [`pid_ns`] | runs jobs in a pid namespace of their own, so that traces repeat and nothing can be left behind |
//! | [`job`] | what a pid_ns can be asked to do |
//! | [`point`] | one place in a run, and what is done to it there |
//! | `plan`, `sweep` | all the points of a run; one of them, and what must hold after it |
//! | `moment`, `cycle` | one kill at a random moment; four rounds of many launchers |
//! | `pool` | what must hold after a host of a pool was killed |
//! | `checks`, [`trouble`] | what must hold, and how it is told that it does not |
//!
//! # Invariants
//! 1. A point is one system call by its name and its number, counted by `strace` in the launcher alone: the launcher has
//!    one thread until it has started its worker, and the worker is not traced.
//! 2. The only pauses are stimuli: a random one before a kill. Everything else waits for facts.
//! 3. Randomness comes from a seed that is printed.

mod checks;
pub mod contend;
pub mod crash;
mod cycle;
pub mod fuzz;
pub mod job;
pub mod markers;
mod moment;
pub mod pid_ns;
mod plan;
pub mod point;
mod pool;
pub mod removal;
mod rng;
mod run;
mod sweep;
pub mod trouble;
pub mod vandal;

pub use pid_ns::serve_if_lane;
