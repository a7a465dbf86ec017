//! `rekindle supervise`: a proxy that changes nothing, ends its program, and reports the end.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::write;
use rekindle_smoke::children::STUBBORN;
use rekindle_smoke::proxy::{self, Proxy};
use rekindle_smoke::{TestEnv, procs, programs, tests, wait};
use serde_json::json;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;

tests![
    what_is_sent_before_the_end_is_answered,
    a_conversation_and_its_end,
    an_exit_status_becomes_ours,
    nothing_but_the_programs_bytes_is_on_stdout,
    a_program_that_ignores_the_end_of_its_input_is_stopped,
    a_grace_for_stdin_is_waited_for,
    a_slow_start_still_gets_its_input,
    each_signal_stops_it,
    a_third_signal_kills,
    an_output_that_nobody_reads_stops_it,
    much_in_both_directions_arrives,
    a_client_that_does_not_read_holds_the_program_up,
    a_client_that_left_does_not_leave_a_deaf_program_behind,
    files_sockets_and_terminals_pass_through,
    what_a_program_leaves_behind_is_ended,
    a_daemon_does_not_hold_our_output_open,
    what_cannot_start_exits_as_a_shell_does,
    every_limit_on_descriptors_ends_in_an_outcome,
    usage_is_explained,
];

/// More than all pipes and buffers on the way hold.
const MUCH: usize = 32 << 20;
/// The capacity of a pipe.
const PIPE_LEN: usize = 64 << 10;
/// More than the pipes and buffers hold, but small enough to be sent at once.
const MORE_THAN_FITS: usize = 1 << 20;

/// `printf hello | rekindle supervise -- cat`, many times: no answer is lost to an early SIGTERM.
fn what_is_sent_before_the_end_is_answered() {
    for _ in 0..30 {
        let env = TestEnv::new();
        let mut proxy = Proxy::start(&env, &[], &["cat"]);
        proxy.say("hello\n");
        proxy.close_stdin();
        let end = proxy.finish();
        assert_eq!((end.code, end.text().as_str()), (Some(0), "hello\n"), "{end:?}");
        assert_eq!(end.story(), ["started", "exited", "stopping", "stopped"], "{end:?}");
        env.assert_no_process();
    }
}

fn a_conversation_and_its_end() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &[], &["cat"]);
    for line in ["one\n", "two\n", "no newline is waited for"] {
        proxy.say(line);
        if line.ends_with('\n') {
            assert_eq!(proxy.hear(), line);
        }
    }
    proxy.close_stdin();
    let end = proxy.finish();
    assert_eq!((end.code, end.text().as_str()), (Some(0), "no newline is waited for"), "{end:?}");
    let events = end.events();
    assert_eq!(events[1], json!({"schema_version": 1, "event": "exited", "exit_code": 0, "signal": null}));
    assert_eq!(events[3]["end"], "had-ended");
    env.assert_no_process();
}

fn an_exit_status_becomes_ours() {
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143)]
    {
        let env = TestEnv::new();
        let end = Proxy::start(&env, &[], &["sh", "-c", script]).finish();
        assert_eq!((end.code, end.text().as_str()), (Some(code), ""), "{script}: {end:?}");
    }
}

fn nothing_but_the_programs_bytes_is_on_stdout() {
    let env = TestEnv::new();
    let every_byte: Vec<u8> = (0..=255).collect();
    env.file("bytes", &every_byte);
    let end = Proxy::start(&env, &[], &["sh", "-c", "cat bytes; echo complaint >&2; exit 3"]).finish();
    assert_eq!((end.code, &end.stdout), (Some(3), &every_byte));
    assert_eq!(end.stderr.lines().filter(|line| *line == "complaint").count(), 1, "{end:?}");
}

/// 3.5 of the design, without a grace: SIGTERM follows once the program has read its input and is silent.
fn a_program_that_ignores_the_end_of_its_input_is_stopped() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &[], &["sh", "-c", "echo ready; sleep 1000; true"]);
    assert_eq!(proxy.hear(), "ready\n");
    proxy.close_stdin();
    let end = proxy.finish();
    assert_eq!(end.code, Some(143), "{end:?}");
    assert_eq!(
        end.story(),
        ["started", "stopping", "signalled", "exited", "ended-by-us", "stopped"],
        "{end:?}"
    );
    assert_eq!(
        (&end.events()[1]["why"], &end.events()[5]["end"]),
        (&json!("end-of-input"), &json!("terminated"))
    );
    env.assert_no_process();

    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &["--term-grace", "100ms"], &STUBBORN);
    assert_eq!(proxy.hear(), "ready\n");
    proxy.close_stdin();
    let end = proxy.finish();
    assert_eq!((end.code, &end.events()[3]["signal"]), (Some(137), &json!("SIGKILL")), "{end:?}");
    env.assert_no_process();
}

/// The program answers only after an event of any duration.
fn a_grace_for_stdin_is_waited_for() {
    let env = TestEnv::new();
    let script = "cat > /dev/null; while [ ! -e go ]; do sleep 0.01; done; echo late; exit 4";
    let mut proxy = Proxy::start(&env, &["--stdin-grace", "60s"], &["sh", "-c", script]);
    proxy.close_stdin();
    wait::until("its input has ended", || env.processes().iter().all(|pid| !procs::runs(*pid, "cat")));
    env.file("go", "");
    let end = proxy.finish();
    assert_eq!((end.code, end.text().as_str()), (Some(4), "late\n"), "{end:?}");
    assert!(!end.story().contains(&"signalled".into()), "{end:?}");
}

/// Unread input is waited for, even if the program is silent for longer than an answer may take.
fn a_slow_start_still_gets_its_input() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &[], &["sh", "-c", "sleep 3; exec cat"]);
    proxy.say("patience\n");
    proxy.close_stdin();
    let end = proxy.finish();
    assert_eq!((end.code, end.text().as_str()), (Some(0), "patience\n"), "{end:?}");
}

fn each_signal_stops_it() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let env = TestEnv::new();
        let script = "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.01; done";
        let mut proxy = Proxy::start(&env, &[], &["sh", "-c", script]);
        assert_eq!(proxy.hear(), "ready\n");
        proxy.signal(signal);
        let end = proxy.finish();
        assert_eq!((end.code, end.text().as_str()), (Some(9), "bye\n"), "{signal}: {end:?}");
        assert_eq!(end.events()[1]["why"], "signal", "{end:?}");
        env.assert_no_process();
    }
}

fn a_third_signal_kills() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &["--term-grace", "60m"], &STUBBORN);
    assert_eq!(proxy.hear(), "ready\n");
    let pid = proxy.pid();
    let pending = || procs::status(pid, "ShdPnd").is_some_and(|set| set.trim_start_matches('0').is_empty());
    for _ in 0..3 {
        // One signal at a time: two pending signals of the same kind are merged.
        proxy.signal(Signal::SIGINT);
        wait::until("it was taken", pending);
        // After the third signal the process may have ended already.
        wait::until("it was heard", || matches!(procs::state(pid), Some('S' | 'Z')));
    }
    let end = proxy.finish();
    assert_eq!(end.code, Some(137), "{end:?}");
    env.assert_no_process();
}

/// EPIPE.
fn an_output_that_nobody_reads_stops_it() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &[], &["sh", "-c", "echo ready; cat; sleep 1000; true"]);
    assert_eq!(proxy.hear(), "ready\n");
    proxy.close_stdout();
    proxy.say("anybody?\n");
    let end = proxy.finish();
    assert_eq!(
        end.events()[1],
        json!({"schema_version": 1, "event": "stopping", "why": "output-closed"}),
        "{end:?}"
    );
    assert_eq!(end.code, Some(143), "{end:?}");
    env.assert_no_process();
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 % 251) as u8).collect()
}

fn much_in_both_directions_arrives() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &["--stdin-grace", "60s"], &["cat"]);
    let mut stdin = proxy.take_stdin();
    let writer = thread::spawn(move || stdin.write_all(&pattern(MUCH)).expect("all of it is taken"));
    let end = proxy.finish();
    writer.join().expect("nobody panics");
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert!(end.stdout == pattern(MUCH), "{} bytes came back", end.stdout.len());
}

/// Backpressure: unread output is not buffered here but blocks the writer; later all of it is read.
fn a_client_that_does_not_read_holds_the_program_up() {
    let env = TestEnv::new();
    let script = format!("head -c {MUCH} /dev/zero; echo > done");
    let proxy = Proxy::start(&env, &["--stdin-grace", "60s"], &["sh", "-c", &script]);
    let is_writer = |pid: &i32| procs::runs(*pid, "head");
    let writer = wait::for_some("it writes", || env.processes().into_iter().find(is_writer));
    wait::until("it waits", || {
        fs::read_to_string(format!("/proc/{writer}/wchan")).is_ok_and(|at| at.contains("pipe"))
    });
    assert!(!env.path("done").exists());
    let resident = procs::status(proxy.pid(), "VmRSS").expect("it runs");
    let resident: usize = resident.trim_end_matches(" kB").parse().expect("a number of kB");
    assert!(resident < MUCH >> 10, "{resident} KiB are kept");
    let end = proxy.finish();
    assert_eq!((end.code, end.stdout.len()), (Some(0), MUCH), "{}", end.stderr);
}

/// P12: the program does not read, so the end of its input cannot be delivered; but the client is gone.
fn a_client_that_left_does_not_leave_a_deaf_program_behind() {
    let env = TestEnv::new();
    let options = ["--term-grace", "100ms"];
    let mut proxy = Proxy::start(&env, &options, &["sleep", "1000"]);
    let stdin = proxy.take_stdin();
    let nonblocking = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
    fcntl(&stdin, nonblocking).expect("it is a pipe");
    let (much, mut taken) = (vec![b'x'; MORE_THAN_FITS], 0);
    wait::until("both pipes are full, and there is something in between", || {
        taken += write(&stdin, &much).unwrap_or(0);
        taken > 2 * PIPE_LEN
    });
    drop(stdin);
    let end = proxy.finish();
    assert_eq!((end.code, &end.events()[1]["why"]), (Some(143), &json!("client-left")), "{end:?}");
    // U6.
    assert_eq!(end.stderr.matches("after the client closed its input").count(), 1, "{end:?}");
    env.assert_no_process();
}

fn files_sockets_and_terminals_pass_through() {
    // A file.
    let env = TestEnv::new();
    let path = env.file("input", pattern(MORE_THAN_FITS));
    let mut command = proxy::command(&env, &["--stdin-grace", "60s"], &["cat"]);
    command.stdin(File::open(path).expect("it was just written"));
    let end = Proxy::start_command(command).finish();
    assert!(end.code == Some(0) && end.stdout == pattern(MORE_THAN_FITS), "{} bytes", end.stdout.len());

    // A socket in both directions, as node gives its children.
    let (ours, theirs) = UnixStream::pair().expect("there can be a socket");
    let mut command = proxy::command(&env, &["--stdin-grace", "60s"], &["cat"]);
    let copy = OwnedFd::from(theirs.try_clone().expect("it can be copied"));
    command.stdin(Stdio::from(copy)).stdout(Stdio::from(OwnedFd::from(theirs))).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    drop(command);
    let mut writer = ours.try_clone().expect("it can be copied");
    let writing = thread::spawn(move || {
        writer.write_all(&pattern(MORE_THAN_FITS)).expect("all of it is taken");
        writer.shutdown(std::net::Shutdown::Write).expect("it is connected");
    });
    let mut read = Vec::new();
    (&ours).read_to_end(&mut read).expect("it can be read");
    writing.join().expect("nobody panics");
    assert_eq!(child.wait().expect("it can be waited for").code(), Some(0));
    assert!(read == pattern(MORE_THAN_FITS), "{} bytes", read.len());

    // A terminal.
    let script = programs::find("script", "util-linux");
    let binary = rekindle_smoke::cli::binary_arg();
    let run = format!("{binary} supervise -- sh -c 'read line; echo got $line; exit 6'");
    let mut terminal = env.command(script);
    terminal
        .args(["--quiet", "--return", "--command", &run, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut terminal = terminal.spawn().expect("it starts");
    let mut stdin = terminal.stdin.take().expect("it is a pipe");
    stdin.write_all(b"it\n").expect("it takes a line");
    let output = terminal.wait_with_output().expect("it can be waited for");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("got it") && output.status.code() == Some(6), "{:?}: {said}", output.status);
    env.assert_no_process();
}

/// T17.
fn what_a_program_leaves_behind_is_ended() {
    let env = TestEnv::new();
    let end = Proxy::start(&env, &[], &["sh", "-c", "sleep 1000 & echo out; exit 2"]).finish();
    assert_eq!((end.code, end.text().as_str()), (Some(2), "out\n"), "{end:?}");
    env.assert_no_process();
}

/// T17, P5: a daemon left alone does not hold our stdout and stderr.
fn a_daemon_does_not_hold_our_output_open() {
    let env = TestEnv::new();
    let program = ["sh", "-c", "setsid sleep 1000 & echo out; exit 0"];
    let end = Proxy::start(&env, &["--leave-detached"], &program).finish();
    assert_eq!((end.code, end.text().as_str()), (Some(0), "out\n"), "{end:?}");
}

/// P1, T18.
fn what_cannot_start_exits_as_a_shell_does() {
    let env = TestEnv::new();
    let script = env.file("script", "#!/no/such/interpreter\n");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("the file is ours");
    let script = script.display().to_string();
    let programs = [
        ("no-such-program", 127),
        ("/no/such/program", 127),
        ("", 127),
        ("/tmp", 126),
        ("/etc/passwd", 126),
        (script.as_str(), 126),
    ];
    for (program, code) in programs {
        let end = Proxy::start(&env, &[], &[program]).finish();
        assert_eq!((end.code, end.text().as_str()), (Some(code), ""), "{end:?}");
        let events = end.events();
        assert_eq!((events.len(), &events[0]["outcome"]), (1, &json!("spawn-start-failed")), "{end:?}");
        let message = events[0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(program) && !message.is_empty(), "{end:?}");
        let advice = ["next", "hint"].map(|told| events[0][told].as_str().unwrap_or_default());
        assert_ne!(advice, ["", ""], "{end:?}");
    }
    let output =
        env.command(rekindle_smoke::cli::binary()).args(["supervise", "--", "no-such-program"]).output();
    let said = String::from_utf8_lossy(&output.expect("it runs").stderr).into_owned();
    assert!(
        said.contains("program `no-such-program` was not found")
            && said.contains("hint: install the program"),
        "{said}"
    );
    env.assert_no_process();
}

/// T31, P16.
fn every_limit_on_descriptors_ends_in_an_outcome() {
    let env = TestEnv::new();
    let binary = rekindle_smoke::cli::binary_arg();
    let mut codes = Vec::new();
    for limit in 3..48 {
        let script = format!("ulimit -n {limit}; exec {binary} supervise -- sh -c 'echo out'");
        let output = env.command("sh").args(["-c", &script]).output().expect("a shell can be started");
        codes.push(output.status.code());
        let is_outcome = match output.status.code() {
            Some(0) => output.stdout == b"out\n",
            // The runtime needs some descriptors; and a file of the program may fail to open.
            Some(125 | 127) => output.stdout.is_empty() && !output.stderr.is_empty(),
            _ => false,
        };
        assert!(is_outcome, "{limit} descriptors: {output:?}");
    }
    assert!(codes.contains(&Some(125)) && codes.ends_with(&[Some(0)]), "{codes:?}");
    env.assert_no_process();
}

fn usage_is_explained() {
    let env = TestEnv::new();
    let run = |args: &[&str]| {
        let output = env.command(rekindle_smoke::cli::binary()).arg("supervise").args(args).output();
        let output = output.expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = run(&["--help"]);
    assert!(code == Some(0) && said.contains("--stdin-grace 30s"), "{said}");
    for wrong in [&[][..], &["--"], &["--stdin-grace", "soon", "--", "cat"]] {
        assert_eq!(run(wrong).0, Some(2), "{wrong:?}");
    }
}
