//! The birth of a child: `clone`, the few system calls of the child, `exec`.
//!
//! Everything is prepared beforehand. The child borrows its launcher's memory until exec, so in between the child makes
//! system calls only.
//!
//! | room | content |
//! |---|---|
//! | `vfork` | the `clone` call, and the first steps of every child |
//! | `prepared` | everything for a child, laid out in memory |
//! | `worker`, `guardian` | the two kinds of children, from the first system call to `exec` |
//! | `stack`, `birth_time` | a child's stack; a child's start time |

mod birth_time;
mod guardian;
mod prepared;
mod stack;
mod vfork;
mod worker;

pub(crate) use guardian::{PLACES, Places, execute_guardian};
pub(crate) use prepared::{CStrings, PidVariable, Prepared};
pub(crate) use worker::{Born, LIFELINE_FD, Stage, clone_and_exec};
