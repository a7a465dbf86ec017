//! A simulated kernel with a single session, and transactions that run over the kernel step by step.
//!
//! The kernel and the files of a session are simulated: locks on directories and files that follow an open descriptor,
//! names that pass to another file, a fork that inherits descriptors, exec, exit, signals, a socket path, TCP ports that
//! any process may take. The actors are
//! the machines of this crate themselves: [`crate::ensure`], [`crate::stop::session`], [`crate::care`],
//! [`crate::claim::acquire`], [`crate::start`], [`mod@crate::start::resume`], [`mod@crate::stop`]. No machine is
//! written a second time.
//!
//! The simulation leaves out three things: no pid is used again ([`crate::process::identity`] judges reused pids), no
//! call fails except by a death, and every process is visible to all.
//!
//! | module | content |
//! |---|---|
//! | [`objects`], [`kernel`] | files, locks, processes and signals |
//! | [`program`] | a child, and the child's possible programs |
//! | [`actor`] | a transaction: its machines and its holdings |
//! | [`perform`] | each effect of each machine, as a single step on the kernel |
//! | [`schedule`] | a fixed order of all possible events: processes first, time last |
//! | [`sabotage`] | wrong ways to perform an effect; each way has to break a promise |

pub mod actor;
pub mod kernel;
pub mod objects;
pub mod perform;
pub mod program;
pub mod sabotage;
pub mod schedule;
