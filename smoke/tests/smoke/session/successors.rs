//! A worker that replaces itself, as servers do for an upgrade: another process, without the lifeline, on the same
//! socket.

use nix::sys::signal::Signal;
use rekindle_smoke::harness::vandal::sessions;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::{Account, Reply, TestEnv, programs, tests, wait};
use serde_json::Value;
use std::fs;

tests![a_worker_that_replaced_itself_is_still_the_worker, a_successor_that_is_gone_is_gone];

const SESSION: &str = "s";

/// An echo server. At SIGUSR2 the server executes itself again in a child with only the listening socket, and ends.
/// Arguments: the server's file, the socket, the file for the listener's pid, and whether the successor leads a new
/// process session.
const SERVER: &str = "
import os, signal, socket, sys, threading
me, path, notes, session = sys.argv[0], sys.argv[1], sys.argv[2], sys.argv[3]
inherited = os.environ.get('INHERITED')
if inherited:
    listener = socket.socket(fileno=int(inherited))
else:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)

def replace(number, frame):
    if os.fork():
        os._exit(0)
    if session == 'own':
        os.setsid()
    kept = listener.fileno()
    os.set_inheritable(kept, True)
    for descriptor in range(3, 1024):
        if descriptor != kept:
            try:
                os.close(descriptor)
            except OSError:
                pass
    os.environ['INHERITED'] = str(kept)
    os.execv(sys.executable, [sys.executable, me, path, notes, session])

def serve(connection):
    with connection, connection.makefile('rwb', 0) as stream:
        for line in stream:
            stream.write(line)

signal.signal(signal.SIGUSR2, replace)
with open(notes + '.tmp', 'w') as file:
    file.write(str(os.getpid()))
os.rename(notes + '.tmp', notes)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
";

struct Server {
    env: TestEnv,
    command: Vec<String>,
}

impl Server {
    /// A server that replaced itself; the first process is gone.
    fn replaced(account: Account, session: &str) -> (Self, Pid) {
        let env = TestEnv::owned_by(account);
        let script = env.file("server.py", SERVER);
        let words = [programs::python(), script.display().to_string(), "{socket}".to_owned()];
        let more = [env.path("notes").display().to_string(), session.to_owned()];
        let server = Self { env, command: [&words[..], &more].concat() };
        let first = server.up(&[]).expect_running("started").pid();
        assert_eq!(server.listener(), Some(first));
        procs::send(first, Signal::SIGUSR2);
        let second =
            wait::for_some("the successor listens", || server.listener().filter(|pid| *pid != first));
        wait::until("the first process is gone", || !procs::is_running(first));
        programs::expect_echo(&server.env.socket(SESSION));
        (server, second)
    }

    fn up(&self, options: &[&str]) -> Reply {
        let command: Vec<&str> = self.command.iter().map(String::as_str).collect();
        self.env.up_with(SESSION, options, &command)
    }

    /// The pid in the listener's file.
    fn listener(&self) -> Option<Pid> {
        fs::read_to_string(self.env.path("notes")).ok()?.parse().ok()
    }

    fn state(&self) -> Value {
        let ls = self.env.rekindle(["ls"]);
        sessions(&ls.json).into_iter().find(|it| it["session"] == SESSION).unwrap_or_default()["state"]
            .clone()
    }
}

fn a_worker_that_replaced_itself_is_still_the_worker() {
    for account in Account::all() {
        for session in ["own", "inherited"] {
            let (server, successor) = Server::replaced(account, session);
            let told = format!("{account:?}, {session} session");
            assert_eq!(server.state(), "live", "{told}");
            let gc = server.env.rekindle(["gc"]);
            assert_eq!(gc.json["removed"], serde_json::json!([]), "{told}: {gc}");
            assert!(server.env.socket(SESSION).exists(), "{told}: {gc}");
            let up = server.up(&["--timeout", "2s"]);
            assert_eq!((up.code, up.text("outcome")), (Some(0), "attached"), "{told}: {up}");
            assert_eq!(up.json["managed"], true, "{told}: {up}");
            assert_eq!(up.pid(), successor, "{told}: {up}");
            programs::expect_echo(&server.env.socket(SESSION));
            let stop = server.env.stop(SESSION);
            assert_eq!(stop.code, Some(0), "{told}: {stop}");
            assert!(!procs::is_running(successor), "{told}: {stop}");
            server.up(&[]).expect_running("started");
        }
    }
}

/// The opposite mistake: when the successor dies, the session is free again.
fn a_successor_that_is_gone_is_gone() {
    let (server, successor) = Server::replaced(Account::Ours, "own");
    procs::send(successor, Signal::SIGKILL);
    wait::until("the successor is gone", || !procs::is_running(successor));
    assert_eq!(server.state(), "exited");
    server.up(&[]).expect_running("started");
}
