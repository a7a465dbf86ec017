//! Non-blocking standard streams, shared with the client: nothing is lost, and only the client changes the mode.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use rekindle_smoke::{TestEnv, proxy, tests};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

tests![
    ten_megabytes_arrive_at_a_slow_reader,
    a_conversation_over_a_socket_that_does_not_block,
    complaints_arrive_at_a_slow_reader,
    pipes_that_do_not_block_stay_so,
];

/// The size of the transfer: far more than a socket holds.
const MUCH: usize = 10 << 20;
/// The size of a slow reader's read.
const PIECE_LEN: usize = 4 << 10;
const PACE: Duration = Duration::from_millis(10);

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 % 251) as u8).collect()
}

fn set_nonblocking(fd: impl AsFd) {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK)).expect("a flag can be set");
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFL).expect("flags can be asked for");
    OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}

/// Two ends of a socket; the second end does not block.
fn pair() -> (UnixStream, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().expect("there can be a socket");
    set_nonblocking(&theirs);
    (ours, theirs.into())
}

fn copy(fd: &OwnedFd) -> Stdio {
    fd.try_clone().expect("it can be copied").into()
}

/// Reads in small pieces, at a pace that slows the writer down.
fn read_slowly(mut from: &UnixStream, len: usize) -> Vec<u8> {
    let (mut read, mut piece) = (Vec::new(), [0; PIECE_LEN]);
    while read.len() < len {
        thread::sleep(PACE);
        match from.read(&mut piece).expect("it can be read") {
            0 => break,
            len => read.extend_from_slice(&piece[..len]),
        }
    }
    read
}

/// U7.
fn ten_megabytes_arrive_at_a_slow_reader() {
    let env = TestEnv::new();
    env.file("much", pattern(MUCH));
    let (ours, theirs) = pair();
    let mut command = proxy::command(&env, &["--stdin-grace", "60s"], &["cat", "much"]);
    command.stdin(copy(&theirs)).stdout(copy(&theirs)).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    drop(command);
    let read = read_slowly(&ours, MUCH);
    assert!(read == pattern(MUCH), "{} bytes arrived", read.len());
    assert_eq!(child.wait().expect("it can be waited for").code(), Some(0));
    assert!(is_nonblocking(&theirs), "it is shared with the client, who wants it so");
}

/// U7: an empty socket is not the end of the input.
fn a_conversation_over_a_socket_that_does_not_block() {
    let env = TestEnv::new();
    let (mut ours, theirs) = pair();
    let mut command = proxy::command(&env, &["--stdin-grace", "60s"], &["cat"]);
    command.stdin(copy(&theirs)).stdout(copy(&theirs)).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    drop(command);
    for line in [&b"one\n"[..], b"two\n"] {
        ours.write_all(line).expect("it is taken");
        let mut heard = [0; 4];
        ours.read_exact(&mut heard).expect("it is answered");
        assert_eq!(heard, line);
    }
    // Both directions at once, with a slow reader.
    let much = pattern(MUCH / 20);
    let (mut writer, said) = (ours.try_clone().expect("it can be copied"), much.clone());
    let writing = thread::spawn(move || {
        writer.write_all(&said).expect("all of it is taken");
        writer.shutdown(std::net::Shutdown::Write).expect("it is connected");
    });
    assert!(read_slowly(&ours, much.len()) == much, "all of it comes back");
    writing.join().expect("nobody panics");
    assert_eq!(child.wait().expect("it can be waited for").code(), Some(0));
    assert!(is_nonblocking(&theirs));
}

/// U7: the same for stderr.
fn complaints_arrive_at_a_slow_reader() {
    let env = TestEnv::new();
    let much = vec![b'x'; MUCH / 20];
    env.file("much", &much);
    let (ours, theirs) = pair();
    let mut command = env.command(rekindle_smoke::cli::binary());
    command.args(["supervise", "--", "sh", "-c", "cat much >&2; exit 3"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(copy(&theirs));
    let mut child = command.spawn().expect("it starts");
    drop((command, theirs));
    assert!(read_slowly(&ours, usize::MAX) == much, "all of it arrives, and nothing else");
    assert_eq!(child.wait().expect("it can be waited for").code(), Some(3));
}

fn pipes_that_do_not_block_stay_so() {
    let env = TestEnv::new();
    let much = pattern(MUCH / 20);
    let (input, mut to) = std::io::pipe().expect("there can be a pipe");
    let (mut from, output) = std::io::pipe().expect("there can be a pipe");
    let (input, output) = (OwnedFd::from(input), OwnedFd::from(output));
    set_nonblocking(&input);
    set_nonblocking(&output);
    let mut command = proxy::command(&env, &["--stdin-grace", "60s"], &["cat"]);
    command.stdin(copy(&input)).stdout(copy(&output)).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    drop(command);
    let said = much.clone();
    let writing = thread::spawn(move || to.write_all(&said).expect("all of it is taken"));
    let mut heard = vec![0; much.len()];
    from.read_exact(&mut heard).expect("all of it comes back");
    writing.join().expect("nobody panics");
    assert!(heard == much);
    assert!(is_nonblocking(&input) && is_nonblocking(&output));
    assert_eq!(child.wait().expect("it can be waited for").code(), Some(0));
}
