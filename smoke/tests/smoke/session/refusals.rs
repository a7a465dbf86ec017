//! Refusals, with nothing touched and nothing created.

use rekindle_smoke::{Launcher, Reply, Root, TestEnv, cli, programs, tests};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

tests![
    a_socket_path_that_is_a_symlink_is_refused,
    what_is_no_socket_is_refused_and_kept,
    a_socket_in_a_directory_of_all_is_refused,
    a_socket_path_that_cannot_be_used_is_refused,
    wrong_session_ids_are_usage_errors_and_create_nothing,
    texts_that_are_not_utf8_are_usage_errors,
    readiness_that_is_not_known_is_a_usage_error,
    a_dry_run_creates_nothing,
    attach_and_look_create_nothing,
    a_state_directory_that_cannot_be_trusted_is_refused,
    a_probe_tells_in_one_word,
];

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).expect("the directory is there").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn up_on(env: &TestEnv, socket: &Path) -> Reply {
    let socket = socket.to_str().expect("a test environment's paths are UTF-8");
    env.up_with("s", &["--socket", socket], &[&cli::binary_arg(), "worker"])
}

/// T14, S5.
fn a_socket_path_that_is_a_symlink_is_refused() {
    let env = TestEnv::new();
    let (real, link) = (env.path("real"), env.path("link"));
    let listener = UnixListener::bind(&real).expect("a test environment can hold a socket");
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    symlink(&real, &link).expect("a test environment can hold a link");
    fs::create_dir_all(env.of("s", "")).expect("a test environment can hold a state directory");
    fs::set_permissions(env.state(), Permissions::from_mode(0o700)).expect("its mode can be set");
    symlink(&real, env.socket("s")).expect("a session can hold a link");
    for path in [&link, &env.socket("s")] {
        let reply = up_on(&env, path).expect_rejected("target-address-conflict");
        assert_eq!(reply.json["liveness"], "forged", "{reply}");
        assert!(reply.text("message").contains("symbolic link"), "{reply}");
        assert_eq!(fs::read_link(path).expect("the link is untouched"), real);
    }
    let visited = listener.accept();
    assert!(visited.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the link was followed");
    assert!(!env.of("s", "claim").exists(), "a rejection keeps no claim");
    env.assert_no_process();
}

/// T14, S5.
fn what_is_no_socket_is_refused_and_kept() {
    let env = TestEnv::new();
    let file = env.file("file", "content");
    let fifo = env.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a test environment can hold a FIFO");
    let dir = env.path("dir");
    fs::create_dir(&dir).expect("a test environment can hold a directory");
    for path in [&file, &fifo, &dir] {
        let reply = up_on(&env, path).expect_rejected("target-address-conflict");
        assert_eq!(reply.json["liveness"], "forged", "{reply}");
        assert!(path.exists(), "{reply}");
    }
    assert_eq!(fs::read(&file).expect("the file is there"), b"content");
    env.assert_no_process();
}

/// T16, S8.
fn a_socket_in_a_directory_of_all_is_refused() {
    let env = TestEnv::new();
    let open = env.path("open");
    fs::create_dir(&open).expect("a test environment can hold a directory");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("its mode can be set");
    let reply = up_on(&env, &open.join("sock")).expect_rejected("target-address-conflict");
    assert_eq!(reply.json["liveness"], "forged", "{reply}");
    let tmp = format!("/tmp/rk-smoke-up-{}.sock", std::process::id());
    let reply = up_on(&env, Path::new(&tmp)).expect_rejected("target-address-conflict");
    assert!(reply.text("message").contains("`/tmp`"), "{reply}");
    assert!(!Path::new(&tmp).exists() && entries(&open).is_empty());
    env.assert_no_process();
}

/// S10.
fn a_socket_path_that_cannot_be_used_is_refused() {
    let env = TestEnv::new();
    let long = env.path(&"x".repeat(108));
    for path in [long, env.path("no/such/directory/sock"), PathBuf::from("/")] {
        let reply = up_on(&env, &path).expect_rejected("bad-target");
        assert!(reply.json["liveness"].is_null(), "nothing was probed: {reply}");
    }
    assert_eq!(entries(env.dir()), [] as [PathBuf; 0], "nothing was created");
}

/// T38, X1, X2.
fn wrong_session_ids_are_usage_errors_and_create_nothing() {
    let env = TestEnv::new();
    let parent = entries(env.dir().parent().expect("a test environment has a parent"));
    let long = "a".repeat(65);
    let ids =
        ["../x", "a/b", ".", "..", "", "a\nb", &long, "-x", "$(x)", "a b", "\u{e9}", ".hidden", "--help-me"];
    for id in ids {
        for args in [&["up", id, "--", "true"][..], &["show", id], &["stop", id], &["call", id, "{}"]] {
            let reply = env.rekindle(args);
            assert_eq!(reply.code, Some(2), "{id:?}: {reply}");
            assert_eq!(reply.json["outcome"], "error", "{id:?}: {reply}");
        }
    }
    assert_eq!(entries(env.dir()), [] as [PathBuf; 0], "nothing was created");
    assert_eq!(entries(env.dir().parent().expect("a test environment has a parent")), parent);
}

/// X1, U8: an argument that has to be UTF-8 and is not is named. Arguments of the program may be any bytes: see
/// `bytes.rs`.
fn texts_that_are_not_utf8_are_usage_errors() {
    let env = TestEnv::new();
    let not_utf8 = OsStr::from_bytes(b"caf\xe9");
    for args in [
        &["up", "?", "--", "true"][..],
        &["show", "?"],
        &["call", "s", "?"],
        &["up", "s", "--ready", "?", "--", "true"],
        &["up", "s", "--timeout", "?", "--", "true"],
        &["supervise", "--events-fd", "?", "--", "true"],
    ] {
        let args: Vec<_> =
            args.iter().map(|arg| if *arg == "?" { not_utf8 } else { OsStr::new(arg) }).collect();
        let reply = env.rekindle(&args).expect_error(2, "usage");
        assert!(reply.text("message").contains("`caf\\xe9`"), "{args:?}: {reply}");
    }
    assert_eq!(entries(env.dir()), [] as [PathBuf; 0], "nothing was created");
}

fn readiness_that_is_not_known_is_a_usage_error() {
    let env = TestEnv::new();
    for kind in ["hope", "handshake"] {
        let reply = env.up_with("s", &["--ready", kind], &["true"]).expect(2, "error");
        assert!(reply.text("message").contains(if kind == "hope" { kind } else { "--speak" }), "{reply}");
    }
    for wrong in [&["up"][..], &["up", "s", "--timeout", "5", "--", "true"], &["no-such-verb"]] {
        assert_eq!(env.rekindle(wrong).code, Some(2), "{wrong:?}");
    }
    assert_eq!(entries(env.dir()), [] as [PathBuf; 0], "nothing was created");
}

fn a_dry_run_creates_nothing() {
    let env = TestEnv::new();
    let reply = env.up_with("s", &["--dry-run", "--prompt", "hello"], &["echo", "{prompt}", "{socket}"]);
    let reply = reply.expect(0, "dry-run");
    assert_eq!(reply.json["verdict"], "spawn", "{reply}");
    let socket = env.socket("s").display().to_string();
    assert_eq!(reply.json["plan"]["expected_socket_path"], socket, "{reply}");
    assert_eq!(reply.json["plan"]["launch_args"][1], "hello", "{reply}");
    assert_eq!(reply.json["plan"]["launch_args"][2], socket, "{reply}");
    assert_eq!(entries(env.dir()), [] as [PathBuf; 0], "nothing was created");
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    let before = fs::read(env.of("s", "session.json")).expect("the record is there");
    let reply = env.up_with("s", &["--dry-run"], &["true"]).expect(0, "dry-run");
    assert_eq!(reply.json["verdict"], "attach", "{reply}");
    let resume = env.up_with("s", &["--dry-run", "--intent", "resume"], &["true"]).expect(3, "dry-run");
    assert_eq!(resume.json["reason"], "already-live", "{resume}");
    assert_eq!(fs::read(env.of("s", "session.json")).expect("the record is there"), before);
}

fn attach_and_look_create_nothing() {
    let env = TestEnv::new();
    let attach = env.rekindle(["up", "--intent", "attach", "s"]).expect_rejected("not-running");
    assert_eq!(attach.json["liveness"], "dormant", "{attach}");
    env.rekindle(["show", "s"]).expect_error(1, "unknown-session");
    env.rekindle(["stop", "s"]).expect_error(1, "unknown-session");
    assert_eq!(env.rekindle(["ls"]).json["sessions"], serde_json::json!([]));
    assert_eq!(entries(env.dir()), [] as [PathBuf; 0], "nothing was created");
}

/// Another user's directory, and the name of its owner in messages: root makes a directory, an ordinary user takes one
/// of root's.
fn directory_of_another_user(env: &TestEnv) -> (PathBuf, &'static str) {
    let Some(root) = Root::ours() else {
        return (PathBuf::from("/usr"), "user 0");
    };
    let dir = env.path("theirs");
    fs::create_dir(&dir).expect("a test environment can hold a directory");
    root.give(&dir, 65_534);
    (dir, "user 65534")
}

/// T16, S8.
fn a_state_directory_that_cannot_be_trusted_is_refused() {
    let env = TestEnv::new();
    let made = |name: &str, mode: u32| {
        let dir = env.path(name);
        fs::create_dir(&dir).expect("a test environment can hold a directory");
        fs::set_permissions(&dir, Permissions::from_mode(mode)).expect("its mode can be set");
        dir
    };
    let (open, good) = (made("open", 0o777), made("good", 0o700));
    let (theirs, their_name) = directory_of_another_user(&env);
    let before = entries(&theirs);
    let link = env.path("link");
    symlink(&good, &link).expect("a test environment can hold a link");
    let file = env.file("file", "content");
    let cases =
        [(&open, "0777"), (&link, "symbolic link"), (&theirs, their_name), (&file, "not a directory")];
    for (dir, why) in cases {
        for verb in [&["up", "s", "--", "true"][..], &["ls"], &["stop", "--all"]] {
            let mut command = env.command(cli::binary());
            command.args(["--json", "--dir"]).arg(dir).args(verb);
            let reply = Launcher::start(command).finish().expect_error(3, "state-dir-untrusted");
            assert!(reply.text("message").contains(why), "{reply}");
            let next = reply.text("next");
            if dir == &open {
                assert_eq!(next, format!("chmod go-w {}", dir.display()), "{reply}");
            } else {
                assert!(next.is_empty() && reply.text("hint").contains("--dir"), "{reply}");
            }
        }
    }
    assert!(entries(&open).is_empty() && entries(&good).is_empty() && entries(&theirs) == before);
    assert_eq!(fs::read(&file).expect("the file is there"), b"content");
}

fn a_probe_tells_in_one_word() {
    let env = TestEnv::new();
    let live = env.path("live");
    let _listener = UnixListener::bind(&live).expect("a test environment can hold a socket");
    let stale = env.path("stale");
    drop(UnixListener::bind(&stale).expect("a test environment can hold a socket"));
    let link = env.path("link");
    symlink(&live, &link).expect("a test environment can hold a link");
    let busy = env.path("busy");
    let _busy = crate::probe::paths::busy_listener(&busy);
    let absent = env.path("absent");
    let cases = [
        (live, "alive", 0),
        (stale, "dead", 1),
        (absent, "dead", 1),
        (link, "forged", 3),
        (busy, "indeterminate", 3),
    ];
    for (path, verdict, code) in cases {
        let reply = env.rekindle([OsStr::new("probe"), path.as_os_str()]);
        assert_eq!((reply.code, reply.text("verdict")), (Some(code), verdict), "{reply}");
        assert_ne!(reply.text("why"), "", "{reply}");
    }
    assert!(!programs::python().is_empty());
}
