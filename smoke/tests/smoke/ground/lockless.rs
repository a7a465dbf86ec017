//! File systems whose locks do not hold: a directory of this host stands in. Every mount is in a mount namespace of its own,
//! and goes with the namespace.

use nix::sys::signal::Signal;
use rekindle_smoke::container::Container;
use rekindle_smoke::{Launcher, Reply, Root, TestEnv, procs, programs, tests, wait};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

tests![
    a_home_shared_by_machines_has_a_stand_in_and_says_so_once needs TwoUsers,
    a_fuse_home_whose_flock_excludes_is_used needs TwoUsers,
    a_fuse_home_whose_flock_misbehaves_has_a_stand_in needs TwoUsers,
    a_lock_that_hangs_is_asked_for_once_and_within_a_bound needs TwoUsers,
    a_named_directory_without_locks_is_refused needs TwoUsers,
    without_a_runtime_directory_the_stand_in_is_in_var_tmp needs TwoUsers,
    two_homes_of_one_user_share_no_stand_in needs TwoUsers,
    a_home_mounted_late_starts_no_second_worker needs TwoUsers,
    a_home_unmounted_late_starts_no_second_worker needs TwoUsers,
    a_marker_without_locks_stays_and_has_one_holder needs TwoUsers,
];

/// A home in a container of its own.
struct Home {
    container: Container,
    env: TestEnv,
    /// `XDG_STATE_HOME`: the mount point.
    point: PathBuf,
    /// `XDG_RUNTIME_DIR`.
    runtime: PathBuf,
}

impl Home {
    /// A home without a mount.
    fn new() -> Self {
        let env = TestEnv::new();
        let container = Container::start(&env);
        let made = |name: &str| {
            let path = env.path(name);
            fs::create_dir(&path).expect("a test environment can hold a directory");
            path
        };
        let (point, runtime, _source) = (made("home"), made("run"), made("source"));
        let home = Self { container, env, point, runtime };
        // Another test may have left stand-ins in the real one.
        home.sh("mount -t tmpfs none /var/tmp && chmod 1777 /var/tmp");
        home
    }

    /// A home on a FUSE file system that shows another directory of this machine, of any subtype.
    fn bound(subtype: Option<&str>) -> Self {
        let home = Self::new();
        home.bind(subtype);
        home
    }

    fn bind(&self, subtype: Option<&str>) {
        let bindfs = programs::find("bindfs", "bindfs");
        let option = subtype.map(|subtype| format!("-o subtype={subtype}")).unwrap_or_default();
        let (source, point) = (self.env.path("source"), self.point.display().to_string());
        self.sh(&format!("{bindfs} -o nonempty {option} {} {point}", source.display()));
    }

    /// Mounts the misbehaving server.
    fn serve(&self, kind: &str, conduct: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/lock_server.py");
        let mut command = self.container.command(&self.env, "setsid");
        command.arg("--fork").arg(programs::python()).arg(script).arg(&self.point).args([kind, conduct]);
        assert_eq!(Launcher::start(silent(&command)).finish().code, Some(0));
        let mounted = format!("{kind} ");
        wait::until("the server has mounted", || {
            self.sh("cat /proc/self/mountinfo").stdout.contains(&mounted)
        });
    }

    fn sh(&self, script: &str) -> Reply {
        let mut command = self.container.command(&self.env, "sh");
        command.args(["-c", script]);
        let reply = Launcher::start(command).finish();
        assert_eq!(reply.code, Some(0), "{script}: {reply}");
        reply
    }

    fn command(&self, variables: &[(&str, &OsStr)], args: &[&str]) -> Command {
        let mut command = self.container.command(&self.env, "env");
        for (name, value) in variables {
            let mut word = std::ffi::OsString::from(format!("{name}="));
            word.push(value);
            command.arg(word);
        }
        command.arg(self.env.binary()).args(args);
        command
    }

    fn rekindle(&self, args: &[&str]) -> Reply {
        let variables =
            [("XDG_STATE_HOME", self.point.as_os_str()), ("XDG_RUNTIME_DIR", self.runtime.as_os_str())];
        Launcher::start(self.command(&variables, &[&["--json"], args].concat())).finish()
    }

    fn up(&self) -> Reply {
        self.rekindle(&["up", "s", "--", &self.env.binary_arg(), "worker"])
    }

    /// The only stand-in.
    fn stand_in(&self) -> PathBuf {
        only(&self.runtime)
    }

    /// The processes that run a worker.
    fn workers(&self) -> usize {
        let is_worker = |pid: &procs::Pid| procs::command_line(*pid).ends_with("worker");
        self.env.processes().iter().filter(|pid| is_worker(pid)).count()
    }
}

/// The only entry of a directory.
fn only(dir: &Path) -> PathBuf {
    let entries: Vec<PathBuf> =
        fs::read_dir(dir).expect("it can be listed").flatten().map(|entry| entry.path()).collect();
    let [entry] = entries.as_slice() else {
        panic!("one entry is expected in `{}`: {entries:?}", dir.display())
    };
    entry.clone()
}

/// A command whose output is of no interest: a server that stays would keep the pipe open.
fn silent(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$@\" >/dev/null 2>&1", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        shell.current_dir(dir);
    }
    shell
}

const TOLD: &str = "where locks do not hold";

/// L11: a home on a network file system.
fn a_home_shared_by_machines_has_a_stand_in_and_says_so_once(_: Root) {
    let home = Home::bound(Some("sshfs"));
    let looked = home.rekindle(&["ls"]);
    assert_eq!(looked.code, Some(0), "{looked}");
    assert_eq!(
        fs::read_dir(&home.runtime).expect("it is there").count(),
        0,
        "a look makes nothing: {looked}"
    );
    let started = home.up().expect(0, "started");
    assert!(started.stderr.contains(TOLD) && started.stderr.contains("FUSE (sshfs)"), "{started}");
    let stand_in = home.stand_in();
    assert!(stand_in.join("s/session.json").exists(), "{started}");
    assert!(!home.env.path("source/rekindle").exists(), "the home was left alone: {started}");
    for args in [&["up", "s", "--intent", "attach"][..], &["ls"], &["show", "s"], &["stop", "s"]] {
        let reply = home.rekindle(args);
        assert_eq!(reply.code, Some(0), "{args:?}: {reply}");
        assert!(!reply.stderr.contains(TOLD), "it was said before: {reply}");
    }
    assert!(!home.up().expect(0, "started").stderr.contains(TOLD), "it was said before");
    let doctor = home.rekindle(&["doctor"]);
    let told = doctor.json["home"].as_array().cloned().unwrap_or_default();
    assert!(told.iter().any(|fact| fact.as_str().is_some_and(|fact| fact.contains(TOLD))), "{doctor}");
}

/// Two common FUSE file systems, and one start of many on each.
fn a_fuse_home_whose_flock_excludes_is_used(_: Root) {
    for kind in ["bindfs", "fuse-overlayfs"] {
        let home = Home::new();
        if kind == "bindfs" {
            home.bind(None);
        } else {
            let overlay = programs::find(kind, kind);
            for dir in ["upper", "work"] {
                fs::create_dir(home.env.path(dir)).expect("a test environment can hold a directory");
            }
            let [lower, upper, work] = ["source", "upper", "work"].map(|name| home.env.path(name));
            home.sh(&format!(
                "{overlay} -o lowerdir={},upperdir={},workdir={} {}",
                lower.display(),
                upper.display(),
                work.display(),
                home.point.display()
            ));
        }
        let first =
            home.rekindle(&["-v", "up", "s", "--", &home.env.binary_arg(), "worker"]).expect(0, "started");
        assert!(first.stderr.contains("tried the locks"), "{kind}: {first}");
        assert_eq!(fs::read_dir(&home.runtime).expect("it is there").count(), 0, "{kind}: {first}");
        let again =
            home.rekindle(&["-v", "up", "s", "--", &home.env.binary_arg(), "worker"]).expect(0, "attached");
        assert!(!again.stderr.contains("tried the locks"), "the verdict is remembered: {kind}: {again}");
        home.rekindle(&["stop", "s"]).expect(0, "stopped");
        let variables =
            [("XDG_STATE_HOME", home.point.as_os_str()), ("XDG_RUNTIME_DIR", home.runtime.as_os_str())];
        let binary = home.env.binary_arg();
        let many: Vec<Launcher> = (0..8)
            .map(|_| {
                Launcher::start(home.command(&variables, &["--json", "up", "s", "--", &binary, "worker"]))
            })
            .collect();
        let replies: Vec<Reply> = many.into_iter().map(Launcher::finish).collect();
        let started = replies.iter().filter(|reply| reply.text("outcome") == "started").count();
        assert!(replies.iter().all(|reply| reply.code == Some(0)), "{kind}: {replies:?}");
        assert_eq!((started, home.workers()), (1, 1), "{kind}: {replies:?}");
        home.rekindle(&["stop", "s"]).expect(0, "stopped");
    }
}

fn a_fuse_home_whose_flock_misbehaves_has_a_stand_in(_: Root) {
    for (conduct, why) in [("overlap", "granted one exclusive flock twice"), ("refuse", "refuses a flock")] {
        let home = Home::new();
        home.serve("fuse.test", conduct);
        let started = home.up().expect(0, "started");
        assert!(started.stderr.contains(TOLD) && started.stderr.contains(why), "{conduct}: {started}");
        assert!(home.stand_in().join("s/session.json").exists(), "{conduct}: {started}");
        home.up().expect(0, "attached");
        home.rekindle(&["stop", "s"]).expect(0, "stopped");
    }
}

/// L11. A helper that waits in the kernel is left behind, with none of our descriptors.
fn a_lock_that_hangs_is_asked_for_once_and_within_a_bound(_: Root) {
    let home = Home::new();
    home.serve("fuse.test", "hang");
    // The limit for one command is the bound.
    let started = home.up().expect(0, "started");
    assert!(started.stderr.contains("did not return in time"), "{started}");
    let again = home.rekindle(&["-v", "up", "s", "--intent", "attach"]).expect(0, "attached");
    assert!(!again.stderr.contains("tried the locks"), "the verdict is remembered: {again}");
    home.rekindle(&["stop", "s"]).expect(0, "stopped");
}

fn a_named_directory_without_locks_is_refused(_: Root) {
    for conduct in ["overlap", "hang"] {
        let home = Home::new();
        home.serve("fuse.test", conduct);
        let state = home.point.join("state");
        let state = state.to_str().expect("a test environment's paths are UTF-8");
        let by_option = home.rekindle(&["--dir", state, "up", "s", "--", &home.env.binary_arg(), "worker"]);
        by_option.expect_error(3, "state-dir-without-locks");
        let variables = [("REKINDLE_DIR", OsStr::new(state)), ("XDG_RUNTIME_DIR", home.runtime.as_os_str())];
        let by_variable = Launcher::start(home.command(&variables, &["--json", "ls"])).finish();
        by_variable.expect_error(3, "state-dir-without-locks");
        assert_eq!(fs::read_dir(&home.runtime).expect("it is there").count(), 0);
    }
}

fn without_a_runtime_directory_the_stand_in_is_in_var_tmp(_: Root) {
    let home = Home::bound(Some("sshfs"));
    let gone = home.env.path("gone");
    let with = |runtime: &Path, args: &[&str]| {
        let variables =
            [("XDG_STATE_HOME", home.point.as_os_str()), ("XDG_RUNTIME_DIR", runtime.as_os_str())];
        Launcher::start(home.command(&variables, &[&["--json"], args].concat())).finish()
    };
    let binary = home.env.binary_arg();
    with(&gone, &["up", "s", "--", &binary, "worker"]).expect(0, "started");
    assert!(!gone.exists(), "the system makes a runtime directory");
    let names = home.sh("ls /var/tmp").stdout;
    assert!(names.starts_with("rekindle-0-"), "{names}");
    // A shell with a runtime directory stays with the stand-in in use.
    with(&home.runtime, &["up", "s", "--", &binary, "worker"]).expect(0, "attached");
    assert_eq!(home.workers(), 1);
    with(&gone, &["stop", "s"]).expect(0, "stopped");
}

/// A session's name means another worker in another home.
fn two_homes_of_one_user_share_no_stand_in(_: Root) {
    let home = Home::bound(Some("sshfs"));
    for name in ["one", "other"] {
        let state = home.point.join(name);
        fs::create_dir(home.env.path("source").join(name)).expect("the source can hold a directory");
        let variables =
            [("XDG_STATE_HOME", state.as_os_str()), ("XDG_RUNTIME_DIR", home.runtime.as_os_str())];
        let binary = home.env.binary_arg();
        let up = home.command(&variables, &["--json", "up", "s", "--", &binary, "worker"]);
        Launcher::start(up).finish().expect(0, "started");
    }
    assert_eq!(home.workers(), 2);
}

/// A worker that was started before the home was mounted is found by its lifeline.
fn a_home_mounted_late_starts_no_second_worker(_: Root) {
    let home = Home::new();
    home.up().expect(0, "started");
    home.bind(Some("sshfs"));
    let refused = home.up().expect_error(3, "session-elsewhere");
    assert!(refused.advice().contains("end process"), "{refused}");
    assert_eq!(home.workers(), 1, "{refused}");
    home.sh(&format!("umount {}", home.point.display()));
    home.up().expect(0, "attached");
    home.rekindle(&["stop", "s"]).expect(0, "stopped");
}

fn a_home_unmounted_late_starts_no_second_worker(_: Root) {
    let home = Home::bound(Some("sshfs"));
    let worker = home.up().expect(0, "started").pid();
    home.sh(&format!("umount {}", home.point.display()));
    let refused = home.up().expect_error(3, "session-elsewhere");
    assert_eq!(home.workers(), 1, "{refused}");
    let stand_in = home.stand_in();
    let dir = stand_in.to_str().expect("a test environment's paths are UTF-8");
    assert!(refused.text("next").ends_with(&format!("show s --dir {dir}")), "{refused}");
    let doctor = home.rekindle(&["doctor", "s"]);
    assert!(doctor.json["home"].to_string().contains(dir) || doctor.code == Some(1), "{doctor}");
    home.rekindle(&["stop", "s", "--dir", dir]).expect(0, "stopped");
    home.up().expect(0, "started");
    let _ = worker;
}

/// Two spellings of the path have one kernel lock on this host, although the marker's file system has none.
fn a_marker_without_locks_stays_and_has_one_holder(_: Root) {
    let home = Home::bound(Some("sshfs"));
    std::os::unix::fs::symlink(&home.point, home.env.path("link")).expect("a link can be made");
    let (marker, other) = (home.point.join("d.lock"), home.env.path("link/d.lock"));
    let [marker, other] = [&marker, &other].map(|path| path.to_str().expect("paths are UTF-8").to_owned());
    let variables = [("XDG_RUNTIME_DIR", home.runtime.as_os_str())];
    let acquire = |path: &str, program: &[&str]| {
        let args = [&["--json", "lifecycle", "acquire", "--path", path, "--"], program].concat();
        Launcher::start(home.command(&variables, &args))
    };
    let holder = acquire(&marker, &["sleep", "1000"]);
    wait::until_there(&home.env.path("source/d.lock"));
    let lock = only(&only(&home.runtime));
    let name = lock.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    assert!(name.starts_with(".lifecycle-") && name.ends_with(".lock"), "{name}");
    assert!(!home.env.path("source/d.lock.lock").exists(), "no lock file lies beside the marker");
    acquire(&other, &["true"]).finish().expect_error(125, "conflict");
    // The marker alone decides nothing: without the marker the kernel's lock still excludes.
    fs::remove_file(home.env.path("source/d.lock")).expect("anybody may remove a marker");
    let second = acquire(&other, &["true"]).finish();
    assert_eq!(second.code, Some(125), "{second}");
    let _: Value = second.json;
    for pid in home.env.processes() {
        if procs::command_line(pid).contains("lifecycle") {
            procs::send(pid, Signal::SIGTERM);
        }
    }
    holder.finish();
    let third = acquire(&other, &["true"]).finish();
    assert_eq!(third.code, Some(0), "{third}");
}
