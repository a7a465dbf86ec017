//! The owners of all directories on the way to a state directory, a socket or a lifecycle marker: U25, U31.

use nix::sys::signal::Signal;
use rekindle_smoke::homes::{Home, STRANGER, USER, all_below, made, mode, text};
use rekindle_smoke::{Launcher, Reply, Root, TestEnv, cli, procs, programs, tests, wait};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

tests![
    a_bad_directory_on_the_way_is_named_alike_everywhere needs TwoUsers,
    the_last_directory_is_ours_alone_unless_it_holds_a_marker needs TwoUsers,
    a_mode_is_advised_for_a_directory_of_our_own_only needs TwoUsers,
    the_advice_can_be_pasted,
    links_on_the_way_are_followed_step_by_step,
    a_link_of_another_user_is_refused needs TwoUsers,
    links_without_an_end_are_refused,
    a_link_that_leads_nowhere_makes_no_directory_there,
    an_ordinary_user_is_judged_like_root needs TwoUsers,
    in_a_user_namespace_root_has_no_number needs TwoUsers,
    a_watch_judges_the_way_once,
];

/// Every use of a place by a program of ours, and the option that names the place.
const USES: [(&str, &str); 9] = [
    ("look at sessions", "--dir"),
    ("start a session", "--dir"),
    ("start on a socket", "--socket"),
    ("attach to a socket", "--socket"),
    ("serve", "--socket"),
    ("probe", "--socket"),
    ("look at a marker", "--path"),
    ("take a marker", "--path"),
    ("remove a marker", "--path"),
];

/// Uses the place `dir` in the given way.
fn use_place(env: &TestEnv, dir: &Path, what: &str) -> Reply {
    let (socket, marker) = (dir.join("sock"), dir.join("marker"));
    let (dir, socket, marker) = (text(dir), text(&socket), text(&marker));
    let binary = cli::binary_arg();
    let args: &[&str] = match what {
        "look at sessions" => &["--dir", dir, "ls"],
        "start a session" => &["--dir", dir, "up", "s", "--", &binary, "worker"],
        "start on a socket" => &["up", "--socket", socket, "s", "--", &binary, "worker"],
        "attach to a socket" => &["up", "--socket", socket, "--intent", "attach", "s"],
        "serve" => &["worker", "--protocol", "pool", "--socket", socket],
        "probe" => &["probe", socket],
        "look at a marker" => &["lifecycle", "status", "--path", marker],
        "take a marker" => &["lifecycle", "acquire", "--path", marker],
        "remove a marker" => &["lifecycle", "force-unlock", "--path", marker],
        other => panic!("{other}?"),
    };
    let mut command = env.command(cli::binary());
    command.arg("--json").env("REKINDLE_DIR", env.state()).args(args);
    Launcher::start(command).finish()
}

/// Asserts that every use of `dir` is refused because of `bad`, in the same words and with the right advice, and that
/// nothing is made, moved or changed.
#[track_caller]
fn refused_alike(env: &TestEnv, dir: &Path, bad: &Path, what: &str, advice: Option<&str>) {
    refused_for(env, dir, bad, what, advice, &USES);
}

#[track_caller]
fn refused_for(
    env: &TestEnv,
    dir: &Path,
    bad: &Path,
    what: &str,
    advice: Option<&str>,
    uses: &[(&str, &str)],
) {
    let before = all_below(env.dir());
    let said = format!("`{}` {what}", bad.display());
    for (used, option) in uses {
        let reply = use_place(env, dir, used);
        let (is_told, told) = match *used {
            "serve" => (reply.code == Some(1), "message"),
            // A missing file is not forged, and must not be created there either.
            "probe" => (["forged", "dead"].contains(&reply.text("verdict")), "why"),
            _ => (reply.code == Some(3), "message"),
        };
        assert!(is_told, "{used}: {reply}");
        assert!(reply.text(told).contains(&said), "{used}: `{said}` is not what is said: {reply}");
        let other = format!("name another place with {option}");
        let advice = advice.unwrap_or(&other);
        let told = if advice.starts_with("chmod ") { "next" } else { "hint" };
        assert_eq!(reply.text(told), advice, "{used}: {reply}");
        assert_eq!(all_below(env.dir()), before, "{used}: something was made or changed");
    }
    env.assert_no_process();
}

/// U25, U31.
fn a_bad_directory_on_the_way_is_named_alike_everywhere(root: Root) {
    for mode in [0o777, 0o775, 0o770, 0o757, 0o2775] {
        let env = TestEnv::new();
        let bad = made(env.path("bad"), mode);
        let deep = made(made(bad.join("x"), 0o700).join("y"), 0o700);
        let what = format!("can be written by others (mode {mode:04o})");
        refused_alike(&env, &deep, &bad, &what, Some(&format!("chmod go-w {}", bad.display())));
        refused_alike(&env, &bad.join("absent"), &bad, &what, Some(&format!("chmod go-w {}", bad.display())));
    }
    let env = TestEnv::new();
    let theirs = made(env.path("theirs"), 0o755);
    let deep = made(made(theirs.join("x"), 0o700).join("y"), 0o700);
    root.give(&theirs, STRANGER);
    refused_alike(&env, &deep, &theirs, &format!("belongs to user {STRANGER}"), None);
    refused_alike(&env, &theirs.join("absent"), &theirs, &format!("belongs to user {STRANGER}"), None);
    // For a foreign directory open to all, the owner is reported first.
    fs::set_permissions(&theirs, Permissions::from_mode(0o777)).expect("root can set it");
    refused_alike(&env, &deep, &theirs, &format!("belongs to user {STRANGER}"), None);
}

fn the_last_directory_is_ours_alone_unless_it_holds_a_marker(root: Root) {
    let (markers, others): (Vec<_>, Vec<_>) = USES.iter().partition(|(_, option)| *option == "--path");
    let env = TestEnv::new();
    let sticky = made(env.path("sticky"), 0o1777);
    let what = "can be written by others (mode 1777)";
    // No `chmod` is advised: the owner made the directory sticky on purpose.
    refused_for(&env, &sticky, &sticky, what, None, &others);
    for (used, _) in &markers {
        let reply = use_place(&env, &sticky, used);
        assert_eq!(reply.code, Some(0), "{used}: {reply}");
    }
    // On the way a sticky directory is like any other.
    let below = made(sticky.join("below"), 0o700);
    let reply = use_place(&env, &below, "start a session").expect_running("started");
    procs::send(reply.pid(), Signal::SIGKILL);
    let open = made(env.path("open"), 0o777);
    let advice = format!("chmod go-w {}", open.display());
    refused_alike(&env, &open, &open, "can be written by others (mode 0777)", Some(&advice));
    // Only the marker's directory may be root's.
    let roots = Home::new(root, USER);
    let place = roots.path("roots");
    made(place.clone(), 0o755);
    root.give(&place, 0);
    assert!(roots.rekindle(&["lifecycle", "status", "--path", text(&place.join("marker"))]).code == Some(0));
    let reply = roots.rekindle(&["--dir", text(&place), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains("belongs to user 0"), "{reply}");
}

/// U16: `chmod go-w /tmp` breaks a machine.
fn a_mode_is_advised_for_a_directory_of_our_own_only(root: Root) {
    let env = TestEnv::new();
    for dir in ["/tmp", "/var/tmp", "/dev/shm", "/run/lock"].map(Path::new) {
        if dir.metadata().is_ok_and(|found| found.mode() & 0o022 != 0) {
            for used in ["look at sessions", "start on a socket", "serve"] {
                let reply = use_place(&env, dir, used);
                assert!(!reply.text("next").contains("chmod"), "{used}: {reply}");
                assert!(!reply.text("message").contains("chmod"), "{used}: {reply}");
            }
        }
    }
    let home = Home::new(root, USER);
    let theirs = made(home.path("theirs"), 0o777);
    let reply = home.rekindle(&["--dir", text(&theirs), "ls"]).expect_error(3, "state-dir-untrusted");
    assert_eq!(reply.advice(), "name another place with --dir", "it is root's, and we are not: {reply}");
}

/// U16: for any name of the directory.
fn the_advice_can_be_pasted() {
    let env = TestEnv::new();
    for name in
        ["plain", "a b", "it's", "$(touch oops)", "new\nline", "-rf", "\u{e9}t\u{e9}", "back\\slash\"", "*"]
    {
        let open = made(env.path(name), 0o777);
        let reply = use_place(&env, &open, "look at sessions").expect_error(3, "state-dir-untrusted");
        paste(&env, reply.text("next"));
        assert_eq!(mode(&open), 0o755, "{name:?}: {reply}");
        assert_eq!(use_place(&env, &open, "look at sessions").code, Some(0), "{name:?}");
    }
    // A non-UTF-8 name is possible for a marker only.
    let open = made(env.dir().join(OsStr::from_bytes(b"caf\xe9")), 0o777);
    let mut command = env.command(cli::binary());
    command.args(["--json", "lifecycle", "status", "--path"]).arg(open.join("marker"));
    let reply = Launcher::start(command).finish().expect_error(3, "untrusted");
    assert!(reply.text("message").contains("caf\\xe9"), "{reply}");
    paste(&env, reply.text("next"));
    assert_eq!(mode(&open), 0o755, "{reply}");
    assert!(!env.path("oops").exists());
}

fn paste(env: &TestEnv, advice: &str) {
    let pasted = env.command(programs::find("bash", "bash")).args(["-c", advice]).status();
    assert!(pasted.expect("bash runs").success(), "{advice}");
}

fn links_on_the_way_are_followed_step_by_step() {
    let env = TestEnv::new();
    let real = made(env.path("real"), 0o700);
    made(real.join("x"), 0o700);
    symlink(&real, env.path("absolute")).expect("a test environment can hold a link");
    symlink("real", env.path("relative")).expect("a test environment can hold a link");
    symlink("../../real/x/..", real.join("x/around")).expect("a directory can hold a link");
    for way in ["absolute/x", "relative/x", "real/x/around/x", "real/../relative/./x", "relative/absent/deep"]
    {
        let dir = env.path(way);
        let reply = use_place(&env, &dir, "start a session").expect_running("started");
        assert_eq!(use_place(&env, &dir, "start on a socket").code, Some(0), "{way}");
        assert_eq!(use_place(&env, &dir, "take a marker").code, Some(0), "{way}");
        assert_eq!(use_place(&env, &dir, "remove a marker").code, Some(0), "{way}");
        let pid = reply.pid();
        procs::send(pid, Signal::SIGKILL);
        // Until the dying worker has run once more, its socket accepts.
        wait::until("the worker is gone", || !procs::is_running(pid));
        let mut stop = env.rekindle_command(["stop", "s"]);
        stop.env_remove("REKINDLE_DIR");
        Launcher::start(stop).finish();
        fs::remove_dir_all(env.state()).expect("the session on the socket is over");
    }
    // One bad directory among the directories behind a link.
    let open = made(env.path("open"), 0o777);
    made(open.join("x"), 0o700);
    symlink(open.join("x"), env.path("into")).expect("a test environment can hold a link");
    let advice = format!("chmod go-w {}", open.display());
    let what = "can be written by others (mode 0777)";
    refused_alike(&env, &env.path("into/deep"), &open, what, Some(&advice));
}

fn a_link_of_another_user_is_refused(root: Root) {
    let env = TestEnv::new();
    let real = made(env.path("real"), 0o700);
    made(real.join("x"), 0o700);
    // A directory where others may make links: others cannot replace our links, and only our links are followed.
    let sticky = made(env.path("sticky"), 0o1777);
    let link = sticky.join("link");
    symlink(&real, &link).expect("a directory can hold a link");
    assert_eq!(use_place(&env, &link.join("x"), "look at sessions").code, Some(0));
    root.give(&link, STRANGER);
    let what = format!("is a symbolic link that belongs to user {STRANGER}");
    refused_alike(&env, &link.join("x"), &link, &what, None);
    assert_eq!(fs::read_link(&link).expect("it is there"), real);
}

fn links_without_an_end_are_refused() {
    let env = TestEnv::new();
    symlink("round", env.path("round")).expect("a test environment can hold a link");
    refused_alike(
        &env,
        &env.path("round/x"),
        &env.path("round"),
        "is one of more than 40 symbolic links",
        None,
    );
    made(env.path("link-0"), 0o700);
    made(env.path("link-0/x"), 0o700);
    for n in 1..=41 {
        symlink(format!("link-{}", n - 1), env.path(&format!("link-{n}")))
            .expect("a test environment can hold a link");
    }
    assert_eq!(use_place(&env, &env.path("link-40/x"), "look at sessions").code, Some(0));
    refused_alike(
        &env,
        &env.path("link-41/x"),
        &env.path("link-1"),
        "is one of more than 40 symbolic links",
        None,
    );
}

/// A disk that is not mounted.
fn a_link_that_leads_nowhere_makes_no_directory_there() {
    let env = TestEnv::new();
    symlink("not/mounted", env.path("link")).expect("a test environment can hold a link");
    let uses: Vec<_> = USES
        .iter()
        .filter(|(used, _)| *used == "serve" || !(used.contains("socket") || *used == "probe"))
        .copied()
        .collect();
    let what = "is where a symbolic link leads, and is not there";
    refused_for(&env, &env.path("link/x"), &env.path("not"), what, None, &uses);
    let file = env.file("file", "content");
    refused_for(&env, &file.join("x"), &file, "is not a directory", None, &uses);
    assert_eq!(fs::read(&file).expect("it is there"), b"content");
}

fn an_ordinary_user_is_judged_like_root(root: Root) {
    let home = Home::new(root, USER);
    let binary = home.binary();
    let worker = [text(&binary), "worker"];
    // The way consists of root's directories, and a sticky directory.
    let reply = home.rekindle(&[&["up", "s", "--"][..], &worker].concat()).expect_running("started");
    let made_for_it = home.path(".local/state/rekindle/s");
    assert_eq!((mode(&made_for_it), mode(&home.path(".local"))), (0o700, 0o700));
    assert_eq!(home.rekindle(&["ls"]).json["sessions"][0]["state"], "live");
    procs::send(reply.pid(), Signal::SIGKILL);
    // A directory of another user, and a directory of the user that others can write to.
    let other = Home::new(root, STRANGER);
    fs::set_permissions(other.dir(), Permissions::from_mode(0o755)).expect("we are root");
    let theirs = text(other.dir());
    let reply =
        home.rekindle(&["--dir", &format!("{theirs}/x"), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("`{theirs}` belongs to user {STRANGER}")), "{reply}");
    let open = home.made("open", 0o777);
    let reply = home.rekindle(&["lifecycle", "status", "--path", text(&open.join("marker"))]);
    assert_eq!(reply.expect_error(3, "untrusted").text("next"), format!("chmod go-w {}", open.display()));
    // An unreadable directory gives no verdict, and nothing is made.
    let shut = home.made("shut", 0o700);
    root.give(&shut, STRANGER);
    let reply = home.rekindle(&["--dir", text(&shut.join("x")), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("belongs to user {STRANGER}")), "{reply}");
}

/// `/` belongs to an unmapped user there.
fn in_a_user_namespace_root_has_no_number(root: Root) {
    let home = Home::new(root, USER);
    let inside = |args: &[&str]| {
        let mut command = home.command();
        command.args(["unshare", "--user", "--map-root-user"]).arg(home.binary()).arg("--json").args(args);
        Launcher::start(command).finish()
    };
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").expect("the kernel says");
    let overflow = overflow.trim();
    let binary = home.binary();
    let worker = [text(&binary), "worker"];
    let state = home.path("state");
    let reply =
        inside(&[&["--dir", text(&state), "up", "s", "--"][..], &worker].concat()).expect_running("started");
    procs::send(reply.pid(), Signal::SIGKILL);
    assert_eq!(
        inside(&["lifecycle", "status", "--path", "/tmp/rk-no-such-marker"]).code,
        Some(0),
        "a sticky one"
    );
    // A directory for our use has to be ours, and a directory writable by others is refused as always.
    let theirs = home.made("theirs", 0o755);
    root.give(&theirs, STRANGER);
    let reply = inside(&["--dir", text(&theirs), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("belongs to user {overflow}")), "{reply}");
    let open = home.made("open", 0o777);
    root.give(&open, STRANGER);
    let reply = inside(&["--dir", text(&open.join("x")), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains("can be written by others (mode 0777)"), "{reply}");
    assert_eq!(reply.advice(), "name another place with --dir", "{reply}");
    // Root of a user namespace may make nothing in the HOME of the machine's root.
    let roots = home.made("roots", 0o777);
    fs::set_permissions(&roots, Permissions::from_mode(0o755)).expect("we are root");
    root.give(&roots, 0);
    let mut command = home.command();
    command.env("HOME", &roots).args(["unshare", "--user", "--map-root-user"]).arg(home.binary());
    command.args(["--json", "up", "s", "--"]).args(worker);
    let reply = Launcher::start(command).finish().expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("is HOME and belongs to user {overflow}")), "{reply}");
    // If all users are mapped, the overflow user is a user like any other.
    let nobodys = Home::new(root, overflow.parse().expect("it is a number"));
    fs::set_permissions(nobodys.dir(), Permissions::from_mode(0o755)).expect("we are root");
    let reply =
        home.rekindle(&["--dir", text(&nobodys.path("x")), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("belongs to user {overflow}")), "{reply}");
}

/// A watched worker is looked at repeatedly, but the directories of the way are judged once.
fn a_watch_judges_the_way_once() {
    let env = TestEnv::new();
    let deep = env.path("one/two/three");
    fs::create_dir_all(&deep).expect("a test environment can hold directories");
    let (trace, socket) = (env.path("trace"), deep.join("sock"));
    let mut strace = env.command(programs::find("strace", "strace"));
    strace.args(["-qq", "-o"]).arg(&trace).args(["-e", "trace=lstat,stat,newfstatat,statx"]);
    strace.arg(cli::binary()).args(["--json", "--dir"]).arg(env.state());
    strace.args(["up", "--timeout", "2s", "--socket"]).arg(&socket).args(["s", "--", "sleep", "1000"]);
    Launcher::start(strace).finish().expect(5, "child-exited");
    let calls = fs::read_to_string(&trace).expect("strace wrote it");
    let asked = |dir: &Path| calls.matches(&format!("\"{}\"", dir.display())).count();
    let (last, way) = (asked(&deep), asked(&env.path("one")));
    assert!(last > way + 5, "the directory was asked for {last} times, one that leads to it {way} times");
}
