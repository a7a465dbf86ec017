//! The way to the state directory, and the modes of files inside.

use nix::sys::signal::Signal;
use rekindle_smoke::procs;
use rekindle_smoke::{Account, Launcher, Reply, Root, TestEnv, tests, wait};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

tests![
    a_way_that_others_can_write_to_is_refused_by_name,
    a_way_that_belongs_to_another_user_is_refused_by_name needs TwoUsers,
    a_sticky_directory_above_is_fine needs TwoUsers,
    a_session_directory_that_was_loosened_is_mended_or_refused,
    a_state_directory_that_was_loosened_is_mended_or_refused,
    what_is_created_is_private_under_any_umask,
];

/// A user different from root and from the test environment's user.
const STRANGER: u32 = 399_999;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display())).mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may change any mode");
}

/// `rekindle` on the given state directory, after a line of shell.
fn on(env: &TestEnv, before: &str, state: &Path, args: &[&str]) -> Reply {
    let mut command = env.command("sh");
    command.args(["-c", &format!(r#"{before} exec "$@""#), "sh"]).arg(env.binary());
    command.args(["--json", "--dir"]).arg(state).args(args);
    Launcher::start(command).finish()
}

fn up(env: &TestEnv, state: &Path) -> Reply {
    on(env, "", state, &["up", "s", "--", &env.binary_arg(), "worker"])
}

/// A directory of the test environment's user, on the way to an existing or missing state directory.
fn way(env: &TestEnv, exists: bool) -> (PathBuf, PathBuf) {
    let above = env.path("above");
    let state = above.join("a/b/state");
    if exists {
        let started = up(env, &state);
        assert_eq!(started.code, Some(0), "{started}");
        let stopped = on(env, "", &state, &["stop", "s"]);
        assert_eq!(stopped.code, Some(0), "{stopped}");
    } else {
        let mut command = env.command("mkdir");
        command.args(["-p", "-m", "700"]).arg(&above);
        assert_eq!(Launcher::start(command).finish().code, Some(0));
    }
    (above, state)
}

/// Every verb with this state directory refuses, and names the wrong directory.
fn assert_refused(env: &TestEnv, state: &Path, wrong: &Path, told: &str) {
    let rekindle = env.binary_arg();
    let verbs: [&[&str]; 4] = [&["up", "s", "--", &rekindle, "worker"], &["ls"], &["stop", "--all"], &["gc"]];
    for verb in verbs {
        let reply = on(env, "", state, verb);
        let told = format!("{told}, {verb:?}: {reply}");
        assert_eq!(reply.code, Some(3), "{told}");
        let named = format!("`{}`", wrong.display());
        assert!(reply.text("message").contains(&named), "{named} is to be named: {told}");
        assert_ne!(reply.advice(), "", "{told}");
        assert_ne!(reply.text("next"), "chmod go-w /tmp", "{told}");
    }
    env.assert_no_process();
}

/// U25, U31.
fn a_way_that_others_can_write_to_is_refused_by_name() {
    for account in Account::all() {
        for exists in [true, false] {
            for loose in [0o777, 0o770, 0o722] {
                let env = TestEnv::owned_by(account);
                let (above, state) = way(&env, exists);
                set_mode(&above, loose);
                let told = format!("{account:?}, mode {loose:o}, the state directory exists: {exists}");
                assert_refused(&env, &state, &above, &told);
                assert_eq!(mode(&above), loose, "what is not ours to decide is left: {told}");
            }
        }
    }
}

/// U25, U31.
fn a_way_that_belongs_to_another_user_is_refused_by_name(root: Root) {
    for account in Account::all() {
        for exists in [true, false] {
            let env = TestEnv::owned_by(account);
            let (above, state) = way(&env, exists);
            set_mode(&above, 0o755);
            root.give(&above, STRANGER);
            assert_refused(
                &env,
                &state,
                &above,
                &format!("{account:?}, the state directory exists: {exists}"),
            );
        }
    }
}

/// Like `/tmp`: others can add names, but not take ours.
fn a_sticky_directory_above_is_fine(root: Root) {
    for account in Account::all() {
        for owner in [account.uid(), 0] {
            let env = TestEnv::owned_by(account);
            let (above, state) = way(&env, true);
            set_mode(&above, 0o1777);
            root.give(&above, owner);
            // In practice `chown` keeps the sticky bit, but without any promise.
            assert_eq!(mode(&above), 0o1777);
            let reply = up(&env, &state);
            assert_eq!(
                (reply.code, reply.text("outcome")),
                (Some(0), "started"),
                "{account:?}, {owner}: {reply}"
            );
        }
    }
}

/// The state directory of a stopped, a dead and a living session.
fn loosened(account: Account, how: &str, loosen: impl Fn(&TestEnv)) {
    let env = TestEnv::owned_by(account);
    let worker = [env.binary_arg(), "worker".to_owned()];
    let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
    let pid = env.up("s", &worker).expect_running("started").pid();
    match how {
        "stopped" => drop(env.stop("s").expect(0, "stopped")),
        "killed" => {
            procs::send(pid, Signal::SIGKILL);
            wait::until("the worker is gone", || !procs::is_running(pid));
        }
        _ => {}
    }
    loosen(&env);
    let reply = env.up("s", &worker);
    let told = format!("{account:?}, {how}: {reply}");
    let modes = [mode(&env.state()), mode(&env.of("s", ""))];
    match reply.code {
        Some(3) => assert_ne!(reply.advice(), "", "{told}"),
        code => {
            assert_eq!(code, Some(0), "{told}");
            assert_eq!(modes, [0o700, 0o700], "{told}");
        }
    }
}

/// U25.
fn a_session_directory_that_was_loosened_is_mended_or_refused() {
    for account in Account::all() {
        for how in ["stopped", "killed", "alive"] {
            for loose in [0o755, 0o750, 0o777, 0o711] {
                loosened(account, how, |env| set_mode(&env.of("s", ""), loose));
            }
        }
    }
}

/// U25.
fn a_state_directory_that_was_loosened_is_mended_or_refused() {
    for account in Account::all() {
        for how in ["stopped", "killed", "alive"] {
            for loose in [0o755, 0o777] {
                loosened(account, how, |env| set_mode(&env.state(), loose));
            }
        }
    }
}

/// U26, U31: the directories above the state directory too.
fn what_is_created_is_private_under_any_umask() {
    for account in Account::all() {
        for umask in ["0", "022", "077", "0777"] {
            let env = TestEnv::owned_by(account);
            let state = env.path("new/way/state");
            // The worker makes no socket: under umask 0777 only root could connect to the worker's socket.
            let args = ["up", "s", "--ready", "listen", "--", "sleep", "1000"];
            let reply = on(&env, &format!("umask {umask};"), &state, &args);
            let told = format!("{account:?}, umask {umask}: {reply}");
            assert_eq!((reply.code, reply.text("outcome")), (Some(0), "started"), "{told}");
            for dir in state.join("s").ancestors().take(4) {
                assert_eq!(mode(dir), 0o700, "`{}`: {told}", dir.display());
            }
            for file in ["lifeline", "session.json", "stdout.log", "stderr.log"] {
                assert_eq!(mode(&state.join("s").join(file)), 0o600, "`{file}`: {told}");
            }
            let reply = on(&env, &format!("umask {umask};"), &state, &["stop", "s"]);
            assert_eq!(reply.code, Some(0), "{told}, then {reply}");
        }
    }
}
