//! A child that is spoken to over its standard streams, and its guardian.
//!
//! The child is not ours but the guardian's: a program of a few pages that is started before the child, leads a
//! session without a terminal, and is all that ever signals or reaps in it. We speak to the guardian over a connection;
//! it watches our pidfd besides. So the child ends when we do, whichever of our threads started it and however we end,
//! and no pid is ever signalled that could be a stranger's by then.
//!
//! # Invariants
//! 1. The guardian is there before the child, and the child runs its program only once it is tied to the guardian.
//! 2. The child has its three pipes and no other descriptor; the guardian has none of them.
//! 3. Nothing here blocks: what has to be waited for is waited for by the runtime, the reaper's thread or the guardian.
//! 4. What the child had written before it ended is delivered; a stranger who holds its pipes open keeps nobody
//!    waiting for longer than the drain grace.
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
pub use own::{OwnInput, OwnOutput, input_hung_up, write_blocking};
pub use streams::{ChildStdin, ChildStdout, InputTap, OutputTap};
