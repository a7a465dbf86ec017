//! How a process of ours is born: `clone`, the few system calls of the child, `exec`.
//!
//! Everything is prepared beforehand. The child borrows its launcher's memory until it executes its program, so between
//! the two it makes system calls only.
//!
//! | room | what is in it |
//! |---|---|
//! | `vfork` | the call itself, and what every child does first |
//! | `prepared` | what a child needs, laid out in memory |
//! | `worker`, `guardian` | the two kinds of children, from their first system call to their `exec` |
//! | `stack`, `birth_time` | what a child runs on; when it was born |

mod birth_time;
mod guardian;
mod prepared;
mod stack;
mod vfork;
mod worker;

pub(crate) use guardian::{PLACES, Places, execute_guardian};
pub(crate) use prepared::{CStrings, PidVariable, Prepared};
pub(crate) use worker::{Born, LIFELINE_FD, Stage, clone_and_exec};
