//! Listeners that can and cannot be looked into.

use super::{address, get, stop};
use rekindle_smoke::{Account, TestEnv, procs, programs, tests, wait};
use std::net::TcpStream;

tests![
    a_worker_that_forbids_inspection_is_unverified,
    a_worker_in_another_network_namespace_is_unverified needs Namespaces,
    a_descendant_without_the_lifeline_is_the_workers,
    a_socket_of_one_family_is_reached_by_its_own_address,
    a_look_at_many_sessions_connects_to_none,
];

fn a_worker_that_forbids_inspection_is_unverified() {
    let env = TestEnv::owned_by(Account::unprivileged());
    let python = programs::python();
    let script = "
import ctypes, os, socket
ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE
listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
while True:
    listener.accept()
";
    let (options, command) = (["--address", "tcp:0"], [&python, "-c", script]);
    let started = env.up_with("s", &options, &command).expect_running("started");
    assert_eq!(started.json["owner"], "unverified", "{started}");
    let attached = env.up_with("s", &options, &command).expect_running("attached");
    assert_eq!(
        (attached.pid(), &attached.json["owner"]),
        (started.pid(), &"unverified".into()),
        "{attached}"
    );
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    env.stop("s").expect(0, "stopped");
    env.assert_no_process();
}

/// The port of the other namespace is another port here: nothing is connected to.
fn a_worker_in_another_network_namespace_is_unverified() {
    let env = TestEnv::new();
    let (python, unshare) = (programs::python(), programs::find("unshare", "util-linux"));
    let ip = programs::find("ip", "iproute2");
    let user = if nix::unistd::geteuid().is_root() { "--net" } else { "--map-root-user" };
    let script = "\"$0\" link set lo up && exec \"$1\" -m http.server \"$PORT\" --bind 127.0.0.1";
    let command = [&unshare, "--net", user, "sh", "-c", script, &ip, &python];
    let started = env.up_with("s", &["--address", "tcp:0"], &command).expect_running("started");
    assert_eq!(started.json["owner"], "unverified", "{started}");
    assert!(TcpStream::connect(address(&started)).is_err(), "the address is another namespace's");
    let attached = env.up_with("s", &["--address", "tcp:0"], &command).expect_running("attached");
    assert_eq!((attached.pid(), address(&attached)), (started.pid(), address(&started)), "{attached}");
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    stop(&env);
}

/// As below `sudo`: another process session, and no inherited descriptor.
fn a_descendant_without_the_lifeline_is_the_workers() {
    let env = TestEnv::new();
    let python = programs::python();
    let script = "
import os, signal
child = os.fork()
if not child:
    os.setsid()
    os.closerange(3, 64)
    os.execv(os.environ['PYTHON'], ['python3', '-m', 'http.server', os.environ['PORT'], '--bind', '127.0.0.1'])
signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, signal.SIGTERM), os._exit(0)))
os.wait()
";
    let set = format!("PYTHON={python}");
    let options = ["--address", "tcp:0", "--env", &set];
    let started = env.up_with("s", &options, &[&python, "-c", script]).expect_running("started");
    assert_eq!(started.json["owner"], "verified", "{started}");
    assert!(get(address(&started)).contains("200"));
    env.stop("s").expect(0, "stopped");
}

fn a_socket_of_one_family_is_reached_by_its_own_address() {
    let env = TestEnv::new();
    let python = programs::python();
    let script = "
import os, socket
listener = socket.socket(socket.AF_INET6)
listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
listener.bind(('::', int(os.environ['PORT'])))
listener.listen()
while True:
    listener.accept()
";
    let started =
        env.up_with("s", &["--address", "tcp:0"], &[&python, "-c", script]).expect_running("started");
    assert_eq!(address(&started).ip().to_string(), "::1", "{started}");
    TcpStream::connect(address(&started)).expect("the worker is reached there");
    stop(&env);
}

/// Each worker tells when it is ready, and would end with its first client.
fn a_look_at_many_sessions_connects_to_none() {
    let env = TestEnv::new();
    let python = programs::python();
    let script = "
import os, socket
listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
listener.accept()
";
    let options = ["--ready", "notify", "--address", "tcp:0"];
    let pids = ["a", "b", "c"].map(|session| {
        env.up_with(session, &options, &[&python, "-c", script]).expect_running("started").pid()
    });
    let listed = env.rekindle(["ls"]);
    let states: Vec<_> = (0..3).map(|at| &listed.json["sessions"][at]["state"]).collect();
    assert_eq!(states, ["live", "live", "live"], "{listed}");
    assert!(pids.iter().all(|pid| procs::is_running(*pid)), "no look is a client: {listed}");
    let listening =
        |at: usize| listed.json["sessions"][at]["address"].as_str().expect("it has an address").to_owned();
    assert_eq!((0..3).map(listening).collect::<std::collections::BTreeSet<_>>().len(), 3);
    for session in ["a", "b", "c"] {
        env.stop(session).expect(0, "stopped");
    }
    wait::until("all are gone", || env.processes().is_empty());
}
