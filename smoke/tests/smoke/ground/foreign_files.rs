//! Files of others: no request makes rekindle write to, empty, remove or chmod such a file. U8, U15, U24, U32, U33.

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rekindle::LifecycleLock;
use rekindle::lifecycle::Acquired;
use rekindle_smoke::{Launcher, Reply, Root, TestEnv, cli, procs, tests, wait};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

tests![
    no_verb_changes_a_file_that_we_did_not_make,
    a_directory_that_becomes_a_sessions_keeps_what_is_in_it,
    a_cargo_lock_is_nobodys_lock,
    a_lock_that_is_not_ours_is_refused,
    a_lock_of_another_user_is_refused needs TwoUsers,
    a_look_makes_no_lock,
    a_release_of_nothing_makes_no_lock,
    where_no_socket_can_be_no_lock_is_made,
    a_socket_lock_that_was_cut_off_proves_nothing,
    only_what_a_dead_writer_of_ours_left_is_swept,
    two_locks_side_by_side_do_not_disturb_each_other,
    what_is_set_aside_stays,
    a_marker_with_an_odd_time_is_its_holders,
    an_echo_worker_removes_its_own_socket_only,
];

/// Another user.
const STRANGER: u32 = 15_151;

/// All facts about a file, except its name and access time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    mode: u32,
    owner: (u32, u32),
    names: u64,
    modified: (i64, i64),
    content: Vec<u8>,
}

/// Every file below a directory, by inode.
fn files(dir: &Path) -> BTreeMap<u64, (PathBuf, State)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("it can be listed").flatten() {
        let (path, found) = (entry.path(), entry.metadata().expect("it can be inspected"));
        let content = match found.file_type() {
            kind if kind.is_file() => fs::read(&path).expect("it can be read"),
            kind if kind.is_symlink() => {
                fs::read_link(&path).expect("it can be read").as_os_str().as_bytes().to_vec()
            }
            _ => Vec::new(),
        };
        if found.is_dir() {
            all.extend(files(&path));
        }
        // The number of entries in a directory does not show the owner of each.
        let (names, modified) = match found.is_dir() {
            true => (0, (0, 0)),
            false => (found.nlink(), (found.mtime(), found.mtime_nsec())),
        };
        let owner = (found.uid(), found.gid());
        all.insert(found.ino(), (path, State { mode: found.mode(), owner, names, modified, content }));
    }
    all
}

/// The files before a test; afterwards they have to be unchanged, under any name.
struct Foreign {
    env: TestEnv,
    before: BTreeMap<u64, (PathBuf, State)>,
}

/// The tried names: names of files, and names whose lock would be one of the files.
const NAMES: [&str; 12] = [
    "Cargo",
    "Cargo.lock",
    "empty",
    "empty.lock",
    "loose",
    "notes",
    "linked",
    "hard",
    "fifo",
    "dir",
    "theirs",
    "sock",
];

impl Foreign {
    fn new() -> Self {
        let env = TestEnv::new();
        let file = |name: &str, content: &str, mode: u32| {
            let path = env.file(name, content);
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            path
        };
        let lock = file("Cargo.lock", "version = 4\n", 0o644);
        file("empty.lock", "", 0o644);
        file("loose.lock", "", 0o666);
        let notes = file("notes", "mine\n", 0o640);
        file("notes.lock", "{\"pid\":1}\n", 0o600);
        symlink(&lock, env.path("linked")).expect("a test environment can hold a link");
        symlink(&notes, env.path("linked.lock")).expect("a test environment can hold a link");
        fs::hard_link(file("other-name", "", 0o600), env.path("hard.lock"))
            .expect("a test environment can hold a link");
        fs::hard_link(file("another-name", "x", 0o600), env.path("hard"))
            .expect("a test environment can hold a link");
        for fifo in ["fifo", "fifo.lock"] {
            mkfifo(&env.path(fifo), Mode::S_IRUSR | Mode::S_IWUSR)
                .expect("a test environment can hold a FIFO");
        }
        fs::create_dir_all(env.path("dir/within")).expect("a test environment can hold a directory");
        file("dir/within/notes", "mine", 0o644);
        fs::create_dir(env.path("dir.lock")).expect("a test environment can hold a directory");
        for theirs in ["theirs", "theirs.lock"] {
            Root::ours().inspect(|root| root.give(&file(theirs, "", 0o600), STRANGER));
        }
        UnixListener::bind(env.path("sock")).expect("a test environment can hold a socket");
        file("sock.lock", "", 0o600);
        file(".tmp-web-notes", "mine", 0o600);
        file(".rekindle-tmp.notes", "mine", 0o600);
        file(".locked.lock", "mine", 0o600);
        let before = files(env.dir());
        Self { env, before }
    }

    #[track_caller]
    fn assert_untouched(&self, what: &str) {
        let after = files(self.env.dir());
        for (inode, (path, state)) in &self.before {
            match after.get(inode) {
                Some((_, found)) => assert_eq!(found, state, "{what} changed `{}`", path.display()),
                None => panic!("{what} removed `{}`", path.display()),
            }
        }
    }

    fn run(&self, args: &[&str]) -> Reply {
        let mut command = self.env.command(cli::binary());
        command.arg("--json").env("REKINDLE_DIR", self.env.dir().join("state")).args(args);
        Launcher::start(command).finish()
    }
}

/// U32. Every verb on every name, each with fresh files.
fn no_verb_changes_a_file_that_we_did_not_make() {
    let binary = cli::binary_arg();
    for name in NAMES {
        let path = |foreign: &Foreign| foreign.env.path(name).to_str().expect("it is UTF-8").to_owned();
        let on_it: [&[&str]; 16] = [
            &["probe", "@"],
            &["lifecycle", "status", "--path", "@"],
            &["lifecycle", "release", "--path", "@"],
            &["lifecycle", "acquire", "--path", "@", "--pid", "1"],
            &["lifecycle", "acquire", "--path", "@", "--", "true"],
            &["lifecycle", "force-unlock", "--path", "@"],
            &["--dir", "@", "lifecycle", "acquire", "--pid", "1"],
            &["--dir", "@", "ls"],
            &["--dir", "@", "doctor"],
            &["--dir", "@", "gc", "--repair"],
            &["--dir", "@", "stop", "--all"],
            &["--dir", "@", "up", "s", "--", "true"],
            &["up", "--socket", "@", "--intent", "attach", "s"],
            &["up", "--socket", "@", "--dry-run", "s", "--", "true"],
            &["worker", "--protocol", "pool", "--idle-timeout", "1ms", "--socket", "@"],
            &["pool", "shutdown", "--speak", "1", "@"],
        ];
        for args in on_it {
            // An empty file under the marker's name counts as absent, and is replaced.
            if name == "empty.lock" && args.starts_with(&["lifecycle"]) {
                continue;
            }
            let foreign = Foreign::new();
            let named = path(&foreign);
            let args: Vec<&str> =
                args.iter().map(|arg| if *arg == "@" { named.as_str() } else { arg }).collect();
            let reply = foreign.run(&args);
            foreign.assert_untouched(&format!("{args:?} ({reply})"));
        }
        // A socket without a listener is a different case.
        if name != "sock" {
            let foreign = Foreign::new();
            let named = path(&foreign);
            let reply =
                foreign.run(&["up", "--socket", &named, "--timeout", "20s", "s", "--", &binary, "worker"]);
            foreign.run(&["stop", "s"]);
            foreign.run(&["gc"]);
            foreign.assert_untouched(&format!("up --socket {named} ({reply})"));
        }
    }
    // A state directory that contains all of the files.
    let foreign = Foreign::new();
    let dir = foreign.env.dir().to_str().expect("it is UTF-8").to_owned();
    for args in [
        &["up", "s", "--", &binary, "worker"][..],
        &["lifecycle", "acquire", "--pid", "1"],
        &["ls"],
        &["doctor"],
        &["stop", "--all"],
        &["unlock", "--force", "s"],
        &["gc", "--repair"],
    ] {
        let reply = foreign.run(&[&["--dir", &dir], args].concat());
        foreign.assert_untouched(&format!("{args:?} in their midst ({reply})"));
    }
}

/// A directory with a session's name becomes a session on request, and keeps its content.
fn a_directory_that_becomes_a_sessions_keeps_what_is_in_it() {
    let env = TestEnv::new();
    fs::create_dir_all(env.of("s", "within")).expect("a test environment can hold directories");
    fs::set_permissions(env.state(), Permissions::from_mode(0o700)).expect("it is ours");
    for name in ["notes", "within/notes", ".tmp-claim-1-1", "stdout.log.2", "lifeline.lock"] {
        fs::write(env.of("s", name), "mine").expect("it can be written");
    }
    let before = files(&env.state());
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    env.stop("s").expect(0, "stopped");
    env.rekindle(["gc"]);
    let after = files(&env.state());
    // The directory belongs to the session now.
    for (inode, (path, state)) in before.iter().filter(|(_, (path, _))| !path.ends_with("s")) {
        assert_eq!(after.get(inode).map(|(_, found)| found), Some(state), "{}", path.display());
    }
}

/// U32, the original report: the lock beside `./Cargo` belongs to a project.
fn a_cargo_lock_is_nobodys_lock() {
    let foreign = Foreign::new();
    let run = |args: &[&str]| {
        let mut command = foreign.env.command(cli::binary());
        command.arg("--json").current_dir(foreign.env.dir()).args(args);
        Launcher::start(command)
    };
    let lock = format!("`{}` was not made by rekindle", foreign.env.path("Cargo.lock").display());
    for verb in ["status", "acquire", "release", "force-unlock"] {
        let marker =
            foreign.env.file("Cargo", r#"{"pid":1,"hostname":"box","started_at":"","schema_version":1}"#);
        let reply = run(&["lifecycle", verb, "--path", "./Cargo"]).finish().expect_error(3, "untrusted");
        assert!(reply.text("message").contains(&lock), "{reply}");
        assert_eq!(reply.advice(), "name another place with --path", "{reply}");
        fs::remove_file(marker).expect("it is ours");
    }
    let reply =
        run(&["worker", "--protocol", "pool", "--socket", "./Cargo"]).finish().expect_error(1, "worker");
    assert!(reply.text("message").contains(&lock), "{reply}");
    assert_eq!(reply.advice(), "name another place with --socket", "{reply}");
    // A worker without a lock serves, and leaves the lock file alone.
    let echo = run(&["worker", "--socket", "./Cargo"]);
    wait::until_there(&foreign.env.path("Cargo"));
    echo.signal(Signal::SIGTERM);
    assert_eq!(echo.finish().code, Some(0));
    foreign.assert_untouched("a project's lock is not ours: it");
}

/// Makes a file at a path.
type Make = fn(&TestEnv, &Path);

fn status(env: &TestEnv, verb: &str, marker: &str) -> Reply {
    let path = env.path(marker);
    env.rekindle([OsStr::new("lifecycle"), OsStr::new(verb), OsStr::new("--path"), path.as_os_str()])
}

/// Refused by every command that would lock the file, and left unchanged.
#[track_caller]
fn assert_no_lock_of_ours(kind: &str, what: &str, make: impl Fn(&TestEnv, &Path)) {
    let env = TestEnv::new();
    env.file("web", r#"{"pid":1,"hostname":"box","started_at":"","schema_version":1}"#);
    make(&env, &env.path("web.lock"));
    make(&env, &env.path("sock.lock"));
    let before = files(env.dir());
    for verb in ["status", "acquire", "release", "force-unlock"] {
        let reply = status(&env, verb, "web").expect_error(3, "untrusted");
        let said = format!("`{}` {what}", env.path("web.lock").display());
        assert!(reply.text("message").contains(&said), "{kind}, {verb}: {reply}");
    }
    let socket = env.path("sock");
    let serve = [OsStr::new("worker"), OsStr::new("--protocol"), OsStr::new("pool"), OsStr::new("--socket")];
    let reply = env.rekindle(serve.iter().copied().chain([socket.as_os_str()])).expect_error(1, "worker");
    assert!(reply.text("message").contains("sock.lock` "), "{kind}: {reply}");
    assert_eq!(files(env.dir()), before, "{kind}");
    env.assert_no_process();
}

/// U32.
fn a_lock_of_another_user_is_refused(root: Root) {
    assert_no_lock_of_ours("of another user", &format!("belongs to user {STRANGER}"), |_, path| {
        fs::write(path, "").expect("it can be made");
        root.give(path, STRANGER);
    });
}

/// U32: each kind of file that could be in a lock's place.
fn a_lock_that_is_not_ours_is_refused() {
    let make: [(&str, &str, Make); 7] = [
        ("with content", "was not made by rekindle", |_, path| fs::write(path, "x").expect("it can be made")),
        ("with another mode", "was not made by rekindle", |_, path| {
            fs::write(path, "").expect("it can be made");
            fs::set_permissions(path, Permissions::from_mode(0o640)).expect("it is ours");
        }),
        ("with two names", "has more than one name", |_, path| {
            fs::write(path, "").expect("it can be made");
            fs::set_permissions(path, Permissions::from_mode(0o600)).expect("it is ours");
            fs::hard_link(path, path.with_extension("second")).expect("it can have two");
        }),
        ("a link", "is not a regular file", |env, path| {
            symlink(env.file("target", ""), path).expect("it can be made");
        }),
        ("a dangling link", "is not a regular file", |env, path| {
            symlink(env.path("nothing"), path).expect("it can be made");
        }),
        ("a FIFO", "is not a regular file", |_, path| {
            mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).expect("it can be made");
        }),
        ("a directory", "is not a regular file", |_, path| fs::create_dir(path).expect("it can be made")),
    ];
    for (kind, what, make) in make {
        assert_no_lock_of_ours(kind, what, make);
    }
    // An empty file like ours counts as ours only if such a lock is never written.
    let env = TestEnv::new();
    let empty = env.file("sock.lock", "");
    fs::set_permissions(&empty, Permissions::from_mode(0o600)).expect("it is ours");
    let socket = env.path("sock");
    let reply = env.rekindle([
        OsStr::new("worker"),
        OsStr::new("--protocol"),
        OsStr::new("pool"),
        OsStr::new("--socket"),
        socket.as_os_str(),
    ]);
    reply.expect_error(1, "worker");
    assert_eq!(fs::read(&empty).expect("it is there"), b"");
    fs::rename(&empty, env.path("web.lock")).expect("it is ours");
    status(&env, "acquire", "web").expect(0, "acquired");
}

fn a_look_makes_no_lock() {
    let env = TestEnv::new();
    assert_eq!(status(&env, "status", "web").json["status"], "free");
    assert_eq!(status(&env, "status", "no/such/dir").json["status"], "free");
    let lock = LifecycleLock::new(env.path("web"));
    assert!(lock.read().expect("it can be read").is_none());
    assert!(!lock.is_held_by_self().expect("it can be asked"));
    assert_eq!(fs::read_dir(env.dir()).expect("it is there").count(), 0, "nothing was made");
    env.file("web", r#"{"pid":1,"hostname":"elsewhere","started_at":"","schema_version":1}"#);
    assert_eq!(status(&env, "status", "web").json["status"], "other-machine");
    assert_eq!(fs::read_dir(env.dir()).expect("it is there").count(), 1, "nothing was made");
    // A lock in use is not disturbed either.
    status(&env, "acquire", "web").expect(0, "acquired");
    let before = files(env.dir());
    for _ in 0..20 {
        status(&env, "status", "web");
    }
    assert_eq!(files(env.dir()), before);
}

fn a_release_of_nothing_makes_no_lock() {
    let env = TestEnv::new();
    status(&env, "release", "web").expect(0, "not-held");
    status(&env, "force-unlock", "web").expect(0, "not-locked");
    assert_eq!(fs::read_dir(env.dir()).expect("it is there").count(), 0, "nothing was made");
}

fn where_no_socket_can_be_no_lock_is_made() {
    let env = TestEnv::new();
    env.file("file", "content");
    fs::create_dir(env.path("dir")).expect("a test environment can hold a directory");
    symlink(env.path("file"), env.path("link")).expect("a test environment can hold a link");
    let before = files(env.dir());
    for name in ["file", "dir", "link"] {
        let path = env.path(name);
        for protocol in ["pool", "echo"] {
            let mut command = env.command(cli::binary());
            command.args(["--json", "worker", "--protocol", protocol, "--socket"]).arg(&path);
            Launcher::start(command).finish().expect_error(1, "worker");
            assert_eq!(files(env.dir()), before, "{protocol} {name}");
        }
        status(&env, "acquire", if name == "file" { "link" } else { name }).expect_error(3, "untrusted");
        assert_eq!(files(env.dir()), before, "{name}");
    }
}

/// The note is written in place: a note cut off at any byte proves nothing, and the file is still ours.
fn a_socket_lock_that_was_cut_off_proves_nothing() {
    let env = TestEnv::new();
    let serve = || {
        let mut command = env.command(cli::binary());
        command.args(["--json", "worker", "--protocol", "pool", "--socket"]).arg(env.path("sock"));
        Launcher::start(command)
    };
    let worker = serve();
    wait::until("it has noted its socket", || {
        fs::read(env.path("sock.lock")).is_ok_and(|lock| lock.ends_with(b"}\n"))
    });
    worker.signal(Signal::SIGKILL);
    worker.finish();
    let whole = fs::read(env.path("sock.lock")).expect("it is there");
    let mark = whole.iter().position(|byte| *byte == b'\n').expect("it has a first line") + 1;
    for len in mark..whole.len() {
        fs::write(env.path("sock.lock"), &whole[..len]).expect("it is ours");
        let reply = serve().finish().expect_error(1, "worker");
        assert!(reply.text("message").contains("may still live"), "{len}: {reply}");
        assert!(env.path("sock").exists(), "{len}");
    }
    for len in 0..mark {
        fs::write(env.path("sock.lock"), &whole[..len]).expect("it is ours");
        let reply = serve().finish().expect_error(1, "worker");
        assert!(reply.text("message").contains("was not made by rekindle"), "{len}: {reply}");
        assert_eq!(fs::read(env.path("sock.lock")).expect("it is there"), &whole[..len]);
    }
    fs::write(env.path("sock.lock"), &whole).expect("it is ours");
    let worker = serve();
    wait::until("the socket is a new one", || {
        std::os::unix::net::UnixStream::connect(env.path("sock")).is_ok()
    });
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.finish().code, Some(0));
}

/// The name of an unfinished file.
fn unfinished(pid: u32, start_time: u64, namespace: u64, target: &str) -> String {
    format!(".rekindle-tmp.{pid}.{start_time}.{namespace}.0.{target}")
}

fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").expect("the kernel says").ino()
}

/// U33.
fn only_what_a_dead_writer_of_ours_left_is_swept() {
    let env = TestEnv::new();
    let us = std::process::id();
    let our_start = procs::start_time(us.try_into().expect("a pid is an i32")).expect("we run");
    let here = pid_namespace();
    let swept = [
        unfinished(999_999_999, 7, here, "web"),
        unfinished(us, our_start + 1, here, "web"),
        unfinished(us, our_start, here + 1, "web"),
        unfinished(999_999_999, 7, here, "web.lock"),
    ];
    let kept = [
        unfinished(us, our_start, here, "web"),
        unfinished(999_999_999, 7, here, "web-admin"),
        unfinished(999_999_999, 7, here, "we"),
        unfinished(999_999_999, 7, here, "web.lock.lock"),
        ".tmp-web-notes".to_owned(),
        ".tmp-web-1-1".to_owned(),
        ".rekindle-tmp.web".to_owned(),
        unfinished(999_999_999, 7, here, "web").replace(".7.", ".07."),
        format!("x{}", unfinished(999_999_999, 7, here, "web")),
    ];
    for name in swept.iter().chain(&kept) {
        env.file(name, "half");
    }
    // Files with the right name, but of another kind, of another user, or with a second name.
    let (dir, link) = (unfinished(999_999_999, 1, here, "web"), unfinished(999_999_999, 2, here, "web"));
    let (theirs, hard) = (unfinished(999_999_999, 3, here, "web"), unfinished(999_999_999, 4, here, "web"));
    fs::create_dir(env.path(&dir)).expect("a test environment can hold a directory");
    symlink("nothing", env.path(&link)).expect("a test environment can hold a link");
    let theirs = Root::ours().map(|root| {
        root.give(&env.file(&theirs, "half"), STRANGER);
        theirs
    });
    fs::hard_link(env.file("name", "half"), env.path(&hard)).expect("a test environment can hold a link");
    let kept = kept.iter().chain([&dir, &link, &hard]).chain(&theirs);
    let inode =
        |name: &String| env.path(name).symlink_metadata().unwrap_or_else(|_| panic!("{name} is gone")).ino();
    let before: Vec<u64> = kept.clone().map(inode).collect();
    for verb in ["acquire", "release"] {
        status(&env, verb, "web");
    }
    assert_eq!(kept.map(inode).collect::<Vec<u64>>(), before);
    for name in &swept {
        assert!(!env.path(name).exists(), "{name} is left");
    }
}

/// U33: 78 of 2,418 rounds went wrong.
fn two_locks_side_by_side_do_not_disturb_each_other() {
    let env = TestEnv::new();
    std::thread::scope(|scope| {
        for name in ["web", "web-admin", "web.lock-2", "web-1-1"] {
            let path = env.path(name);
            scope.spawn(move || {
                for round in 0..150 {
                    let lock = LifecycleLock::new(&path);
                    let acquired = wait::run(lock.acquire());
                    assert!(matches!(acquired, Ok(Acquired::Ours { .. })), "{name}, {round}: {acquired:?}");
                    lock.release().unwrap_or_else(|error| panic!("{name}, {round}: {error}"));
                }
            });
        }
    });
}

/// U24.
fn what_is_set_aside_stays() {
    let env = TestEnv::new();
    let mut kept = Vec::new();
    for round in 0..10 {
        let content = format!("not a marker {round}");
        env.file("web", &content);
        let reply = match round % 2 {
            0 => status(&env, "acquire", "web").expect(0, "acquired").json["taken_over"].clone(),
            _ => status(&env, "force-unlock", "web").expect(0, "unlocked").json,
        };
        kept.push((reply["kept_aside"].as_str().expect("it says where").to_owned(), content));
        status(&env, "force-unlock", "web");
    }
    for (path, content) in &kept {
        assert_eq!(&fs::read_to_string(path).expect("it is there"), content);
    }
    let set_aside = fs::read_dir(env.dir()).expect("it is there").flatten();
    let set_aside = set_aside.filter(|entry| entry.file_name().to_string_lossy().contains(".aside-"));
    assert_eq!(set_aside.count(), kept.len());
}

/// U15.
fn a_marker_with_an_odd_time_is_its_holders() {
    let env = TestEnv::new();
    let hostname = nix::unistd::gethostname().expect("this host has a name").to_string_lossy().into_owned();
    for time in [json!("yesterday"), json!(1_767_323_045), json!(null), json!(""), json!("\u{1b}[2J")] {
        let us = std::process::id();
        let marker =
            json!({ "pid": us, "hostname": hostname, "started_at": time, "schema_version": 1 }).to_string();
        env.file("web", &marker);
        let reply = status(&env, "status", "web");
        assert_eq!(reply.json["status"], "held", "{reply}");
        assert_eq!(reply.json["holder"]["started_at"], time, "it is shown as it stands: {reply}");
        let reply = status(&env, "acquire", "web").expect_error(3, "conflict");
        assert_eq!(reply.json["holder"]["started_at"], time, "{reply}");
        assert_eq!(fs::read_to_string(env.path("web")).expect("it is there"), marker, "byte for byte");
        let mut people = env.command(cli::binary());
        people.args(["lifecycle", "status", "--path"]).arg(env.path("web"));
        let said = Launcher::start(people).finish();
        assert!(!said.stdout.contains('\u{1b}'), "a terminal is not steered: {said}");
    }
}

/// U32: a file that has taken the name of the worker's socket belongs to another program.
fn an_echo_worker_removes_its_own_socket_only() {
    let env = TestEnv::new();
    let socket = env.path("sock");
    let mut command = env.command(cli::binary());
    command.args(["--json", "worker", "--socket"]).arg(&socket);
    let worker = Launcher::start(command);
    wait::until_there(&socket);
    fs::remove_file(&socket).expect("it is ours");
    env.file("sock", "mine");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.finish().code, Some(0));
    assert_eq!(fs::read(&socket).expect("it is there"), b"mine");
}
