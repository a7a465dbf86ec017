//! The deterministic gates of rekindle: fakes for every effect, and what the tests in `tests/` share.
//!
//! Nothing here opens a socket, starts a process, sleeps or reads a clock: a test decides when each effect answers,
//! and in which order. `README.md` says what the gates cover and how a failing one is replayed.
//!
//! | module | what it is for |
//! |---|---|
//! | [`builders`] | plans, claims, hosts and identities with values that can be told apart |
//! | [`fakes`] | effects that answer when the test says so, their ordered log, and an executor without a runtime |
//! | [`histories`] | runs a property over random histories and says how to replay a failure |
//! | [`conformance`] | what every implementation of the effects must do, fake or real |
//! | [`table`] | compares a state machine with its table: every state, every event |
//! | [`walk`] | the transactions of the core on a simulated kernel, explored exhaustively |

pub mod builders;
pub mod conformance;
pub mod fakes;
pub mod histories;
pub mod table;
pub mod walk;
