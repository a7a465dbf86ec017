//! Whose directories lead to a state directory, a socket or a lifecycle marker: U10, U25, U26, U31.

use nix::unistd::{Gid, Uid};
use rekindle_smoke::{Launcher, Reply, Scene, cli, procs, programs, trials, wait};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

trials![
    a_bad_directory_on_the_way_is_named_alike_everywhere,
    the_last_directory_is_ours_alone_unless_it_holds_a_marker,
    a_mode_is_advised_for_a_directory_of_our_own_only,
    the_advice_can_be_pasted,
    links_on_the_way_are_followed_step_by_step,
    a_link_of_another_user_is_refused,
    links_without_an_end_are_refused,
    a_link_that_leads_nowhere_makes_no_directory_there,
    an_ordinary_user_is_judged_like_root,
    in_a_user_namespace_root_has_no_number,
    directories_are_private_whatever_the_umask,
    directories_are_private_from_their_first_instant,
    nothing_is_made_in_the_home_of_another,
    a_loose_state_directory_is_mended_by_a_start_and_by_no_look,
    a_state_directory_that_holds_anything_else_is_left_as_it_is,
    a_loose_session_directory_is_mended_by_a_start_and_by_no_look,
    a_watch_judges_the_way_once,
];

/// Two ordinary users; nobody has to know them by name.
const USER: u32 = 14_242;
const STRANGER: u32 = 15_151;

/// What every program of ours can be told to use a place for, and the option that names it.
const USES: [(&str, &str); 8] = [
    ("look at sessions", "--dir"),
    ("start a session", "--dir"),
    ("start on a socket", "--socket"),
    ("attach to a socket", "--socket"),
    ("serve", "--socket"),
    ("look at a marker", "--path"),
    ("take a marker", "--path"),
    ("remove a marker", "--path"),
];

/// Uses the place `dir` for one of them.
fn use_place(scene: &Scene, dir: &Path, what: &str) -> Reply {
    let (socket, marker) = (dir.join("sock"), dir.join("marker"));
    let (dir, socket, marker) = (text(dir), text(&socket), text(&marker));
    let binary = cli::binary_arg();
    let args: &[&str] = match what {
        "look at sessions" => &["--dir", dir, "ls"],
        "start a session" => &["--dir", dir, "up", "s", "--", &binary, "worker"],
        "start on a socket" => &["up", "--socket", socket, "s", "--", &binary, "worker"],
        "attach to a socket" => &["up", "--socket", socket, "--intent", "attach", "s"],
        "serve" => &["worker", "--protocol", "pool", "--socket", socket],
        "look at a marker" => &["lifecycle", "status", "--path", marker],
        "take a marker" => &["lifecycle", "acquire", "--path", marker],
        "remove a marker" => &["lifecycle", "force-unlock", "--path", marker],
        other => panic!("{other}?"),
    };
    let mut command = scene.command(cli::binary());
    command.arg("--json").env("REKINDLE_DIR", scene.state()).args(args);
    Launcher::start(command).finish()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a scene's paths are UTF-8")
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o7777
}

fn made(path: PathBuf, mode: u32) -> PathBuf {
    fs::create_dir(&path).expect("a scene can hold a directory");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode can be set");
    path
}

fn give(path: &Path, user: u32) {
    lchown(path, Some(user), None).expect("only root can be two users: run the suite as root");
}

/// All that is below a directory, with its mode.
fn all_below(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("root can list it").flatten() {
        all.push((entry.path(), mode(&entry.path())));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(all_below(&entry.path()));
        }
    }
    all.sort();
    all
}

/// Asserts that every use of `dir` is refused for what is wrong with `bad`, in the same words, with the advice that fits, and
/// that nothing is made, moved or changed.
#[track_caller]
fn refused_alike(scene: &Scene, dir: &Path, bad: &Path, what: &str, advice: Option<&str>) {
    refused_for(scene, dir, bad, what, advice, &USES);
}

#[track_caller]
fn refused_for(
    scene: &Scene,
    dir: &Path,
    bad: &Path,
    what: &str,
    advice: Option<&str>,
    uses: &[(&str, &str)],
) {
    let before = all_below(scene.dir());
    let said = format!("`{}` {what}", bad.display());
    for (used, option) in uses {
        let reply = use_place(scene, dir, used);
        let code = if *used == "serve" { 1 } else { 3 };
        assert_eq!(reply.code, Some(code), "{used}: {reply}");
        assert!(reply.text("message").contains(&said), "{used}: `{said}` is not what is said: {reply}");
        let other = format!("name another place with {option}");
        assert_eq!(reply.text("next"), advice.unwrap_or(&other), "{used}: {reply}");
        assert_eq!(all_below(scene.dir()), before, "{used}: something was made or changed");
    }
    scene.assert_no_process();
}

/// U25, U31.
fn a_bad_directory_on_the_way_is_named_alike_everywhere() {
    for mode in [0o777, 0o775, 0o770, 0o757, 0o2775] {
        let scene = Scene::new();
        let bad = made(scene.path("bad"), mode);
        let deep = made(made(bad.join("x"), 0o700).join("y"), 0o700);
        let what = format!("can be written by others (mode {mode:04o})");
        refused_alike(&scene, &deep, &bad, &what, Some(&format!("chmod go-w {}", bad.display())));
        refused_alike(
            &scene,
            &bad.join("absent"),
            &bad,
            &what,
            Some(&format!("chmod go-w {}", bad.display())),
        );
    }
    let scene = Scene::new();
    let theirs = made(scene.path("theirs"), 0o755);
    let deep = made(made(theirs.join("x"), 0o700).join("y"), 0o700);
    give(&theirs, STRANGER);
    refused_alike(&scene, &deep, &theirs, &format!("belongs to user {STRANGER}"), None);
    refused_alike(&scene, &theirs.join("absent"), &theirs, &format!("belongs to user {STRANGER}"), None);
    // What is theirs and open to all besides is theirs first.
    fs::set_permissions(&theirs, Permissions::from_mode(0o777)).expect("root can set it");
    refused_alike(&scene, &deep, &theirs, &format!("belongs to user {STRANGER}"), None);
}

fn the_last_directory_is_ours_alone_unless_it_holds_a_marker() {
    let (markers, others): (Vec<_>, Vec<_>) = USES.iter().partition(|(_, option)| *option == "--path");
    let scene = Scene::new();
    let sticky = made(scene.path("sticky"), 0o1777);
    let what = "can be written by others (mode 1777)";
    // No `chmod`: whoever made it sticky meant it.
    refused_for(&scene, &sticky, &sticky, what, None, &others);
    for (used, _) in &markers {
        let reply = use_place(&scene, &sticky, used);
        assert_eq!(reply.code, Some(0), "{used}: {reply}");
    }
    // On the way a sticky directory is like any other.
    let below = made(sticky.join("below"), 0o700);
    let reply = use_place(&scene, &below, "start a session").expect_running("started");
    procs::send(reply.pid(), nix::sys::signal::Signal::SIGKILL);
    let open = made(scene.path("open"), 0o777);
    let advice = format!("chmod go-w {}", open.display());
    refused_alike(&scene, &open, &open, "can be written by others (mode 0777)", Some(&advice));
    // Nothing but the marker may be root's alone.
    let roots = Home::new(USER);
    let place = roots.path("roots");
    made(place.clone(), 0o755);
    give(&place, 0);
    assert!(roots.rekindle(&["lifecycle", "status", "--path", text(&place.join("marker"))]).code == Some(0));
    let reply = roots.rekindle(&["--dir", text(&place), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains("belongs to user 0"), "{reply}");
}

/// U16: `chmod go-w /tmp` breaks a machine.
fn a_mode_is_advised_for_a_directory_of_our_own_only() {
    let scene = Scene::new();
    for dir in ["/tmp", "/var/tmp", "/dev/shm", "/run/lock"].map(Path::new) {
        if dir.metadata().is_ok_and(|found| found.mode() & 0o022 != 0) {
            for used in ["look at sessions", "start on a socket", "serve"] {
                let reply = use_place(&scene, dir, used);
                assert!(!reply.text("next").contains("chmod"), "{used}: {reply}");
                assert!(!reply.text("message").contains("chmod"), "{used}: {reply}");
            }
        }
    }
    let home = Home::new(USER);
    let theirs = made(home.path("theirs"), 0o777);
    let reply = home.rekindle(&["--dir", text(&theirs), "ls"]).expect_error(3, "state-dir-untrusted");
    assert_eq!(reply.text("next"), "name another place with --dir", "it is root's, and we are not: {reply}");
}

/// U16: whatever the directory is called.
fn the_advice_can_be_pasted() {
    let scene = Scene::new();
    for name in
        ["plain", "a b", "it's", "$(touch oops)", "new\nline", "-rf", "\u{e9}t\u{e9}", "back\\slash\"", "*"]
    {
        let open = made(scene.path(name), 0o777);
        let reply = use_place(&scene, &open, "look at sessions").expect_error(3, "state-dir-untrusted");
        paste(&scene, reply.text("next"));
        assert_eq!(mode(&open), 0o755, "{name:?}: {reply}");
        assert_eq!(use_place(&scene, &open, "look at sessions").code, Some(0), "{name:?}");
    }
    // What is no text can only be a marker's place.
    let open = made(scene.dir().join(OsStr::from_bytes(b"caf\xe9")), 0o777);
    let mut command = scene.command(cli::binary());
    command.args(["--json", "lifecycle", "status", "--path"]).arg(open.join("marker"));
    let reply = Launcher::start(command).finish().expect_error(3, "untrusted");
    assert!(reply.text("message").contains("caf\\xe9"), "{reply}");
    paste(&scene, reply.text("next"));
    assert_eq!(mode(&open), 0o755, "{reply}");
    assert!(!scene.path("oops").exists());
}

fn paste(scene: &Scene, advice: &str) {
    let pasted = scene.command(programs::find("bash", "bash")).args(["-c", advice]).status();
    assert!(pasted.expect("bash runs").success(), "{advice}");
}

fn links_on_the_way_are_followed_step_by_step() {
    let scene = Scene::new();
    let real = made(scene.path("real"), 0o700);
    made(real.join("x"), 0o700);
    symlink(&real, scene.path("absolute")).expect("a scene can hold a link");
    symlink("real", scene.path("relative")).expect("a scene can hold a link");
    symlink("../../real/x/..", real.join("x/around")).expect("a directory can hold a link");
    for way in ["absolute/x", "relative/x", "real/x/around/x", "real/../relative/./x", "relative/absent/deep"]
    {
        let dir = scene.path(way);
        let reply = use_place(&scene, &dir, "start a session").expect_running("started");
        assert_eq!(use_place(&scene, &dir, "start on a socket").code, Some(0), "{way}");
        assert_eq!(use_place(&scene, &dir, "take a marker").code, Some(0), "{way}");
        assert_eq!(use_place(&scene, &dir, "remove a marker").code, Some(0), "{way}");
        procs::send(reply.pid(), nix::sys::signal::Signal::SIGKILL);
        let mut stop = scene.rekindle_command(["stop", "s"]);
        stop.env_remove("REKINDLE_DIR");
        Launcher::start(stop).finish();
        fs::remove_dir_all(scene.state()).expect("the session on the socket is over");
    }
    // One bad directory among those to which a link leads.
    let open = made(scene.path("open"), 0o777);
    made(open.join("x"), 0o700);
    symlink(open.join("x"), scene.path("into")).expect("a scene can hold a link");
    let advice = format!("chmod go-w {}", open.display());
    let what = "can be written by others (mode 0777)";
    refused_alike(&scene, &scene.path("into/deep"), &open, what, Some(&advice));
}

fn a_link_of_another_user_is_refused() {
    let scene = Scene::new();
    let real = made(scene.path("real"), 0o700);
    made(real.join("x"), 0o700);
    // Where others may make links: they cannot replace ours there, and ours alone are followed.
    let sticky = made(scene.path("sticky"), 0o1777);
    let link = sticky.join("link");
    symlink(&real, &link).expect("a directory can hold a link");
    assert_eq!(use_place(&scene, &link.join("x"), "look at sessions").code, Some(0));
    give(&link, STRANGER);
    let what = format!("is a symbolic link that belongs to user {STRANGER}");
    refused_alike(&scene, &link.join("x"), &link, &what, None);
    assert_eq!(fs::read_link(&link).expect("it is there"), real);
}

fn links_without_an_end_are_refused() {
    let scene = Scene::new();
    symlink("round", scene.path("round")).expect("a scene can hold a link");
    refused_alike(
        &scene,
        &scene.path("round/x"),
        &scene.path("round"),
        "is one of more than 40 symbolic links",
        None,
    );
    made(scene.path("link-0"), 0o700);
    made(scene.path("link-0/x"), 0o700);
    for n in 1..=41 {
        symlink(format!("link-{}", n - 1), scene.path(&format!("link-{n}")))
            .expect("a scene can hold a link");
    }
    assert_eq!(use_place(&scene, &scene.path("link-40/x"), "look at sessions").code, Some(0));
    refused_alike(
        &scene,
        &scene.path("link-41/x"),
        &scene.path("link-1"),
        "is one of more than 40 symbolic links",
        None,
    );
}

/// A disk that is not mounted.
fn a_link_that_leads_nowhere_makes_no_directory_there() {
    let scene = Scene::new();
    symlink("not/mounted", scene.path("link")).expect("a scene can hold a link");
    let uses: Vec<_> = USES.iter().filter(|(used, _)| !used.contains("socket")).copied().collect();
    let what = "is where a symbolic link leads, and is not there";
    refused_for(&scene, &scene.path("link/x"), &scene.path("not"), what, None, &uses);
    let file = scene.file("file", "content");
    refused_for(&scene, &file.join("x"), &file, "is not a directory", None, &uses);
    assert_eq!(fs::read(&file).expect("it is there"), b"content");
}

/// The home of an ordinary user, outside any scene, since nobody but root gets into those.
struct Home {
    scene: Scene,
    dir: TempDir,
    user: u32,
}

impl Home {
    fn new(user: u32) -> Self {
        let dir =
            tempfile::Builder::new().prefix("rk-home-").tempdir_in("/tmp").expect("/tmp can be written");
        chown(dir.path(), Some(user), Some(user)).expect("only root can be two users: run the suite as root");
        // A place that the user can execute it from.
        let binary = dir.path().join("rekindle");
        fs::copy(cli::binary(), &binary).expect("the command can be copied");
        Self { scene: Scene::new(), dir, user }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn made(&self, name: &str, mode: u32) -> PathBuf {
        let path = made(self.path(name), mode);
        nix::unistd::chown(&path, Some(Uid::from_raw(self.user)), Some(Gid::from_raw(self.user)))
            .expect("we are root");
        path
    }

    /// A command of the user, whose home it is, to which a program and its arguments are added.
    fn command(&self) -> Command {
        let user = self.user;
        let mut command = self.scene.command(programs::find("setpriv", "util-linux"));
        command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
        command.current_dir("/").env("HOME", self.dir.path());
        command
    }

    fn binary(&self) -> PathBuf {
        self.path("rekindle")
    }

    fn rekindle(&self, args: &[&str]) -> Reply {
        let mut command = self.command();
        command.arg(self.binary()).arg("--json").args(args);
        Launcher::start(command).finish()
    }
}

fn an_ordinary_user_is_judged_like_root() {
    let home = Home::new(USER);
    let binary = home.binary();
    let worker = [text(&binary), "worker"];
    // Root's directories lead to it, and a sticky one.
    let reply = home.rekindle(&[&["up", "s", "--"][..], &worker].concat()).expect_running("started");
    let made_for_it = home.path(".local/state/rekindle/s");
    assert_eq!((mode(&made_for_it), mode(&home.path(".local"))), (0o700, 0o700));
    assert_eq!(home.rekindle(&["ls"]).json[0]["state"], "live");
    procs::send(reply.pid(), nix::sys::signal::Signal::SIGKILL);
    // Another user's, and one of their own that others can write to.
    let other = Home::new(STRANGER);
    fs::set_permissions(other.dir.path(), Permissions::from_mode(0o755)).expect("we are root");
    let theirs = text(other.dir.path());
    let reply =
        home.rekindle(&["--dir", &format!("{theirs}/x"), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("`{theirs}` belongs to user {STRANGER}")), "{reply}");
    let open = home.made("open", 0o777);
    let reply = home.rekindle(&["lifecycle", "status", "--path", text(&open.join("marker"))]);
    assert_eq!(reply.expect_error(3, "untrusted").text("next"), format!("chmod go-w {}", open.display()));
    // What cannot be looked into is no verdict, and nothing is made.
    let shut = home.made("shut", 0o700);
    give(&shut, STRANGER);
    let reply = home.rekindle(&["--dir", text(&shut.join("x")), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("belongs to user {STRANGER}")), "{reply}");
}

/// `/` itself belongs to nobody there that has a number.
fn in_a_user_namespace_root_has_no_number() {
    let home = Home::new(USER);
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
    procs::send(reply.pid(), nix::sys::signal::Signal::SIGKILL);
    assert_eq!(
        inside(&["lifecycle", "status", "--path", "/tmp/rk-no-such-marker"]).code,
        Some(0),
        "a sticky one"
    );
    // What is to be ours has to be ours, and what others can write to is refused as ever.
    let theirs = home.made("theirs", 0o755);
    give(&theirs, STRANGER);
    let reply = inside(&["--dir", text(&theirs), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("belongs to user {overflow}")), "{reply}");
    let open = home.made("open", 0o777);
    give(&open, STRANGER);
    let reply = inside(&["--dir", text(&open.join("x")), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains("can be written by others (mode 0777)"), "{reply}");
    assert_eq!(reply.text("next"), "name another place with --dir", "{reply}");
    // Root's HOME is not theirs to make anything in.
    let roots = home.made("roots", 0o777);
    fs::set_permissions(&roots, Permissions::from_mode(0o755)).expect("we are root");
    give(&roots, 0);
    let mut command = home.command();
    command.env("HOME", &roots).args(["unshare", "--user", "--map-root-user"]).arg(home.binary());
    command.args(["--json", "up", "s", "--"]).args(worker);
    let reply = Launcher::start(command).finish().expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("is HOME and belongs to user {overflow}")), "{reply}");
    // Where all users have a number, that one is a user like any other.
    let nobodys = Home::new(overflow.parse().expect("it is a number"));
    fs::set_permissions(nobodys.dir.path(), Permissions::from_mode(0o755)).expect("we are root");
    let reply =
        home.rekindle(&["--dir", text(&nobodys.path("x")), "ls"]).expect_error(3, "state-dir-untrusted");
    assert!(reply.text("message").contains(&format!("belongs to user {overflow}")), "{reply}");
}

/// `rekindle` under a umask.
fn under_umask(mut shell: Command, umask: &str, binary: &Path, args: &[&str]) -> Launcher {
    shell.args(["sh", "-c", &format!("umask {umask}; exec \"$0\" --json \"$@\"")]).arg(binary).args(args);
    Launcher::start(shell)
}

/// U26, U31.
fn directories_are_private_whatever_the_umask() {
    for umask in ["0", "777", "077", "022"] {
        let home = Home::new(USER);
        let binary = home.binary();
        let run = |args: &[&str]| under_umask(home.command(), umask, &binary, args);
        let (state, marker, socket) =
            (home.path("a/b/state"), home.path("c/d/marker"), home.path("e/f/sock"));
        // A program that makes no files of its own: what the worker makes follows the caller's umask.
        let up = ["--dir", text(&state), "up", "--ready", "listen", "s", "--", "sleep", "1000"];
        let reply = run(&up).finish().expect_running("started");
        assert_eq!(run(&["--dir", text(&state), "ls"]).finish().json[0]["state"], "live", "umask {umask}");
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
        worker.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(worker.finish().code, Some(0), "umask {umask}");
        procs::send(reply.pid(), nix::sys::signal::Signal::SIGKILL);
        let left = all_below(home.dir.path()).into_iter().filter(|(path, _)| text(path).contains("-tmp."));
        assert_eq!(left.collect::<Vec<_>>(), [], "umask {umask}");
    }
}

/// U31: not for an instant does anybody else get in, and under no umask is a directory there that we cannot use.
fn directories_are_private_from_their_first_instant() {
    for umask in ["0", "777"] {
        let scene = Scene::new();
        let (trace, deep) = (scene.path("trace"), scene.path("a/b/state"));
        let mut strace = scene.command(programs::find("strace", "strace"));
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
fn nothing_is_made_in_the_home_of_another() {
    // Root, with the HOME of a user.
    let home = Home::new(USER);
    let before = all_below(home.dir.path());
    let mut command = home.scene.command(cli::binary());
    command.env("HOME", home.dir.path()).args(["--json", "up", "s", "--", "true"]);
    let reply = Launcher::start(command).finish().expect_error(3, "state-dir-untrusted");
    let theirs = format!("`{}` belongs to user {USER}", home.dir.path().display());
    assert!(reply.text("message").contains(&theirs), "{reply}");
    assert_eq!(reply.text("next"), "name another place with --dir", "{reply}");
    let mut command = home.scene.command(cli::binary());
    command.env("HOME", home.dir.path()).args(["--json", "lifecycle", "acquire"]);
    Launcher::start(command).finish().expect_error(3, "untrusted");
    assert_eq!(all_below(home.dir.path()), before);
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
    assert_eq!(reply.text("next"), "name another place with --dir", "{reply}");
    assert_eq!(fs::read_dir(&roots).expect("it is there").count(), 0);
    assert_eq!(with_roots_home(&["ls"]).stdout.trim(), "[]", "a look makes nothing, and there is nothing");
    // A directory in it that is theirs will do.
    let own = roots.join("own");
    made(own.clone(), 0o700);
    chown(&own, Some(USER), Some(USER)).expect("we are root");
    let dir = own.join("state");
    assert_eq!(with_roots_home(&["--dir", text(&dir), "up", "s", "--", "true"]).code, Some(5));
}

fn up(scene: &Scene) -> Reply {
    scene.up("s", &[&cli::binary_arg(), "worker"])
}

/// Everything that only looks.
fn look(scene: &Scene) {
    for verb in [
        &["ls"][..],
        &["show", "s"],
        &["doctor"],
        &["up", "--intent", "attach", "s"],
        &["lifecycle", "status"],
    ] {
        scene.rekindle(verb);
    }
}

/// U25.
fn a_loose_state_directory_is_mended_by_a_start_and_by_no_look() {
    for loose in [0o755, 0o750, 0o711, 0o705] {
        let scene = Scene::new();
        // One that somebody has made for us, with nothing in it.
        made(scene.state(), loose);
        look(&scene);
        assert_eq!(mode(&scene.state()), loose, "a look changes nothing");
        up(&scene).expect_running("started");
        assert_eq!(mode(&scene.state()), 0o700);
        scene.rekindle(["lifecycle", "acquire", "--pid", "1"]);
        scene.stop("s").expect(0, "stopped");
        // One that has sessions, and the marker of a daemon.
        fs::set_permissions(scene.state(), Permissions::from_mode(loose)).expect("it is ours");
        look(&scene);
        assert_eq!(mode(&scene.state()), loose, "a look changes nothing");
        up(&scene).expect_running("started");
        assert_eq!(mode(&scene.state()), 0o700);
    }
}

/// Makes something where it is told to.
type Make = fn(&Path);

fn a_state_directory_that_holds_anything_else_is_left_as_it_is() {
    let foreign: [(&str, Make); 5] = [
        ("a file", |path| fs::write(path, "mine").expect("it can be written")),
        ("a directory like a session's", |path| fs::create_dir(path).expect("it can be made")),
        ("a project", |path| {
            fs::create_dir(path).expect("it can be made");
            fs::write(path.join("notes"), "mine").expect("it can be written");
        }),
        ("a link", |path| symlink("/", path).expect("it can be made")),
        ("another user's session", |path| {
            fs::create_dir(path).expect("it can be made");
            fs::write(path.join("session.json"), "{}").expect("it can be written");
            give(path, STRANGER);
        }),
    ];
    for (what, make) in foreign {
        let scene = Scene::new();
        let state = made(scene.state(), 0o755);
        make(&state.join("other"));
        up(&scene).expect_running("started");
        assert_eq!(mode(&state), 0o755, "{what}: it is not ours alone");
        assert_eq!(mode(&scene.of("s", "")), 0o700, "{what}");
    }
}

/// U25.
fn a_loose_session_directory_is_mended_by_a_start_and_by_no_look() {
    for loose in [0o755, 0o750, 0o711, 0o777, 0o770, 0o500] {
        let scene = Scene::new();
        up(&scene).expect_running("started");
        scene.stop("s").expect(0, "stopped");
        let dir = scene.of("s", "");
        fs::set_permissions(&dir, Permissions::from_mode(loose)).expect("it is ours");
        look(&scene);
        assert_eq!(mode(&dir), loose, "a look changes nothing");
        let shown = scene.rekindle(["show", "s"]);
        if loose & 0o022 == 0 {
            assert_eq!(shown.code, Some(0), "{shown}");
        } else {
            let said = shown.text("message");
            assert!(said.contains("can be written by others") && said.contains("chmod go-w"), "{shown}");
        }
        up(&scene).expect_running("started");
        assert_eq!(mode(&dir), 0o700, "it was {loose:o}");
    }
    // Another user's is not mended.
    let scene = Scene::new();
    made(scene.state(), 0o700);
    let theirs = made(scene.of("s", ""), 0o755);
    give(&theirs, STRANGER);
    let reply = up(&scene);
    assert_eq!(reply.json["outcome"], "error", "{reply}");
    assert!(reply.text("message").contains(&format!("belongs to user {STRANGER}")), "{reply}");
    assert_eq!(mode(&theirs), 0o755);
}

/// A worker that is waited for is looked at again and again; the directories that lead to it are not.
fn a_watch_judges_the_way_once() {
    let scene = Scene::new();
    let deep = scene.path("one/two/three");
    fs::create_dir_all(&deep).expect("a scene can hold directories");
    let (trace, socket) = (scene.path("trace"), deep.join("sock"));
    let mut strace = scene.command(programs::find("strace", "strace"));
    strace.args(["-qq", "-o"]).arg(&trace).args(["-e", "trace=lstat,stat,newfstatat,statx"]);
    strace.arg(cli::binary()).args(["--json", "--dir"]).arg(scene.state());
    strace.args(["up", "--timeout", "2s", "--socket"]).arg(&socket).args(["s", "--", "sleep", "1000"]);
    Launcher::start(strace).finish().expect(5, "child-exited");
    let calls = fs::read_to_string(&trace).expect("strace wrote it");
    let asked = |dir: &Path| calls.matches(&format!("\"{}\"", dir.display())).count();
    let (last, way) = (asked(&deep), asked(&scene.path("one")));
    assert!(last > way + 5, "the directory was asked for {last} times, one that leads to it {way} times");
}
