//! Other people's programs, and small workers in Python.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::wait::FACT_TIMEOUT;

/// Where Debian puts programs: first, so that a shim of the same name in PATH is not taken for the program.
const DEBIAN_DIRS: &str = "/usr/bin:/usr/sbin:/bin";

/// The path of a program.
///
/// # Panics
/// If it is not installed; `package` is the Debian package that has it.
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

/// `python3`, ready to run a script that is its next argument.
///
/// # Panics
/// If it is not installed.
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

/// Sends every line back, on the listening socket that it was given; ends with 9 if it was given none.
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

/// What is put before [`ECHO_SERVER`] to make it say that it is ready, before it is, to whoever listens.
pub const NOTIFYING: &str = "
import os, socket
try:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
except OSError:
    pass
";

/// What is put before [`ECHO_SERVER`] to make it wait for a file first, its second argument.
const GATE: &str = "
import os, sys, time
while not os.path.exists(sys.argv[2]):
    time.sleep(0.005)
";

/// What is put before [`ECHO_SERVER`] to make it daemonise first.
const DAEMONISE: &str = "
import os
if os.fork():
    os._exit(0)
os.setsid()
";

/// What is put before [`ECHO_SERVER`] to make it close every descriptor that it was given.
const CLOSE_ALL: &str = "
import os
os.closerange(3, 4096)
";

/// An echo server that begins to listen once its second argument, a file, is there.
pub fn gated_echo_server() -> String {
    [GATE, ECHO_SERVER].concat()
}

/// An echo server whose leader exits before it listens.
pub fn daemonising_echo_server() -> String {
    [DAEMONISE, ECHO_SERVER].concat()
}

/// An echo server that closes every inherited descriptor.
pub fn closing_echo_server() -> String {
    [CLOSE_ALL, ECHO_SERVER].concat()
}

/// What a worker of the pool protocol does otherwise than the plain one.
#[derive(Debug, Clone, Copy)]
pub enum Quirk<'a> {
    /// It reports this version instead of `1`.
    Speaks(&'a str),
    /// It reports more than its version.
    SaysMore,
    /// It answers every handshake with `ok:false`.
    RefusesHandshake,
    /// It gives its session this name instead of its pid in hexadecimal with colons.
    Names(&'a str),
    /// It gives its session no name.
    Nameless,
    /// It answers `continue` for this session, which is another.
    AnswersFor(&'a str),
    /// It serves a client to its end before it accepts the next one.
    OneAtATime,
    /// It exits when its first client leaves and no session waits for an answer.
    LeavesWithClient,
    /// It exits with 7 in the middle of `run`.
    DiesInRun,
    /// It never answers `run`.
    HangsInRun,
    /// It answers `run` with `ok:false`, for this reason.
    RefusesRun(&'a str),
    /// In `run` it makes `run-received` in this directory, and goes on once `go-on` is there.
    WaitsInRun(&'a Path),
    /// It accepts and never answers anything.
    Silent,
    /// It writes a line to this file for each connection.
    CountsIn(&'a Path),
    /// It takes the claim of its own session in `run`, and keeps it.
    HoldsClaim,
    /// It answers nothing before this file is there. What it is asked until then is in the file of that name with
    /// `.asked`, a line each.
    SilentUntil(&'a str),
    /// It closes so many connections at once before it serves one.
    Slams(u32),
    /// Once this file is there, it answers this request with a blank now and then, and never with more.
    Drips(&'a str, &'a Path),
    /// It answers the handshake of any version but its own with `ok:false`, in these words.
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

/// The command of a worker in Python that speaks the pool protocol on `socket` and shares no code with ours; what its
/// sessions do is said at the head of `programs/pool_worker.py`. `{socket}` is a good socket for `rekindle up`.
///
/// # Panics
/// If Python is not installed.
pub fn pool_worker(socket: &str, quirks: &[Quirk<'_>]) -> Vec<String> {
    let script = include_str!("../programs/pool_worker.py").to_owned();
    let switches = quirks.iter().map(|quirk| quirk.switch());
    [python(), "-c".to_owned(), script, socket.to_owned()].into_iter().chain(switches).collect()
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
