//! Runs commands, bounded, and under `strace`.

use super::trouble::{Trouble, TroubleKind};
use crate::cli::{self, Reply};
use crate::schema::Form;
use crate::{TestEnv, programs};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// The limit for one command, far above the command's own time-outs. A longer command counts as hanging.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// The session of all cases.
pub(super) const SESSION: &str = "s";

/// The file with a traced command's calls, in the test environment's directory.
pub(super) const TRACE: &str = "trace";

/// The worker: the fastest there is.
pub(super) fn worker() -> [String; 6] {
    [&cli::binary_arg(), "worker", "--protocol", "echo", "--socket", "{socket}"].map(str::to_owned)
}

/// `rekindle up s -- WORKER` after `options`.
pub(super) fn up_args(options: &[&str]) -> Vec<String> {
    up_args_for(options, &worker())
}

/// `rekindle up s -- COMMAND` after `options`.
pub(super) fn up_args_for(options: &[&str], command: &[String]) -> Vec<String> {
    let mut args = vec!["up".to_owned()];
    args.extend(options.iter().map(|it| (*it).to_owned()));
    args.extend([SESSION, "--"].map(str::to_owned));
    args.extend_from_slice(command);
    args
}

/// Runs a command to the end, in a new process group.
pub(super) fn to_the_end(command: Command) -> Result<Reply, Trouble> {
    to_the_end_within(COMMAND_TIMEOUT, command)
}

/// Runs a command to the end, within `bound`.
pub(super) fn to_the_end_within(bound: Duration, mut command: Command) -> Result<Reply, Trouble> {
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (said, form) = (format!("{command:?}"), Form::of(&command));
    let child = command.spawn().unwrap_or_else(|error| panic!("{said} cannot be started: {error}"));
    let group = Pid::from_raw(child.id().try_into().expect("a pid is an i32"));
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(bound) {
        Ok(output) => Ok(Reply::of(form, &output.expect("a child can be waited for"))),
        Err(_) => {
            // The whole group is killed: a tracer killed alone would release its tracee.
            let _ = killpg(group, Signal::SIGKILL);
            Err(Trouble::new(TroubleKind::Wedged, format!("it hangs: {said}")))
        }
    }
}

/// Runs `rekindle` with these arguments, to the end.
pub(super) fn rekindle(env: &TestEnv, args: &[impl AsRef<str>]) -> Result<Reply, Trouble> {
    to_the_end(env.rekindle_command(args.iter().map(AsRef::as_ref)))
}

/// Runs `rekindle` under `strace`, without following children.
pub(super) fn traced(env: &TestEnv, options: &[&str], args: &[impl AsRef<str>]) -> Result<Reply, Trouble> {
    static STRACE: OnceLock<String> = OnceLock::new();
    let mut command = env.command(STRACE.get_or_init(|| programs::find("strace", "strace")));
    // Cargo sets the variable, and the loader would search each of the directories.
    command
        .env_remove("LD_LIBRARY_PATH")
        .arg("-qq")
        .args(options)
        .arg(cli::binary())
        .arg("--json")
        .arg("--dir")
        .arg(env.state());
    command.args(args.iter().map(AsRef::as_ref));
    to_the_end(command)
}
