//! A TCP port of this machine, apart from any session.
//!
//! Checked by `smoke/tests/smoke/command/addresses.rs`.

use crate::endpoint::probe::{Connection, Probed};
use crate::endpoint::tcp::CONNECT_MAX;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

/// Probes a TCP port of this machine: whether some process accepts connections there.
///
/// The verdict says nothing about the owner of the listener: any user of the machine may listen on a port. Blocks for half
/// a second at most.
///
/// ```no_run
/// use rekindle_adapters::port::probe_port;
/// use rekindle_core::Liveness;
/// use std::net::TcpListener;
///
/// let listener = TcpListener::bind(("127.0.0.1", 0))?;
/// let at = listener.local_addr()?;
/// assert_eq!(probe_port(at).liveness(), Liveness::Live);
/// drop(listener);
/// assert_eq!(probe_port(at).liveness(), Liveness::Dormant);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn probe_port(at: SocketAddr) -> Probed {
    match TcpStream::connect_timeout(&at, CONNECT_MAX) {
        Ok(stream) => Probed::Live(Connection::to_port(at, None, None, Some(stream))),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Probed::Dormant { why: "nobody listens on the port".to_owned() }
        }
        Err(error) => Probed::Indeterminate { why: format!("no connection was made: {error}") },
    }
}
