//! How long `rekindle supervise` waits for a program's last answer, and the report of an ended program.

use nix::sys::signal::Signal;
use rekindle_smoke::children::STUBBORN;
use rekindle_smoke::proxy::{Proxy, ProxyEnd};
use rekindle_smoke::{Launcher, TestEnv, cli, procs, programs, tests, wait};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;
use std::thread;

tests![
    the_last_answer_is_not_cut_off,
    a_program_that_ends_by_itself_is_not_spoken_of,
    whoever_is_ended_by_us_is_spoken_of_once,
    an_event_tells_who_was_ended_by_us,
    a_client_that_takes_its_time_is_not_silence,
    a_program_that_reads_slowly_reads_all,
];

/// More than the pipes on the way hold.
const MORE_THAN_FITS: usize = 1 << 20;
/// Reads its input in small pieces, with a pause of a fraction of the grace before each; prints the total.
const SLOW_READER: &str = "
import os, time
total = 0
while True:
    time.sleep(0.2)
    piece = os.read(0, 65536)
    if not piece:
        break
    total += len(piece)
print(total)
";

/// U6: the answer comes within the waiting time of the official clients.
fn the_last_answer_is_not_cut_off() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &[], &["sh", "-c", "read x; sleep 1.8; echo answer"]);
    proxy.say("req\n");
    proxy.close_stdin();
    let end = proxy.finish();
    assert_eq!((end.code, end.text().as_str()), (Some(0), "answer\n"), "{end:?}");
    assert!(!end.story().contains(&"signalled".to_owned()), "{end:?}");
    env.assert_no_process();
}

/// `rekindle supervise` without `--json`, with `input` as stdin.
fn supervise(env: &TestEnv, options: &[&str], program: &[&str], input: &str) -> Launcher {
    let mut command = env.command(cli::binary());
    command.arg("supervise").args(options).arg("--").args(program);
    let path = env.file("input", input);
    command.stdin(Stdio::from(std::fs::File::open(path).expect("it was just written")));
    Launcher::start(command)
}

/// U6: stderr belongs to the program, and a line of ours there is the exception.
fn a_program_that_ends_by_itself_is_not_spoken_of() {
    for (script, code) in [("cat", 0), ("exit 3", 3), ("cat; kill -9 $$", 137), ("sleep 1000 & exit 4", 4)] {
        let env = TestEnv::new();
        let reply = supervise(&env, &[], &["sh", "-c", script], "hello\n").finish();
        assert_eq!((reply.code, reply.stderr.as_str()), (Some(code), ""), "{script}: {reply}");
    }
}

/// A program that does not end by itself, and the line of the report.
struct Case<'a> {
    options: &'a [&'a str],
    program: &'a [&'a str],
    after: &'a str,
    why: &'a str,
    signal: &'a str,
}

const CASE: Case<'_> = Case { options: &[], program: &[], after: "", why: "", signal: "SIGTERM" };

/// U6: for every reason, one line names the program's time, and the option for more time.
fn whoever_is_ended_by_us_is_spoken_of_once() {
    let stubborn = ["sh", "-c", "trap '' TERM; while :; do sleep 0.01; done"];
    let cases = [
        Case { program: &["sh", "-c", "cat; sleep 1000"], after: "2 s", why: "was silent for 2 s", ..CASE },
        // The program never reads its stdin.
        Case { program: &["sleep", "1000"], after: "10 s", why: "read nothing of what is left", ..CASE },
        Case {
            options: &["--stdin-grace", "300ms"],
            program: &["sleep", "1000"],
            after: "3",
            why: "did not end by itself within 300 ms",
            ..CASE
        },
        Case {
            // Long enough for a shell to set its trap, on a busy machine.
            options: &["--stdin-grace", "2s", "--term-grace", "200ms"],
            program: &stubborn,
            why: "SIGTERM (--term-grace)",
            signal: "SIGKILL",
            ..CASE
        },
    ];
    for Case { options, program, after, why, signal } in cases {
        let env = TestEnv::new();
        let reply = supervise(&env, options, program, "hello\n").finish();
        let [said] = reply.stderr.lines().collect::<Vec<_>>()[..] else { panic!("not one line: {reply}") };
        let begins = format!("rekindle: ended the program with {signal}, {after}");
        assert!(said.starts_with(&begins) && said.contains("after the end of its input"), "{said}");
        assert!(said.contains(why) && said.ends_with("to give it more time: --stdin-grace TIME"), "{said}");
        assert_eq!(reply.code, Some(if signal == "SIGKILL" { 137 } else { 143 }), "{said}");
        env.assert_no_process();
    }

    let env = TestEnv::new();
    let mut command = env.command(cli::binary());
    command.args([
        "supervise",
        "--",
        "sh",
        "-c",
        "trap 'exit 9' TERM; echo > ready; while :; do sleep 0.01; done",
    ]);
    command.stdin(Stdio::piped());
    let proxy = Launcher::start(command);
    wait::until_there(&env.path("ready"));
    proxy.signal(Signal::SIGTERM);
    let reply = proxy.finish();
    assert_eq!(reply.stderr.matches("after rekindle was told to go").count(), 1, "{reply}");
    assert_eq!((reply.code, reply.stderr.matches("--stdin-grace").count()), (Some(9), 1), "{reply}");
}

fn ended_by_us(end: &ProxyEnd) -> Value {
    let told: Vec<Value> = end.events().into_iter().filter(|it| it["event"] == "ended-by-us").collect();
    let [event] = &told[..] else { panic!("not once: {end:?}") };
    event.clone()
}

/// U6, for machines.
fn an_event_tells_who_was_ended_by_us() {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &["--term-grace", "100ms"], &STUBBORN);
    assert_eq!(proxy.hear(), "ready\n");
    proxy.signal(Signal::SIGINT);
    let event = ended_by_us(&proxy.finish());
    assert_eq!((&event["why"], &event["signal"]), (&json!("signal"), &json!("SIGKILL")), "{event}");
    assert_eq!(event["option"], "--stdin-grace", "{event}");
    assert!(event["after_ms"].is_u64() && event["message"].is_string(), "{event}");
}

/// U6, U7: output waiting for the client is not silence, however long it waits.
fn a_client_that_takes_its_time_is_not_silence() {
    let env = TestEnv::new();
    let script = format!("cat > /dev/null; head -c {MORE_THAN_FITS} /dev/zero; echo end");
    let mut proxy = Proxy::start(&env, &[], &["sh", "-c", &script]);
    proxy.close_stdin();
    let is_writer = |pid: &procs::Pid| procs::runs(*pid, "head");
    wait::until("it answers", || env.processes().iter().any(is_writer));
    // The client does something else meanwhile, for longer than a program may be silent.
    let elsewhere = env.command("sleep").arg("4").status();
    assert!(elsewhere.is_ok_and(|status| status.success()));
    let end = proxy.finish();
    assert_eq!((end.code, end.stdout.len()), (Some(0), MORE_THAN_FITS + 4), "{}", end.stderr);
}

/// U6: only progress of the program's reads counts, not the duration, also after the client has closed its end.
fn a_program_that_reads_slowly_reads_all() {
    let env = TestEnv::new();
    let python = programs::python();
    let mut proxy = Proxy::start(&env, &["--term-grace", "1s"], &[&python, "-c", SLOW_READER]);
    let mut stdin = proxy.take_stdin();
    let writer = thread::spawn(move || stdin.write_all(&vec![b'x'; MORE_THAN_FITS]));
    let end = proxy.finish();
    writer.join().expect("nobody panics").expect("all of it is taken");
    assert_eq!((end.code, end.text()), (Some(0), format!("{MORE_THAN_FITS}\n")), "{}", end.stderr);
}
