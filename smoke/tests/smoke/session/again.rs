//! Starts as the record says: without a program, with some options changed, by `restart`; and how a worker is ended.

use nix::sys::signal::Signal;
use rekindle_smoke::test_env::CANARY;
use rekindle_smoke::{Reply, TestEnv, cli, procs, programs, tests};
use serde_json::json;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

tests![
    a_session_is_started_as_its_record_says,
    a_named_option_replaces_the_recorded_one,
    without_a_whole_record_nothing_is_started,
    a_withheld_value_has_to_be_given_again,
    a_restart_keeps_address_and_environment,
    a_restart_of_what_does_not_run_starts_it_or_not,
    a_failed_restart_tells_the_end_of_the_old_worker,
    an_environment_file_is_read_at_every_start,
    a_faulty_environment_file_is_named_without_its_content,
    only_the_named_variables_are_passed_on,
    the_stop_signal_begins_every_end,
    a_worker_that_may_not_be_killed_goes_on,
    only_a_recorded_worker_is_attached_to_if_asked,
    a_running_worker_tells_in_what_it_differs,
];

/// Serves a directory on a port.
const WEB: [&str; 5] = ["-m", "http.server", "{port}", "--bind", "{host}"];

/// Writes the name of the first signal to a file, the second argument, and ends.
const NOTING: &str = "
import os, signal, sys
def note(number, frame):
    with open(sys.argv[2] + '.new', 'w') as file:
        file.write(signal.Signals(number).name)
    os.rename(sys.argv[2] + '.new', sys.argv[2])
    os._exit(0)
for name in ('SIGHUP', 'SIGINT', 'SIGTERM', 'SIGUSR1'):
    signal.signal(getattr(signal, name), note)
";

fn web(env: &TestEnv, options: &[&str]) -> Reply {
    let python = programs::python();
    let command: Vec<&str> = std::iter::once(python.as_str()).chain(WEB).collect();
    env.up_with("s", &[&["--address", "tcp:0"], options].concat(), &command)
}

fn worker(env: &TestEnv, options: &[&str], more: &[&str]) -> Reply {
    let binary = cli::binary_arg();
    env.up_with("s", options, &[&[binary.as_str(), "worker"], more].concat())
}

/// A program without an address that runs until it is ended.
fn sleeper(env: &TestEnv, options: &[&str]) -> Reply {
    env.up_with("s", &[&["--address", "none"], options].concat(), &["sleep", "1000"])
}

fn variable(reply: &Reply, name: &str) -> Option<String> {
    procs::environment(reply.pid()).remove(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test environment's paths are UTF-8")
}

/// Program, arguments, directory, variables, address and condition: everything is as at the last start.
fn a_session_is_started_as_its_record_says() {
    let env = TestEnv::new();
    let dir = env.path("served");
    fs::create_dir(&dir).expect("a directory can be made");
    let options = ["--cwd", text(&dir), "--env", "A=1", "--ready", "http=/", "--term-grace", "4s"];
    let first = web(&env, &options).expect_running("started");
    let plan = env.record("s")["plan"].clone();
    assert_eq!(env.rekindle(["up", "s"]).expect_running("attached").pid(), first.pid());
    env.stop("s").expect(0, "stopped");
    let again = env.rekindle(["up", "s"]).expect_running("started");
    assert_eq!((&again.json["address"], &again.json["url"]), (&first.json["address"], &first.json["url"]));
    assert_eq!(again.json["generation"], 2, "{again}");
    assert_eq!(env.record("s")["plan"], plan);
    assert_eq!(variable(&again, "A").as_deref(), Some("1"));
    let cwd = fs::read_link(format!("/proc/{}/cwd", again.pid())).expect("it runs");
    assert_eq!(cwd, dir);
    env.stop("s").expect(0, "stopped");
    env.rekindle(["up", "s", "--intent", "attach"]).expect_rejected("not-running");
    let dry = env.rekindle(["up", "s", "--dry-run"]).expect(0, "dry-run");
    assert_eq!((&dry.json["verdict"], &dry.json["plan"]["env"]), (&json!("spawn"), &plan["env"]), "{dry}");
}

/// The arguments are made anew: another port stands where the old one stood.
fn a_named_option_replaces_the_recorded_one() {
    let env = TestEnv::new();
    let first = web(&env, &["--env", "A=1", "--env", "B=1"]).expect_running("started");
    env.stop("s").expect(0, "stopped");
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port is free");
    let address = format!("tcp:{free}");
    let args = ["up", "s", "--address", &address, "--env", "B=2", "--ready", "http=/", "--timeout", "20s"];
    let again = env.rekindle(args).expect_running("started");
    assert_eq!(again.json["address"], address.as_str(), "{again}");
    assert_ne!(again.json["address"], first.json["address"]);
    let variables = ["A", "B"].map(|name| variable(&again, name));
    assert_eq!(variables, ["1", "2"].map(|value| Some(value.to_owned())));
    let record = env.record("s");
    assert_eq!(record["plan"]["ready"], "http=/");
    assert_eq!(record["plan"]["observe_timeout_ms"], 20_000);
    assert_eq!(record["plan"]["launch_args"][3], free.port().to_string());
    assert_eq!(record["plan"]["template"][3], "{port}");
}

fn without_a_whole_record_nothing_is_started() {
    let env = TestEnv::new();
    for verb in [&["up", "s"][..], &["restart", "s"], &["restart", "s", "--if-running"]] {
        env.rekindle(verb).expect_error(1, "no-plan");
        assert!(!env.of("s", "").exists(), "nothing was created");
    }
    let pid = worker(&env, &[], &[]).expect_running("started").pid();
    env.make_schema_1("s");
    assert_eq!(
        env.rekindle(["up", "s"]).expect_running("attached").pid(),
        pid,
        "a live worker needs no plan"
    );
    let refused = env.rekindle(["restart", "s"]).expect_error(1, "no-plan");
    assert!(refused.text("next").contains(" -- ") && refused.text("next").contains("up s"), "{refused}");
    assert_eq!(env.processes(), [pid], "nothing is ended that cannot be started again");
    env.stop("s").expect(0, "stopped");
    env.rekindle(["up", "s"]).expect_error(1, "no-plan");
    assert!(!env.of("s", "claim").exists(), "no claim is kept");
    env.assert_no_process();
}

fn a_withheld_value_has_to_be_given_again() {
    let env = TestEnv::new();
    let prompt = env.file("prompt", "hunter2");
    let first = sleeper(&env, &["--prompt-file", text(&prompt)]).expect_running("started");
    let refused = env.rekindle(["restart", "s"]).expect_error(1, "no-plan");
    assert!(refused.text("hint").contains("--prompt-file"), "{refused}");
    assert_eq!(env.processes(), [first.pid()], "it was not ended");
    env.stop("s").expect(0, "stopped");
    let refused = env.rekindle(["up", "s"]).expect_error(1, "no-plan");
    assert!(refused.text("message").contains("REKINDLE_PROMPT"), "{refused}");
    let again = env.rekindle(["up", "s", "--prompt-file", text(&prompt)]).expect_running("started");
    assert_eq!(variable(&again, "REKINDLE_PROMPT").as_deref(), Some("hunter2"));
    assert!(!env.record("s").to_string().contains("hunter2"));
}

/// One claim, one generation more, and the port that was chosen at first.
fn a_restart_keeps_address_and_environment() {
    let env = TestEnv::new();
    let first = web(&env, &["--env", "A=1"]).expect_running("started");
    let restarted = env.rekindle(["restart", "s"]).expect_running("started");
    assert_eq!(restarted.json["address"], first.json["address"], "{restarted}");
    let replaced = json!({ "pid": first.pid(), "generation": 1, "outcome": "stopped" });
    assert_eq!(restarted.json["replaced"], replaced, "{restarted}");
    assert_eq!((&restarted.json["generation"], env.processes()), (&json!(2), vec![restarted.pid()]));
    assert_eq!(variable(&restarted, "A").as_deref(), Some("1"));
    let quick =
        env.rekindle(["restart", "s", "--term-grace", "3s", "--timeout", "9s"]).expect_running("started");
    assert_eq!(quick.json["address"], first.json["address"], "{quick}");
    let record = env.record("s");
    assert_eq!(record["plan"]["observe_timeout_ms"], 9_000);
    assert_eq!(record["plan"]["kill_policy"]["term_grace_ms"], 3_000);
}

fn a_restart_of_what_does_not_run_starts_it_or_not() {
    let env = TestEnv::new();
    worker(&env, &[], &[]).expect_running("started");
    env.stop("s").expect(0, "stopped");
    let left = env.rekindle(["restart", "s", "--if-running"]).expect(0, "not-running");
    assert_eq!((&left.json["replaced"], &left.json["session"]), (&json!(null), &json!("s")), "{left}");
    env.assert_no_process();
    assert!(!env.of("s", "claim").exists(), "the claim is released");
    let started = env.rekindle(["restart", "s"]).expect_running("started");
    assert_eq!(
        (&started.json["generation"], &started.json["replaced"]),
        (&json!(2), &json!(null)),
        "{started}"
    );
    let replaced = env.rekindle(["restart", "s", "--if-running"]).expect_running("started");
    assert_eq!(replaced.json["replaced"]["pid"], started.pid(), "{replaced}");
}

fn a_failed_restart_tells_the_end_of_the_old_worker() {
    let env = TestEnv::new();
    let broken = env.path("broken");
    let script = format!("test -e {} && exit 3; exec sleep 1000", broken.display());
    let first = env.up_with("s", &["--address", "none"], &["sh", "-c", &script]).expect_running("started");
    fs::write(&broken, "").expect("a file can be made");
    let failed = env.rekindle(["restart", "s"]).expect(5, "child-exited");
    assert_eq!(failed.json["replaced"]["pid"], first.pid(), "{failed}");
    assert_eq!(failed.json["exit_code"], 3, "{failed}");
    env.assert_no_process();
    fs::remove_file(&broken).expect("it is there");
    let second = env.rekindle(["up", "s"]).expect_running("started");
    fs::write(&broken, "").expect("a file can be made");
    let mut command = env.command(env.binary());
    command.arg("--dir").arg(env.state()).args(["restart", "s"]);
    let told = rekindle_smoke::Launcher::start(command).finish();
    let before = format!("the worker before it (pid {}) was stopped", second.pid());
    assert!(told.code == Some(5) && told.stderr.contains(&before), "{told}");
}

/// The record has the path, so the next start has the new values; a variable of the command line wins.
fn an_environment_file_is_read_at_every_start() {
    let env = TestEnv::new();
    let file = env.file("variables", "TOKEN=hunter2 # secret\nexport A='of the file'\nB=file\n");
    let more = env.file("more", "B=more\n");
    let options = ["--env-file", text(&file), "--env-file", text(&more), "--env", "A=line"];
    let first = sleeper(&env, &options).expect_running("started");
    let values = ["TOKEN", "A", "B"].map(|name| variable(&first, name));
    assert_eq!(values, ["hunter2", "line", "more"].map(|value| Some(value.to_owned())));
    assert!(!procs::command_line(first.pid()).contains("hunter2"));
    let bytes = fs::read_to_string(env.of("s", "session.json")).expect("the record is there");
    assert!(!bytes.contains("hunter2") && bytes.contains(text(&file)), "{bytes}");
    env.file("variables", "TOKEN=hunter3\n");
    let again = env.rekindle(["restart", "s"]).expect_running("started");
    let values = ["TOKEN", "A", "B"].map(|name| variable(&again, name));
    assert_eq!(values, ["hunter3", "line", "more"].map(|value| Some(value.to_owned())));
    // A readiness command has the variables, too.
    let ready =
        ["--env-file", text(&file), "--ready", "exec=test \"$TOKEN\" = hunter3", "--intent", "restart"];
    sleeper(&env, &ready).expect_running("started");
}

fn a_faulty_environment_file_is_named_without_its_content() {
    let env = TestEnv::new();
    let file = env.file("variables", "A=1\n");
    let pid = sleeper(&env, &["--env-file", text(&file)]).expect_running("started").pid();
    env.file("variables", "A=1\n\nhunter2\n");
    let refused = env.rekindle(["restart", "s"]).expect(4, "spawn-start-failed");
    let named = format!("`{}` at line 3", file.display());
    assert!(
        refused.text("message").contains(&named) && !refused.to_string().contains("hunter2"),
        "{refused}"
    );
    assert_eq!(env.processes(), [pid], "nothing is ended for a faulty file");
    env.stop("s").expect(0, "stopped");
    fs::remove_file(&file).expect("it is there");
    let refused = env.rekindle(["up", "s"]).expect(4, "spawn-start-failed");
    assert!(refused.text("message").contains(text(&file)), "{refused}");
    assert!(!env.of("s", "claim").exists(), "the claim is released");
    env.file("variables", "A=2\n");
    let again = env.rekindle(["up", "s"]).expect_running("started");
    assert_eq!(variable(&again, "A").as_deref(), Some("2"));
}

fn only_the_named_variables_are_passed_on() {
    let env = TestEnv::new();
    let mut command = env.rekindle_command(["up", "s", "--address", "none"]);
    command.args(["--env-only", &format!("KEPT,{CANARY},ABSENT"), "--env", "SET=1", "--", "sleep", "1000"]);
    command.env("KEPT", "yes").env("LOST", "yes");
    let reply = rekindle_smoke::Launcher::start(command).finish().expect_running("started");
    let values = ["KEPT", "SET", "LOST", "ABSENT"].map(|name| variable(&reply, name));
    assert_eq!(values, [Some("yes".to_owned()), Some("1".to_owned()), None, None]);
    let base = &env.record("s")["plan"]["env"]["base"];
    assert_eq!(*base, json!({ "only": ["KEPT", CANARY, "ABSENT"] }));
    let args = ["up", "s", "--env-only", "A", "--clear-env", "--", "true"];
    assert_eq!(env.rekindle(args).code, Some(2));
}

/// The recorded signal, where a stop, a restart and a time-out begin; an option of `stop` wins.
fn the_stop_signal_begins_every_end() {
    let env = TestEnv::new();
    let noted = env.path("noted");
    let heard = || {
        let name = fs::read_to_string(&noted).expect("the signal was noted");
        fs::remove_file(&noted).expect("it is there");
        name
    };
    let program = [NOTING, programs::ECHO_SERVER].concat();
    let python = programs::python();
    let words = [python.as_str(), "-c", &program, "{socket}", text(&noted)];
    env.up_with("s", &["--stop-signal", "SIGINT"], &words).expect_running("started");
    assert_eq!(env.record("s")["plan"]["kill_policy"]["signal"], "INT");
    env.rekindle(["restart", "s"]).expect_running("started");
    assert_eq!(heard(), "SIGINT");
    env.stop("s").expect(0, "stopped");
    assert_eq!(heard(), "SIGINT");
    env.rekindle(["up", "s"]).expect_running("started");
    env.rekindle(["stop", "s", "--stop-signal", "10"]).expect(0, "stopped");
    assert_eq!(heard(), "SIGUSR1");
    let silent = format!("{NOTING}\nwhile True:\n    signal.pause()\n");
    let words = [python.as_str(), "-c", &silent, "{socket}", text(&noted)];
    let late = env.up_with("late", &["--stop-signal", "hup", "--timeout", "700ms"], &words);
    late.expect(5, "child-exited");
    assert_eq!(heard(), "SIGHUP");
    for wrong in ["STOP", "0", "hope"] {
        assert_eq!(env.rekindle(["up", "s", "--stop-signal", wrong, "--", "true"]).code, Some(2), "{wrong}");
    }
}

fn a_worker_that_may_not_be_killed_goes_on() {
    let env = TestEnv::new();
    let pid = worker(&env, &["--no-kill", "--term-grace", "100ms"], &["--ignore-term"])
        .expect_running("started")
        .pid();
    assert_eq!(env.record("s")["plan"]["kill_policy"], json!({ "kind": "term-only", "grace_ms": 100 }));
    let gave_up = env.stop("s").expect(1, "gave-up");
    assert_eq!(gave_up.json["survivors"], json!([pid]), "{gave_up}");
    env.rekindle(["restart", "s"]).expect_error(1, "worker-not-ended");
    assert_eq!(env.processes(), [pid]);
    assert_eq!(env.rekindle(["stop", "s", "--no-kill", "--kill-grace", "1s"]).code, Some(2));
    env.rekindle(["stop", "s", "--kill-grace", "5s"]).expect(0, "killed");
    let python = programs::python();
    let deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1000)";
    let options = ["--no-kill", "--term-grace", "100ms", "--timeout", "700ms"];
    let retained = env.up_with("late", &options, &[python.as_str(), "-c", deaf]).expect(6, "lock-retained");
    assert_eq!(env.processes(), [retained.pid()]);
    env.rekindle(["stop", "late", "--kill-grace", "5s"]).expect(0, "killed");
}

/// A socket that no record names, and then the worker of the session at the same place.
fn only_a_recorded_worker_is_attached_to_if_asked() {
    let env = TestEnv::new();
    let socket = env.path("sock");
    let stranger = UnixListener::bind(&socket).expect("a socket can be made");
    let up = |options: &[&str]| {
        let args = [&["up", "s", "--socket", text(&socket)], options].concat();
        env.rekindle(args)
    };
    for intent in ["ensure", "attach", "resume", "restart"] {
        let reply = up(&["--managed-only", "--intent", intent, "--", "true"]);
        assert_eq!(reply.expect_rejected("record-less-socket").json["liveness"], "live", "{intent}");
        assert!(!env.of("s", "claim").exists(), "{intent}: no claim is kept");
    }
    assert_eq!(up(&["--", "true"]).expect_running("attached").json["managed"], false);
    drop(stranger);
    fs::remove_file(&socket).expect("it is there");
    let python = programs::python();
    let words = ["--managed-only", "--", &python, "-c", programs::ECHO_SERVER, "{socket}"];
    let pid = up(&words).expect_running("started").pid();
    assert_eq!(up(&words).expect_running("attached").pid(), pid);
    assert_eq!(up(&["--managed-only", "--intent", "attach"]).expect_running("attached").pid(), pid);
    // Files that were lost make no stranger of a worker.
    fs::remove_file(env.of("s", "session.json")).expect("it is there");
    assert_eq!(up(&words).expect_running("attached").pid(), pid);
    procs::send(pid, Signal::SIGKILL);
}

fn a_running_worker_tells_in_what_it_differs() {
    let env = TestEnv::new();
    let differs = |options: &[&str], more: &[&str]| {
        let reply = worker(&env, options, more).expect_running("attached");
        assert_eq!(
            reply.json["program_differs"],
            reply.json["differs"].to_string().contains("args"),
            "{reply}"
        );
        reply.json["differs"].clone()
    };
    let file = env.file("variables", "A=1\n");
    let pid = worker(&env, &["--env", "A=1", "--cwd", "/"], &[]).expect_running("started").pid();
    assert_eq!(differs(&["--env", "A=1", "--cwd", "/"], &[]), json!([]));
    assert_eq!(differs(&[], &[]), json!([]), "what was not named does not differ");
    assert_eq!(differs(&["--env", "A=2"], &["--ignore-term"]), json!(["args", "env"]));
    assert_eq!(differs(&["--cwd", "/tmp", "--clear-env"], &[]), json!(["env-base", "cwd"]));
    let options = ["--env-file", text(&file), "--stop-signal", "INT", "--ready", "notify"];
    assert_eq!(differs(&options, &[]), json!(["env-file", "ready", "kill-policy"]));
    for args in [&["up", "s"][..], &["up", "s", "--intent", "attach"]] {
        assert_eq!(env.rekindle(args).expect_running("attached").json["differs"], json!([]));
    }
    let other = env.rekindle(["up", "s", "--env", "A=2"]).expect_running("attached");
    assert_eq!((&other.json["differs"], other.pid()), (&json!(["env"]), pid));
    assert!(other.stderr.contains("with another env"), "{other}");
}
