//! Which modes are mended, and the modes of new directories: U10, U25, U26, U31.

use nix::sys::signal::Signal;
use rekindle_smoke::homes::{Home, STRANGER, USER, all_below, made, mode, text};
use rekindle_smoke::{Launcher, Reply, Root, TestEnv, cli, procs, programs, tests, wait};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

tests![
    directories_are_private_whatever_the_umask needs TwoUsers,
    directories_are_private_from_their_first_instant,
    nothing_is_made_in_the_home_of_another needs TwoUsers,
    a_loose_state_directory_is_mended_by_a_start_and_by_no_look,
    a_state_directory_that_holds_anything_else_is_left_as_it_is,
    a_state_directory_that_holds_another_users_session_is_left_as_it_is needs TwoUsers,
    a_loose_session_directory_is_mended_by_a_start_and_by_no_look,
    a_session_directory_of_another_user_is_not_mended needs TwoUsers,
];

/// `rekindle` under a umask.
fn under_umask(mut shell: Command, umask: &str, binary: &Path, args: &[&str]) -> Launcher {
    shell.args(["sh", "-c", &format!("umask {umask}; exec \"$0\" --json \"$@\"")]).arg(binary).args(args);
    Launcher::start(shell)
}

/// U26, U31.
fn directories_are_private_whatever_the_umask(root: Root) {
    for umask in ["0", "777", "077", "022"] {
        let home = Home::new(root, USER);
        let binary = home.binary();
        let run = |args: &[&str]| under_umask(home.command(), umask, &binary, args);
        let (state, marker, socket) =
            (home.path("a/b/state"), home.path("c/d/marker"), home.path("e/f/sock"));
        // The program makes no files: a worker's files would follow the caller's umask.
        let up = ["--dir", text(&state), "up", "--ready", "listen", "s", "--", "sleep", "1000"];
        let reply = run(&up).finish().expect_running("started");
        assert_eq!(
            run(&["--dir", text(&state), "ls"]).finish().json["sessions"][0]["state"],
            "live",
            "umask {umask}"
        );
        run(&["lifecycle", "acquire", "--path", text(&marker), "--pid", "1"]).finish();
        assert_eq!(
            run(&["lifecycle", "status", "--path", text(&marker)]).finish().code,
            Some(0),
            "umask {umask}"
        );
        let worker = run(&["worker", "--protocol", "pool", "--socket", text(&socket)]);
        wait::until_there(&socket);
        let made = ["a", "a/b", "a/b/state", "a/b/state/s", "c", "c/d", "e", "e/f"];
        assert_eq!(made.map(|dir| mode(&home.path(dir))), [0o700; 8], "umask {umask}");
        let files =
            ["a/b/state/s/session.json", "a/b/state/s/stdout.log", "c/d/marker.lock", "e/f/sock.lock"];
        assert_eq!(files.map(|file| mode(&home.path(file))), [0o600; 4], "umask {umask}");
        worker.signal(Signal::SIGTERM);
        assert_eq!(worker.finish().code, Some(0), "umask {umask}");
        procs::send(reply.pid(), Signal::SIGKILL);
        let left = all_below(home.dir()).into_iter().filter(|(path, _)| text(path).contains("-tmp."));
        assert_eq!(left.collect::<Vec<_>>(), [], "umask {umask}");
    }
}

/// U31: at no instant may another user enter, and no umask leads to a directory unusable for us.
fn directories_are_private_from_their_first_instant() {
    for umask in ["0", "777"] {
        let env = TestEnv::new();
        let (trace, deep) = (env.path("trace"), env.path("a/b/state"));
        let mut strace = env.command(programs::find("strace", "strace"));
        strace.args(["-f", "-qq", "-o"]).arg(&trace).args(["-e", "trace=mkdir,mkdirat,/chmod,/rename"]);
        let args = ["--dir", text(&deep), "up", "s", "--", "true"];
        let reply = under_umask(strace, umask, &cli::binary(), &args).finish();
        assert_eq!(reply.code, Some(5), "{reply}");
        let calls = fs::read_to_string(&trace).expect("strace wrote it");
        let makes: Vec<&str> = calls.lines().filter(|call| call.contains("mkdir")).collect();
        assert!(
            makes.len() >= 4 && makes.iter().all(|call| call.contains(", 0700)")),
            "umask {umask}: {makes:?}"
        );
        for name in ["a", "b", "state"] {
            let in_place = |call: &&&str| call.contains(&format!("/{name}\", 0700"));
            assert_eq!(makes.iter().filter(in_place).count(), 0, "`{name}` was made in its place: {makes:?}");
        }
    }
}

/// U10: irlume#532.
fn nothing_is_made_in_the_home_of_another(root: Root) {
    // Root, with the HOME of a user.
    let home = Home::new(root, USER);
    let before = all_below(home.dir());
    let mut command = home.env.command(cli::binary());
    command.env("HOME", home.dir()).args(["--json", "up", "s", "--", "true"]);
    let reply = Launcher::start(command).finish().expect_error(3, "state-dir-untrusted");
    let theirs = format!("`{}` belongs to user {USER}", home.dir().display());
    assert!(reply.text("message").contains(&theirs), "{reply}");
    assert_eq!(reply.advice(), "name another place with --dir", "{reply}");
    let mut command = home.env.command(cli::binary());
    command.env("HOME", home.dir()).args(["--json", "lifecycle", "acquire"]);
    Launcher::start(command).finish().expect_error(3, "untrusted");
    assert_eq!(all_below(home.dir()), before);
    // A user, with the HOME of root.
    let roots = home.path("roots");
    made(roots.clone(), 0o755);
    let with_roots_home = |args: &[&str]| {
        let mut command = home.command();
        command.env("HOME", &roots).arg(home.binary()).arg("--json").args(args);
        Launcher::start(command).finish()
    };
    let reply = with_roots_home(&["up", "s", "--", "true"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains("is HOME and belongs to user 0"), "{reply}");
    assert_eq!(reply.advice(), "name another place with --dir", "{reply}");
    assert_eq!(fs::read_dir(&roots).expect("it is there").count(), 0);
    assert_eq!(
        with_roots_home(&["ls"]).json["sessions"],
        serde_json::json!([]),
        "a look makes nothing, and there is nothing"
    );
    // A directory of the user inside is fine.
    let own = roots.join("own");
    made(own.clone(), 0o700);
    root.give(&own, USER);
    let dir = own.join("state");
    assert_eq!(with_roots_home(&["--dir", text(&dir), "up", "s", "--", "true"]).code, Some(5));
}

fn up(env: &TestEnv) -> Reply {
    env.up("s", &[&cli::binary_arg(), "worker"])
}

/// Every verb that only looks.
fn look(env: &TestEnv) {
    for verb in [
        &["ls"][..],
        &["show", "s"],
        &["doctor"],
        &["up", "--intent", "attach", "s"],
        &["lifecycle", "status"],
    ] {
        env.rekindle(verb);
    }
}

/// U25.
fn a_loose_state_directory_is_mended_by_a_start_and_by_no_look() {
    for loose in [0o755, 0o750, 0o711, 0o705] {
        let env = TestEnv::new();
        // An empty directory, made by another program for us.
        made(env.state(), loose);
        look(&env);
        assert_eq!(mode(&env.state()), loose, "a look changes nothing");
        up(&env).expect_running("started");
        assert_eq!(mode(&env.state()), 0o700);
        env.rekindle(["lifecycle", "acquire", "--pid", "1"]);
        env.stop("s").expect(0, "stopped");
        // A directory with sessions and a daemon's marker.
        fs::set_permissions(env.state(), Permissions::from_mode(loose)).expect("it is ours");
        look(&env);
        assert_eq!(mode(&env.state()), loose, "a look changes nothing");
        up(&env).expect_running("started");
        assert_eq!(mode(&env.state()), 0o700);
    }
}

/// Makes a file at a path.
type Make = fn(&Path);

fn a_state_directory_that_holds_anything_else_is_left_as_it_is() {
    let foreign: [(&str, Make); 4] = [
        ("a file", |path| fs::write(path, "mine").expect("it can be written")),
        ("a directory like a session's", |path| fs::create_dir(path).expect("it can be made")),
        ("a project", |path| {
            fs::create_dir(path).expect("it can be made");
            fs::write(path.join("notes"), "mine").expect("it can be written");
        }),
        ("a link", |path| symlink("/", path).expect("it can be made")),
    ];
    for (what, make) in foreign {
        let env = TestEnv::new();
        let state = made(env.state(), 0o755);
        make(&state.join("other"));
        assert_only_the_session_is_made_private(&env, what);
    }
}

#[track_caller]
fn assert_only_the_session_is_made_private(env: &TestEnv, what: &str) {
    up(env).expect_running("started");
    assert_eq!(mode(&env.state()), 0o755, "{what}: it is not ours alone");
    assert_eq!(mode(&env.of("s", "")), 0o700, "{what}");
}

fn a_state_directory_that_holds_another_users_session_is_left_as_it_is(root: Root) {
    let env = TestEnv::new();
    let theirs = made(env.state(), 0o755).join("other");
    fs::create_dir(&theirs).expect("it can be made");
    fs::write(theirs.join("session.json"), "{}").expect("it can be written");
    root.give(&theirs, STRANGER);
    assert_only_the_session_is_made_private(&env, "another user's session");
}

/// U25.
fn a_loose_session_directory_is_mended_by_a_start_and_by_no_look() {
    for loose in [0o755, 0o750, 0o711, 0o777, 0o770, 0o500] {
        let env = TestEnv::new();
        up(&env).expect_running("started");
        env.stop("s").expect(0, "stopped");
        let dir = env.of("s", "");
        fs::set_permissions(&dir, Permissions::from_mode(loose)).expect("it is ours");
        look(&env);
        assert_eq!(mode(&dir), loose, "a look changes nothing");
        let shown = env.rekindle(["show", "s"]);
        if loose & 0o022 == 0 {
            assert_eq!(shown.code, Some(0), "{shown}");
        } else {
            assert!(shown.text("message").contains("can be written by others"), "{shown}");
            assert!(shown.text("next").starts_with("chmod go-w "), "{shown}");
        }
        up(&env).expect_running("started");
        assert_eq!(mode(&dir), 0o700, "it was {loose:o}");
    }
}

/// U25.
fn a_session_directory_of_another_user_is_not_mended(root: Root) {
    let env = TestEnv::new();
    made(env.state(), 0o700);
    let theirs = made(env.of("s", ""), 0o755);
    root.give(&theirs, STRANGER);
    let reply = up(&env);
    assert_eq!(reply.json["outcome"], "error", "{reply}");
    assert!(reply.text("message").contains(&format!("belongs to user {STRANGER}")), "{reply}");
    assert_eq!(mode(&theirs), 0o755);
}
