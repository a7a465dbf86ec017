//! Third-party programs, and small workers in Python and Rust.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::wait::FACT_TIMEOUT;

/// The file of [`scripted_worker`]; Cargo builds it with the live suite.
const SCRIPTED_WORKER: &str = "scripted-worker";

/// Debian's program directories come first, so a shim of the same name in PATH is not taken for the program.
const DEBIAN_DIRS: &str = "/usr/bin:/usr/sbin:/bin";

/// The path of a program.
///
/// # Panics
/// If the program is not installed; `package` is the Debian package with the program.
pub fn find(program: &str, package: &str) -> String {
    let path = env::var("PATH").unwrap_or_default();
    let found = [DEBIAN_DIRS, &path]
        .into_iter()
        .flat_map(|dirs| env::split_paths(dirs).collect::<Vec<_>>())
        .map(|dir| dir.join(program))
        .find(|path| path.is_file());
    let found = found.unwrap_or_else(|| panic!("`{program}` is missing: apt-get install {package}"));
    found.into_os_string().into_string().expect("a program's path is UTF-8")
}

/// `python3`; the next argument is a script.
///
/// # Panics
/// If Python is not installed.
pub fn python() -> String {
    find("python3", "python3")
}

/// Sends every line back, to any number of clients. Arguments: the socket.
pub const ECHO_SERVER: &str = "
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingUnixStreamServer(sys.argv[1], Echo).serve_forever()
";

/// Sends every line back, on an inherited listening socket; ends with status 9 without such a socket.
pub const INHERITING_ECHO_SERVER: &str = "
import os, socket, socketserver, sys
told = [os.environ.get(name) for name in ('LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES')]
if told != ['1', str(os.getpid()), os.environ['REKINDLE_SESSION']]:
    sys.exit(f'not meant for this process: {told}')
listener = socket.socket(fileno=3)
if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) or not os.get_blocking(3):
    sys.exit('not a socket that listens')
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
server = socketserver.ThreadingUnixStreamServer('', Echo, bind_and_activate=False)
server.socket = listener
server.serve_forever()
";

/// A prefix for [`ECHO_SERVER`]: sends READY=1 before the server is ready, if a launcher listens.
pub const NOTIFYING: &str = "
import os, socket
try:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
except OSError:
    pass
";

/// A prefix for [`ECHO_SERVER`]: waits for a file, the second argument.
const GATE: &str = "
import os, sys, time
while not os.path.exists(sys.argv[2]):
    time.sleep(0.005)
";

/// A prefix for [`ECHO_SERVER`]: daemonises.
const DAEMONISE: &str = "
import os
if os.fork():
    os._exit(0)
os.setsid()
";

/// A prefix for [`ECHO_SERVER`]: closes every inherited descriptor.
const CLOSE_ALL: &str = "
import os
os.closerange(3, 4096)
";

/// An echo server that begins to listen once its second argument, a file, exists.
pub fn gated_echo_server() -> String {
    [GATE, ECHO_SERVER].concat()
}

/// An echo server whose leader exits before the server listens.
pub fn daemonising_echo_server() -> String {
    [DAEMONISE, ECHO_SERVER].concat()
}

/// An echo server that closes every inherited descriptor.
pub fn closing_echo_server() -> String {
    [CLOSE_ALL, ECHO_SERVER].concat()
}

/// A deviation from the plain worker of the pool protocol.
#[derive(Debug, Clone, Copy)]
pub enum Quirk<'a> {
    /// Reports this version instead of `1`.
    Speaks(&'a str),
    /// Reports more fields than the version.
    SaysMore,
    /// Answers every handshake with `ok:false`.
    RefusesHandshake,
    /// Names its session like this, instead of by its pid in hexadecimal with colons.
    Names(&'a str),
    /// Gives its session no name.
    Nameless,
    /// Answers `continue` for this other session.
    AnswersFor(&'a str),
    /// Serves a client to the end before the next client is accepted.
    OneAtATime,
    /// Exits when the first client leaves and no session waits for an answer.
    LeavesWithClient,
    /// Exits with status 7 in the middle of `run`.
    DiesInRun,
    /// Never answers `run`.
    HangsInRun,
    /// Answers `run` with `ok:false`, for this reason.
    RefusesRun(&'a str),
    /// In `run`, creates `run-received` in this directory, and waits for the file `go-on`.
    WaitsInRun(&'a Path),
    /// Accepts, but never answers.
    Silent,
    /// Writes a line to this file for each connection.
    CountsIn(&'a Path),
    /// Takes the claim of its session in `run`, and keeps the claim.
    HoldsClaim,
    /// Answers only once this file exists. Until then, each request is written as a line to the file of the same name
    /// with `.asked`.
    SilentUntil(&'a str),
    /// Closes this number of connections at once before the first connection is served.
    Slams(u32),
    /// Once this file exists, answers this request only with a blank now and then.
    Drips(&'a str, &'a Path),
    /// Answers a handshake of any other version with `ok:false`, in these words.
    RefusesOthers(&'a str),
}

impl Quirk<'_> {
    fn switch(self) -> String {
        match self {
            Self::Speaks(version) => format!("--version={version}"),
            Self::SaysMore => "--say-more".to_owned(),
            Self::RefusesHandshake => "--refuse-handshake".to_owned(),
            Self::Names(name) => format!("--name={name}"),
            Self::Nameless => "--nameless".to_owned(),
            Self::AnswersFor(name) => format!("--answer-for={name}"),
            Self::OneAtATime => "--one-at-a-time".to_owned(),
            Self::LeavesWithClient => "--leave-with-client".to_owned(),
            Self::DiesInRun => "--die-in-run".to_owned(),
            Self::HangsInRun => "--hang-in-run".to_owned(),
            Self::RefusesRun(why) => format!("--refuse-run={why}"),
            Self::WaitsInRun(dir) => format!("--wait-in-run={}", dir.display()),
            Self::Silent => "--silent".to_owned(),
            Self::CountsIn(file) => format!("--count-in={}", file.display()),
            Self::HoldsClaim => "--hold-claim".to_owned(),
            Self::SilentUntil(file) => format!("--silent-until={file}"),
            Self::Slams(count) => format!("--slam={count}"),
            Self::Drips(op, once) => format!("--drip={op}:{}", once.display()),
            Self::RefusesOthers(words) => format!("--refuse-others={words}"),
        }
    }
}

/// The command of a Python worker for the pool protocol on `socket`. The worker shares no code with ours; the head of
/// `programs/pool_worker.py` describes its sessions. `{socket}` is a good socket for `rekindle up`.
///
/// # Panics
/// If Python is not installed.
pub fn pool_worker(socket: &str, quirks: &[Quirk<'_>]) -> Vec<String> {
    let script = include_str!("../programs/pool_worker.py").to_owned();
    let switches = quirks.iter().map(|quirk| quirk.switch());
    [python(), "-c".to_owned(), script, socket.to_owned()].into_iter().chain(switches).collect()
}

/// The path of a Rust worker for the pool protocol. The worker runs small scripts, which the head of
/// `programs/scripted_worker/script.rs` describes. The only argument is the worker's version, `1` by default.
///
/// # Panics
/// If the worker was not built, or the path is not UTF-8.
pub fn scripted_worker() -> String {
    let suite = env::current_exe().expect("this test knows where it is");
    // Cargo builds the worker in the directory above the suite; `just smoke-as-user` copies both into one directory.
    let mut near = suite.ancestors().skip(1).take(2).map(|dir| dir.join(SCRIPTED_WORKER));
    let worker = near.find(|path| path.is_file());
    let worker = worker.unwrap_or_else(|| {
        panic!(
            "no `{SCRIPTED_WORKER}` near `{}`; build it first: cargo build -p rekindle-smoke",
            suite.display()
        )
    });
    worker.into_os_string().into_string().expect("the target directory has a name in UTF-8")
}

/// Sends a line to a socket and expects the same line back.
///
/// # Panics
/// If anything else happens.
pub fn expect_echo(socket: &Path) {
    let mut stream = UnixStream::connect(socket).expect("the worker accepts a connection");
    stream.set_read_timeout(Some(FACT_TIMEOUT)).expect("a time-out can be set");
    stream.write_all(b"are you there\n").expect("the worker takes a line");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("the worker answers");
    assert_eq!(line, "are you there\n");
}
