//! Runs a harness under a process that reaps orphans.
//!
//! An orphan waits for the nearest reaper above, mostly the machine's first process, and a pid namespace does not end
//! before all of its processes are reaped. Some first processes look only once in a while; nearly every test would wait
//! for them.

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use rustix::process::{Signal, set_child_subreaper, set_parent_process_death_signal};
use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, id};

/// The name by which the parent starts the harness.
const REAPED: &str = "rekindle-smoke-under-a-reaper";

/// Runs `harness` in a new process below a reaper; returns the exit code.
///
/// # Panics
/// If the process cannot be started, or is killed.
pub fn under_one(harness: impl FnOnce() -> ExitCode) -> ExitCode {
    if env::args_os().next().is_some_and(|name| name == REAPED) {
        set_parent_process_death_signal(Some(Signal::TERM)).expect("the kernel knows SIGTERM");
        return harness();
    }
    set_child_subreaper(rustix::process::Pid::from_raw(id().cast_signed())).expect("any process may reap");
    let program = env::current_exe().expect("a program knows where it is");
    let harness = Command::new(program).arg0(REAPED).args(env::args_os().skip(1)).spawn();
    let harness = harness.expect("a program can be started again").id().cast_signed();
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == harness => {
                return u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from);
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == harness => {
                panic!("the harness was ended by {signal}");
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => panic!("the harness cannot be waited for: {error}"),
        }
    }
}
