//! Ports and sessions without an address, as the command shows them; and options that do not fit together.

use rekindle_smoke::{Launcher, Reply, TestEnv, programs, tests};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process;

tests![
    options_that_do_not_fit_create_nothing,
    every_verb_knows_a_port,
    a_session_without_an_address_is_not_attached_to,
    a_program_on_a_port_is_told_the_option,
    a_program_on_another_port_is_told_the_option,
    a_stopped_server_is_started_again_as_advised,
    a_port_is_probed_apart_from_any_session,
];

/// A server that echoes lines on a port.
fn echo(port: &str) -> [String; 3] {
    let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr");
    [programs::find("socat", "socat"), listen, "EXEC:cat".to_owned()]
}

fn up(env: &TestEnv, options: &[&str], program: &[String]) -> Reply {
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    env.up_with("s", options, &program)
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    bound.local_addr().expect("a bound socket has an address").port()
}

/// Types a command, as a person would.
fn typed(env: &TestEnv, command: &str) -> Reply {
    let mut shell = env.command("sh");
    shell.args(["-c", command]);
    Launcher::start(shell).finish()
}

/// U40.
fn options_that_do_not_fit_create_nothing() {
    let env = TestEnv::new();
    let wrong: [(&[&str], &str, &str); 9] = [
        (&["--address", "tcp:1", "--ready", "handshake", "--speak", "1"], "p", "needs a Unix socket"),
        (&["--address", "none", "--ready", "connect"], "p", "needs a Unix socket or a TCP port"),
        (&["--address", "none", "--ready", "http=/"], "p", "needs a Unix socket or a TCP port"),
        (&["--address", "tcp:0"], "{socket}", "the worker's address is a TCP port"),
        (&[], "{port}", "the worker's address is a Unix socket"),
        (&["--settle", "1s"], "p", "--ready running"),
        (&["--allow-foreign-listener"], "p", "is for a TCP port"),
        (&["--address", "tcp:nowhere"], "p", "is no address"),
        (&["--ready", "http=health"], "p", "as `/health`"),
    ];
    for (options, argument, says) in wrong {
        let reply = env.up_with("s", options, &["true", argument]).expect_error(2, "usage");
        assert!(reply.text("message").contains(says), "{options:?}: {reply}");
    }
    assert!(!env.state().join("s").exists(), "nothing was begun");
}

fn every_verb_knows_a_port() {
    let env = TestEnv::new();
    let started = up(&env, &["--address", "tcp:0"], &echo("{port}")).expect_running("started");
    let address = started.text("address").to_owned();
    assert!(address.starts_with("tcp:127.0.0.1:"), "{started}");
    assert!(started.json["socket"].is_null(), "{started}");
    assert_eq!(started.json["owner"], "verified", "{started}");
    let attached = env.rekindle(["up", "s", "--intent", "attach"]).expect_running("attached");
    assert_eq!(attached.text("address"), address, "{attached}");

    let listed = env.rekindle(["ls"]);
    assert_eq!(listed.json["sessions"][0]["address"], address.as_str(), "{listed}");
    assert_eq!(listed.json["sessions"][0]["state"], "live", "{listed}");
    let called = env.rekindle(["call", "s", "{\"a\":[1,2]}"]);
    assert_eq!((called.code, called.stdout.trim()), (Some(0), "{\"a\":[1,2]}"), "{called}");
    let diagnosed = env.rekindle(["doctor", "s"]);
    let listens = format!("address: {address}; a process of the worker (pid {}) listens", started.pid());
    assert!(diagnosed.stdout.contains(&listens), "{diagnosed}");
    let probed = env.rekindle(["probe", &address]);
    assert_eq!(probed.json["verdict"], "alive", "{probed}");
    assert!(probed.text("why").contains("socat"), "the listener is named: {probed}");

    env.stop("s").expect(0, "stopped");
    assert_eq!(env.rekindle(["probe", &address]).json["verdict"], "dead");
    let again = up(&env, &["--address", "tcp:0"], &echo("{port}")).expect_running("started");
    assert_eq!(again.text("address"), address, "the session keeps its port: {again}");
}

fn a_session_without_an_address_is_not_attached_to() {
    let env = TestEnv::new();
    let bot = ["tail", "-f", "/dev/null"].map(str::to_owned);
    let started = up(&env, &["--address", "none"], &bot).expect_running("started");
    assert_eq!(started.text("address"), "none", "{started}");
    let again = up(&env, &["--address", "none"], &bot).expect_running("attached");
    assert_eq!(again.pid(), started.pid(), "{again}");
    for verb in [&["up", "s", "--intent", "attach"][..], &["call", "s", "{}"]] {
        let refused = env.rekindle(verb).expect_rejected("no-endpoint");
        assert_eq!(refused.code, Some(3), "{refused}");
    }
    let listed = env.rekindle(["ls"]);
    assert_eq!(
        (&listed.json["sessions"][0]["address"], &listed.json["sessions"][0]["state"]),
        (&"none".into(), &"live".into()),
        "{listed}"
    );
    assert!(env.rekindle(["doctor", "s"]).stdout.contains("address: none"));
    env.stop("s").expect(0, "stopped");
}

/// U39.
fn a_program_on_a_port_is_told_the_option() {
    let env = TestEnv::new();
    let port = free_port();
    let reply = up(&env, &["--timeout", "3s"], &echo(&port.to_string())).expect(5, "child-exited");
    assert_eq!(reply.text("listened_at"), format!("tcp:127.0.0.1:{port}"), "{reply}");
    let option = format!("--address tcp:{port}");
    assert!(reply.text("hint").contains(&option), "{reply}");
    assert!(reply.stderr.contains(&option), "it is said while the call waits: {reply}");
    let next = reply.text("next");
    assert!(next.contains(&option), "{reply}");
    let started = typed(&env, next).expect_running("started");
    assert_eq!(started.text("address"), format!("tcp:127.0.0.1:{port}"), "`{next}`: {started}");
}

fn a_program_on_another_port_is_told_the_option() {
    let env = TestEnv::new();
    let (named, port) = (free_port(), free_port());
    let options = ["--timeout", "3s", "--address", &format!("tcp:{named}")];
    let reply = up(&env, &options, &echo(&port.to_string())).expect(5, "child-exited");
    assert_eq!(reply.text("listened_at"), format!("tcp:127.0.0.1:{port}"), "{reply}");
    assert!(reply.text("hint").contains(&format!("--address tcp:{port}")), "{reply}");
}

/// U16.
fn a_stopped_server_is_started_again_as_advised() {
    let env = TestEnv::new();
    let script = "echo 'up  at \"'$PORT'\"'; exec socat TCP-LISTEN:$PORT,bind=127.0.0.1,fork EXEC:cat";
    let program = ["sh", "-c", script].map(str::to_owned);
    let options = ["--address", "tcp:0", "--ready", r#"line=^up \s*at "\d+"$"#];
    let started = up(&env, &options, &program).expect_running("started");
    env.stop("s").expect(0, "stopped");
    let refused = env.rekindle(["up", "s", "--intent", "attach"]).expect_rejected("not-running");
    let next = refused.text("next");
    let at = started.text("address").replace("127.0.0.1:", "");
    assert!(next.contains(&format!("--address {at} ")), "the arguments may name the port: {refused}");
    assert!(next.contains(r#"--ready 'line=^up \s*at "\d+"$'"#), "{refused}");
    let again = typed(&env, &format!("{next}; true"));
    assert!(again.stdout.starts_with("started s"), "`{next}`: {again}");
    let shown = env.rekindle(["show", "s"]);
    assert_eq!(shown.json["address"], started.json["address"], "{shown}");
    assert_eq!(shown.json["plan"]["ready"], r#"line=^up \s*at "\d+"$"#, "{shown}");
}

fn a_port_is_probed_apart_from_any_session() {
    let env = TestEnv::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let at = listener.local_addr().expect("a bound socket has an address");
    let probed = env.rekindle(["probe", &format!("tcp:{}", at.port())]);
    assert_eq!((probed.code, &probed.json["verdict"]), (Some(0), &"alive".into()), "{probed}");
    assert_eq!(probed.text("address"), format!("tcp:{at}"), "{probed}");
    assert!(probed.text("why").contains(&format!("pid {}", process::id())), "{probed}");
    drop(listener);
    let probed = env.rekindle(["probe", &format!("tcp:{at}")]);
    assert_eq!((probed.code, &probed.json["verdict"]), (Some(1), &"dead".into()), "{probed}");
    for wrong in ["tcp:", "tcp:0", "tcp:name:80"] {
        env.rekindle(["probe", wrong]).expect_error(2, "usage");
    }
    let file = env.file("tcp:80", "");
    let probed = env.rekindle(["probe", &file.display().to_string()]);
    assert_eq!(probed.json["verdict"], "forged", "a path stays a path: {probed}");
    fs::remove_file(file).expect("the file is there");
}
