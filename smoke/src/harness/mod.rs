//! The crash harness and the contention harness: exactly one worker, under kills, failures and contention.
//!
//! | module | task |
//! |---|---|
//! | [`crash`] | `just crash`: kills and failures at every system call of a launcher, and kills at random moments |
//! | [`contend`] | `just contend`: many launchers at once, on every kind of session |
//! | [`markers`] | many daemons at once for one lifecycle lock |
//! | [`removal`], [`vandal`] | `just removal`: files go while commands run |
//! | [`fuzz`] | `just fuzz`: mutated state directories and hostile peers, under every verb |
//! | [`pid_ns`] | runs jobs in a new pid namespace, so traces repeat and no process can be left behind |
//! | [`job`] | the jobs of a pid namespace |
//! | [`point`] | one place in a run, and the fault there |
//! | `plan`, `sweep` | all the points of a run; one of them, and the promises afterwards |
//! | `moment`, `cycle` | one kill at a random moment; four rounds of many launchers |
//! | `pool` | the promises after a host of a pool was killed |
//! | `checks`, [`trouble`] | the promises, and the report of a broken promise |
//!
//! # Invariants
//! 1. A point is one system call by name and number, counted by `strace` in the launcher alone: the launcher has one
//!    thread until its worker is started, and the worker is not traced.
//! 2. The only pauses are stimuli: a random pause before a kill. Everything else waits for facts.
//! 3. Randomness comes from a printed seed.

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

pub use pid_ns::serve_if_in_pid_ns;
