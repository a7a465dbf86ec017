//! Workers that report their readiness (`--ready notify`).

use nix::sys::signal::Signal;
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use rekindle_smoke::{Launcher, Reply, TestEnv, cli, procs, programs, tests, wait};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;

tests![
    a_worker_is_ready_when_it_says_so_and_not_before,
    a_worker_for_one_client_survives_up,
    a_stranger_is_not_believed,
    the_main_process_is_the_one_that_the_worker_names,
    a_main_process_that_is_not_of_the_worker_is_not_believed,
    a_listener_that_is_spelled_otherwise_is_connected_to,
    a_worker_that_asks_for_more_time_gets_it,
    more_time_has_a_bound,
    more_time_is_not_for_who_is_being_ended,
    a_worker_that_never_says_so_is_ended_with_its_last_status,
    a_worker_that_says_so_without_a_socket_is_ended,
    a_worker_that_exits_before_it_is_ready_is_reported_with_its_status,
    what_a_worker_says_while_it_is_ended_is_heard,
    a_worker_that_stops_is_not_ready,
    a_worker_whose_launcher_was_killed_is_adopted_when_it_listens,
    two_launchers_start_one_worker,
    systemd_notify_is_believed_and_kept_waiting_for_nothing,
    redis_says_when_it_is_ready,
    dbus_daemon_says_when_it_is_ready,
    the_notify_socket_is_private_and_goes,
    a_notify_socket_that_fits_no_address_is_refused,
    what_a_supervisor_told_the_launcher_stays_with_it,
];

/// The beginning of every script. Arguments: the socket, then the test environment's directory.
const PRELUDE: &str = r#"
import os, socket, sys, time
SOCKET, SCENE = sys.argv[1:3]
def say(*lines):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.sendto('\n'.join(lines).encode(), os.environ['NOTIFY_SOCKET'])
def until(name):
    while not os.path.exists(os.path.join(SCENE, name)):
        time.sleep(0.005)
def listen():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen()
    return listener
def serve(listener):
    while True:
        client, _ = listener.accept()
        serve_one(client)
def serve_one(client):
    for line in client.makefile('rb'):
        client.sendall(line)
"#;

/// `up` of a script; the launcher's received messages are traced into the file `heard`.
fn launch(env: &TestEnv, options: &[&str], script: &str) -> Launcher {
    let heard = env.path("heard").display().to_string();
    let mut command = env.command("sh");
    command.args(["-c", "log=$1; shift; exec \"$@\" 2>\"$log\"", "sh", &heard]).arg(cli::binary());
    command.args(["-v", "--json", "--dir"]).arg(env.state()).args(["up", "--ready", "notify"]);
    command.args(options).args(["s", "--"]).arg(programs::python());
    Launcher::start({
        command.args(["-c", &[PRELUDE, script].concat(), "{socket}"]).arg(env.dir());
        command
    })
}

fn up(env: &TestEnv, options: &[&str], script: &str) -> Reply {
    launch(env, options, script).finish()
}

/// Waits until a live launcher receives the worker's messages: the socket of a killed launcher refuses.
fn until_listened_to(env: &TestEnv) {
    let told = env.of("s", "notify");
    wait::until("a launcher listens to the worker", || {
        UnixDatagram::unbound().is_ok_and(|mouth| mouth.connect(&told).is_ok())
    });
}

/// Waits until the launcher has received `word`, by its trace.
fn until_heard(env: &TestEnv, word: &str) {
    wait::until(&format!("the launcher has heard {word:?}"), || {
        fs::read_to_string(env.path("heard")).is_ok_and(|heard| heard.contains(word))
    });
}

fn stop(env: &TestEnv) {
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// T03: the worker listens, but is not ready.
fn a_worker_is_ready_when_it_says_so_and_not_before() {
    let env = TestEnv::new();
    let script = "
listener = listen()
say('STATUS=listening')
until('go')
say('READY=1')
serve(listener)
";
    let launcher = launch(&env, &[], script);
    until_heard(&env, "listening");
    assert!(procs::is_running(launcher.pid()), "a socket that listens is not enough");
    assert_eq!(env.record("s")["state"], "starting");
    env.file("go", "");
    let reply = launcher.finish().expect_running("started");
    let record = env.record("s");
    assert_eq!((&record["state"], &record["plan"]["ready"]), (&"ready".into(), &"notify".into()));
    assert_eq!(
        (&record["worker"]["pid"], &record["peer"]["pid"]),
        (&reply.pid().into(), &reply.pid().into())
    );
    programs::expect_echo(&env.socket("s"));
    assert_eq!(up(&env, &[], script).expect_running("attached").pid(), reply.pid());
    stop(&env);
}

/// 0.8 of the catalogue: a connection for a mere look would be the first client, and the worker ends with its first
/// client.
fn a_worker_for_one_client_survives_up() {
    let env = TestEnv::new();
    let script = "
listener = listen()
say('READY=1')
serve_one(listener.accept()[0])
";
    let pid = up(&env, &[], script).expect_running("started").pid();
    for _ in 0..3 {
        assert_eq!(up(&env, &[], script).expect_running("attached").pid(), pid);
        assert_eq!(env.rekindle(["up", "s", "--intent", "attach"]).expect_running("attached").pid(), pid);
        env.up("s", &["true"]).expect_running("attached");
        assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
        env.rekindle(["doctor"]);
    }
    let mut client = UnixStream::connect(env.socket("s")).expect("nobody was its client before");
    client.write_all(b"hello\n").expect("it takes a line");
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).expect("it answers");
    assert_eq!(line, "hello\n");
    drop(client);
    wait::until("it ended with its client", || !procs::is_running(pid));
    // The worker is gone, and a probe without a connection sees that.
    let reply = up(&env, &[], script).expect_running("started");
    assert_eq!(reply.json["generation"], 2, "{reply}");
    let answer = env.rekindle(["call", "s", r#"{"op":"ping"}"#]);
    assert_eq!(answer.stdout, "{\"op\":\"ping\"}\n", "the connection is made when it is needed: {answer}");
}

/// X8: the same user, but no process of the worker.
fn a_stranger_is_not_believed() {
    let env = TestEnv::new();
    let script = "
listener = listen()
say('STATUS=listening')
until('go')
say('READY=1')
serve(listener)
";
    let launcher = launch(&env, &[], script);
    until_heard(&env, "listening");
    let stranger = UnixDatagram::unbound().expect("a socket can be made");
    let message = b"READY=1\nSTATUS=lies\nMAINPID=1";
    stranger.send_to(message, env.of("s", "notify")).expect("whoever is our user can send");
    until_heard(&env, &format!("pid={}", std::process::id()));
    assert!(procs::is_running(launcher.pid()), "it is waited for on");
    assert_eq!(env.record("s")["state"], "starting");
    env.file("go", "");
    launcher.finish().expect_running("started");
    let heard = fs::read_to_string(env.path("heard")).expect("the trace is there");
    assert!(!heard.contains("lies"), "{heard}");
    stop(&env);
}

/// The started process stays, and another process is the worker.
fn the_main_process_is_the_one_that_the_worker_names() {
    let env = TestEnv::new();
    let script = "
child = os.fork()
if child == 0:
    serve(listen())
say(f'MAINPID={child}', 'READY=1')
os.waitpid(child, 0)
";
    let pid = up(&env, &[], script).expect_running("started").pid();
    let main = env.record("s")["peer"]["pid"].as_i64().expect("the main process is recorded");
    assert!(main != i64::from(pid) && env.processes().contains(&(main as procs::Pid)));
    programs::expect_echo(&env.socket("s"));
    stop(&env);
}

fn a_main_process_that_is_not_of_the_worker_is_not_believed() {
    let env = TestEnv::new();
    let ours = std::process::id();
    let script = format!("listener = listen()\nsay('MAINPID={ours}', 'READY=1')\nserve(listener)\n");
    let reply = up(&env, &[], &script).expect_running("started");
    assert_eq!(env.record("s")["peer"]["pid"], reply.pid(), "it said itself that it is ready");
    let heard = fs::read_to_string(env.path("heard")).expect("the trace is there");
    assert!(heard.contains("not of the worker"), "{heard}");
    stop(&env);
}

/// The kernel's table shows a path as bound; for another spelling, a connection finds the listener.
fn a_listener_that_is_spelled_otherwise_is_connected_to() {
    let env = TestEnv::new();
    let script = "
os.chdir(os.path.dirname(SOCKET))
SOCKET = os.path.basename(SOCKET)
child = os.fork()
if child == 0:
    serve(listen())
say('READY=1')
os.waitpid(child, 0)
";
    let pid = up(&env, &[], script).expect_running("started").pid();
    let listener = env.record("s")["peer"]["pid"].as_i64().expect("the listener is recorded");
    assert!(listener != i64::from(pid) && env.processes().contains(&(listener as procs::Pid)));
    assert_eq!(up(&env, &[], script).expect_running("attached").pid(), pid);
    stop(&env);
}

/// The worker needs more time than the time-out.
fn a_worker_that_asks_for_more_time_gets_it() {
    let env = TestEnv::new();
    let script = "
say('EXTEND_TIMEOUT_USEC=60000000')
time.sleep(7)
listener = listen()
say('READY=1')
serve(listener)
";
    let reply = up(&env, &["--timeout", "6s"], script).expect_running("started");
    assert_eq!(reply.json["after_kill"], false, "{reply}");
    assert!(reply.json["elapsed_ms"].as_u64().is_some_and(|elapsed| elapsed >= 7000), "{reply}");
    stop(&env);
}

/// Rule 7 of the design: a limit of 400 ms is not extended to an hour, nor is a grace.
fn more_time_has_a_bound() {
    let env = TestEnv::new();
    let script = "
import signal
def ask(*_):
    say('EXTEND_TIMEOUT_USEC=3600000000')
signal.signal(signal.SIGTERM, ask)
while True:
    ask()
    time.sleep(0.05)
";
    let reply = up(&env, &["--timeout", "400ms", "--term-grace", "100ms"], script).expect(5, "child-exited");
    assert_eq!(reply.json["signal"], Signal::SIGKILL as i32, "{reply}");
    assert_eq!(reply.json["after_kill"], true, "{reply}");
    // Ten times the time left at the worker's birth.
    let watched: u32 =
        reply.text("cause").split(' ').find_map(|word| word.parse().ok()).expect("it says how long");
    assert!(watched > 400 && watched <= 4000, "{reply}");
    env.assert_nothing_left("s");
}

/// Rule 7 of the design: a worker ended for a forged path has its grace for that end and no more.
fn more_time_is_not_for_who_is_being_ended() {
    let env = TestEnv::new();
    let script = "
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(SOCKET, 'w').close()
say('EXTEND_TIMEOUT_USEC=3600000000', 'READY=1')
time.sleep(1000)
";
    let reply = up(&env, &["--term-grace", "100ms"], script).expect(5, "child-exited");
    assert!(reply.text("cause").contains("regular file"), "{reply}");
    assert_eq!(reply.json["signal"], Signal::SIGKILL as i32, "{reply}");
    env.assert_no_process();
}

/// X7: the status is shown, but not obeyed by the terminal.
fn a_worker_that_never_says_so_is_ended_with_its_last_status() {
    let env = TestEnv::new();
    let script = r"
say('STATUS=beginning')
listener = listen()
say('STATUS=\x1b[31mloading 40%', 'WATCHDOG=1')
serve(listener)
";
    let reply = up(&env, &["--timeout", "1500ms"], script).expect(5, "child-exited");
    assert_eq!((&reply.json["after_kill"], &reply.json["signal"]), (&true.into(), &15.into()), "{reply}");
    assert!(reply.text("cause").contains("1500 ms"), "{reply}");
    assert_eq!(reply.text("status_text"), "\\u{1b}[31mloading 40%", "{reply}");
    env.assert_nothing_left("s");
}

/// The worker says READY=1, but no client could connect.
fn a_worker_that_says_so_without_a_socket_is_ended() {
    let env = TestEnv::new();
    let script = "
say('READY=1')
time.sleep(1000)
";
    let reply = up(&env, &["--timeout", "1500ms"], script).expect(5, "child-exited");
    assert_eq!(reply.json["after_kill"], true, "{reply}");
    until_heard(&env, "Ready");
    env.assert_nothing_left("s");
}

fn a_worker_that_exits_before_it_is_ready_is_reported_with_its_status() {
    let env = TestEnv::new();
    let script = "
listener = listen()
say('STOPPING=1', 'STATUS=no database')
sys.exit(3)
";
    let reply = up(&env, &[], script).expect(5, "child-exited");
    assert_eq!((&reply.json["exit_code"], &reply.json["after_kill"]), (&3.into(), &false.into()), "{reply}");
    assert_eq!(
        reply.text("status_text"),
        "no database",
        "its exit is seen first, and yet it is heard: {reply}"
    );
    env.assert_nothing_left("s");
}

/// The watch is over by then, since the file at the path will never be a socket.
fn what_a_worker_says_while_it_is_ended_is_heard() {
    let env = TestEnv::new();
    let script = "
import signal
def go(*_):
    say('STATUS=tidying up')
    os._exit(0)
signal.signal(signal.SIGTERM, go)
open(SOCKET, 'w').close()
say('READY=1')
time.sleep(1000)
";
    let reply = up(&env, &[], script).expect(5, "child-exited");
    assert!(reply.text("cause").contains("regular file"), "{reply}");
    assert_eq!(reply.text("status_text"), "tidying up", "{reply}");
    env.assert_no_process();
}

fn a_worker_that_stops_is_not_ready() {
    let env = TestEnv::new();
    let script = "
listener = listen()
say('STOPPING=1')
say('READY=1')
until('go')
sys.exit(4)
";
    let launcher = launch(&env, &[], script);
    until_heard(&env, "Ready");
    assert!(procs::is_running(launcher.pid()), "it is watched to its exit");
    env.file("go", "");
    let reply = launcher.finish().expect(5, "child-exited");
    assert_eq!(reply.json["exit_code"], 4, "{reply}");
    env.assert_nothing_left("s");
}

/// T02, P11: messages without a launcher are lost; from the adoption on, messages are heard again.
fn a_worker_whose_launcher_was_killed_is_adopted_when_it_listens() {
    let env = TestEnv::new();
    let script = "
until('go')
try:
    say('READY=1')
except OSError:
    pass
open(os.path.join(SCENE, 'said'), 'w').close()
until('adopted')
say('EXTEND_TIMEOUT_USEC=60000000', 'STATUS=nearly')
time.sleep(7)
serve(listen())
";
    let launcher = launch(&env, &[], script);
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    env.file("go", "");
    wait::until_there(&env.path("said"));
    let next = launch(&env, &["--timeout", "6s"], script);
    until_listened_to(&env);
    env.file("adopted", "");
    let reply = next.finish().expect_running("adopted");
    assert_eq!((reply.pid(), &reply.json["generation"]), (worker, &1.into()), "{reply}");
    assert_eq!(env.record("s")["state"], "ready");
    until_heard(&env, "nearly");
    assert!(!env.of("s", "notify").exists());
    programs::expect_echo(&env.socket("s"));
    stop(&env);
}

/// T01.
fn two_launchers_start_one_worker() {
    let env = TestEnv::new();
    let script = "
listener = listen()
until('go')
say('READY=1')
serve(listener)
";
    let launchers = [launch(&env, &[], script), launch(&env, &[], script)];
    env.worker_pid("s");
    env.file("go", "");
    let replies = launchers.map(Launcher::finish);
    let mut outcomes = replies.each_ref().map(|reply| reply.text("outcome"));
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["attached", "started"], "{replies:?}");
    assert_eq!(env.processes(), [replies[0].pid()]);
    stop(&env);
}

/// A messenger that ends at once, but first waits until its message was heard: until the attached descriptor is closed.
fn systemd_notify_is_believed_and_kept_waiting_for_nothing() {
    let env = TestEnv::new();
    let notify = programs::find("systemd-notify", "systemd");
    let server = env.file("server.py", programs::ECHO_SERVER).display().to_string();
    let script = format!(
        "{notify} --status=loading; first=$?; {} {server} \"$REKINDLE_SOCKET\" & \
         {notify} --ready --status='up and running'; echo $first $? >\"$1\"; wait",
        programs::python()
    );
    let said = env.path("said").display().to_string();
    let reply = env.up_with("s", &["--ready", "notify"], &["sh", "-c", &script, "sh", &said]);
    reply.expect_running("started");
    wait::until("systemd-notify has ended well, both times", || {
        fs::read_to_string(&said).is_ok_and(|it| it == "0 0\n")
    });
    programs::expect_echo(&env.socket("s"));
    stop(&env);
}

/// S1: redis is started anew after each kill.
fn redis_says_when_it_is_ready() {
    let env = TestEnv::new();
    let server = programs::find("redis-server", "redis-server");
    let client = programs::find("redis-cli", "redis-tools");
    let command =
        [&server, "--port", "0", "--unixsocket", "{socket}", "--save", "", "--supervised", "systemd"];
    for generation in 1..=2 {
        let reply = env.up_with("s", &["--ready", "notify"], &command).expect_running("started");
        assert_eq!(reply.json["generation"], generation, "{reply}");
        assert_eq!(env.record("s")["peer"]["pid"], reply.pid());
        let output = env.command(&client).arg("-s").arg(env.socket("s")).arg("PING").output();
        assert_eq!(output.expect("redis-cli can be started").stdout, b"PONG\n");
        assert_eq!(env.up("s", &command).expect_running("attached").pid(), reply.pid());
        // A killed worker is started anew.
        procs::send(reply.pid(), Signal::SIGKILL);
        wait::until("it is gone", || !procs::is_running(reply.pid()));
    }
    env.up_with("s", &["--ready", "notify"], &command).expect_running("started");
    stop(&env);
}

fn dbus_daemon_says_when_it_is_ready() {
    let env = TestEnv::new();
    let daemon = programs::find("dbus-daemon", "dbus-daemon");
    let command = [&daemon, "--session", "--nofork", "--nopidfile", "--address=unix:path={socket}"];
    env.up_with("s", &["--ready", "notify"], &command).expect_running("started");
    stop(&env);
}

/// X5: under any umask; and S11: the socket is not abstract.
fn the_notify_socket_is_private_and_goes() {
    for umask in ["000", "077", "777"] {
        let env = TestEnv::new();
        let script =
            [PRELUDE, "listener = listen()\nuntil('go')\nsay('READY=1')\nserve(listener)\n"].concat();
        let mut command = env.command("sh");
        command.args(["-c", "umask $0 && exec \"$@\"", umask]).arg(cli::binary()).args(["--json", "--dir"]);
        command.arg(env.state()).args(["up", "--ready", "notify", "s", "--"]).arg(programs::python());
        command.args(["-c", &script, "{socket}"]).arg(env.dir());
        let launcher = Launcher::start(command);
        wait::until_there(&env.socket("s"));
        let path = env.of("s", "notify");
        assert_eq!(
            path.metadata().expect("it is there").permissions().mode() & 0o7777,
            0o600,
            "umask {umask}"
        );
        let environment = procs::environment(env.worker_pid("s"));
        assert_eq!(environment.get("NOTIFY_SOCKET").map(PathBuf::from), Some(path.clone()));
        env.file("go", "");
        launcher.finish().expect_running("started");
        assert!(!path.exists(), "nobody listens to it any more");
        stop(&env);
    }
}

/// S10: no worker could reach such a socket.
fn a_notify_socket_that_fits_no_address_is_refused() {
    let env = TestEnv::new();
    let deep = env.path(&"d".repeat(SOCKET_PATH_LEN_MAX));
    let mut command = env.command(cli::binary());
    command.args(["--json", "--dir"]).arg(&deep).args(["up", "--ready", "notify", "--socket"]);
    command.arg(env.path("sock")).args(["s", "--", "sleep", "1000"]);
    let reply = Launcher::start(command).finish().expect_rejected("bad-target");
    assert!(reply.text("message").contains("notify socket"), "{reply}");
    assert!(reply.json["liveness"].is_null() && !deep.exists(), "{reply}");
}

/// P20: a worker answering in its launcher's name would mislead the launcher's supervisor.
fn what_a_supervisor_told_the_launcher_stays_with_it() {
    let env = TestEnv::new();
    let mut command = env.rekindle_command(["up", "s", "--env", "WATCHDOG_PID=7", "--", "sleep", "1000"]);
    for name in
        ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"]
    {
        command.env(name, "1");
    }
    let launcher = Launcher::start(command);
    let pid = env.worker_pid("s");
    wait::until("the worker is its program", || procs::runs(pid, "sleep"));
    let environment = procs::environment(pid);
    let told = |name: &&String| ["NOTIFY_", "LISTEN_", "WATCHDOG_"].iter().any(|it| name.starts_with(it));
    assert_eq!(environment.keys().filter(told).collect::<Vec<_>>(), ["WATCHDOG_PID"]);
    assert_eq!(environment["WATCHDOG_PID"], "7", "what is asked for is given");
    env.stop("s");
    launcher.finish().expect(5, "child-exited");
}
