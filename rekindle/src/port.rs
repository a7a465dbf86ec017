//! A TCP port of this machine, apart from any session.

use rekindle_adapters::port;
use rekindle_adapters::probe::Probed;
use std::net::SocketAddr;

/// Probes a TCP port of this machine: whether some process accepts connections there.
///
/// The verdict says nothing about the owner of the listener: any user of the machine may listen on a port. For the worker
/// of a session, see [`Running::owner`](crate::Running::owner). Blocks for half a second at most.
///
/// ```
/// use rekindle::{Liveness, probe_port};
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
    port::probe_port(at)
}
