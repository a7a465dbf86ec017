//! Workers that inherit a listening socket (`--ready listen`).

use nix::sys::signal::Signal;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use rekindle::{Ensured, Launch, Sessions, StartKind};
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use rekindle_core::{Environment, Generation, Readiness};
use rekindle_smoke::starts::id;
use rekindle_smoke::test_env::CANARY;
use rekindle_smoke::{Launcher, Reply, TestEnv, procs, programs, tests, wait};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

tests![
    the_variables_and_the_socket_are_the_workers,
    clients_never_find_nobody_there,
    the_kernel_names_the_worker_as_the_listener,
    a_path_that_fits_no_address_is_served,
    a_name_that_cannot_be_bound_is_refused,
    the_worker_has_its_socket_and_nothing_of_the_launcher,
    a_killed_worker_leaves_nobody_who_listens,
    a_start_that_fails_leaves_no_socket,
    what_stands_at_the_path_is_not_replaced,
    a_program_that_ends_at_once_is_started_anew,
    a_worker_that_daemonises_is_still_the_worker,
    a_daemon_on_a_path_that_fits_no_address_is_not_replaced,
    two_launchers_start_one_worker,
    gpg_agent_in_supervised_mode,
    dbus_daemon_on_a_socket_of_systemd,
    the_socket_is_private_whatever_the_umask,
];

/// The limit for a worker that never answers.
const SHORTLY: [&str; 2] = ["--timeout", "300ms"];

/// A prefix for a server: waits for the file `go` in the test environment.
const GATE: &str = "
import os, time
while not os.path.exists(os.path.join(os.environ['REKINDLE_SMOKE_ENV'], 'go')):
    time.sleep(0.005)
";

fn server() -> [String; 3] {
    [programs::python(), "-c".to_owned(), programs::INHERITING_ECHO_SERVER.to_owned()]
}

fn up(env: &TestEnv, command: &[String]) -> Reply {
    launch(env, command).finish()
}

fn launch(env: &TestEnv, command: &[String]) -> Launcher {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    env.launch_up("s", &["--ready", "listen"], &command)
}

fn stop(env: &TestEnv) {
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

fn is_refused(socket: &Path) -> bool {
    UnixStream::connect(socket).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn the_variables_and_the_socket_are_the_workers() {
    let env = TestEnv::new();
    for generation in 1..=2 {
        let reply = up(&env, &server()).expect_running("started");
        assert_eq!(reply.json["generation"], generation, "{reply}");
        programs::expect_echo(&env.socket("s"));
        assert_eq!(up(&env, &server()).expect_running("attached").pid(), reply.pid());
        let record = env.record("s");
        assert_eq!((&record["state"], &record["plan"]["ready"]), (&"ready".into(), &"listen".into()));
        assert_eq!(record["peer"]["pid"], reply.pid(), "not the launcher");
        assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
        stop(&env);
    }
    let log = fs::read_to_string(env.of("s", "stderr.log")).expect("the log is there");
    assert_eq!(log, "");
}

/// The server accepts no client yet, but clients need no retry.
fn clients_never_find_nobody_there() {
    let env = TestEnv::new();
    let gated = [programs::python(), "-c".to_owned(), [GATE, programs::INHERITING_ECHO_SERVER].concat()];
    up(&env, &gated).expect_running("started");
    let mut client = UnixStream::connect(env.socket("s")).expect("the kernel accepts for the worker");
    client.write_all(b"early\n").expect("the kernel keeps a line");
    env.file("go", "");
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).expect("the worker answers");
    assert_eq!(line, "early\n");
    stop(&env);
}

/// X8: the child began to listen, so a client sees the child's credentials.
fn the_kernel_names_the_worker_as_the_listener() {
    let env = TestEnv::new();
    let pid = up(&env, &["sleep".to_owned(), "1000".to_owned()]).expect_running("started").pid();
    let client = UnixStream::connect(env.socket("s")).expect("the kernel accepts for the worker");
    let peer = getsockopt(&client, PeerCredentials).expect("a connected socket has a peer");
    assert_eq!(peer.pid(), pid);
    stop(&env);
}

/// `rekindle` on another state directory of the test environment; the parent directory is created.
fn rekindle_in(env: &TestEnv, state: &Path, args: &[&str]) -> Reply {
    fs::create_dir_all(state.parent().expect("it is below the env"))
        .expect("a test environment can hold directories");
    let mut command = env.command(rekindle_smoke::cli::binary());
    command.args(["--json", "--dir"]).arg(state).args(args);
    Launcher::start(command).finish()
}

/// S10: started, attached, called, listed and stopped.
fn a_path_that_fits_no_address_is_served() {
    let env = TestEnv::new();
    let deep = env.path(&"d".repeat(90)).join("e".repeat(90));
    let rekindle = |args: &[&str]| rekindle_in(&env, &deep, args);
    let [python, c, script] = &server();
    let start = ["up", "--ready", "listen", "s", "--", python.as_str(), c.as_str(), script.as_str()];
    let pid = rekindle(&start).expect_running("started").pid();
    assert!(deep.join("s/sock").as_os_str().len() > SOCKET_PATH_LEN_MAX);
    // With any readiness option: a mere connect needs no address.
    assert_eq!(rekindle(&start).expect_running("attached").pid(), pid);
    assert_eq!(rekindle(&["up", "s", "--", "true"]).expect_running("attached").pid(), pid);
    assert_eq!(rekindle(&["up", "s", "--intent", "attach"]).expect_running("attached").pid(), pid);
    assert_eq!(rekindle(&["call", "s", r#"{"n":1}"#]).stdout, "{\"n\":1}\n");
    assert_eq!(rekindle(&["ls"]).json["sessions"][0]["state"], "live");
    // T26: the socket table does not show the path, but no second worker is started.
    fs::rename(deep.join("s/sock"), deep.join("s/away")).expect("the socket can be moved");
    rekindle(&[&start[..1], &SHORTLY, &start[1..]].concat()).expect_rejected("worker-unresponsive");
    fs::rename(deep.join("s/away"), deep.join("s/sock")).expect("and back");
    rekindle(&["stop", "s"]).expect(0, "stopped");
    assert!(!deep.join("s/sock").exists() && !procs::is_running(pid));
    // Without a worker, a program that has to bind the socket itself is refused as always.
    rekindle(&["up", "s", "--", "true"]).expect_rejected("bad-target");
}

fn a_name_that_cannot_be_bound_is_refused() {
    let env = TestEnv::new();
    let socket = env.path(&"n".repeat(150)).display().to_string();
    let options = ["--ready", "listen", "--socket", &socket];
    let reply = env.up_with("s", &options, &["sleep", "1000"]).expect_rejected("bad-target");
    assert!(reply.text("message").contains("last name"), "{reply}");
}

/// P15, T23.
fn the_worker_has_its_socket_and_nothing_of_the_launcher() {
    let env = TestEnv::new();
    let pid = up(&env, &["sleep".to_owned(), "1000".to_owned()]).expect_running("started").pid();
    wait::until("the worker is its program", || procs::runs(pid, "sleep"));
    let mut descriptors = procs::descriptors(pid);
    let socket = descriptors.remove(&3).expect("the socket is there");
    assert!(socket.to_string_lossy().starts_with("socket:"), "{socket:?}");
    let expected: BTreeMap<i32, PathBuf> = [
        (0, PathBuf::from("/dev/null")),
        (1, env.of("s", "stdout.log")),
        (2, env.of("s", "stderr.log")),
        (10, env.of("s", "lifeline")),
    ]
    .into();
    assert_eq!(descriptors, expected);
    let environment = procs::environment(pid);
    assert_eq!(environment.get("LISTEN_PID"), Some(&pid.to_string()));
    stop(&env);
}

/// The launcher is this process, and goes on: the socket must not stay open here.
fn a_killed_worker_leaves_nobody_who_listens() {
    let env = TestEnv::new();
    wait::run(async {
        let sessions = Sessions::open(env.state()).expect("a test environment's state directory can be used");
        for generation in 1..=2 {
            let mut environment = Environment::default();
            environment.set.insert(CANARY.into(), env.dir().into());
            let [python, c, script] = server();
            let launch = Launch::new(python).args([c, script]).environment(environment).cwd(env.dir());
            let ensured = sessions.ensure(&id("s"), launch.ready(Readiness::Listen)).await;
            let Ok(Ensured::Running(running)) = ensured else { panic!("it starts: {ensured:?}") };
            assert_eq!((running.kind, running.generation), (StartKind::Started, Generation::new(generation)));
            assert!(!running.connection.is_open(), "nobody has connected yet");
            let stream = running.connection.into_std().expect("the connection is made when it is asked for");
            drop(stream);
            let pid = running.pid.expect("it has a pid").as_raw();
            procs::send(pid, Signal::SIGKILL);
            wait::until("nobody listens", || is_refused(&env.socket("s")));
        }
    });
    let state = env.rekindle(["ls"]);
    assert_eq!(state.json["sessions"][0]["state"], "exited", "{state}");
}

/// T18, P1: also where the child finds out only after the socket was bound.
fn a_start_that_fails_leaves_no_socket() {
    let env = TestEnv::new();
    let script = env.file("script", "#!/no/such/interpreter\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("its mode can be set");
    for program in ["/no/such/program".to_owned(), script.display().to_string()] {
        up(&env, &[program]).expect(4, "spawn-start-failed");
        env.assert_nothing_left("s");
    }
    up(&env, &server()).expect_running("started");
    stop(&env);
}

/// T09, T14.
fn what_stands_at_the_path_is_not_replaced() {
    let env = TestEnv::new();
    let socket = env.file("sock", "a file of somebody's").display().to_string();
    let options = ["--ready", "listen", "--socket", &socket];
    env.up_with("s", &options, &["sleep", "1000"]).expect_rejected("target-address-conflict");
    assert_eq!(fs::read(&socket).expect("it is still there"), b"a file of somebody's");
}

/// The start may be over before the exit is seen: then the outcome is started, but the worker is gone.
fn a_program_that_ends_at_once_is_started_anew() {
    let env = TestEnv::new();
    let command = ["sh", "-c", "exit 3"].map(str::to_owned);
    for generation in 1..=3 {
        let reply = up(&env, &command);
        assert!(["started", "child-exited"].contains(&reply.text("outcome")), "{reply}");
        assert_eq!(reply.json["generation"], generation, "{reply}");
        wait::until("it is gone", || env.processes().is_empty());
    }
    env.stop("s").expect(0, "not-running");
    env.assert_nothing_left("s");
}

/// A server whose leader exits first.
fn daemon() -> [String; 3] {
    let daemonise = "
import os
if os.fork():
    os._exit(0)
os.setsid()
os.environ['LISTEN_PID'] = str(os.getpid())
";
    [programs::python(), "-c".to_owned(), [daemonise, programs::INHERITING_ECHO_SERVER].concat()]
}

/// T19, P4, T26.
fn a_worker_that_daemonises_is_still_the_worker() {
    let env = TestEnv::new();
    let daemonise = "
import os
if os.fork():
    os._exit(0)
os.setsid()
os.environ['LISTEN_PID'] = str(os.getpid())
";
    let command =
        [programs::python(), "-c".to_owned(), [daemonise, programs::INHERITING_ECHO_SERVER].concat()];
    up(&env, &command).expect(0, "started");
    let leader = env.worker_pid("s");
    wait::until("the process that was started has left", || !procs::is_running(leader));
    programs::expect_echo(&env.socket("s"));
    let daemon = up(&env, &command).expect_running("attached").pid();
    assert_eq!(env.processes(), [daemon]);
    fs::remove_file(env.socket("s")).expect("the socket can be removed");
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let reply = env.up_with("s", &[&["--ready", "listen"], &SHORTLY[..]].concat(), &words);
    let reply = reply.expect_rejected("worker-unresponsive");
    assert_eq!((reply.pid(), env.processes()), (daemon, vec![daemon]), "{reply}");
    stop(&env);
}

/// T19, T26: all recorded processes are dead, and the socket table does not show the listener on this path.
fn a_daemon_on_a_path_that_fits_no_address_is_not_replaced() {
    let env = TestEnv::new();
    let deep = env.path(&"d".repeat(90)).join("e".repeat(90));
    let [python, c, script] = daemon();
    let start = ["up", "--ready", "listen", "s", "--", python.as_str(), c.as_str(), script.as_str()];
    rekindle_in(&env, &deep, &start).expect(0, "started");
    let mark = fs::read(deep.join("s/lifeline")).expect("the worker has marked its lifeline");
    let mark: serde_json::Value = serde_json::from_slice(&mark).expect("a mark is JSON");
    let leader = mark["pid"].as_i64().expect("a mark names a process") as procs::Pid;
    wait::until("the process that was started has left", || !procs::is_running(leader));
    let daemon = env.processes();
    fs::remove_file(deep.join("s/sock")).expect("the socket can be removed");
    let shortly = [&start[..1], &SHORTLY, &start[1..]].concat();
    let reply = rekindle_in(&env, &deep, &shortly).expect_rejected("worker-unresponsive");
    assert_eq!((vec![reply.pid()], env.processes()), (daemon.clone(), daemon), "{reply}");
    rekindle_in(&env, &deep, &["stop", "s"]).expect(0, "stopped");
    env.assert_no_process();
}

/// T01.
fn two_launchers_start_one_worker() {
    let env = TestEnv::new();
    for _ in 0..8 {
        let replies = [launch(&env, &server()), launch(&env, &server())].map(Launcher::finish);
        let mut outcomes = replies.each_ref().map(|reply| reply.text("outcome"));
        outcomes.sort_unstable();
        assert_eq!(outcomes, ["attached", "started"], "{replies:?}");
        assert_eq!(env.processes(), [replies[0].pid()]);
        programs::expect_echo(&env.socket("s"));
        stop(&env);
    }
}

/// gpg-agent expects the name `std` for its socket.
fn gpg_agent_in_supervised_mode() {
    let env = TestEnv::new();
    let agent = programs::find("gpg-agent", "gpg-agent");
    let client = programs::find("gpg-connect-agent", "gpgconf");
    let home = env.path("gnupg");
    fs::create_dir(&home).expect("a test environment can hold a directory");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("its mode can be set");
    let home = home.display().to_string();
    let gnupghome = format!("GNUPGHOME={home}");
    let options = ["--ready", "listen", "--env", "LISTEN_FDNAMES=std", "--env", &gnupghome];
    let pid = env.up_with("s", &options, &[&agent, "--supervised"]).expect_running("started").pid();
    let mut command = env.command(client);
    command.env("GNUPGHOME", &home).arg("-S").arg(env.socket("s")).args(["GETINFO pid", "/bye"]);
    let output = command.output().expect("gpg-connect-agent can be started");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("D {pid}\nOK\n"));
    stop(&env);
}

fn dbus_daemon_on_a_socket_of_systemd() {
    let env = TestEnv::new();
    let daemon = programs::find("dbus-daemon", "dbus-daemon");
    let client = programs::find("dbus-send", "dbus-bin");
    let command = [&daemon, "--session", "--nofork", "--nopidfile", "--address=systemd:"];
    env.up_with("s", &["--ready", "listen"], &command).expect_running("started");
    let bus = format!("--bus=unix:path={}", env.socket("s").display());
    let bus_is = "org.freedesktop.DBus";
    let ask = [&bus, "--print-reply", &format!("--dest={bus_is}"), "/", &format!("{bus_is}.ListNames")];
    let output = env.command(client).args(ask).output().expect("dbus-send can be started");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"org.freedesktop.DBus\""), "{output:?}");
    stop(&env);
}

/// S9, X5.
fn the_socket_is_private_whatever_the_umask() {
    for umask in ["000", "077", "777"] {
        let env = TestEnv::new();
        let mut command = env.command("sh");
        command.args(["-c", "umask $0 && exec \"$@\"", umask]).arg(rekindle_smoke::cli::binary());
        command.args(["--json", "--dir"]).arg(env.state());
        command.args(["up", "--ready", "listen", "s", "--", "sleep", "1000"]);
        Launcher::start(command).finish().expect_running("started");
        let metadata = env.socket("s").metadata().expect("the socket is there");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600, "umask {umask}");
        stop(&env);
    }
}
