//! Every `next` can be typed unchanged in the caller's directory, and does what it promises; no data of value is lost.
//!
//! One table: each row provokes an answer, names the advice, types the advice, and checks the effect.

use nix::sys::signal::Signal;
use rekindle_smoke::programs::Quirk;
use rekindle_smoke::{Launcher, Reply, TestEnv, cli, procs, programs, tests, wait};
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

tests![
    every_next_is_typed_as_it_stands,
    a_collection_keeps_what_failed_unless_told_otherwise,
    a_collection_that_cannot_work_with_a_session_fails,
];

/// The advice of an answer.
enum Advises {
    /// This command, with the state directory `state`; it ends with 0, and then the check has to pass.
    Types(&'static str, fn(&TestEnv)),
    /// As [`Self::Types`], and the worker of session `s` is to end.
    Ends(&'static str, fn(&TestEnv)),
    /// As [`Self::Types`], and the hint has these words; nothing changes.
    Tells(&'static str, &'static str),
    /// No command, only these words.
    Says(&'static str),
}
use Advises::{Ends, Says, Tells, Types};

/// Keeps processes alive while a row is played.
type Kept = Option<Box<dyn std::any::Any>>;

struct Row {
    name: &'static str,
    provoke: fn(&TestEnv) -> (Reply, Kept),
    advises: Advises,
}

/// A command typed by hand in the test environment's directory, with a relative state directory.
fn rk(env: &TestEnv, args: &[&str]) -> Reply {
    let mut command = env.command(env.binary());
    let split = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
    command.args(&args[..split]).args(["--json", "--dir", "state"]).args(&args[split..]);
    Launcher::start(command).finish()
}

fn only(reply: Reply) -> (Reply, Kept) {
    (reply, None)
}

fn started(env: &TestEnv, session: &str) -> procs::Pid {
    env.up(session, &[&cli::binary_arg(), "worker"]).expect_running("started").pid()
}

fn stopped(env: &TestEnv) {
    started(env, "s");
    env.stop("s").expect(0, "stopped");
}

fn crashed(env: &TestEnv, session: &str) {
    let worker = started(env, session);
    procs::send(worker, Signal::SIGKILL);
    wait::until("the worker is gone", || !procs::is_running(worker));
}

fn up(env: &TestEnv, options: &[&str]) -> Reply {
    let worker = cli::binary_arg();
    rk(env, &[&["up", "s"], options, &["--", &worker, "worker"]].concat())
}

fn corrupt(env: &TestEnv, file: &str) {
    fs::create_dir_all(env.of("s", "")).expect("a session has a directory");
    fs::write(env.of("s", file), "{\"half\":").expect("the file can be written");
}

/// A launcher at work, for session `s`.
fn at_work(env: &TestEnv) -> Box<Launcher> {
    let launcher = env.launch_up("s", &[], &["sleep", "1000"]);
    env.worker_pid("s");
    wait::until("its claim is written", || env.of("s", "claim").exists());
    Box::new(launcher)
}

/// A worker with a dead launcher; the worker becomes ready when its `gate` is opened.
fn orphaned(env: &TestEnv) {
    let gate = env.path("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a test environment can hold a FIFO");
    // The shell waits itself, without a child: an exit during a row would be counted.
    let script = format!(
        "read go < '{}'; exec '{}' worker --socket \"$REKINDLE_SOCKET\"",
        gate.display(),
        cli::binary_arg()
    );
    let launcher = env.launch_up("s", &[], &["sh", "-c", &script]);
    env.worker_pid("s");
    wait::until("the worker is recorded", || {
        fs::read(env.of("s", "session.json")).is_ok() && env.record("s")["worker"]["pid"].is_i64()
    });
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
}

/// An unjudged worker: the recorded pid belongs to another namespace, and the lifeline is lost.
fn unknown(env: &TestEnv) {
    crashed(env, "s");
    env.edit("s", "session.json", |record| {
        for process in ["worker", "peer"] {
            record[process]["pid_namespace"] = json!(1);
        }
        record.as_object_mut().expect("a record is an object").remove("lifeline_held_when_ready");
    });
    for file in ["lifeline", "sock"] {
        let _ = fs::remove_file(env.of("s", file));
    }
}

fn unjudged_claim(env: &TestEnv) {
    let launcher = env.launch_up("s", &[], &["sleep", "1000"]);
    let worker = env.worker_pid("s");
    wait::until("its claim is written", || env.of("s", "claim").exists());
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    procs::send(worker, Signal::SIGKILL);
    wait::until("the worker is gone", || !procs::is_running(worker));
    env.edit("s", "claim", |claim| {
        claim["hostname"] = json!("far-away");
        claim["machine_id"] = json!("00000000000000000000000000000001");
        claim["boot_id"] = json!("00000000-0000-0000-0000-000000000001");
    });
}

fn newer(env: &TestEnv) {
    stopped(env);
    env.edit("s", "session.json", |record| record["schema_version"] = json!(99));
}

fn unresponsive(env: &TestEnv) {
    started(env, "s");
    fs::remove_file(env.socket("s")).expect("the socket can be removed");
}

fn directory(env: &TestEnv, name: &str, mode: u32) {
    fs::create_dir(env.path(name)).expect("a test environment can hold a directory");
    fs::set_permissions(env.path(name), Permissions::from_mode(mode)).expect("its mode can be set");
}

fn on_dir(env: &TestEnv, dir: &str, args: &[&str]) -> Reply {
    let mut command = env.command(env.binary());
    command.args(["--json", "--dir", dir]).args(args);
    Launcher::start(command).finish()
}

fn pool_up(env: &TestEnv, options: &[&str], version: &str) -> Reply {
    rk(env, &[&["up", "s"], options, &["--", &programs::scripted_worker(), version]].concat())
}

const SPEAK_1: [&str; 4] = ["--ready", "handshake", "--speak", "1"];
const SPEAK_2: [&str; 4] = ["--ready", "handshake", "--speak", "2"];

const POOL_RUN: [&str; 6] = ["pool", "run", "--speak", "1", "--code", "x"];

/// Starts a pool session that waits for an answer; returns the name.
fn paused(env: &TestEnv, quirks: &[Quirk<'_>]) -> String {
    let worker = programs::pool_worker("{socket}", quirks);
    let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
    rk(env, &[&POOL_RUN[..], &["--"], &worker].concat());
    rk(env, &["pool", "ls"]).json["sessions"][0]["session"].as_str().expect("it is in the list").to_owned()
}

/// A command typed under resource `limits`.
fn short(env: &TestEnv, limits: &str, args: &[&str]) -> Reply {
    let mut command = env.command("sh");
    command.args(["-c", &format!("{limits}; exec \"$@\""), "sh"]).arg(env.binary());
    command.args(["--json", "--dir", "state"]).args(args);
    Launcher::start(command).finish()
}

// Checks after a typed command.

fn nothing_changed(_: &TestEnv) {}

fn it_runs(env: &TestEnv) {
    programs::expect_echo(&env.socket("s"));
}

fn it_is_gone(env: &TestEnv) {
    env.rekindle(["show", "s"]);
    assert_eq!(env.record("s")["state"], "exited", "record and logs stay");
}

fn it_can_be_started(env: &TestEnv) {
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
}

fn claim_is_set_aside(env: &TestEnv) {
    assert_eq!(fs::read(env.of("s", "claim.aside")).expect("it is kept"), b"{\"half\":");
    it_can_be_started(env);
}

fn record_is_set_aside(env: &TestEnv) {
    assert_eq!(fs::read(env.of("s", "session.json.aside")).expect("it is kept"), b"{\"half\":");
    it_can_be_started(env);
}

fn the_way_is_free(env: &TestEnv) {
    let socket = env.path("it's here/sock");
    let socket = socket.to_str().expect("a test environment's path is UTF-8");
    up(env, &["--socket", socket]).expect_running("started");
}

/// The text for people: READY=1 arrived, but no process listened.
fn it_said_ready(env: &TestEnv) {
    let mut command = env.command(env.binary());
    command.args(["--dir", "state", "up", "s", "--ready", "notify", "--timeout", "2s", "--"]);
    command.args(["python3", "-c", READY, "{socket}"]);
    let told = Launcher::start(command).finish();
    assert!(told.stderr.contains("READY=1") && told.stderr.contains("--timeout"), "{told}");
    assert!(!told.stderr.contains("exited with"), "it was ended: {told}");
}

fn open_is_ours_alone(env: &TestEnv) {
    let mode = fs::metadata(env.path("open dir")).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o755);
    let socket = env.path("open dir/sock");
    let socket = socket.to_str().expect("a test environment's path is UTF-8");
    up(env, &["--socket", socket]).expect_running("started");
}

/// All answers with advice, except those that need another user or a mount.
#[rustfmt::skip]
fn rows() -> Vec<Row> {
    macro_rules! rows {
        ($($name:literal, $env:ident => $provoke:expr, $advises:expr;)*) => {
            vec![$(Row { name: $name, provoke: |$env| $provoke, advises: $advises }),*]
        };
    }
    rows![
        "attach to nothing", s => only(rk(s, &["up", "s", "--intent", "attach"])),
            Says("start it with `up`");
        "attach to a stopped session", s => { stopped(s); only(rk(s, &["up", "s", "--intent", "attach"])) },
            Types("up s --dir state -- ", it_runs);
        "call a stopped session", s => { stopped(s); only(rk(s, &["call", "s", "{}"])) },
            Types("up s --dir state -- ", it_runs);
        "resume what runs", s => { started(s, "s"); only(up(s, &["--intent", "resume"])) },
            Types("up s --intent attach --dir state", it_runs);
        "up without a socket file", s => { unresponsive(s); only(up(s, &[])) },
            Ends("stop s --dir state", it_is_gone);
        "doctor without a socket file", s => { unresponsive(s); only(rk(s, &["doctor", "s"])) },
            Ends("stop s --dir state", it_is_gone);
        "up beside a launcher", s => { let l = at_work(s); (up(s, &["--timeout", "100ms"]), Some(l)) },
            Types("doctor s --dir state", nothing_changed);
        "unlock beside a launcher", s => { let l = at_work(s); (rk(s, &["unlock", "s"]), Some(l)) },
            Types("doctor s --dir state", nothing_changed);
        "unlock --force beside a launcher", s => { let l = at_work(s); (rk(s, &["unlock", "s", "--force"]), Some(l)) },
            Types("doctor s --dir state", nothing_changed);
        "doctor beside a launcher", s => { let l = at_work(s); (rk(s, &["doctor", "s"]), Some(l)) },
            Says("wait until it is done");
        "doctor after a launcher", s => {
            orphaned(s);
            let told = rk(s, &["doctor", "s"]);
            s.file("gate", "go\n");
            only(told)
        },
            Types("up s --dir state -- ", it_runs);
        "up with a corrupt claim", s => { stopped(s); corrupt(s, "claim"); only(up(s, &[])) },
            Types("gc --repair s --dir state", claim_is_set_aside);
        "unlock with a corrupt claim", s => { stopped(s); corrupt(s, "claim"); only(rk(s, &["unlock", "s"])) },
            Types("gc --repair s --dir state", claim_is_set_aside);
        "doctor with a corrupt claim", s => { stopped(s); corrupt(s, "claim"); only(rk(s, &["doctor", "s"])) },
            Types("gc --repair s --dir state", claim_is_set_aside);
        "up with a corrupt record", s => { stopped(s); corrupt(s, "session.json"); only(up(s, &[])) },
            Types("gc --repair s --dir state", record_is_set_aside);
        "show with a corrupt record", s => { stopped(s); corrupt(s, "session.json"); only(rk(s, &["show", "s"])) },
            Types("gc --repair s --dir state", record_is_set_aside);
        "stop with a corrupt record", s => { stopped(s); corrupt(s, "session.json"); only(rk(s, &["stop", "s"])) },
            Types("gc --repair s --dir state", record_is_set_aside);
        "doctor with a corrupt record", s => { stopped(s); corrupt(s, "session.json"); only(rk(s, &["doctor", "s"])) },
            Types("gc --repair s --dir state", record_is_set_aside);
        "up with a claim from far away", s => { unjudged_claim(s); only(up(s, &[])) },
            Types("unlock s --force --dir state", it_can_be_started);
        "doctor with a claim from far away", s => { unjudged_claim(s); only(rk(s, &["doctor", "s"])) },
            Types("unlock s --force --dir state", it_can_be_started);
        "up with an unknown worker", s => { unknown(s); only(up(s, &[])) },
            Types("unlock s --forget --dir state", it_can_be_started);
        "stop with an unknown worker", s => { unknown(s); only(rk(s, &["stop", "s"])) },
            Types("unlock s --forget --dir state", it_can_be_started);
        "doctor with an unknown worker", s => { unknown(s); only(rk(s, &["doctor", "s"])) },
            Types("unlock s --forget --dir state", it_can_be_started);
        "up with a newer record", s => { newer(s); only(up(s, &[])) }, Says("use the version of rekindle");
        "stop with a newer record", s => { newer(s); only(rk(s, &["stop", "s"])) }, Says("use the version of rekindle");
        "show nobody", s => only(rk(s, &["show", "nobody"])), Types("ls --dir state", nothing_changed);
        "stop nobody", s => only(rk(s, &["stop", "nobody"])), Types("ls --dir state", nothing_changed);
        "doctor nobody", s => only(rk(s, &["doctor", "nobody"])), Types("ls --dir state", nothing_changed);
        "unlock nobody", s => only(rk(s, &["unlock", "nobody"])), Types("ls --dir state", nothing_changed);
        "gc nobody", s => only(rk(s, &["gc", "nobody"])), Types("ls --dir state", nothing_changed);
        "forget what runs", s => { started(s, "s"); only(rk(s, &["unlock", "s", "--forget"])) },
            Types("doctor s --dir state", it_runs);
        "stop a stranger", s => {
            stopped(s);
            let stranger = UnixListener::bind(s.socket("s")).expect("a session can hold a socket");
            (rk(s, &["stop", "s"]), Some(Box::new(stranger)))
        }, Says("end it the way it was started");
        "doctor after a crash", s => { crashed(s, "s"); only(rk(s, &["doctor", "s"])) },
            Types("show s --dir state", nothing_changed);
        "a loose state directory", s => { directory(s, "open dir", 0o777); only(on_dir(s, "open dir", &["ls"])) },
            Types("chmod go-w ", open_is_ours_alone);
        "a sticky state directory", s => { directory(s, "open dir", 0o1777); only(on_dir(s, "open dir", &["ls"])) },
            Says("--dir");
        "/tmp as the state directory", s => only(on_dir(s, "/tmp", &["ls"])), Says("--dir");
        "a state directory that is a link", s => {
            directory(s, "good", 0o700);
            symlink(s.path("good"), s.path("link")).expect("a test environment can hold a link");
            only(on_dir(s, "link", &["ls"]))
        }, Says("--dir");
        "a state directory that is a file", s => { s.file("file", ""); only(on_dir(s, "file", &["ls"])) }, Says("--dir");
        "a socket in a loose directory", s => {
            directory(s, "open dir", 0o777);
            only(up(s, &["--socket", "open dir/sock"]))
        }, Types("chmod go-w ", open_is_ours_alone);
        "a socket in /tmp", s => only(up(s, &["--socket", "/tmp/rk-advice.sock"])), Says("--socket");
        "a socket in no directory", s => only(up(s, &["--socket", "it's here/sock"])),
            Types("mkdir -p -m 700 ", the_way_is_free);
        "a socket path that is too long", s => only(up(s, &["--socket", &"x".repeat(120)])), Says("--socket");
        "a state directory whose path is too long", s => {
            let deep = format!("state/{}", "d".repeat(120));
            let worker = cli::binary_arg();
            only(on_dir(s, &deep, &["up", "s", "--", &worker, "worker"]))
        }, Says("--socket");
        "a regular file for a socket", s => { s.file("file", ""); only(up(s, &["--socket", "file"])) }, Says("--socket");
        "a socket that is busy", s => {
            let busy = crate::probe::paths::busy_listener(&s.path("busy"));
            (up(s, &["--socket", "busy"]), Some(Box::new(busy)))
        }, Types("probe ", nothing_changed);
        "no such program", s => only(rk(s, &["up", "s", "--", "no-such-program"])), Says("install the program");
        "no such directory", s => only(rk(s, &["up", "s", "--cwd", "/no/such", "--", "true"])), Says("--cwd");
        "a program that is none", s => { s.file("f", "x"); only(rk(s, &["up", "s", "--", "./f"])) },
            Says("can be executed");
        "no such interpreter", s => {
            let f = s.file("f", "#!/no/such/interpreter\n");
            fs::set_permissions(&f, Permissions::from_mode(0o700)).expect("its mode can be set");
            only(rk(s, &["up", "s", "--", "./f"]))
        }, Says("/no/such/interpreter");
        "a program that ends", s => only(rk(s, &["up", "s", "--", "sh", "-c", "echo why >&2; exit 3"])),
            Types("show s --dir state", nothing_changed);
        "a program that is never told its socket", s => only(rk(s, &["up", "s", "--timeout", "400ms", "--", "sleep", "1000"])),
            Tells("show s --dir state", "REKINDLE_SOCKET");
        "a program that never listens", s => {
            only(rk(s, &["up", "s", "--timeout", "400ms", "--", "sh", "-c", "sleep 1000", "{socket}"]))
        }, Tells("show s --dir state", "--timeout");
        "a program that says READY=1 and does not listen", s => {
            let options = ["up", "s", "--ready", "notify", "--timeout", "2s", "--"];
            only(rk(s, &[&options[..], &["python3", "-c", READY, "{socket}"]].concat()))
        }, Types("show s --dir state", it_said_ready);
        "no program and no record", s => only(rk(s, &["up", "s"])), Says("name its program after `--`");
        "no such verb", s => only(rk(s, &["no-such-verb"])), Types("--help", nothing_changed);
        "a version without a handshake", s => only(up(s, &["--speak", "1"])), Types("up --help", nothing_changed);
        "a worker of another version", s => {
            pool_up(s, &SPEAK_1, "1").expect_running("started");
            only(pool_up(s, &SPEAK_2, "2"))
        }, Types("up s --intent attach --ready handshake --speak 1 --dir state", nothing_changed);
        "a worker that speaks something else", s => { started(s, "s"); only(up(s, &SPEAK_1)) },
            Types("doctor s --dir state", it_runs);
        "a call that takes too long", s => {
            rk(s, &["up", "s", "--", "python3", "-c", SILENT, "{socket}"]).expect_running("started");
            only(rk(s, &["call", "s", "{}", "--timeout", "100ms"]))
        }, Says("--timeout");
        "no session in the pool", s => only(rk(s, &["pool", "status", "nobody"])),
            Types("pool ls --dir state", nothing_changed);
        "no worker for the pool", s => {
            only(rk(s, &["pool", "run", "--speak", "1", "--code", "x", "--", "no-such-program"]))
        }, Says("install the program");
        "a state directory of umask 002", s => { directory(s, "open dir", 0o775); only(on_dir(s, "open dir", &["ls"])) },
            Types("chmod go-w ", open_is_ours_alone);
        "a state directory of umask 002, to the doctor", s => {
            directory(s, "open dir", 0o775);
            only(on_dir(s, "open dir", &["doctor"]))
        }, Types("chmod go-w ", open_is_ours_alone);
        "a state directory below one of umask 002", s => {
            directory(s, "open dir", 0o775);
            let worker = cli::binary_arg();
            only(on_dir(s, "open dir/state", &["up", "s", "--", &worker, "worker"]))
        }, Types("chmod go-w ", open_is_ours_alone);
        "a session's directory of umask 002", s => {
            stopped(s);
            fs::set_permissions(s.of("s", ""), Permissions::from_mode(0o775)).expect("its mode can be set");
            only(rk(s, &["show", "s"]))
        }, Types("chmod go-w ", it_can_be_started);
        "a socket in a directory of umask 002", s => {
            directory(s, "open dir", 0o775);
            only(up(s, &["--socket", "open dir/sock"]))
        }, Types("chmod go-w ", open_is_ours_alone);
        "a worker in a directory of umask 002", s => {
            directory(s, "open dir", 0o775);
            only(rk(s, &["worker", "--protocol", "pool", "--socket", "open dir/sock"]))
        }, Types("chmod go-w ", open_is_ours_alone);
        "a probe in a directory of umask 002", s => {
            directory(s, "open dir", 0o775);
            let told = rk(s, &["probe", "open dir/sock"]);
            assert_eq!(told.text("verdict"), "dead", "what is not there is not forged: {told}");
            only(told)
        }, Types("chmod go-w ", open_is_ours_alone);
        "a lifecycle lock in a directory of umask 002", s => {
            directory(s, "open dir", 0o775);
            only(rk(s, &["lifecycle", "status", "--path", "open dir/lock"]))
        }, Types("chmod go-w ", open_is_ours_alone);
        "a lifecycle lock that is held", s => {
            let mut command = s.command(s.binary());
            command.args(["lifecycle", "acquire", "--path", "the lock", "--", "sleep", "1000"]);
            let holder = Launcher::start(command);
            wait::until("it is held", || {
                rk(s, &["lifecycle", "status", "--path", "the lock"]).json["status"] == "held"
            });
            (rk(s, &["lifecycle", "acquire", "--path", "the lock"]), Some(Box::new(holder)))
        }, Types("lifecycle status --path '", nothing_changed);
        "a state directory whose name a shell would take apart", s => {
            let (dir, worker) = ("it's $HOME;#", cli::binary_arg());
            on_dir(s, dir, &["up", "s", "--", &worker, "worker"]).expect_running("started");
            only(on_dir(s, dir, &["up", "s", "--intent", "resume", "--", &worker, "worker"]))
        }, Types(r"up s --intent attach --dir 'it'\''s $HOME;#'", nothing_changed);
        "a state directory whose name steers a terminal", s => {
            let (dir, worker) = ("a\u{1b}b\nc", cli::binary_arg());
            on_dir(s, dir, &["up", "s", "--", &worker, "worker"]).expect_running("started");
            only(on_dir(s, dir, &["up", "s", "--intent", "resume", "--", &worker, "worker"]))
        }, Types(r"up s --intent attach --dir $'a\033b\012c'", nothing_changed);
        "an argument that a shell would take apart", s => {
            rk(s, &["up", "s", "--", "sh", "-c", "exec \"$0\" worker", &cli::binary_arg()]).expect_running("started");
            s.stop("s").expect(0, "stopped");
            only(rk(s, &["up", "s", "--intent", "attach"]))
        }, Types("up s --dir state -- ", it_runs);
        "a call that is interrupted", s => {
            let gate = s.path("gate");
            nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a test environment can hold a FIFO");
            let mut command = s.command(s.binary());
            command.args(["--json", "--dir", "state", "up", "s", "--", "sh", "-c", GATED, &cli::binary_arg()]);
            let launcher = Launcher::start(command);
            s.worker_pid("s");
            launcher.signal(Signal::SIGINT);
            let told = launcher.finish();
            s.file("gate", "go\n");
            only(told)
        }, Types("--json --dir state up s -- sh -c ", it_runs);
        "a session whose directory was moved", s => {
            started(s, "s");
            fs::rename(s.of("s", ""), s.path("moved")).expect("it can be moved");
            only(rk(s, &["doctor", "s"]))
        }, Ends("stop s --dir state", nothing_changed);
        "doctor with somebody left over", s => {
            let script = "setsid sleep 1000 & exec \"$0\" worker";
            let worker = rk(s, &["up", "s", "--", "sh", "-c", script, &cli::binary_arg()]);
            let worker = worker.expect_running("started").pid();
            procs::send(worker, Signal::SIGKILL);
            wait::until("the worker is gone", || !procs::is_running(worker));
            only(rk(s, &["doctor", "s"]))
        }, Ends("stop s --dir state", it_is_gone);
        "a stop that cannot be written down", s => {
            started(s, "s");
            let told = short(s, "trap '' XFSZ; ulimit -f 0", &["stop", "s"]);
            assert_eq!(told.text("outcome"), "stopped", "it says what it did: {told}");
            assert!(told.json["trouble"][0].is_string(), "{told}");
            only(told)
        }, Says("ulimit -f");
        "a run in the pool that is never ready", s => {
            let worker = ["--", "sh", "-c", "sleep 1000", "{socket}"];
            let told = rk(s, &[&POOL_RUN[..], &["--timeout", "400ms"], &worker].concat());
            assert!(told.text("message").contains("did not accept a connection within 400 ms"), "{told}");
            only(told)
        }, Tells("show p-", "--timeout");
        "a state directory that is too long for the pool", s => {
            let deep = format!("state/{}", "d".repeat(120));
            only(on_dir(s, &deep, &[&POOL_RUN[..], &["--", "true"]].concat()))
        }, Says("--dir");
        "a session of the pool that is spoken to in another version", s => {
            let sid = paused(s, &[]);
            let told = rk(s, &["pool", "continue", &sid, "--speak", "2", "--response", "x"]);
            assert!(!told.stdout.contains("shutdown"), "{told}");
            only(told)
        }, Says("--speak 1");
        "a worker of the pool that refuses a version in its own words", s => {
            let sid = paused(s, &[Quirk::RefusesOthers("go away")]);
            let told = rk(s, &["pool", "continue", &sid, "--speak", "2", "--response", "x"]);
            only(told.expect_error(1, "version-mismatch"))
        }, Says("--speak 1");
        "a worker of the pool that is silent", s => {
            let dripping = s.path("drip");
            let sid = paused(s, &[Quirk::Drips("status", &dripping)]);
            s.file("drip", "");
            let told = rk(s, &["pool", "status", &sid, "--answer-timeout", "300ms"]);
            fs::remove_file(dripping).expect("it was made");
            only(told)
        }, Tells("pool status p-", "--answer-timeout");
        "a worker of the pool that is gone", s => {
            let sid = paused(s, &[]);
            let worker = rk(s, &["pool", "ls"]).json["sessions"][0]["pid"].as_i64().expect("it runs");
            let worker: procs::Pid = i32::try_from(worker).expect("it is a pid");
            procs::send(worker, Signal::SIGKILL);
            wait::until("the worker is gone", || !procs::is_running(worker));
            only(rk(s, &["pool", "status", &sid]))
        }, Types("doctor p-", nothing_changed);
        "a worker that refuses a version in its own words", s => {
            let worker = programs::pool_worker("{socket}", &[Quirk::RefusesOthers("go away")]);
            let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
            let up = |options: &[&str]| rk(s, &[&["up", "s"], options, &["--"], &worker].concat());
            up(&SPEAK_1).expect_running("started");
            let told = up(&SPEAK_2);
            assert_eq!(told.text("reason"), "version-mismatch", "{told}");
            only(told)
        }, Types("up s --intent attach --ready handshake --speak 1 --dir state", nothing_changed);
        "a file that is not there", s => only(rk(s, &["pool", "run", "--speak", "1", "--code", "@absent", "--", "true"])),
            Says("name a file");
        "a file of a prompt that is not there", s => only(up(s, &["--prompt-file", "absent"])), Says("name a file");
        "nobody named to stop", s => only(rk(s, &["stop"])), Types("--help", nothing_changed);
        "too few descriptors", s => only(short(s, "ulimit -n 5", &["show", "busy"])), Says("ulimit -n");
    ]
}

/// Waits for its `gate`, then runs the worker.
const GATED: &str = "read go < gate; exec \"$0\" worker";

/// Sends READY=1, and listens nowhere.
const READY: &str = "import os,socket,time\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n\
                     s.sendto(b'READY=1',os.environ['NOTIFY_SOCKET'])\ntime.sleep(1000)";

/// Accepts, and never answers.
const SILENT: &str = "import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen(8)\n\
                      k=[]\nwhile True: k.append(s.accept()[0])";

/// Data of value: all output of workers.
fn logs(env: &TestEnv) -> Vec<(String, Vec<u8>)> {
    let sessions = fs::read_dir(env.state()).into_iter().flatten().flatten();
    let files = sessions.flat_map(|dir| {
        let name = dir.file_name().to_string_lossy().into_owned();
        fs::read_dir(dir.path()).into_iter().flatten().flatten().map(move |file| (name.clone(), file))
    });
    let logs = files.filter(|(_, file)| file.file_name().to_string_lossy().contains(".log"));
    logs.filter_map(|(name, file)| Some((name, fs::read(file.path()).ok()?)))
        .filter(|(_, bytes)| !bytes.is_empty())
        .collect()
}

/// Plays one row: provoke, type, check.
fn play(row: &Row) {
    let env = TestEnv::new();
    // Bystanders: a session with a failed run, and a session with a live worker.
    env.up("failed", &["sh", "-c", "echo precious >&2; exit 1"]).expect(5, "child-exited");
    let busy = started(&env, "busy");
    let (told, kept) = (row.provoke)(&env);
    let (next, hint) = (told.text("next"), told.text("hint"));
    let before = (env.processes(), logs(&env));
    match &row.advises {
        Says(words) => {
            assert!(next.is_empty() && hint.contains(words), "it is to say `{words}`: {told}");
        }
        Types(..) | Ends(..) | Tells(..) => {
            let (words, then): (_, fn(&TestEnv)) = match row.advises {
                Types(words, then) | Ends(words, then) => (words, then),
                Tells(words, _) | Says(words) => (words, nothing_changed),
            };
            if let Tells(_, said) = row.advises {
                assert!(hint.contains(said), "it is to say `{said}`: {told}");
            }
            assert!(next.contains(words), "it is to type `{words}`: {told}");
            // A word in `$'...'` needs bash; not every `sh` knows the syntax yet.
            let mut shell = env.command(if next.contains("$'") { "bash" } else { "sh" });
            shell.args(["-c", next]);
            let typed = Launcher::start(shell).finish();
            // A verdict has an exit code of its own.
            let codes: &[i32] = if next.contains(" probe ") { &[0, 1, 3] } else { &[0] };
            assert!(typed.code.is_some_and(|code| codes.contains(&code)), "`{next}`: {typed}\nafter {told}");
            let now = env.processes();
            let gone = before.0.iter().filter(|pid| !now.contains(pid)).count();
            let ends = usize::from(matches!(row.advises, Ends(..)));
            assert_eq!(gone, ends, "`{next}` ended {gone} processes: {typed}");
            let kept_logs = logs(&env);
            for log in &before.1 {
                let is_kept = |(name, bytes): &(String, Vec<u8>)| *name == log.0 && bytes.starts_with(&log.1);
                assert!(kept_logs.iter().any(is_kept), "a log of `{}` is lost after `{next}`", log.0);
            }
            then(&env);
        }
    }
    assert!(procs::is_running(busy), "{told}");
    assert!(logs(&env).contains(&("failed".to_owned(), b"precious\n".to_vec())), "{told}");
    drop(kept);
}

/// U16.
fn every_next_is_typed_as_it_stands() {
    let rows = rows();
    let (mut well, mut typed) = (0, 0);
    let mut wrong = Vec::new();
    for row in &rows {
        match panic::catch_unwind(AssertUnwindSafe(|| play(row))) {
            Ok(()) => {
                well += 1;
                typed += usize::from(!matches!(row.advises, Says(_)));
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                wrong.push(format!("{}: {text}", row.name));
            }
        }
    }
    println!("advice: {} answers, {well} as they should be, {typed} of them typed and done", rows.len());
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

fn exists(env: &TestEnv, session: &str) -> bool {
    Path::new(&env.of(session, "")).exists()
}

/// U16, U24.
fn a_collection_keeps_what_failed_unless_told_otherwise() {
    let env = TestEnv::new();
    env.up("early", &["false"]).expect(5, "child-exited");
    env.up("never", &["no-such-program"]).expect(4, "spawn-start-failed");
    crashed(&env, "crashed");
    crashed(&env, "noticed");
    env.stop("noticed").expect(0, "not-running");
    stopped(&env);
    let all = ["crashed", "early", "noticed", "s"];
    let foreseen = env.rekindle(["gc", "--dry-run"]);
    assert_eq!(foreseen.json["dry_run"], true, "{foreseen}");
    assert!(all.iter().all(|session| exists(&env, session)), "{foreseen}");
    let collected = env.rekindle(["gc"]);
    assert_eq!(collected.json["removed"], foreseen.json["removed"], "it did what it said: {collected}");
    assert_eq!(collected.json["kept"], foreseen.json["kept"], "{collected}");
    assert!(!exists(&env, "s"), "what was stopped goes: {collected}");
    for failed in ["crashed", "early", "noticed"] {
        assert!(exists(&env, failed), "`{failed}` stays: {collected}");
    }
    assert_eq!(collected.code, Some(0), "{collected}");
    env.rekindle(["gc", "--older-than", "7d"]);
    assert!(exists(&env, "crashed"));
    let young = env.rekindle(["gc", "--older-than", "0s", "crashed"]);
    assert_eq!(young.json["removed"], json!(["crashed"]), "{young}");
    env.rekindle(["gc", "--all"]);
    assert!(!all.iter().any(|session| exists(&env, session)));
}

/// U37.
fn a_collection_that_cannot_work_with_a_session_fails() {
    let env = TestEnv::new();
    stopped(&env);
    env.up("t", &[&cli::binary_arg(), "worker"]).expect_running("started");
    env.stop("t").expect(0, "stopped");
    corrupt(&env, "session.json");
    let reply = env.rekindle(["gc"]);
    assert_eq!(reply.code, Some(1), "{reply}");
    assert_eq!(reply.json["removed"], json!(["t"]), "the others are collected: {reply}");
    assert_eq!(reply.json["kept"][0]["because"], "error", "{reply}");
}
