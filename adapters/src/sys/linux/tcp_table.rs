//! The kernel's tables of TCP sockets: listeners with their addresses, users and socket inodes.
//!
//! The tables of a network namespace begin with the listeners, so a reader stops at the first connection: the cost does
//! not grow with the connections of the machine.

use crate::sys::linux::failure::During;
use rekindle_core::{OsFailure, Pid};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// `TCP_LISTEN`, as the tables show the state.
const LISTENS: &str = "0A";

/// A listening TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TcpListenerRow {
    /// The bound address.
    pub(crate) bound: SocketAddr,
    /// The user of the socket.
    pub(crate) uid: u32,
    /// The inode of the socket.
    pub(crate) inode: u64,
}

impl TcpListenerRow {
    /// The socket's link in `/proc/PID/fd`.
    pub(crate) fn link(&self) -> PathBuf {
        format!("socket:[{}]", self.inode).into()
    }
}

/// The listeners of a process's network namespace; of our own without a process.
///
/// # Errors
/// If a table exists and cannot be read. A kernel without IPv6 has no second table.
pub(crate) fn listeners(of: Option<Pid>) -> Result<Vec<TcpListenerRow>, OsFailure> {
    let mut rows = Vec::new();
    for table in ["tcp", "tcp6"] {
        let path = match of {
            None => PathBuf::from("/proc/net").join(table),
            Some(pid) => PathBuf::from(format!("/proc/{pid}/net")).join(table),
        };
        match File::open(&path) {
            Ok(file) => parse(BufReader::new(file), &mut rows).during("read", &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).during("open", &path),
        }
    }
    Ok(rows)
}

fn parse(table: impl BufRead, rows: &mut Vec<TcpListenerRow>) -> io::Result<()> {
    for line in table.lines().skip(1) {
        let line = line?;
        let mut columns = line.split_ascii_whitespace();
        let (local, state) = (columns.nth(1), columns.nth(1));
        if state != Some(LISTENS) {
            break;
        }
        // After the state: queues, timer, retransmissions; then the user, the timeout, and the inode.
        let uid = columns.nth(3).and_then(|text| text.parse().ok());
        let inode = columns.nth(1).and_then(|text| text.parse().ok());
        if let (Some(bound), Some(uid), Some(inode)) = (local.and_then(address), uid, inode) {
            rows.push(TcpListenerRow { bound, uid, inode });
        }
    }
    Ok(())
}

/// An address as `0100007F:1F90`: words of 32 bits in the byte order of this machine.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let words: Option<Vec<[u8; 4]>> = (0..host.len() / 8)
        .map(|word| Some(u32::from_str_radix(host.get(word * 8..word * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect();
    let host: IpAddr = match words?.concat().as_slice() {
        bytes @ [_, _, _, _] => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        bytes => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
    };
    Some(SocketAddr::new(host, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn listeners_of_both_families_are_read_up_to_the_first_connection() {
        let v4: &[u8] = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 7142 1 0 100\n\
            \x20  1: 0100007F:0050 0100007F:A3A6 01 00000000:00000000 00:00000000 00000000  1000        0 7143 1 0 20\n\
            \x20  2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7144 1 0 100\n";
        let v6: &[u8] = b"  sl  local_address\n\
            \x20  0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 0:0 0:0 0 1000 0 99 1\n";
        let mut rows = Vec::new();
        parse(v4, &mut rows).unwrap();
        parse(v6, &mut rows).unwrap();
        let expected = [("127.0.0.1:8080", 7142), ("[::1]:3000", 99)];
        let expected =
            expected.map(|(bound, inode)| TcpListenerRow { bound: bound.parse().unwrap(), uid: 1000, inode });
        assert_eq!(rows, expected);
    }
}
