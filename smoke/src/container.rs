//! A container: a new pid, mount and UTS namespace, and a new user namespace unless root runs the suite.
//!
//! The container's first process waits and reaps. When the first process ends, every process in the container ends, as
//! in a container killed by an engine. The file system is shared with the test environment: the state directory is the
//! container's volume.

use crate::account::Account;
use crate::cli::{Launcher, Reply};
use crate::procs::{self, Pid};
use crate::test_env::TestEnv;
use crate::{programs, wait};
use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The namespaces of every container.
const NAMESPACES: [&str; 5] = ["--pid", "--fork", "--kill-child", "--mount", "--uts"];

/// The options that an ordinary user needs in addition, to be allowed the other namespaces.
const USER_NAMESPACE: [&str; 2] = ["--user", "--map-root-user"];

/// Sets the host name, creates the ready file, and waits. A waiting shell reaps orphans.
const INIT: &str = r#"hostname "$1"; : >"$2"; sleep infinity; exit"#;

/// The content of `/proc` in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proc {
    /// The container's processes.
    #[default]
    Own,
    /// The processes of the outer pid namespace; their pids have another meaning inside.
    Outer,
    /// Not mounted.
    Absent,
}

/// A running container. When dropped, all processes inside end.
#[derive(Debug)]
pub struct Container {
    unshare: Child,
    /// The pid of the first process, as seen from outside.
    init: Pid,
    account: Account,
}

impl Container {
    /// Starts a container with its own `/proc`.
    ///
    /// # Panics
    /// If the container cannot be started.
    pub fn start(env: &TestEnv) -> Self {
        Self::with_proc(env, Proc::Own)
    }

    /// Starts a container.
    ///
    /// # Panics
    /// If the container cannot be started.
    pub fn with_proc(env: &TestEnv, proc: Proc) -> Self {
        let ready = unused(env, "container");
        let name = ready.file_name().expect("it has a name").to_owned();
        let mut command = env.command(programs::find("unshare", "util-linux"));
        if env.account().needs_a_user_namespace() {
            command.args(USER_NAMESPACE);
        }
        command.args(NAMESPACES);
        let hide = match proc {
            Proc::Own => {
                command.arg("--mount-proc");
                ""
            }
            Proc::Outer => "",
            Proc::Absent => "umount -l /proc; ",
        };
        command.args(["sh", "-c", &format!("{hide}{INIT}"), "sh"]).arg(name).arg(&ready);
        // `unshare` complains when its child is killed.
        let unshare = command.stderr(Stdio::null()).spawn().expect("`unshare` can be started");
        wait::until_there(&ready);
        let us = unshare.id().try_into().expect("a pid is an i32");
        let init =
            wait::for_some("the container has a first process", || procs::children(us).first().copied());
        Self { unshare, init, account: env.account() }
    }

    /// The pid of the first process, as seen from outside.
    pub fn init(&self) -> Pid {
        self.init
    }

    /// The inode number of the container's pid namespace.
    ///
    /// # Panics
    /// If the container is gone.
    pub fn pid_namespace(&self) -> u64 {
        procs::namespace(self.init, "pid").expect("the container runs")
    }

    /// Prevents the kernel from reusing the number of the pid namespace while the file is open.
    ///
    /// # Panics
    /// If the container is gone.
    pub fn hold_namespace(&self) -> File {
        File::open(format!("/proc/{}/ns/pid", self.init)).expect("the container runs")
    }

    /// A command of the test environment, run in the container.
    pub fn command(&self, env: &TestEnv, program: impl AsRef<OsStr>) -> Command {
        let mut command = env.command(programs::find("nsenter", "util-linux"));
        command.arg(format!("--target={}", self.init)).args(["--pid", "--mount", "--uts"]);
        if self.account.needs_a_user_namespace() {
            command.args(["--user", "--preserve-credentials"]);
        }
        // The directory is entered inside: a directory entered outside belongs to another mount namespace.
        command.args(["--", "env", "-C"]).arg(env.dir()).arg(program);
        command
    }

    /// `rekindle --json` on the test environment's state directory, in the container.
    pub fn rekindle_command<S: AsRef<OsStr>>(
        &self,
        env: &TestEnv,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = self.command(env, env.binary());
        command.arg("--json").arg("--dir").arg(env.state()).args(args);
        command
    }

    /// Runs `rekindle` in the container, to the end.
    pub fn rekindle<S: AsRef<OsStr>>(&self, env: &TestEnv, args: impl IntoIterator<Item = S>) -> Reply {
        Launcher::start(self.rekindle_command(env, args)).finish()
    }

    /// Kills the container, and waits until all processes inside are gone.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // `unshare` is the parent of the first process: while `unshare` runs, the pid cannot have been reused.
        if procs::is_running(self.unshare.id().try_into().unwrap_or(self.init)) {
            procs::send(self.init, Signal::SIGKILL);
        }
        // The kernel reaps every other process in the namespace before the first process can be reaped.
        let _ = self.unshare.wait();
    }
}

/// The place of a command.
#[derive(Debug, Clone, Copy)]
pub enum Place<'c> {
    /// In no container.
    Outside,
    /// In this container.
    Inside(&'c Container),
}

impl Place<'_> {
    /// A command of the test environment, run here.
    pub fn command(self, env: &TestEnv, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Outside => env.command(program),
            Self::Inside(container) => container.command(env, program),
        }
    }

    /// `rekindle --json` on the test environment's state directory, here.
    pub fn rekindle_command<S: AsRef<OsStr>>(
        self,
        env: &TestEnv,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        match self {
            Self::Outside => env.rekindle_command(args),
            Self::Inside(container) => container.rekindle_command(env, args),
        }
    }

    /// Runs `rekindle` here, to the end.
    pub fn rekindle<S: AsRef<OsStr>>(self, env: &TestEnv, args: impl IntoIterator<Item = S>) -> Reply {
        Launcher::start(self.rekindle_command(env, args)).finish()
    }

    /// Runs `rekindle` here under `strace`, without following children.
    pub fn traced<S: AsRef<OsStr>>(
        self,
        env: &TestEnv,
        options: &[&str],
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = self.command(env, programs::find("strace", "strace"));
        command.env_remove("LD_LIBRARY_PATH").arg("-qq").args(options).arg(env.binary());
        command.arg("--json").arg("--dir").arg(env.state()).args(args);
        command
    }

    /// The inode number of the pid namespace of processes here.
    ///
    /// # Panics
    /// If the container is gone.
    pub fn pid_namespace(self) -> u64 {
        match self {
            Self::Outside => procs::namespace(own_pid(), "pid").expect("we run"),
            Self::Inside(container) => container.pid_namespace(),
        }
    }

    /// Whether a process in `other` is visible from here: a pid namespace shows the processes below.
    pub fn sees(self, other: Place<'_>) -> bool {
        match (self, other) {
            (Self::Outside, _) => true,
            (Self::Inside(_), Place::Outside) => false,
            (Self::Inside(here), Place::Inside(there)) => here.init == there.init,
        }
    }
}

fn own_pid() -> Pid {
    std::process::id().try_into().expect("a pid is an i32")
}

/// An unused path in the test environment's directory.
pub(crate) fn unused(env: &TestEnv, name: &str) -> PathBuf {
    let taken = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
    let mut paths = (0..).map(|number| env.path(&format!("{name}{number}")));
    paths.find(|path| !taken(path)).expect("there are enough numbers")
}
