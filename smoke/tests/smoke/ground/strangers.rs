//! Lookalikes: another user's lifeline, another container's, another program's socket and files.

use nix::sys::signal::Signal;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::{
    Account, Container, Launcher, Place, Reply, Root, Sentinel, SentinelKind, TestEnv, programs, tests, wait,
};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

tests![
    another_users_lifeline_is_nobodys needs TwoUsers,
    a_containers_lifeline_of_the_same_path_is_another needs Namespaces,
    a_socket_that_is_bound_and_does_not_listen_is_not_removed,
    a_socket_that_took_the_place_of_ours_is_not_removed,
    a_stale_socket_of_another_program_is_not_removed,
    files_that_look_unfinished_and_are_not_ours_stay,
    two_locks_of_similar_names_do_not_meet,
];

const SESSION: &str = "s";

fn worker(env: &TestEnv) -> [String; 2] {
    [env.binary_arg(), "worker".to_owned()]
}

fn up_args(env: &TestEnv) -> Vec<String> {
    let up = ["up", SESSION, "--timeout", "2s", "--term-grace", "300ms", "--kill-grace", "300ms", "--"];
    up.map(str::to_owned).into_iter().chain(worker(env)).collect()
}

/// The actions of an ordinary user in new namespaces. Arguments: the mount point of an empty file system, the session's
/// directory, the mark, whether the name is removed, and the file to create at the end.
const SQUAT: &str = r#"
import fcntl, os, signal, subprocess, sys
mount, session, mark, name, done = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount], check=True)
os.makedirs(session)
path = session + "/lifeline"
opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(opened, fcntl.LOCK_EX)
os.write(opened, mark.encode())
os.dup2(opened, 10)
os.close(opened)
if name == "removed":
    os.unlink(path)
elif name == "moved":
    os.rename(path, session + "/elsewhere")
open(done, "w").close()
signal.pause()
"#;

/// U30: an ordinary user's file, with a `/proc` link that reads like root's lifeline and a mark that names a process of
/// root.
fn another_users_lifeline_is_nobodys(_root: Root) {
    for name in ["removed", "moved", "kept"] {
        for over in ["the state directory", "what is above it"] {
            let (env, theirs) = (TestEnv::new(), TestEnv::owned_by(Account::Ordinary));
            env.let_others_pass();
            // All that such a user can know of a mark, and more: the exact text.
            env.rekindle(up_args(&env)).expect(0, "started");
            let mark = fs::read(env.of(SESSION, "lifeline")).expect("the worker has a lifeline");
            let mut mark: Value = serde_json::from_slice(&mark).expect("a mark is JSON");
            env.stop(SESSION).expect(0, "stopped");
            fs::remove_dir_all(env.of(SESSION, "")).expect("the session can be removed");
            let sentinel = Sentinel::start(&env, Place::Outside, SentinelKind::SessionLeader);
            mark["pid"] = sentinel.pid().into();
            mark["start_time"] = sentinel.start_time().into();
            let mount = if over == "the state directory" { env.state() } else { env.dir().to_owned() };
            let done = theirs.path("done");
            let mut command = theirs.command(programs::find("unshare", "util-linux"));
            command.args(["-Urm", &programs::python(), "-c", SQUAT]).arg(&mount).arg(env.of(SESSION, ""));
            command.arg(mark.to_string()).arg(name).arg(&done);
            let squatter = Launcher::start(command);
            wait::until("the squatter is done", || done.exists() || !procs::is_running(squatter.pid()));
            if !done.exists() {
                panic!("there is no squatter: {}", squatter.finish());
            }
            for args in
                [up_args(&env), words(&["doctor"]), words(&["stop", SESSION]), words(&["stop", "--all"])]
            {
                let reply = env.rekindle(&args);
                let told = format!("{name}, over {over}, {:?}: {reply}", args[0]);
                sentinel.assert_untouched(&told);
                assert!(!names_pid(&reply, sentinel.pid()), "it names a process that is no worker: {told}");
                assert!(matches!(reply.code, Some(0 | 1 | 3)), "{told}");
                if args[0] == "up" && reply.code == Some(0) {
                    assert_eq!(reply.text("outcome"), "started", "{told}");
                }
                assert!(procs::is_running(squatter.pid()), "it is not ours to end either: {told}");
            }
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|it| (*it).to_owned()).collect()
}

/// Whether a reply names a pid, in any field.
fn names_pid(reply: &Reply, pid: Pid) -> bool {
    let digits = pid.to_string();
    reply.stdout.split(|c: char| !c.is_ascii_digit()).any(|word| word == digits)
}

/// U30, without malice: a container of the same user has different files at the same path.
fn a_containers_lifeline_of_the_same_path_is_another() {
    for account in Account::all() {
        for removed in [true, false] {
            let env = TestEnv::owned_by(account);
            let container = Container::start(&env);
            // The state directory exists on both sides, with different content.
            env.rekindle(["up", "other", "--", &env.binary_arg(), "worker"]).expect(0, "started");
            env.rekindle(["stop", "other"]).expect(0, "stopped");
            let inside = Place::Inside(&container);
            let shell = |script: &str| {
                let mut command = inside.command(&env, "sh");
                command.args(["-ec", script, "sh"]).arg(env.state());
                let reply = Launcher::start(command).finish();
                assert_eq!(reply.code, Some(0), "{script}: {reply}");
            };
            shell(r#"mount -t tmpfs -o mode=700 tmpfs "$1""#);
            inside.rekindle(&env, up_args(&env)).expect(0, "started");
            let line = worker(&env).join(" ");
            let of_container = |pid: &Pid| {
                procs::command_line(*pid) == line
                    && procs::namespace(*pid, "pid") == Some(container.pid_namespace())
            };
            let theirs = env.processes().into_iter().find(of_container).expect("the container's worker runs");
            if removed {
                shell(r#"rm -r "$1"/s"#);
            }
            let reply = env.rekindle(up_args(&env)).expect(0, "started");
            assert!(procs::is_running(reply.pid()), "{account:?}, removed {removed}: {reply}");
            for args in [&["stop", SESSION][..], &["stop", "--all"], &["gc"]] {
                let stopped = env.rekindle(args);
                assert_eq!(stopped.code, Some(0), "{account:?}, removed {removed}: {stopped}");
                assert!(procs::is_running(theirs), "{account:?}, removed {removed}, {args:?}: {stopped}");
            }
            assert!(!procs::is_running(reply.pid()), "{account:?}, removed {removed}: {reply}");
        }
    }
}

/// A program that binds a socket but does not listen.
const BIND: &str = "
import signal, socket, sys
bound = socket.socket(socket.AF_UNIX)
bound.bind(sys.argv[1])
open(sys.argv[2], 'w').close()
signal.pause()
";

/// Another program's socket, bound until the program is dropped.
struct Bound {
    path: PathBuf,
    inode: u64,
    stranger: Option<Launcher>,
}

impl Bound {
    fn at(env: &TestEnv, path: &Path) -> Self {
        let ready = env.path("bound");
        let mut command = env.command(programs::python());
        command.args(["-c", BIND]).arg(path).arg(&ready);
        let stranger = Launcher::start(command);
        wait::until_there(&ready);
        fs::remove_file(&ready).expect("it is ours");
        let inode = fs::symlink_metadata(path).expect("it is bound").ino();
        Self { path: path.to_owned(), inode, stranger: Some(stranger) }
    }

    /// The other program dies, and the file stays.
    fn left_behind(self) -> Self {
        drop(self.stranger);
        Self { stranger: None, ..self }
    }

    #[track_caller]
    fn assert_untouched(&self, what: &str) {
        let inode = fs::symlink_metadata(&self.path).map(|found| found.ino()).ok();
        assert_eq!(inode, Some(self.inode), "a stranger's socket was removed by: {what}");
    }
}

/// The commands to run with the other program's socket in place.
fn verbs(env: &TestEnv, socket: &str) -> Vec<Vec<String>> {
    let mut up = words(&["up", SESSION, "--socket", socket, "--timeout", "500ms"]);
    up.extend(words(&["--term-grace", "300ms", "--kill-grace", "300ms", "--"]));
    up.extend(worker(env));
    let mut again = up.clone();
    again.splice(2..2, words(&["--intent", "resume"]));
    vec![
        words(&["gc"]),
        words(&["stop", SESSION]),
        up,
        again,
        words(&["stop", SESSION]),
        words(&["stop", "--all"]),
        words(&["gc"]),
    ]
}

/// U34: for a session without an earlier start.
fn a_socket_that_is_bound_and_does_not_listen_is_not_removed() {
    for account in Account::all() {
        let env = TestEnv::owned_by(account);
        let socket = env.path("given");
        let bound = Bound::at(&env, &socket);
        for args in verbs(&env, &socket.display().to_string()) {
            let reply = env.rekindle(&args);
            bound.assert_untouched(&format!("{args:?}: {reply}"));
            assert!(reply.text("outcome") != "started", "nobody can listen there: {reply}");
        }
    }
}

/// U34: for a session whose worker answered there before, and was stopped or killed.
fn a_socket_that_took_the_place_of_ours_is_not_removed() {
    for how in ["stopped", "killed", "killed, then its socket removed"] {
        // Beginning at each verb: an earlier verb may have recorded the socket.
        let count = verbs(&TestEnv::new(), "").len();
        for first in 0..count {
            let env = TestEnv::new();
            let socket = env.path("given");
            let given = socket.display().to_string();
            let up = ["up", SESSION, "--socket", &given, "--", &env.binary_arg(), "worker"];
            let pid = env.rekindle(up).expect(0, "started").pid();
            if how == "stopped" {
                env.stop(SESSION).expect(0, "stopped");
            } else {
                procs::send(pid, Signal::SIGKILL);
                wait::until("the worker is gone", || !procs::is_running(pid));
            }
            let _ = fs::remove_file(&socket);
            let bound = Bound::at(&env, &socket);
            for args in verbs(&env, &given).into_iter().skip(first) {
                let reply = env.rekindle(&args);
                bound.assert_untouched(&format!("{how}, {args:?}: {reply}"));
            }
        }
    }
}

/// U34: the socket has no holder any more, but is not ours: only the owner knows its purpose.
fn a_stale_socket_of_another_program_is_not_removed() {
    for account in Account::all() {
        let env = TestEnv::owned_by(account);
        let socket = env.path("given");
        let stale = Bound::at(&env, &socket).left_behind();
        for args in verbs(&env, &socket.display().to_string()) {
            let reply = env.rekindle(&args);
            stale.assert_untouched(&format!("{account:?}, {args:?}: {reply}"));
        }
    }
}

/// U33: names that begin like our unfinished files.
const NOTES: [&str; 7] = [
    ".tmp-web-notes",
    ".tmp-web",
    ".tmp-web-1",
    ".tmp-web-admin-1-2",
    ".tmp-web.lock-1",
    "web.notes",
    "web.lock.old",
];

/// U33.
fn files_that_look_unfinished_and_are_not_ours_stay() {
    for account in Account::all() {
        let env = TestEnv::owned_by(account);
        let dir = env.path("locks");
        let made = Launcher::start({
            let mut command = env.command("mkdir");
            command.args(["-m", "700"]).arg(&dir);
            command
        });
        assert_eq!(made.finish().code, Some(0));
        for name in NOTES {
            let mut command = env.command("sh");
            command.args(["-c", r#"echo mine >"$0""#]).arg(dir.join(name));
            assert_eq!(Launcher::start(command).finish().code, Some(0));
        }
        let web = dir.join("web").display().to_string();
        for args in [
            &["acquire", "--path", &web, "--", "true"][..],
            &["acquire", "--path", &web],
            &["status", "--path", &web],
            &["force-unlock", "--path", &web],
            &["acquire", "--path", &web, "--", "sh", "-c", "exit 7"],
        ] {
            let reply = env.rekindle([&["lifecycle"], args].concat());
            for name in NOTES {
                let content = fs::read_to_string(dir.join(name)).ok();
                assert_eq!(
                    content.as_deref(),
                    Some("mine\n"),
                    "{account:?}, `{name}` after {args:?}: {reply}"
                );
            }
        }
    }
}

/// How often each of two locks is taken and released beside the other.
const TURNS: usize = 250;

/// U33: 78 of 2,418 failed.
fn two_locks_of_similar_names_do_not_meet() {
    let env = TestEnv::new();
    let take = |name: &str| {
        let path = env.path(name).display().to_string();
        let failed = (0..TURNS).filter_map(|_| {
            let reply = env.rekindle(["lifecycle", "acquire", "--path", &path, "--", "true"]);
            (reply.code != Some(0)).then(|| reply.to_string())
        });
        failed.collect::<Vec<_>>()
    };
    let failed = thread::scope(|scope| {
        let others = ["web-admin", "web-"].map(|name| scope.spawn(move || take(name)));
        let mut failed = take("web");
        for other in others {
            failed.extend(other.join().expect("a turn does not panic"));
        }
        failed
    });
    assert!(failed.is_empty(), "{} of {} failed: {}", failed.len(), 3 * TURNS, failed[0]);
}
