//! The verdicts of a probe on a socket path, on real files and real listeners.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rekindle_adapters::probe::{Probed, probe, probe_once};
use rekindle_core::Liveness;
use rekindle_smoke::{Root, TestEnv, programs, tests, wait};
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

tests![
    a_listening_socket_is_alive_and_its_connection_works,
    a_symlink_to_a_live_socket_is_forged_and_never_connected,
    a_dangling_symlink_is_forged,
    what_is_no_stream_socket_is_forged,
    a_socket_that_nobody_listens_on_is_dormant,
    a_full_backlog_is_not_alive,
    a_directory_that_others_can_write_to_is_forged,
    the_temporary_directory_itself_is_forged,
    a_socket_of_another_user_is_forged needs TwoUsers,
    another_users_listener_is_forged needs TwoUsers,
    a_path_longer_than_an_address_can_be_connected,
];

const NOBODY: u32 = 65534;

/// Whether the listener got no connection.
fn is_unvisited(listener: &UnixListener) -> bool {
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn forged_because(path: &Path) -> String {
    match wait::run(probe(path)) {
        Probed::Forged { why } => why,
        other => panic!("`{}` is {:?}: {}", path.display(), other.liveness(), other.why()),
    }
}

fn a_listening_socket_is_alive_and_its_connection_works() {
    let env = TestEnv::new();
    let path = env.path("sock");
    let listener = UnixListener::bind(&path).expect("a test environment can hold a socket");
    let Probed::Live(connection) = wait::run(probe(&path)) else { panic!("a listener is alive") };
    assert_eq!(connection.peer().map(|pid| pid.as_raw().unsigned_abs()), Some(std::process::id()));
    let mut ours = connection.into_std().expect("the connection can be used");
    let (mut theirs, _) = listener.accept().expect("the connection has arrived");
    theirs.write_all(b"hello").expect("it can be written to");
    let mut heard = [0; 5];
    ours.read_exact(&mut heard).expect("it can be read from");
    assert_eq!(&heard, b"hello");
}

/// T14, S5.
fn a_symlink_to_a_live_socket_is_forged_and_never_connected() {
    let env = TestEnv::new();
    let (path, link) = (env.path("sock"), env.path("link"));
    let listener = UnixListener::bind(&path).expect("a test environment can hold a socket");
    symlink(&path, &link).expect("a test environment can hold a link");
    assert!(forged_because(&link).contains("symbolic link"));
    assert!(is_unvisited(&listener), "the link was followed");
}

/// T14, S5.
fn a_dangling_symlink_is_forged() {
    let env = TestEnv::new();
    let link = env.path("link");
    symlink(env.path("nothing"), &link).expect("a test environment can hold a link");
    assert!(forged_because(&link).contains("symbolic link"));
}

/// T14, S5: and none of them blocks.
fn what_is_no_stream_socket_is_forged() {
    let env = TestEnv::new();
    let fifo = env.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("a test environment can hold a FIFO");
    assert!(forged_because(&fifo).contains("FIFO"));
    let dir = env.path("dir");
    fs::create_dir(&dir).expect("a test environment can hold a directory");
    assert!(forged_because(&dir).contains("directory"));
    let file = env.file("file", "content");
    assert!(forged_because(&file).contains("regular file"));
    assert_eq!(fs::read(&file).expect("the file is still there"), b"content");
    let datagram = env.path("datagram");
    let receiver = UnixDatagram::bind(&datagram).expect("a test environment can hold a datagram socket");
    assert!(forged_because(&datagram).contains("stream"));
    receiver.set_nonblocking(true).expect("a socket can be non-blocking");
    assert!(receiver.recv(&mut [0]).is_err(), "something was sent to it");
}

/// T08, S1, S3: a refused connect proves nothing about a process that may be about to listen, and removes nothing.
fn a_socket_that_nobody_listens_on_is_dormant() {
    let env = TestEnv::new();
    let stale = env.path("stale");
    drop(UnixListener::bind(&stale).expect("a test environment can hold a socket"));
    for path in [stale.clone(), env.path("absent"), env.path("no/such/directory/sock")] {
        assert_eq!(probe_once(&path).liveness(), Liveness::Dormant, "{}", path.display());
    }
    assert!(stale.exists(), "a probe removes nothing");
}

/// A listener that takes one client and no other before its first accept.
pub(crate) fn busy_listener(path: &Path) -> (UnixListener, Vec<OwnedFd>) {
    let fd = unix_socket(SockFlag::empty());
    let address = UnixAddr::new(path).expect("the path fits");
    bind(fd.as_raw_fd(), &address).expect("a test environment can hold a socket");
    listen(&fd, Backlog::new(0).expect("no backlog is a backlog")).expect("it can listen");
    let mut parked = Vec::new();
    wait::until("the backlog is full", || {
        let client = unix_socket(SockFlag::SOCK_NONBLOCK);
        let full = connect(client.as_raw_fd(), &address) == Err(Errno::EAGAIN);
        parked.push(client);
        full
    });
    (UnixListener::from(fd), parked)
}

pub(crate) fn unix_socket(flags: SockFlag) -> OwnedFd {
    socket(AddressFamily::Unix, SockType::Stream, flags | SockFlag::SOCK_CLOEXEC, None)
        .expect("a socket can be made")
}

/// T25, S4.
fn a_full_backlog_is_not_alive() {
    let env = TestEnv::new();
    let path = env.path("sock");
    let _busy = busy_listener(&path);
    assert_eq!(probe_once(&path).liveness(), Liveness::Indeterminate);
    assert_eq!(wait::run(probe(&path)).liveness(), Liveness::Indeterminate);
}

/// T16, S8.
fn a_directory_that_others_can_write_to_is_forged() {
    let env = TestEnv::new();
    for mode in [0o777, 0o775, 0o1777] {
        let dir = env.path(&format!("open-{mode:o}"));
        fs::create_dir(&dir).expect("a test environment can hold a directory");
        fs::set_permissions(&dir, Permissions::from_mode(mode)).expect("its mode can be set");
        let path = dir.join("sock");
        let listener = UnixListener::bind(&path).expect("it can hold a socket");
        let why = forged_because(&path);
        assert!(why.contains(&dir.display().to_string()) && why.contains("written by others"), "{why}");
        assert!(is_unvisited(&listener), "a directory of mode {mode:o} was trusted");
    }
    let dir = env.path("readable");
    fs::create_dir(&dir).expect("a test environment can hold a directory");
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("its mode can be set");
    let path = dir.join("sock");
    let _listener = UnixListener::bind(&path).expect("it can hold a socket");
    assert_eq!(probe_once(&path).liveness(), Liveness::Live, "0755 is nobody else's to write to");
}

struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // The file is outside of the test environment, and may be gone already.
        let _ = fs::remove_file(&self.0);
    }
}

/// T16, S8.
fn the_temporary_directory_itself_is_forged() {
    let path = Removed(PathBuf::from(format!("/tmp/rk-smoke-{}.sock", std::process::id())));
    let listener = UnixListener::bind(&path.0).expect("/tmp can hold a socket");
    assert!(forged_because(&path.0).contains("`/tmp`"), "the directory is named");
    assert!(is_unvisited(&listener), "/tmp was trusted");
}

/// T16, S7.
fn a_socket_of_another_user_is_forged(root: Root) {
    let env = TestEnv::new();
    let path = env.path("sock");
    let listener = UnixListener::bind(&path).expect("a test environment can hold a socket");
    root.give(&path, NOBODY);
    assert!(forged_because(&path).contains("user 65534"));
    assert!(is_unvisited(&listener), "somebody else's socket was connected to");
    let dir = env.path("theirs");
    fs::create_dir(&dir).expect("a test environment can hold a directory");
    let path = dir.join("sock");
    let _listener = UnixListener::bind(&path).expect("it can hold a socket");
    root.give(&dir, NOBODY);
    assert!(forged_because(&path).contains("belongs to user 65534"));
}

/// Binds as us and listens as another user: the file is ours, the listener is not.
const SQUATTER: &str = "
import os, socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.setgroups([])
os.setresuid(65534, 65534, 65534)
listener.listen()
time.sleep(1000)
";

/// T16, S7, X8.
fn another_users_listener_is_forged(_root: Root) {
    let env = TestEnv::new();
    let path = env.path("sock");
    let mut squatter = env.command(programs::python());
    let mut squatter = squatter.args(["-c", SQUATTER]).arg(&path).spawn().expect("python3 can be started");
    wait::until("the squatter listens", || probe_once(&path).liveness() != Liveness::Dormant);
    assert!(forged_because(&path).contains("user 65534 listens"));
    squatter.kill().expect("the squatter can be killed");
    squatter.wait().expect("the squatter is our child");
}

/// S10: 0.6 of the catalogue.
fn a_path_longer_than_an_address_can_be_connected() {
    let env = TestEnv::new();
    let dir = env.path(&"d".repeat(125)).join("e".repeat(125));
    fs::create_dir_all(&dir).expect("a test environment can hold deep directories");
    let opened = fs::File::open(&dir).expect("the directory can be opened");
    let short = format!("/proc/self/fd/{}/sock", opened.as_raw_fd());
    let listener = UnixListener::bind(short).expect("a long path has a short name");
    let path = dir.join("sock");
    assert!(path.as_os_str().len() >= 273, "the path is {} bytes long", path.as_os_str().len());
    assert!(UnixStream::connect(&path).is_err(), "the path is too long for an address");
    let Probed::Live(connection) = probe_once(&path) else { panic!("the listener is alive") };
    connection.into_std().expect("the connection can be used").write_all(b"x").expect("it is connected");
    listener.accept().expect("the connection has arrived");
}
