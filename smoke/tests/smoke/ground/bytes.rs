//! Non-UTF-8 bytes in paths, arguments and variables; control characters in foreign text; and a missing working
//! directory.

use rekindle_smoke::schema::Form;
use rekindle_smoke::{Launcher, Reply, TestEnv, cli, procs, programs, tests, wait};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

tests![
    any_bytes_are_passed_on_and_shown_escaped,
    a_home_of_any_bytes_holds_the_state,
    a_caller_may_stand_in_a_directory_of_any_bytes,
    a_record_of_any_bytes_is_written_anew,
    other_verbs_take_any_bytes,
    the_text_of_others_is_obeyed_by_no_terminal,
    a_working_directory_that_is_gone_is_asked_for_by_starts_only,
    a_worker_whose_directory_is_gone_is_named,
];

/// A word in Latin-1, invalid as UTF-8.
const LATIN_1: &[u8] = b"caf\xe9";

fn latin_1() -> OsString {
    OsString::from_vec(LATIN_1.to_vec())
}

fn joined(parts: &[&[u8]]) -> OsString {
    OsString::from_vec(parts.concat())
}

/// A directory of the test environment with a non-UTF-8 name.
fn strange_dir(env: &TestEnv) -> PathBuf {
    let dir = env.dir().join(latin_1());
    fs::create_dir(&dir).expect("a test environment's directory is writable");
    dir
}

/// An echo server with a non-UTF-8 argument.
fn worker() -> Vec<OsString> {
    let words = [programs::python().as_str(), "-c", programs::ECHO_SERVER, "{socket}"].map(OsString::from);
    words.into_iter().chain([latin_1()]).collect()
}

/// `rekindle`, with or without `--json`, on a state directory with a non-UTF-8 path.
fn rekindle(env: &TestEnv, json: bool, args: &[&OsStr]) -> Reply {
    let mut command = env.command(cli::binary());
    command.args(json.then_some("--json")).arg("--dir").arg(env.dir().join(latin_1()).join("state"));
    finish(command.args(args))
}

/// All output is UTF-8 without control characters, and no panic.
fn finish(command: &mut Command) -> Reply {
    let output = command.output().expect("the command can be started");
    for told in [&output.stdout, &output.stderr] {
        let text = str::from_utf8(told).expect("what is told is UTF-8");
        assert!(!text.contains(is_obeyed), "{text:?}");
    }
    let reply = Reply::of(Form::of(command), &output);
    assert!(!reply.stdout.contains("internal error") && !reply.stderr.contains("internal error"), "{reply}");
    assert!(!reply.stderr.contains("panicked"), "{reply}");
    reply
}

fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// A path in JSON spelling.
fn spelled(path: &OsStr) -> Value {
    let digits: String = path.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "bytes": digits })
}

fn words<'a>(args: &[&'a str]) -> Vec<&'a OsStr> {
    args.iter().map(|arg| OsStr::new(*arg)).collect()
}

/// U8.
fn any_bytes_are_passed_on_and_shown_escaped() {
    let env = TestEnv::new();
    let dir = strange_dir(&env);
    let (socket, variable) = (dir.join("sock"), joined(&[b"MINE=", LATIN_1]));
    let worker = worker();
    let mut up = words(&["up", "s", "--socket"]);
    up.extend([socket.as_os_str(), "--cwd".as_ref(), dir.as_os_str(), "--env".as_ref(), &variable]);
    up.extend(words(&["--prompt"]));
    up.push(OsStr::from_bytes(LATIN_1));
    up.push("--".as_ref());
    up.extend(worker.iter().map(OsString::as_os_str));
    let planned = rekindle(&env, true, &[&up[..1], &words(&["--dry-run"]), &up[1..]].concat());
    assert_eq!(planned.json["plan"]["cwd"], spelled(dir.as_os_str()), "{planned}");
    assert_eq!(planned.json["plan"]["env"]["set"]["MINE"], spelled(&latin_1()), "{planned}");
    let reply = rekindle(&env, true, &up).expect_running("started");
    assert_eq!(reply.json["socket"], spelled(socket.as_os_str()), "{reply}");
    let pid = reply.pid();
    programs::expect_echo(&socket);

    let line = fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
    assert!(line.ends_with(&[b"\0", LATIN_1, b"\0"].concat()), "the argument: {line:?}");
    assert!(line.windows(socket.as_os_str().len()).any(|it| it == socket.as_os_str().as_bytes()), "{line:?}");
    let environment = fs::read(format!("/proc/{pid}/environ")).expect("it runs");
    assert!(environment.split(|byte| *byte == 0).any(|it| it == variable.as_bytes()), "the variable");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs"), dir);

    let again = rekindle(&env, true, &up).expect_running("attached");
    assert_eq!((again.pid(), &again.json["program_differs"]), (pid, &json!(false)), "{again}");
    let record = rekindle(&env, true, &words(&["show", "s"]));
    assert_eq!(record.json["arguments"][3], spelled(&latin_1()), "{record}");
    assert_eq!(record.json["socket"], spelled(socket.as_os_str()), "{record}");
    let listed = rekindle(&env, true, &words(&["ls"]));
    assert_eq!(
        (&listed.json["sessions"][0]["state"], &listed.json["sessions"][0]["socket"]),
        (&json!("live"), &reply.json["socket"])
    );
    for verb in [&["ls"][..], &["show", "s"], &["doctor"], &["up", "s", "--intent", "attach"], &["gc"]] {
        let told = rekindle(&env, false, &words(verb));
        assert_eq!(told.code, Some(0), "{verb:?}: {told}");
    }
    assert!(rekindle(&env, false, &words(&["ls"])).stdout.contains("caf\\xe9/sock"), "shown escaped");
    rekindle(&env, false, &[&up[..2], &words(&["--dry-run"]), &up[2..]].concat());
    assert_eq!(rekindle(&env, true, &words(&["stop", "s"])).expect(0, "stopped").pid(), pid);
    assert!(!socket.exists(), "its socket is removed under its very name");
    env.assert_no_process();
}

/// U8: HOME leads to the state if no other variable does.
fn a_home_of_any_bytes_holds_the_state() {
    let env = TestEnv::new();
    let home = strange_dir(&env);
    let in_home =
        |args: &[&str]| finish(env.command(cli::binary()).env("HOME", &home).arg("--json").args(args));
    in_home(&["up", "s", "--", "no-such-program"]).expect(4, "spawn-start-failed");
    in_home(&["up", "s", "--", &cli::binary_arg(), "worker"]).expect_running("started");
    assert!(home.join(".local/state/rekindle/s/session.json").exists());
    in_home(&["stop", "s"]).expect(0, "stopped");
    let told = finish(env.command(cli::binary()).env("HOME", &home).args(["--dir", "/proc/1/x", "ls"]));
    assert!(told.code.is_some(), "{told}");
}

/// U8: without `--dir`, a relative path is resolved in a directory of any bytes.
fn a_caller_may_stand_in_a_directory_of_any_bytes() {
    let env = TestEnv::new();
    let dir = strange_dir(&env);
    let here = |variable: &str, args: &[&str]| {
        let mut command = env.command(cli::binary());
        finish(command.current_dir(&dir).env(variable, dir.join("state")).arg("--json").args(args))
    };
    let up = ["up", "s", "--socket", "sock", "--", &cli::binary_arg(), "worker"];
    for variable in ["REKINDLE_DIR", "XDG_STATE_HOME"] {
        let reply = here(variable, &up).expect_running("started");
        assert_eq!(reply.json["socket"], spelled(dir.join("sock").as_os_str()), "{reply}");
        assert_eq!(fs::read_link(format!("/proc/{}/cwd", reply.pid())).expect("it runs"), dir);
        assert_eq!(here(variable, &["stop", "s"]).expect(0, "stopped").pid(), reply.pid());
    }
    let lock = here("REKINDLE_DIR", &["lifecycle", "acquire", "--path", "lock"]).expect(0, "acquired");
    assert_eq!(lock.json["path"], spelled(dir.join("lock").as_os_str()), "{lock}");
    here("REKINDLE_DIR", &["lifecycle", "release", "--path", "lock"]).expect(0, "released");
    let ran = here("REKINDLE_DIR", &["supervise", "--", "sh", "-c", "pwd -P > where; exit 7"]);
    assert_eq!(ran.code, Some(7), "{ran}");
    let told = fs::read(dir.join("where")).expect("the program wrote it");
    assert_eq!(told, [dir.as_os_str().as_bytes(), b"\n"].concat());
    env.assert_no_process();
}

/// U8, U29: the lifeline's mark uses the byte spelling too.
fn a_record_of_any_bytes_is_written_anew() {
    let env = TestEnv::new();
    let dir = strange_dir(&env);
    let worker = worker();
    let mut up = words(&["up", "s", "--cwd"]);
    up.extend([dir.as_os_str(), "--".as_ref()]);
    up.extend(worker.iter().map(OsString::as_os_str));
    let pid = rekindle(&env, true, &up).expect_running("started").pid();
    let record = dir.join("state/s/session.json");
    let read =
        || -> Value { serde_json::from_slice(&fs::read(&record).expect("there is one")).expect("JSON") };
    let before = read();
    fs::remove_file(&record).expect("the record can be removed");
    rekindle(&env, true, &words(&["gc"]));
    let after = read();
    let (plan, command) = (&before["plan"], &before["plan"]["launch_args"]);
    assert_eq!((&after["program"], &after["arguments"][0]), (&command[0], &command[1]));
    assert_eq!((&after["cwd"], &after["socket"]), (&plan["cwd"], &before["socket"]));
    assert_eq!(after["schema_version"], 1, "the whole plan is not known any more");
    assert_eq!(rekindle(&env, true, &words(&["stop", "s"])).expect(0, "stopped").pid(), pid);
}

/// U8.
fn other_verbs_take_any_bytes() {
    let env = TestEnv::new();
    let dir = strange_dir(&env);
    let mut supervise = env.command(cli::binary());
    supervise.args(["supervise", "--", "printf", "%s"]).arg(latin_1());
    let output = supervise.stdin(Stdio::null()).output().expect("the command can be started");
    assert_eq!(output.stdout, LATIN_1);

    let pool = [&cli::binary_arg(), "worker", "--protocol", "pool"];
    let run = words(&[&["pool", "run", "--speak", "1", "--code", "x", "--"], &pool[..]].concat());
    let paused = rekindle(&env, true, &run);
    assert_eq!((paused.code, paused.text("prompt")), (Some(0), "x"), "{paused}");
    rekindle(&env, false, &words(&["pool", "ls"]));
    let listed = rekindle(&env, true, &words(&["pool", "ls"]));
    let sid = listed.json["sessions"][0]["session"].as_str().expect("it is listed");
    assert_eq!(rekindle(&env, true, &words(&["pool", "shutdown", sid])).code, Some(0));

    let marker = dir.join("daemon.lock");
    let lifecycle = |verb: &str, rest: &[&OsStr]| {
        let mut command = env.command(cli::binary());
        command.args(["--json", "lifecycle", verb, "--path"]).arg(&marker).args(rest);
        finish(&mut command)
    };
    let program = words(&["--", "sh", "-c", "test \"$(printf %s \"$0\" | wc -c)\" = 4"]);
    let ran = lifecycle("acquire", &[&program[..], &[OsStr::from_bytes(LATIN_1)]].concat());
    assert_eq!(ran.code, Some(0), "{ran}");
    let held = lifecycle("acquire", &[]).expect(0, "acquired");
    assert_eq!(held.json["path"], spelled(marker.as_os_str()), "{held}");
    lifecycle("status", &[]);
    lifecycle("force-unlock", &[]).expect(0, "unlocked");

    let probe = |json: Option<&str>| finish(env.command(cli::binary()).args(json).arg("probe").arg(&dir));
    assert_eq!(probe(Some("--json")).json["path"], spelled(dir.as_os_str()));
    probe(None);
    let strange_name = joined(&[LATIN_1, b"=1"]);
    let mut refused = env.command(cli::binary());
    let refused = finish(refused.args(["--json", "up", "s", "--env"]).arg(strange_name).args(["--", "true"]));
    refused.expect_error(2, "usage");
}

/// U27, U36: text from a record, a claim or a worker can neither steer a terminal nor forge a line of ours.
fn the_text_of_others_is_obeyed_by_no_terminal() {
    let hostile = "x\u{1b}[31m\u{9b}31m\u{202e}\nrekindle: all is well\r";
    let env = TestEnv::new();
    let launcher = env.launch_up("s", &[], &["sh", "-c", "exec sleep 1000", hostile]);
    let pid = env.worker_pid("s");
    wait::until("the worker is its program", || procs::runs(pid, "sleep"));
    launcher.signal(nix::sys::signal::Signal::SIGKILL);
    let _ = launcher.finish();
    env.edit("s", "claim", |claim| {
        claim["owner"] = hostile.into();
        claim["hostname"] = hostile.into();
        claim["pid"] = 1.into();
        claim["machine_id"] = Value::Null;
    });
    let look = |env: &TestEnv, lines: &[&str]| {
        for json in [None, Some("--json")] {
            for verb in lines {
                let mut command = env.command(cli::binary());
                command.args(json).args(["-vv", "--dir"]).arg(env.state()).args(verb.split(' '));
                let reply = finish(&mut command);
                for line in reply.stdout.lines().chain(reply.stderr.lines()) {
                    assert!(!line.starts_with("rekindle: all is well"), "{verb}: {reply}");
                }
            }
        }
    };
    let verbs =
        ["ls", "show s", "doctor", "unlock s", "up s --timeout 300ms -- true", "up s --intent attach"];
    look(&env, &verbs);
    env.rekindle(["stop", "s"]);
    env.edit("s", "session.json", |record| record["state"] = hostile.into());
    look(&env, &verbs);
}

/// A command in a directory removed before the command runs.
fn homeless(env: &TestEnv, args: &[&str]) -> Launcher {
    let dir = env.path("gone");
    fs::create_dir(&dir).expect("a test environment's directory is writable");
    let mut command = env.command("sh");
    command.args(["-c", "rmdir \"$PWD\" && exec \"$@\"", "sh"]).arg(cli::binary()).args(["--json", "--dir"]);
    command.arg(env.state()).args(args).current_dir(dir);
    Launcher::start(command)
}

/// U9.
fn a_working_directory_that_is_gone_is_asked_for_by_starts_only() {
    let env = TestEnv::new();
    let homeless = |args: &[&str]| homeless(&env, args).finish();
    let worker = [&cli::binary_arg(), "worker"];
    let up = [&["up", "s", "--"], &worker[..]].concat();
    let refused = homeless(&up).expect(4, "spawn-start-failed");
    let relative = homeless(&["up", "s", "--", "./worker"]).expect(4, "spawn-start-failed");
    for refused in [refused, relative] {
        assert!(refused.text("message").contains("was called was removed"), "{refused}");
        assert_eq!(refused.text("hint"), "name a directory that exists with --cwd", "{refused}");
    }
    let with_cwd = [&["up", "s", "--cwd", "/", "--"], &worker[..]].concat();
    let pid = homeless(&with_cwd).expect_running("started").pid();
    assert_eq!(homeless(&up).expect_running("attached").pid(), pid);
    assert_eq!(homeless(&["up", "s", "--intent", "attach"]).expect_running("attached").pid(), pid);
    for verb in [&["ls"][..], &["show", "s"], &["doctor", "s"], &["call", "s", "1"]] {
        let reply = homeless(verb);
        assert_eq!(reply.code, Some(0), "{verb:?}: {reply}");
    }
    homeless(&["stop", "s"]).expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// U9.
fn a_worker_whose_directory_is_gone_is_named() {
    let env = TestEnv::new();
    let dir = env.path("work");
    fs::create_dir(&dir).expect("a test environment's directory is writable");
    let cwd = dir.display().to_string();
    let worker = [&cli::binary_arg(), "worker"];
    let pid = env.up_with("s", &["--cwd", &cwd], &worker).expect_running("started").pid();
    let doctor = || env.rekindle(["doctor", "s"]).stdout;
    assert!(!doctor().contains("cwd:"), "nothing is wrong yet");
    fs::remove_dir(&dir).expect("it is empty");
    let told = doctor();
    assert!(told.contains(&format!("cwd: the working directory of process {pid} was removed")), "{told}");
    env.stop("s").expect(0, "stopped");
}
