//! A container: a pid, mount and UTS namespace, and a user namespace of its own where root is not at work.
//!
//! Its first process waits and reaps. The end of that process is the end of everything in the container, as when a
//! container engine kills one. The file system is that of the test environment: the test environment's state directory is its volume.

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

/// What every container is made of.
const NAMESPACES: [&str; 5] = ["--pid", "--fork", "--kill-child", "--mount", "--uts"];

/// What an ordinary user needs besides, to be allowed the rest.
const USER_NAMESPACE: [&str; 2] = ["--user", "--map-root-user"];

/// Names its host, says that all is prepared, and waits. A shell that waits reaps whatever is orphaned meanwhile.
const INIT: &str = r#"hostname "$1"; : >"$2"; sleep infinity; exit"#;

/// What a container sees in `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proc {
    /// Its own processes.
    #[default]
    Own,
    /// Those of the outer pid namespace, whose pids mean something else.
    Outer,
    /// Nothing: it is not mounted.
    Absent,
}

/// A container that runs. When it is dropped, so is all that runs in it.
#[derive(Debug)]
pub struct Container {
    unshare: Child,
    /// Its first process, by its pid outside.
    init: Pid,
    account: Account,
}

impl Container {
    /// Starts one with a `/proc` of its own.
    ///
    /// # Panics
    /// If there can be none.
    pub fn start(env: &TestEnv) -> Self {
        Self::with_proc(env, Proc::Own)
    }

    /// Starts one.
    ///
    /// # Panics
    /// If there can be none.
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

    /// Its first process, by its pid outside.
    pub fn init(&self) -> Pid {
        self.init
    }

    /// The inode number of its pid namespace.
    ///
    /// # Panics
    /// If it is gone.
    pub fn pid_namespace(&self) -> u64 {
        procs::namespace(self.init, "pid").expect("the container runs")
    }

    /// Keeps the number of its pid namespace from being given to another one, for as long as the file is open.
    ///
    /// # Panics
    /// If the container is gone.
    pub fn hold_namespace(&self) -> File {
        File::open(format!("/proc/{}/ns/pid", self.init)).expect("the container runs")
    }

    /// A command of the test environment that runs in the container.
    pub fn command(&self, env: &TestEnv, program: impl AsRef<OsStr>) -> Command {
        let mut command = env.command(programs::find("nsenter", "util-linux"));
        command.arg(format!("--target={}", self.init)).args(["--pid", "--mount", "--uts"]);
        if self.account.needs_a_user_namespace() {
            command.args(["--user", "--preserve-credentials"]);
        }
        // The directory is entered inside: one that was entered outside belongs to another mount namespace.
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

    /// Runs `rekindle` in the container, to its end.
    pub fn rekindle<S: AsRef<OsStr>>(&self, env: &TestEnv, args: impl IntoIterator<Item = S>) -> Reply {
        Launcher::start(self.rekindle_command(env, args)).finish()
    }

    /// Kills it as a whole, and waits until nothing of it is left.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Its parent has not reaped it before `unshare` ends, so that the pid is its own.
        if procs::is_running(self.unshare.id().try_into().unwrap_or(self.init)) {
            procs::send(self.init, Signal::SIGKILL);
        }
        // The kernel reaps everything in the namespace before its first process can be reaped.
        let _ = self.unshare.wait();
    }
}

/// Where a command runs.
#[derive(Debug, Clone, Copy)]
pub enum Place<'c> {
    /// In no container.
    Outside,
    /// In this one.
    Inside(&'c Container),
}

impl Place<'_> {
    /// A command of the test environment that runs here.
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

    /// Runs `rekindle` here, to its end.
    pub fn rekindle<S: AsRef<OsStr>>(self, env: &TestEnv, args: impl IntoIterator<Item = S>) -> Reply {
        Launcher::start(self.rekindle_command(env, args)).finish()
    }

    /// The same under `strace`, which follows no child.
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

    /// The inode number of the pid namespace of what runs here.
    ///
    /// # Panics
    /// If the container is gone.
    pub fn pid_namespace(self) -> u64 {
        match self {
            Self::Outside => procs::namespace(own_pid(), "pid").expect("we run"),
            Self::Inside(container) => container.pid_namespace(),
        }
    }

    /// Whether a process that runs in `other` can be seen from here: a pid namespace shows those below it.
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

/// A path in the test environment's directory at which nothing is.
pub(crate) fn unused(env: &TestEnv, name: &str) -> PathBuf {
    let taken = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
    let mut paths = (0..).map(|number| env.path(&format!("{name}{number}")));
    paths.find(|path| !taken(path)).expect("there are enough numbers")
}
