//! A child over stdin and stdout, and its guardian.
//!
//! The guardian, not the supervisor, is the child's parent: a program of a few pages, started before the child. The
//! guardian leads a process session without a terminal, and is the only process that signals or reaps in the session.
//! The supervisor talks to the guardian over a connection, and the guardian also watches the supervisor's pidfd. So the
//! child ends with the supervisor, whichever thread started the child and however the supervisor ends, and no signal
//! reaches a reused pid.
//!
//! # Invariants
//! 1. The guardian exists before the child, and the child executes its program only once tied to the guardian.
//! 2. The child has three pipes and no other descriptor; the guardian has none of the pipes.
//! 3. Nothing here blocks: all waiting is done by the runtime, the reaper's thread or the guardian.
//! 4. Output written before the child's end is delivered; another process with an open copy of a pipe delays readers by
//!    the drain grace at most.
//!
//! Checked by `smoke/tests/smoke/stdio/child.rs`, `stdio/guardian.rs` and `smoke/tests/soak`.

mod birth;
mod guardian;
mod image;
mod kin;
mod members;
mod own;
mod streams;
mod wire;

pub use birth::{Detached, StdioSpec};
pub use guardian::{Birth, Departure, Guardian, Orders, start};
pub use own::{OwnInput, OwnOutput, input_hung_up, output_reader_left, write_blocking};
pub use streams::{ChildStdin, ChildStdout, InputTap, OutputTap};
