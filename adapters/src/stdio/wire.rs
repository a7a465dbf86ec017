//! The protocol between a supervisor and its guardian, and the guardian's descriptors.
//!
//! Compiled twice, into the library and into the guardian's program, so the two cannot disagree.

/// The guardian's end of the connection to its supervisor; the end of the connection ends the supervision.
pub(crate) const CONTROL_FD: i32 = 3;
/// The supervisor's pidfd: readable once the supervisor is gone, for any reason.
pub(crate) const SUPERVISOR_FD: i32 = 4;

/// To the guardian: SIGTERM to all, then SIGCONT.
pub(crate) const TERMINATE: u8 = b'T';
/// To the guardian: SIGKILL to all.
pub(crate) const KILL: u8 = b'K';

/// From the guardian: the event, and two numbers.
pub(crate) type Message = [i32; 3];
/// The child runs its program; the number is its pid.
pub(crate) const STARTED: i32 = 1;
/// The child failed before exec and is gone; the numbers are stage and errno.
pub(crate) const FAILED: i32 = 2;
/// The child returned; the number is its status.
pub(crate) const RETURNED: i32 = 3;
/// A signal ended the child; the number is the signal.
pub(crate) const SIGNALLED: i32 = 4;

/// A process was left running, because it began its own process session; the number is its pid.
pub(crate) const LEFT: i32 = 5;

/// The guardian's third argument: every descendant of the child is ended.
pub(crate) const END_DETACHED: u8 = b'E';
/// The guardian's third argument: descendants with their own process session are left alone.
pub(crate) const LEAVE_DETACHED: u8 = b'L';

/// The child could not be created.
pub(crate) const STAGE_CREATE: i32 = 1;
/// The child could not make its process group, or be tied to its guardian.
pub(crate) const STAGE_TIE: i32 = 2;
/// The child could not enter its working directory.
pub(crate) const STAGE_DIRECTORY: i32 = 3;
/// The child could not execute its program.
pub(crate) const STAGE_EXEC: i32 = 4;

/// The length of a message.
pub(crate) const MESSAGE_LEN: usize = size_of::<Message>();
