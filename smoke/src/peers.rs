//! Workers played by threads of the test: peers that misbehave on a real socket.

use crate::test_env::TestEnv;
use crate::wait::FACT_TIMEOUT;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// The answer to a handshake.
pub const GREETING: &[u8] = b"{\"ok\":true,\"data\":{\"kind\":\"handshake\",\"version\":\"1\"}}\n";

/// A thread that plays a worker to a number of clients, one after the other.
#[derive(Debug)]
pub struct Peer {
    socket: PathBuf,
    thread: JoinHandle<()>,
}

impl Peer {
    /// Plays `part` to a number of clients; `part` gets the client's number.
    ///
    /// # Panics
    /// If the socket cannot be bound.
    pub fn to_many(
        env: &TestEnv,
        clients: usize,
        part: impl Fn(&mut UnixStream, usize) + Send + 'static,
    ) -> Self {
        let socket = env.path("peer");
        let listener = UnixListener::bind(&socket).expect("a test environment can hold a socket");
        let thread = thread::spawn(move || {
            for number in 0..clients {
                let (mut stream, _) = listener.accept().expect("a client comes");
                stream.set_read_timeout(Some(FACT_TIMEOUT * 3)).expect("a time-out can be set");
                part(&mut stream, number);
            }
        });
        Self { socket, thread }
    }

    /// Plays `part` to one client.
    ///
    /// # Panics
    /// If the socket cannot be bound.
    pub fn to_one(env: &TestEnv, part: impl Fn(&mut UnixStream) + Send + 'static) -> Self {
        Self::to_many(env, 1, move |stream, _| part(stream))
    }

    /// Answers the handshake of one client, takes the next request, and plays `part`.
    ///
    /// # Panics
    /// If the socket cannot be bound.
    pub fn after_a_request(env: &TestEnv, part: impl Fn(&mut UnixStream) + Send + 'static) -> Self {
        Self::to_one(env, move |stream| {
            greet(stream);
            take_line(stream);
            part(stream);
        })
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits until the part was played to all clients.
    ///
    /// # Panics
    /// If the part panicked.
    pub fn finish(self) {
        self.thread.join().expect("the peer plays its part");
    }
}

/// Reads one line, and no byte behind the line.
///
/// # Panics
/// If no line arrives.
pub fn take_line(stream: &mut UnixStream) -> Vec<u8> {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte).expect("the client sends a line");
        line.extend(byte);
    }
    line
}

/// Reads a handshake and answers.
///
/// # Panics
/// If no handshake arrives.
pub fn greet(stream: &mut UnixStream) {
    take_line(stream);
    stream.write_all(GREETING).expect("the client takes an answer");
}

/// Stays silent until the client leaves.
pub fn hang(stream: &mut UnixStream) {
    let _ = what_came(stream);
}

/// Stays silent until the client leaves; returns the number of bytes sent meanwhile.
pub fn what_came(stream: &mut UnixStream) -> usize {
    let mut rest = Vec::new();
    // A reset by the client makes no difference here.
    let _ = stream.read_to_end(&mut rest);
    rest.len()
}
