//! The deterministic gates of rekindle: fakes for every effect, and shared helpers for the tests in `tests/`.
//!
//! Nothing here opens a socket, starts a process, sleeps or reads a clock: a test decides when each effect answers, and
//! in which order. `README.md` explains the coverage, and how to replay a failing gate.
//!
//! | module | task |
//! |---|---|
//! | [`builders`] | plans, claims, hosts and identities with distinct values |
//! | [`fakes`] | effects with answers from the test, an ordered log, and an executor without a runtime |
//! | [`histories`] | runs a property over random histories and prints the replay command |
//! | [`conformance`] | the tests for every implementation of the effects, fake or real |
//! | [`table`] | compares a state machine with its table: every state, every event |
//! | [`walk`] | the transactions of the core on a simulated kernel, explored exhaustively |

pub mod builders;
pub mod conformance;
pub mod fakes;
pub mod histories;
pub mod table;
pub mod walk;
