//! Where a worker answers: a Unix socket, a TCP port, or nowhere.
//!
//! # Invariants
//! 1. An endpoint has a single spelling as text: in plans, records, outcomes, JSON and variables.
//! 2. Whatever is written is read back with the same meaning; other text is an error, not a default.
//!
//! Checked by `gates/tests/endpoint.rs`.

use crate::prelude::*;
use crate::text::byte_text::{self, ByteText};
use crate::text::shown::Shown;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const UNIX: &str = "unix:";
const TCP: &str = "tcp:";
const NONE: &str = "none";

/// The name that stands for this machine's loopback interface.
const LOCALHOST: &str = "localhost";

/// The address at which a worker answers.
///
/// ```
/// use rekindle_core::Endpoint;
///
/// let endpoint: Endpoint = "tcp:127.0.0.1:3000".parse()?;
/// assert_eq!(endpoint.to_string(), "tcp:127.0.0.1:3000");
/// assert_eq!(endpoint.tcp().map(|at| at.port()), Some(3000));
/// # Ok::<(), rekindle_core::endpoint::InvalidAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port of this machine.
    Tcp(SocketAddr),
    /// The worker answers nowhere: a bot, a job, a watcher.
    None,
}

/// The kind of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndpointKind {
    /// A Unix socket.
    Unix,
    /// A TCP port.
    Tcp,
    /// No endpoint.
    None,
}

impl EndpointKind {
    /// The word in texts and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
            Self::None => NONE,
        }
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Endpoint {
    /// The kind.
    pub const fn kind(&self) -> EndpointKind {
        match self {
            Self::Unix(_) => EndpointKind::Unix,
            Self::Tcp(_) => EndpointKind::Tcp,
            Self::None => EndpointKind::None,
        }
    }

    /// The path of a Unix socket.
    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Tcp(_) | Self::None => None,
        }
    }

    /// The address of a TCP port.
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(at) => Some(*at),
            Self::Unix(_) | Self::None => None,
        }
    }

    /// The placeholders in a program's arguments, with their values.
    pub fn placeholders(&self) -> Vec<(&'static str, OsString)> {
        let mut values = alloc::vec![("{address}", self.to_text())];
        match self {
            Self::Unix(path) => values.push(("{socket}", path.clone().into())),
            Self::Tcp(at) => {
                values.push(("{host}", at.ip().to_string().into()));
                values.push(("{port}", at.port().to_string().into()));
            }
            Self::None => {}
        }
        values
    }

    /// The variables for the worker, with their values.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut values = alloc::vec![("REKINDLE_ADDRESS", self.to_text())];
        match self {
            Self::Unix(path) => values.push(("REKINDLE_SOCKET", path.clone().into())),
            Self::Tcp(at) => values.push(("REKINDLE_PORT", at.port().to_string().into())),
            Self::None => {}
        }
        values
    }

    /// The endpoint in a sentence: a Unix socket by its path alone.
    pub fn in_words(&self) -> String {
        self.socket().map_or_else(|| self.to_string(), |socket| Shown(socket).to_string())
    }

    /// The text, of any bytes: a path may be no UTF-8.
    pub fn to_text(&self) -> OsString {
        match self {
            Self::Unix(path) => {
                let mut text = OsString::from(UNIX);
                text.push(path);
                text
            }
            Self::Tcp(at) => format!("{TCP}{at}").into(),
            Self::None => NONE.into(),
        }
    }

    /// Reads the text of an endpoint.
    ///
    /// # Errors
    /// [`InvalidAddress`] for any other text.
    pub fn from_text(text: &OsStr) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress { given: text.to_owned() };
        if let Some(path) = text.as_bytes().strip_prefix(UNIX.as_bytes()) {
            return Ok(Self::Unix(byte_text::from_bytes(path.to_vec()).into()));
        }
        let text = text.to_str().ok_or_else(invalid)?;
        match text.strip_prefix(TCP) {
            Some(at) => tcp_address(at).map(Self::Tcp).ok_or_else(invalid),
            None if text == NONE => Ok(Self::None),
            None => Err(invalid()),
        }
    }
}

/// `PORT`, `HOST:PORT` or `[HOST]:PORT`; a port alone, and `localhost`, mean the loopback interface.
fn tcp_address(text: &str) -> Option<SocketAddr> {
    let loopback = |port: &str| Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port_of(port)?));
    match text.rsplit_once(':') {
        None => loopback(text),
        Some((LOCALHOST, port)) => loopback(port),
        Some((host, port)) => {
            let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let host: IpAddr = match bracketed {
                Some(host) => IpAddr::V6(host.parse().ok()?),
                // Without brackets, no one can tell where an IPv6 address ends and the port begins.
                None => IpAddr::V4(host.parse().ok()?),
            };
            Some(SocketAddr::new(host, port_of(port)?))
        }
    }
}

/// Digits alone: Rust's own parser also takes a sign.
fn port_of(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{UNIX}{}", Shown(path)),
            Self::Tcp(at) => write!(f, "{TCP}{at}"),
            Self::None => f.write_str(NONE),
        }
    }
}

impl FromStr for Endpoint {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        Self::from_text(text.as_ref())
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ByteText(&self.to_text()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: OsString = byte_text::deserialize(deserializer)?;
        Self::from_text(&text).map_err(serde::de::Error::custom)
    }
}

/// The address that a caller asks for. The launcher makes an [`Endpoint`] of the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Address {
    /// The Unix socket in the session's own directory.
    #[default]
    OwnSocket,
    /// A TCP port of this host that the launcher chooses. A session keeps its port.
    AnyPort(IpAddr),
    /// This very endpoint.
    At(Endpoint),
}

impl Address {
    /// Reads the value of `--address`.
    ///
    /// # Errors
    /// [`InvalidAddress`] for any other text.
    ///
    /// ```
    /// use rekindle_core::Endpoint;
    /// use rekindle_core::endpoint::Address;
    ///
    /// assert_eq!(Address::from_text("unix".as_ref())?, Address::OwnSocket);
    /// assert!(matches!(Address::from_text("tcp:0".as_ref())?, Address::AnyPort(_)));
    /// assert_eq!(Address::from_text("none".as_ref())?, Address::At(Endpoint::None));
    /// # Ok::<(), rekindle_core::endpoint::InvalidAddress>(())
    /// ```
    pub fn from_text(text: &OsStr) -> Result<Self, InvalidAddress> {
        if text == EndpointKind::Unix.name() {
            return Ok(Self::OwnSocket);
        }
        Endpoint::from_text(text).map(Self::from)
    }

    /// The kind of the endpoint.
    pub const fn kind(&self) -> EndpointKind {
        match self {
            Self::OwnSocket => EndpointKind::Unix,
            Self::AnyPort(_) => EndpointKind::Tcp,
            Self::At(endpoint) => endpoint.kind(),
        }
    }
}

impl From<Endpoint> for Address {
    /// A port of 0 leaves the choice to the launcher.
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Tcp(at) if at.port() == 0 => Self::AnyPort(at.ip()),
            endpoint @ (Endpoint::Unix(_) | Endpoint::Tcp(_) | Endpoint::None) => Self::At(endpoint),
        }
    }
}

/// The error for a text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no address: use unix, unix:PATH, tcp:PORT, tcp:HOST:PORT, tcp:[IPV6]:PORT or none; HOST is an IP address or localhost",
    Shown(given)
)]
pub struct InvalidAddress {
    /// The given text.
    pub given: OsString,
}

/// Whether a listener is proved to be the worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// A process of the worker holds the listening socket.
    Verified,
    /// The user of the listener and the lifeline agree, and the kernel does not let us see who holds the socket.
    Unverified,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Whether a listener bound to `bound` receives what is sent to `wanted`.
///
/// A wildcard listener receives for every address of its family; a wildcard of IPv6 may also receive for IPv4
/// (dual-stack). A program that was asked for one loopback address may listen at the other, since `localhost` means
/// both.
///
/// ```
/// use rekindle_core::endpoint::serves;
///
/// assert!(serves("[::]:80".parse()?, "127.0.0.1:80".parse()?));
/// assert!(!serves("127.0.0.2:80".parse()?, "127.0.0.1:80".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn serves(bound: SocketAddr, wanted: SocketAddr) -> bool {
    let (at, to) = (bound.ip().to_canonical(), wanted.ip().to_canonical());
    let host = match (at, to) {
        (at, to) if at == to => true,
        (IpAddr::V6(at), _) if at.is_unspecified() => true,
        (IpAddr::V4(at), IpAddr::V4(_)) if at.is_unspecified() => true,
        (at, to) => at.is_loopback() && to.is_loopback() && at.is_ipv4() != to.is_ipv4(),
    };
    host && bound.port() == wanted.port()
}

/// The address to connect to for a listener bound to `bound`, for a caller who wanted `wanted`.
///
/// A wildcard is no address to connect to: then the wanted address serves. A listener at the other loopback address is
/// reached at its own.
pub fn reached_at(bound: SocketAddr, wanted: SocketAddr) -> SocketAddr {
    let at = bound.ip().to_canonical();
    if at.is_unspecified() { wanted } else { SocketAddr::new(at, bound.port()) }
}
