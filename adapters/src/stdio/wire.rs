//! What a supervisor and its guardian say to each other, and which descriptors a guardian is given.
//!
//! Compiled twice, into the library and into the guardian's program, so that the two cannot disagree.

/// The guardian's end of the connection to its supervisor; the end of it is the end of the supervision.
pub(crate) const CONTROL_FD: i32 = 3;
/// The supervisor's pidfd: it becomes readable when the supervisor is gone, however it went.
pub(crate) const SUPERVISOR_FD: i32 = 4;

/// To the guardian: SIGTERM to all, then SIGCONT.
pub(crate) const TERMINATE: u8 = b'T';
/// To the guardian: SIGKILL to all.
pub(crate) const KILL: u8 = b'K';

/// From the guardian: what happened, and two numbers that belong to it.
pub(crate) type Message = [i32; 3];
/// The child runs its program: its pid.
pub(crate) const STARTED: i32 = 1;
/// The child could not become its program and is gone: the stage, the errno.
pub(crate) const FAILED: i32 = 2;
/// The child returned: its status.
pub(crate) const RETURNED: i32 = 3;
/// A signal ended the child: its number.
pub(crate) const SIGNALLED: i32 = 4;

/// A process was left running, since it began a session of its own: its pid.
pub(crate) const LEFT: i32 = 5;

/// As the guardian's third argument: every descendant of the child is ended.
pub(crate) const END_DETACHED: u8 = b'E';
/// As the guardian's third argument: a descendant with a session of its own is left alone.
pub(crate) const LEAVE_DETACHED: u8 = b'L';

/// The child could not be created.
pub(crate) const STAGE_CREATE: i32 = 1;
/// The child could not have a process group of its own, or be tied to its guardian.
pub(crate) const STAGE_TIE: i32 = 2;
/// The child could not enter its working directory.
pub(crate) const STAGE_DIRECTORY: i32 = 3;
/// The child could not execute its program.
pub(crate) const STAGE_EXEC: i32 = 4;

/// How long a message is.
pub(crate) const MESSAGE_LEN: usize = size_of::<Message>();
