//! Workers that are ready once a command succeeds (`--ready exec=COMMAND`).

use super::until_the_port_is_a_strangers;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use rekindle::{Ensured, Environment, Launch, Readiness, Sessions};
use rekindle_smoke::starts::id;
use rekindle_smoke::test_env::CANARY;
use rekindle_smoke::{Launcher, Reply, TestEnv, procs, programs, tests, wait};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

tests![
    a_command_that_succeeds_makes_ready,
    the_command_has_the_workers_directory_and_environment,
    a_value_that_is_not_recorded_is_the_next_callers,
    the_command_is_no_process_of_the_worker,
    the_exit_and_the_last_words_are_shown,
    nothing_of_a_command_is_left,
    a_command_that_hangs_is_ended_and_repeated,
    a_command_that_writes_or_reads_without_end_is_no_obstacle,
    a_worker_that_exits_while_the_command_runs_is_reported,
    a_killed_launcher_leaves_no_command_and_its_worker_is_adopted,
    the_library_leaves_no_zombie,
    a_listener_is_not_needed_and_a_stranger_is_an_error,
    postgres_is_ready_when_pg_isready_says_so_and_when_its_socket_accepts,
];

const WORKER: [&str; 2] = ["sleep", "1000"];

fn launch(env: &TestEnv, options: &[&str], command: &str) -> Launcher {
    let ready = format!("exec={command}");
    env.launch_up("s", &[&["--address", "none", "--ready", &ready], options].concat(), &WORKER)
}

fn up(env: &TestEnv, options: &[&str], command: &str) -> Reply {
    launch(env, options, command).finish()
}

fn stop(env: &TestEnv) {
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// Waits until the command and its guardian are gone, and only these processes are left.
#[track_caller]
fn until_only(env: &TestEnv, left: &[procs::Pid]) {
    wait::until("the command and what it started are gone", || env.processes() == left);
}

fn a_command_that_succeeds_makes_ready() {
    let env = TestEnv::new();
    let launcher = launch(&env, &[], "echo >> asked; test -e go");
    let asked = || fs::read_to_string(env.path("asked")).unwrap_or_default().lines().count();
    wait::until("the command has failed twice", || asked() >= 3);
    assert!(procs::is_running(launcher.pid()), "a command that fails is not enough");
    assert_eq!(env.record("s")["state"], "starting");
    env.file("go", "");
    let reply = launcher.finish().expect_running("started");
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    let before = asked();
    assert_eq!(up(&env, &[], "echo >> asked; test -e go").expect_running("attached").pid(), reply.pid());
    assert_eq!(asked(), before, "a worker that had been ready is not asked again");
    until_only(&env, &[reply.pid()]);
    stop(&env);
}

/// The variables written by `env -0`, without those that a shell makes.
fn written_variables(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).expect("the command has written its environment");
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.filter(|(name, _)| is_passed_on(name));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Whether the shell passes a variable on unchanged: it has some of its own, and drops those whose names it could not use.
fn is_passed_on(name: &str) -> bool {
    let is_a_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_a_name && !["PWD", "OLDPWD", "SHLVL", "_"].contains(&name)
}

fn the_command_has_the_workers_directory_and_environment() {
    let env = TestEnv::new();
    let cwd = env.path("its own");
    fs::create_dir(&cwd).expect("a test environment can hold a directory");
    let dir = cwd.display().to_string();
    let options = ["--cwd", &dir, "--env", "MARK=x y", "--address", "tcp:0"];
    let ready = ["--ready", "exec=env -0 > seen; cat > input; pwd > where"];
    let mut command =
        env.rekindle_command([&["up"][..], &options, &ready, &["s", "--", "sleep", "1000"]].concat());
    // What a supervisor tells the launcher is for the launcher alone.
    command.env("NOTIFY_SOCKET", "/nowhere").env("LISTEN_FDS", "1");
    let reply = Launcher::start(command).finish().expect_running("started");
    assert_eq!(fs::read_to_string(cwd.join("where")).expect("it ran there").trim_end(), dir);
    assert_eq!(fs::read(cwd.join("input")).expect("it has an input"), b"");
    let mut of_worker = procs::environment(reply.pid());
    of_worker.retain(|name, _| is_passed_on(name));
    assert_eq!(written_variables(&cwd.join("seen")), of_worker);
    assert_eq!((of_worker["MARK"].as_str(), of_worker["REKINDLE_SESSION"].as_str()), ("x y", "s"));
    assert_eq!(of_worker["PORT"], of_worker["REKINDLE_PORT"]);
    assert!(!of_worker.contains_key("NOTIFY_SOCKET") && !of_worker.contains_key("LISTEN_FDS"));
    stop(&env);
}

/// The record of a worker to adopt has no withheld value.
fn a_value_that_is_not_recorded_is_the_next_callers() {
    let env = TestEnv::new();
    let secret = env.file("secret", "hush").display().to_string();
    let options = ["--prompt-file", &secret];
    let command = "echo >> asked; test -e go && test \"$REKINDLE_PROMPT\" = hush";
    let launcher = launch(&env, &options, command);
    wait::until_there(&env.path("asked"));
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    assert_eq!(launcher.finish().signal, Some(9));
    env.file("go", "");
    assert_eq!(up(&env, &options, command).expect_running("adopted").pid(), worker);
    until_only(&env, &[worker]);
    stop(&env);
}

fn the_command_is_no_process_of_the_worker() {
    let env = TestEnv::new();
    let command = "ls -l /proc/$$/fd > open; cut -d' ' -f4,5,6 /proc/$$/stat > place; echo $$ > pid";
    let reply = up(&env, &[], command).expect_running("started");
    let open = fs::read_to_string(env.path("open")).expect("the command has written it");
    let state = env.state().display().to_string();
    assert!(!open.contains(&state), "neither the lifeline nor the claim is open: {open}");
    let place = fs::read_to_string(env.path("place")).expect("the command has written it");
    let session = procs::session(reply.pid()).expect("the worker runs").to_string();
    assert!(!place.split_whitespace().any(|number| number == session), "{place} in {session}");
    stop(&env);
}

fn the_exit_and_the_last_words_are_shown() {
    let env = TestEnv::new();
    let shown = |command: &str| {
        let reply = up(&env, &["--timeout", "1s"], command).expect(5, "child-exited");
        env.assert_nothing_left("s");
        reply.text("last_seen").to_owned()
    };
    let command = "echo one; echo two; echo three; printf 'no \\033[31mdatabase' >&2; exit 3";
    let seen = format!("`{command}` exited with 3, and said `two`, `three`, `no \\u{{1b}}[31mdatabase`");
    assert_eq!(shown(command), seen);
    assert_eq!(shown("kill -9 $$"), "`kill -9 $$` was ended by signal 9");
    assert_eq!(shown("sleep 1000"), "`sleep 1000` had not ended yet");
    let missing = shown("no-such-program");
    assert!(missing.starts_with("`no-such-program` exited with 127, and said "), "{missing}");
}

/// Also what has begun a process session of its own.
fn nothing_of_a_command_is_left() {
    let env = TestEnv::new();
    let rest = "sleep 1001 & setsid sleep 1002 & (sleep 1003 &) ; touch begun";
    let reply = up(&env, &[], rest).expect_running("started");
    until_only(&env, &[reply.pid()]);
    stop(&env);
    // The time is up while the command runs, and the command ignores SIGTERM.
    let reply = up(&env, &["--timeout", "1s"], &format!("trap '' TERM; {rest}; sleep 1004; sleep 1005"));
    reply.expect(5, "child-exited");
    until_only(&env, &[]);
}

/// One run has ten seconds.
fn a_command_that_hangs_is_ended_and_repeated() {
    let env = TestEnv::new();
    let command = "test -e again || { touch again; setsid sleep 1000; }";
    let reply = up(&env, &["--timeout", "1m"], command).expect_running("started");
    until_only(&env, &[reply.pid()]);
    stop(&env);
}

fn a_command_that_writes_or_reads_without_end_is_no_obstacle() {
    let env = TestEnv::new();
    let reply = up(&env, &["--timeout", "1s"], "yes").expect(5, "child-exited");
    assert!(reply.text("cause").contains("not ready within 1000 ms"), "{reply}");
    until_only(&env, &[]);
    // Standard input is at its end, and a megabyte of output is read.
    let reply = up(&env, &[], "cat; head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2");
    reply.expect_running("started");
    stop(&env);
}

fn a_worker_that_exits_while_the_command_runs_is_reported() {
    let env = TestEnv::new();
    let worker = "until test -e begun; do sleep 0.01; done; exit 7";
    let options = ["--address", "none", "--ready", "exec=touch begun; sleep 1000"];
    let reply = env.up_with("s", &options, &["sh", "-c", worker]).expect(5, "child-exited");
    assert_eq!((&reply.json["exit_code"], &reply.json["cause"]), (&7.into(), &().into()), "{reply}");
    until_only(&env, &[]);
}

fn a_killed_launcher_leaves_no_command_and_its_worker_is_adopted() {
    for address in ["none", "unix"] {
        let env = TestEnv::new();
        let options = ["--address", address, "--ready", "exec=touch begun; test -e go || setsid sleep 1000"];
        let launcher = env.launch_up("s", &options, &WORKER);
        wait::until_there(&env.path("begun"));
        let worker = env.worker_pid("s");
        launcher.signal(Signal::SIGKILL);
        assert_eq!(launcher.finish().signal, Some(9));
        until_only(&env, &[worker]);
        env.file("go", "");
        assert_eq!(env.up_with("s", &options, &WORKER).expect_running("adopted").pid(), worker);
        until_only(&env, &[worker]);
        stop(&env);
    }
}

/// The launcher is this process, and goes on.
fn the_library_leaves_no_zombie() {
    let env = TestEnv::new();
    let descriptors = procs::descriptors_of_ours();
    wait::run(async {
        let sessions = Sessions::open(env.state()).expect("a test environment's state directory can be used");
        let mut environment = Environment::default();
        environment.set.insert(CANARY.into(), env.dir().into());
        for command in ["exit 1", "sleep 1000"] {
            let launch = Launch::new("sleep").arg("1000").cwd(env.dir()).environment(environment.clone());
            let launch = launch.address(rekindle::Endpoint::None).timeout(Duration::from_millis(300));
            let ensured = sessions.ensure(&id("s"), launch.ready(Readiness::Exec(command.to_owned()))).await;
            let Ok(Ensured::Exited(exited)) = ensured else { panic!("it is never ready: {ensured:?}") };
            assert!(exited.last_seen.is_some_and(|seen| seen.starts_with(&format!("`{command}`"))));
        }
    });
    until_only(&env, &[]);
    wait::until("every child is reaped", || procs::zombies_of_ours() == 0);
    wait::until("no descriptor is left", || procs::descriptors_of_ours() <= descriptors + 4);
}

fn a_listener_is_not_needed_and_a_stranger_is_an_error() {
    let env = TestEnv::new();
    let options = ["--address", "tcp:0", "--ready", "exec=test -n \"$PORT\""];
    env.up_with("s", &options, &WORKER).expect_running("started");
    stop(&env);
    until_the_port_is_a_strangers(&env, "exec=true", "true");
}

/// A program of PostgreSQL: Debian keeps them out of PATH, by version.
fn of_postgres(program: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(program)).find(|path| path.is_file());
    match found {
        Some(path) => path.display().to_string(),
        None => programs::find(program, "postgresql"),
    }
}

/// A prefix for a program that refuses to run as root: then `nobody`, in a user namespace where root's files are its own.
fn as_nobody() -> Vec<String> {
    if !geteuid().is_root() {
        return Vec::new();
    }
    let nobody = ["--user", "--map-user=65534", "--map-group=65534", "--"].map(str::to_owned);
    [vec![programs::find("unshare", "util-linux")], nobody.to_vec()].concat()
}

fn run_to_end(env: &TestEnv, words: &[String]) {
    let (program, args) = words.split_first().expect("there is a program");
    let mut command: Command = env.command(program);
    let reply = Launcher::start({
        command.args(args);
        command
    });
    let reply = reply.finish();
    assert_eq!(reply.code, Some(0), "{reply}");
}

fn postgres_is_ready_when_pg_isready_says_so_and_when_its_socket_accepts() {
    let env = TestEnv::new();
    let data = env.path("data").display().to_string();
    let initdb = of_postgres("initdb");
    let init =
        [&initdb, "-D", &data, "-A", "trust", "-U", "me", "--no-sync", "--no-instructions", "--locale=C"];
    run_to_end(&env, &[as_nobody(), init.map(str::to_owned).to_vec()].concat());
    let here = env.dir().display().to_string();
    let sockets = format!("unix_socket_directories={here}");
    let server =
        [&of_postgres("postgres"), "-D", &data, "-c", "fsync=off", "-c", &sockets, "-p"].map(str::to_owned);
    let server = |rest: &[&str]| {
        [as_nobody(), server.to_vec(), rest.iter().map(|&it| it.to_owned()).collect()].concat()
    };
    let up = |options: &[&str], command: &[String]| {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        env.up_with("s", options, &command)
    };

    let ready = format!("exec={} -q -h 127.0.0.1 -p \"$PORT\"", of_postgres("pg_isready"));
    let options = ["--address", "tcp:0", "--ready", &ready];
    let command = server(&["{port}", "-c", "listen_addresses=127.0.0.1"]);
    let reply = up(&options, &command).expect_running("started");
    assert_eq!(reply.text("owner"), "verified", "{reply}");
    assert_eq!(up(&options, &command).expect_running("attached").pid(), reply.pid());
    stop(&env);

    let socket = env.path(".s.PGSQL.5432").display().to_string();
    let command = server(&["5432", "-c", "listen_addresses="]);
    let reply = up(&["--socket", &socket], &command).expect_running("started");
    assert_eq!(up(&["--socket", &socket], &command).expect_running("attached").pid(), reply.pid());
    env.stop("s").expect(0, "stopped");
    env.assert_no_process();
}
