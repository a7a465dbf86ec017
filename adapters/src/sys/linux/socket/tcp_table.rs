//! The listening TCP sockets: addresses, users and inodes, as the kernel's socket diagnosis (`NETLINK_SOCK_DIAG`) names
//! them.
//!
//! `/proc/net/tcp` says the same and takes the kernel milliseconds, since the table also has every connection. The table
//! is read only where the diagnosis does not answer: in a sandbox without netlink, and for another network namespace.

use crate::sys::linux::failure::{During, Errno, retried};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use rekindle_core::ownership::{Families, ListeningSocket};
use rekindle_core::{OsFailure, Pid};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// `TCP_LISTEN`, as a number and as the tables of `/proc` show the state.
const LISTEN: u8 = 10;
const LISTENS: &str = "0A";

// The layout of the kernel's `linux/netlink.h`, `linux/sock_diag.h` and `linux/inet_diag.h`, which nix does not have.

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The length of `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// The length of `struct inet_diag_msg`.
const MESSAGE_LEN: usize = 72;
/// The attribute with `IPV6_V6ONLY`.
const V6_ONLY: u16 = 11;
/// A datagram of the answer is at most as long as this.
const ANSWER_LEN_MAX: usize = 32 << 10;

/// The socket's link in `/proc/PID/fd`.
pub(crate) fn link_of(listener: &ListeningSocket) -> PathBuf {
    format!("socket:[{}]", listener.inode).into()
}

/// All listeners of our network namespace.
///
/// # Errors
/// If neither the diagnosis nor the tables can be read.
pub(crate) fn listeners() -> Result<Vec<ListeningSocket>, OsFailure> {
    diagnosed(0, |_| false).or_else(|_| listed(None))
}

/// The listeners of our network namespace on the port of `wanted`. Beside a listener at this very address, those of the
/// other family receive nothing, and need not be among them.
///
/// # Errors
/// As for [`listeners`].
pub(crate) fn listeners_at(wanted: SocketAddr) -> Result<Vec<ListeningSocket>, OsFailure> {
    let is_exact = |row: &ListeningSocket| row.bound == wanted;
    let rows = if wanted.is_ipv4() {
        diagnosed(wanted.port(), is_exact)
    } else {
        diagnosed(wanted.port(), |_| false)
    };
    let mut rows = rows.or_else(|_| listed(None))?;
    rows.retain(|row| row.bound.port() == wanted.port());
    Ok(rows)
}

/// The listeners of a process's network namespace.
///
/// # Errors
/// If a table exists and cannot be read.
pub(crate) fn listeners_of(pid: Pid) -> Result<Vec<ListeningSocket>, OsFailure> {
    listed(Some(pid))
}

/// Asks the kernel's socket diagnosis, for IPv4 first; port 0 means every port.
fn diagnosed(port: u16, is_enough: impl Fn(&ListeningSocket) -> bool) -> Result<Vec<ListeningSocket>, Errno> {
    let protocol = SockProtocol::NetlinkSockDiag;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let (mut rows, mut answer) = (Vec::new(), vec![0; ANSWER_LEN_MAX]);
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        send(fd.as_raw_fd(), &request(family as u8, port), MsgFlags::empty())?;
        loop {
            let len = retried(|| recv(fd.as_raw_fd(), &mut answer, MsgFlags::empty()))?;
            match take(answer.get(..len).unwrap_or_default(), &mut rows) {
                Taken::More => {}
                Taken::All => break,
                // A kernel without IPv6 answers that there is no such family.
                Taken::Refused(Errno::ENOENT | Errno::EAFNOSUPPORT) if family == AddressFamily::Inet6 => {
                    break;
                }
                Taken::Refused(errno) => return Err(errno),
            }
        }
        if rows.iter().any(&is_enough) {
            break;
        }
    }
    Ok(rows)
}

/// A request for all listeners of a family, as `struct inet_diag_req_v2`.
fn request(family: u8, port: u16) -> Vec<u8> {
    const REQUEST_LEN: usize = HEADER_LEN + 56;
    let mut bytes = Vec::with_capacity(REQUEST_LEN);
    bytes.extend((REQUEST_LEN as u32).to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, SockProtocol::Tcp as u8, 0, 0]);
    bytes.extend((1_u32 << LISTEN).to_ne_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.resize(REQUEST_LEN, 0);
    bytes
}

/// What a datagram of the answer said about the end of the answer.
enum Taken {
    More,
    All,
    Refused(Errno),
}

/// Takes the messages of one datagram.
fn take(mut datagram: &[u8], rows: &mut Vec<ListeningSocket>) -> Taken {
    while let Some(len) = number(datagram, 0).map(|len| len as usize).filter(|len| *len >= HEADER_LEN) {
        let kind = datagram.get(4..6).and_then(|kind| Some(u16::from_ne_bytes(kind.try_into().ok()?)));
        let Some(body) = datagram.get(HEADER_LEN..len) else { break };
        match kind {
            Some(DONE) => return Taken::All,
            Some(ERROR) => {
                let errno = number(body, 0).unwrap_or_default().cast_signed();
                return Taken::Refused(Errno::from_raw(errno.wrapping_neg()));
            }
            Some(_) | None => rows.extend(row(body)),
        }
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Taken::More
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A row from `struct inet_diag_msg`, with its attributes.
fn row(body: &[u8]) -> Option<ListeningSocket> {
    let family = *body.first()?;
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let host: IpAddr = if i32::from(family) == AddressFamily::Inet as i32 {
        Ipv4Addr::from(<[u8; 4]>::try_from(body.get(8..12)?).ok()?).into()
    } else {
        Ipv6Addr::from(<[u8; 16]>::try_from(body.get(8..24)?).ok()?).into()
    };
    let own_family = attribute(body.get(MESSAGE_LEN..)?, V6_ONLY).is_some_and(|value| value != [0]);
    let families = if own_family { Families::Own } else { Families::Both };
    let (uid, inode) = (number(body, 64)?, number(body, 68)?);
    Some(ListeningSocket { bound: SocketAddr::new(host, port), families, uid, inode: inode.into() })
}

/// The value of an attribute.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let len = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        let value = attributes.get(4..len)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
}

/// The listeners as the tables of `/proc` list them. A kernel without IPv6 has no second table.
fn listed(of: Option<Pid>) -> Result<Vec<ListeningSocket>, OsFailure> {
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

/// A table begins with the listeners, so the parser stops at the first connection.
fn parse(table: impl BufRead, rows: &mut Vec<ListeningSocket>) -> io::Result<()> {
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
            rows.push(ListeningSocket { bound, families: Families::Both, uid, inode });
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
        let expected = expected.map(|(bound, inode)| ListeningSocket {
            bound: bound.parse().unwrap(),
            families: Families::Both,
            uid: 1000,
            inode,
        });
        assert_eq!(rows, expected);
    }

    /// A message about a listener, with the attribute of an IPv6 socket.
    fn message(family: u8, host: &[u8], v6_only: Option<u8>) -> Vec<u8> {
        let mut body = vec![family, LISTEN, 0, 0];
        body.extend(8080_u16.to_be_bytes());
        body.extend([0; 2]);
        body.extend(host);
        body.resize(64, 0);
        body.extend(1000_u32.to_ne_bytes());
        body.extend(7142_u32.to_ne_bytes());
        // An attribute that is of no interest, of a length that needs padding.
        body.extend([5, 0, 8, 0, 9, 0, 0, 0]);
        if let Some(value) = v6_only {
            body.extend([5, 0, 11, 0, value, 0, 0, 0]);
        }
        let mut bytes = ((HEADER_LEN + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(BY_FAMILY.to_ne_bytes());
        bytes.resize(HEADER_LEN, 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn the_diagnosis_is_read_to_its_end() {
        let (v4, v6) = (AddressFamily::Inet as u8, AddressFamily::Inet6 as u8);
        let datagram = [
            message(v4, &[127, 0, 0, 1], None),
            message(v6, &[0; 16], Some(1)),
            message(v6, &[0; 16], Some(0)),
        ];
        let mut rows = Vec::new();
        assert!(matches!(take(&datagram.concat(), &mut rows), Taken::More));
        let found: Vec<_> = rows.iter().map(|row| (row.bound.to_string(), row.families)).collect();
        let expected = [
            ("127.0.0.1:8080".to_owned(), Families::Both),
            ("[::]:8080".to_owned(), Families::Own),
            ("[::]:8080".to_owned(), Families::Both),
        ];
        assert_eq!(found, expected);
        assert!(rows.iter().all(|row| (row.uid, row.inode) == (1000, 7142)));
        let done = [&20_u32.to_ne_bytes()[..], &DONE.to_ne_bytes(), &[0; 14]].concat();
        assert!(matches!(take(&done, &mut rows), Taken::All));
    }

    #[test]
    fn an_answer_of_any_bytes_is_no_row() {
        let whole = message(AddressFamily::Inet as u8, &[127, 0, 0, 1], None);
        for len in 0..whole.len() {
            let mut rows = Vec::new();
            assert!(matches!(take(&whole[..len], &mut rows), Taken::More));
            assert_eq!(rows, []);
        }
        let refused = [&20_u32.to_ne_bytes()[..], &ERROR.to_ne_bytes(), &[0; 10], &(-2_i32).to_ne_bytes()];
        assert!(matches!(take(&refused.concat(), &mut Vec::new()), Taken::Refused(Errno::ENOENT)));
    }
}
