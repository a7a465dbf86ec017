//! The table of readiness kinds. The parser and the help of `--ready`, the pages, the probes and the start read the
//! table.
//!
//! # Invariants
//! 1. A new [`ReadyKind`] does not compile without a row: [`ReadyKind::row`] matches every kind.
//! 2. A condition has a single spelling, on the command line and in JSON.
//!
//! Checked by `gates/tests/readiness.rs`; `gates/tests/books.rs` compares the pages.

use crate::prelude::*;
use crate::session::endpoint::EndpointKind;
use crate::text::shown::Shown;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kind of a condition for ready. [`ReadyKind::row`] describes each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ReadyKind {
    /// The endpoint accepts a connection.
    #[default]
    Connect,
    /// The worker answers an HTTP request.
    Http,
    /// The worker answers a handshake of the [pool protocol](crate::protocol); the plan names the version to speak.
    Handshake,
    /// The worker reports readiness by the `sd_notify` protocol, and a process listens at the endpoint. Nobody connects.
    Notify,
    /// The program runs. The program inherits the listening socket; the launcher bound the socket.
    Listen,
    /// The worker writes a line that matches a pattern.
    Line,
    /// A command of the caller succeeds.
    Exec,
    /// The program runs, and did not end at once.
    Running,
}

/// The condition for ready: a kind, with the parameter of the kind.
///
/// ```
/// use rekindle_core::readiness::{Readiness, ReadyKind};
///
/// let ready: Readiness = "http=/health".parse()?;
/// assert_eq!(ready.kind(), ReadyKind::Http);
/// assert_eq!(ready.to_string(), "http=/health");
/// # Ok::<(), rekindle_core::readiness::UnknownReadiness>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// [`ReadyKind::Connect`].
    #[default]
    Connect,
    /// [`ReadyKind::Http`], with the path of the request.
    Http(RequestPath),
    /// [`ReadyKind::Handshake`].
    Handshake,
    /// [`ReadyKind::Notify`].
    Notify,
    /// [`ReadyKind::Listen`].
    Listen,
    /// [`ReadyKind::Line`], with the regular expression.
    Line(String),
    /// [`ReadyKind::Exec`], with the command for `/bin/sh -c`.
    Exec(String),
    /// [`ReadyKind::Running`].
    Running,
}

/// Who connects to a worker before ready, or for a later probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connects {
    /// The launcher, which hands the connection on. A later probe may connect too.
    Launcher,
    /// The launcher, for requests of its own. A later probe may connect too.
    ForRequests,
    /// Nobody: a worker may end when its first client leaves.
    Nobody,
}

/// What a worker gets besides the environment and the `REKINDLE_*` variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provides {
    /// Nothing more.
    Nothing,
    /// The path of a datagram socket of the launcher, in `NOTIFY_SOCKET`.
    NotifySocket,
    /// The worker's socket, bound by the launcher.
    BoundSocket,
}

/// What shows later that a ready worker is still live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShownBy {
    /// The worker listens at its endpoint.
    Listener,
    /// The worker runs. A listener is no part of the condition, so a missing listener proves nothing.
    Process,
}

/// What proves a start ready, as far as the steps of a call depend on the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// A listener at the endpoint: whoever finds one has found a ready worker.
    Listener,
    /// An answer on a connection: whoever finds a listener has to ask.
    Answer,
    /// A watch from the start, or another one: a listener proves nothing.
    Watch,
}

/// A row of the table. The texts are Markdown fragments without a full stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The kind.
    pub kind: ReadyKind,
    /// The name for `--ready` and JSON.
    pub name: &'static str,
    /// The name of the parameter after `=`, if the kind has a parameter.
    pub parameter: Option<&'static str>,
    /// The endpoints for which the kind can be used.
    pub endpoints: &'static [EndpointKind],
    /// The programs for which the kind is meant.
    pub best_for: &'static str,
    /// The condition for ready.
    pub ready_when: &'static str,
    /// Who connects.
    pub connects: Connects,
    /// What the worker gets in addition.
    pub provides: Provides,
    /// What proves a start ready.
    pub proof: Proof,
    /// What shows later that the worker is live, at an endpoint.
    pub shown_by: ShownBy,
}

impl Row {
    /// The spelling for `--ready`: `http=PATH`.
    pub fn spelling(&self) -> String {
        match self.parameter {
            Some(parameter) => format!("{}={parameter}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// Whether the kind can be used for an endpoint of this kind.
    pub fn suits(&self, endpoint: EndpointKind) -> bool {
        self.endpoints.contains(&endpoint)
    }
}

/// The endpoints with a listener.
const LISTENERS: &[EndpointKind] = &[EndpointKind::Unix, EndpointKind::Tcp];
/// Every endpoint, and none.
const ANY: &[EndpointKind] = &[EndpointKind::Unix, EndpointKind::Tcp, EndpointKind::None];

impl ReadyKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Http,
        Self::Handshake,
        Self::Notify,
        Self::Listen,
        Self::Line,
        Self::Exec,
        Self::Running,
    ];

    /// The row of this kind.
    ///
    /// ```
    /// use rekindle_core::ReadyKind;
    /// use rekindle_core::readiness::Connects;
    ///
    /// assert_eq!(ReadyKind::Notify.row().name, "notify");
    /// assert_eq!(ReadyKind::Notify.row().connects, Connects::Nobody);
    /// ```
    pub const fn row(self) -> Row {
        match self {
            Self::Connect => Row {
                kind: self,
                name: "connect",
                parameter: None,
                endpoints: LISTENERS,
                best_for: "any program that listens at its address",
                ready_when: "the endpoint accepts a connection",
                connects: Connects::Launcher,
                provides: Provides::Nothing,
                proof: Proof::Listener,
                shown_by: ShownBy::Listener,
            },
            Self::Http => Row {
                kind: self,
                name: "http",
                parameter: Some("PATH"),
                endpoints: LISTENERS,
                best_for: "web servers, which listen before they can serve",
                ready_when: "`GET PATH` is answered with a status from 200 to 399",
                connects: Connects::ForRequests,
                provides: Provides::Nothing,
                proof: Proof::Watch,
                shown_by: ShownBy::Listener,
            },
            Self::Handshake => Row {
                kind: self,
                name: "handshake",
                parameter: None,
                endpoints: &[EndpointKind::Unix],
                best_for: "workers that speak the pool protocol",
                ready_when: "the worker answers a handshake in the version of `--speak`",
                connects: Connects::Launcher,
                provides: Provides::Nothing,
                proof: Proof::Answer,
                shown_by: ShownBy::Listener,
            },
            Self::Notify => Row {
                kind: self,
                name: "notify",
                parameter: None,
                endpoints: ANY,
                best_for: "programs that tell systemd (`sd_notify`), and workers that end with their first client",
                ready_when: "the worker sent `READY=1`, and a process listens at the endpoint, if there is one",
                connects: Connects::Nobody,
                provides: Provides::NotifySocket,
                proof: Proof::Listener,
                shown_by: ShownBy::Listener,
            },
            Self::Listen => Row {
                kind: self,
                name: "listen",
                parameter: None,
                endpoints: LISTENERS,
                best_for: "programs that take a socket from systemd (`LISTEN_FDS`), and paths over 107 bytes",
                ready_when: "the program runs; its socket listens from birth",
                connects: Connects::Nobody,
                provides: Provides::BoundSocket,
                proof: Proof::Listener,
                shown_by: ShownBy::Listener,
            },
            Self::Line => Row {
                kind: self,
                name: "line",
                parameter: Some("REGEX"),
                endpoints: ANY,
                best_for: "programs that print when they are ready, and nothing else tells",
                ready_when: "a line of this start's standard output or standard error matches REGEX",
                connects: Connects::Nobody,
                provides: Provides::Nothing,
                proof: Proof::Watch,
                shown_by: ShownBy::Process,
            },
            Self::Exec => Row {
                kind: self,
                name: "exec",
                parameter: Some("COMMAND"),
                endpoints: ANY,
                best_for: "programs with a check of their own, as `pg_isready`",
                ready_when: "`/bin/sh -c COMMAND` exits with 0, in the worker's environment and directory",
                connects: Connects::Nobody,
                provides: Provides::Nothing,
                proof: Proof::Watch,
                shown_by: ShownBy::Process,
            },
            Self::Running => Row {
                kind: self,
                name: "running",
                parameter: None,
                endpoints: ANY,
                best_for: "bots, jobs and watchers",
                ready_when: "the program runs, and still runs after `--settle`",
                connects: Connects::Nobody,
                provides: Provides::Nothing,
                proof: Proof::Watch,
                shown_by: ShownBy::Process,
            },
        }
    }

    /// What shows later that a worker with this endpoint is live: without an endpoint, only the process can.
    pub const fn shown_by(self, endpoint: EndpointKind) -> ShownBy {
        match endpoint {
            EndpointKind::None => ShownBy::Process,
            EndpointKind::Unix | EndpointKind::Tcp => self.row().shown_by,
        }
    }
}

impl fmt::Display for ReadyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

impl Readiness {
    /// The default condition for an endpoint of this kind.
    pub const fn default_for(endpoint: EndpointKind) -> Self {
        match endpoint {
            EndpointKind::Unix | EndpointKind::Tcp => Self::Connect,
            EndpointKind::None => Self::Running,
        }
    }

    /// The kind.
    pub const fn kind(&self) -> ReadyKind {
        match self {
            Self::Connect => ReadyKind::Connect,
            Self::Http(_) => ReadyKind::Http,
            Self::Handshake => ReadyKind::Handshake,
            Self::Notify => ReadyKind::Notify,
            Self::Listen => ReadyKind::Listen,
            Self::Line(_) => ReadyKind::Line,
            Self::Exec(_) => ReadyKind::Exec,
            Self::Running => ReadyKind::Running,
        }
    }

    /// The parameter, if the kind has a parameter.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Http(path) => Some(path.as_str()),
            Self::Line(parameter) | Self::Exec(parameter) => Some(parameter),
            Self::Connect | Self::Handshake | Self::Notify | Self::Listen | Self::Running => None,
        }
    }

    /// The condition of a kind, with its parameter.
    fn of(kind: ReadyKind, parameter: Option<&str>) -> Result<Self, ReadinessFault> {
        use ReadinessFault::{Missing, NoPath, Surplus};
        let given = || parameter.filter(|given| !given.is_empty()).map(ToOwned::to_owned).ok_or(Missing);
        let alone = |condition| if parameter.is_some() { Err(Surplus) } else { Ok(condition) };
        match kind {
            ReadyKind::Connect => alone(Self::Connect),
            ReadyKind::Http => given()?.parse().map(Self::Http).map_err(|InvalidRequestPath { .. }| NoPath),
            ReadyKind::Handshake => alone(Self::Handshake),
            ReadyKind::Notify => alone(Self::Notify),
            ReadyKind::Listen => alone(Self::Listen),
            ReadyKind::Line => given().map(Self::Line),
            ReadyKind::Exec => given().map(Self::Exec),
            ReadyKind::Running => alone(Self::Running),
        }
    }
}

/// The path of an HTTP request, with the query if there is one: begins with a slash, and a request line can hold it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestPath(String);

impl RequestPath {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RequestPath {
    type Err = InvalidRequestPath;

    fn from_str(text: &str) -> Result<Self, InvalidRequestPath> {
        // A space or a control character would end the path, or the line.
        let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_path.then(|| Self(text.to_owned())).ok_or_else(|| InvalidRequestPath { given: text.to_owned() })
    }
}

/// The error for a text that is no path of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no path of a request: it begins with `/`, and holds visible ASCII characters only",
    Shown(given)
)]
pub struct InvalidRequestPath {
    /// The given text.
    pub given: String,
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)?;
        self.parameter().map_or(Ok(()), |parameter| write!(f, "={parameter}"))
    }
}

impl FromStr for Readiness {
    type Err = UnknownReadiness;

    fn from_str(text: &str) -> Result<Self, UnknownReadiness> {
        let (name, parameter) = text.split_once('=').map_or((text, None), |(name, it)| (name, Some(it)));
        let unusable = |fault| UnknownReadiness { given: text.to_owned(), fault };
        let known = ReadyKind::ALL.into_iter().find(|kind| kind.row().name == name);
        let kind = known.ok_or_else(|| unusable(ReadinessFault::NoKind))?;
        Self::of(kind, parameter).map_err(unusable)
    }
}

impl Serialize for Readiness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Readiness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Connects {
    /// Whether a later probe may connect.
    pub const fn allows_probes(self) -> bool {
        match self {
            Self::Launcher | Self::ForRequests => true,
            Self::Nobody => false,
        }
    }

    /// In words, for a table.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Launcher => "the launcher, which hands the connection on",
            Self::ForRequests => "the launcher, once for each request",
            Self::Nobody => "nobody: the kernel's socket tables answer",
        }
    }
}

impl Provides {
    /// In words, for a table.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing more",
            Self::NotifySocket => "`NOTIFY_SOCKET`, the path of a datagram socket",
            Self::BoundSocket => "its socket as descriptor 3, with `LISTEN_FDS=1`",
        }
    }
}

/// The error for a text that is no condition for ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {fault}: use {}", Shown(given), Spellings)]
pub struct UnknownReadiness {
    /// The given text.
    pub given: String,
    /// The fault of the text.
    pub fault: ReadinessFault,
}

/// The fault of a text that is no condition for ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ReadinessFault {
    /// The text begins with no kind.
    #[error("is no kind of readiness")]
    NoKind,
    /// The kind needs a parameter.
    #[error("lacks what comes after the `=`")]
    Missing,
    /// The kind has no parameter.
    #[error("has nothing to come after the `=`")]
    Surplus,
    /// The path of a request has to begin with a slash, and to be of visible ASCII characters.
    #[error("asks for no path of a request, as `/health`")]
    NoPath,
}

/// The spellings of all kinds: `connect, http=PATH, … or running`.
struct Spellings;

impl fmt::Display for Spellings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = ReadyKind::ALL.len() - 1;
        ReadyKind::ALL.iter().enumerate().try_for_each(|(index, kind)| {
            let between = match index {
                0 => "",
                index if index == last => " or ",
                _ => ", ",
            };
            write!(f, "{between}{}", kind.row().spelling())
        })
    }
}
