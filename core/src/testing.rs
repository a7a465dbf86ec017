//! A simulated kernel with one session on it, and the transactions that run over it step by step.
//!
//! The kernel and the files of one session are simulated: locks on directories and files that follow an open descriptor,
//! names that come to mean another file, a fork that inherits descriptors, exec, exit, signals, a socket path. The actors are
//! the machines of this crate themselves: [`crate::ensure`], [`crate::stop::session`], [`crate::care`],
//! [`crate::claim::acquire`], [`crate::start`], [`mod@crate::start::resume`], [`mod@crate::stop`]. None of them is written a second time.
//!
//! What is left out: a pid is never used again ([`crate::process::identity`] judges that), no call fails but by a death, and every
//! process can be seen from everywhere.
//!
//! | module | what it is for |
//! |---|---|
//! | [`objects`], [`kernel`] | files, locks, processes and signals |
//! | [`program`] | a child and the programs that it may become |
//! | [`actor`] | one transaction: its machines, and what it holds |
//! | [`perform`] | each effect of each machine, as one step on the kernel |
//! | [`schedule`] | one order of all that can happen: processes first, time last |
//! | [`sabotage`] | wrong ways to perform an effect, each of which has to break a promise |

pub mod actor;
pub mod kernel;
pub mod objects;
pub mod perform;
pub mod program;
pub mod sabotage;
pub mod schedule;
