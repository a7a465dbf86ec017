//! Linux: what the kernel is asked for and what it tells.
//!
//! | room | what is asked of the kernel |
//! |---|---|
//! | `clone` | a new process, from the call to its `exec` |
//! | `pidfd` | whether a process has ended, and how |
//! | `failure` | the operation, the path and the errno of a call that failed |
//! | `procfs`, `socket_table`, `lock_table` | processes, listeners and flocks, as `/proc` shows them |
//! | `fs_watch`, `short_sleep` | inotify; timers below a millisecond |
//! | `file_system` | which file systems keep locks |
//! | `clock`, `random` | the wall clock; random numbers |
//! | `startup` | the signals and descriptors with which a program begins |

pub(crate) mod clone;
pub(crate) mod failure;
pub(crate) mod file_system;
pub(crate) mod fs_watch;
pub(crate) mod lock_table;
pub(crate) mod pidfd;
pub(crate) mod short_sleep;

pub mod clock;
pub mod procfs;
pub mod random;
pub mod socket_table;
pub mod startup;
