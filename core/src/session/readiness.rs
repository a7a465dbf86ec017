//! The table of readiness kinds. The parser and the help of `--ready`, the pages, the probes and the start read the
//! table.
//!
//! # Invariants
//! 1. A new [`ReadyKind`] does not compile without a row: [`ReadyKind::row`] matches every kind.
//! 2. A kind has a single spelling, on the command line and in JSON.
//!
//! Checked by `gates/tests/readiness.rs`; `gates/tests/books.rs` compares the pages.

use crate::prelude::*;
use crate::text::shown::Shown;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The condition for ready. [`ReadyKind::row`] describes each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyKind {
    /// The socket accepts a connection.
    #[default]
    Connect,
    /// The worker answers a handshake of the [pool protocol](crate::protocol); the plan names the version to speak.
    Handshake,
    /// The worker reports readiness by the `sd_notify` protocol, and a process listens on the socket. Nobody connects.
    Notify,
    /// The program runs. The program inherits the socket; the launcher bound the socket, and the socket listens
    /// already.
    Listen,
}

/// Who connects to a worker before ready, or for a later probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connects {
    /// The launcher, which hands the connection on. A later probe may connect too.
    Launcher,
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

/// A row of the table. The texts are Markdown fragments without a full stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The kind.
    pub kind: ReadyKind,
    /// The name for `--ready` and JSON.
    pub name: &'static str,
    /// The programs for which the kind is meant.
    pub best_for: &'static str,
    /// The condition for ready.
    pub ready_when: &'static str,
    /// Who connects.
    pub connects: Connects,
    /// What the worker gets in addition.
    pub provides: Provides,
}

impl ReadyKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Handshake, Self::Notify, Self::Listen];

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
                best_for: "any program that opens `{socket}`",
                ready_when: "the socket accepts a connection",
                connects: Connects::Launcher,
                provides: Provides::Nothing,
            },
            Self::Handshake => Row {
                kind: self,
                name: "handshake",
                best_for: "workers that speak the pool protocol",
                ready_when: "the worker answers a handshake in the version of `--speak`",
                connects: Connects::Launcher,
                provides: Provides::Nothing,
            },
            Self::Notify => Row {
                kind: self,
                name: "notify",
                best_for: "programs that tell systemd (`sd_notify`), and workers that end with their first client",
                ready_when: "the worker sent `READY=1`, and a process listens on the socket",
                connects: Connects::Nobody,
                provides: Provides::NotifySocket,
            },
            Self::Listen => Row {
                kind: self,
                name: "listen",
                best_for: "programs that take a socket from systemd (`LISTEN_FDS`), and paths over 107 bytes",
                ready_when: "the program runs; its socket listens from birth",
                connects: Connects::Nobody,
                provides: Provides::BoundSocket,
            },
        }
    }
}

impl fmt::Display for ReadyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

impl Connects {
    /// In words, for a table.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Launcher => "the launcher, which hands the connection on",
            Self::Nobody => "nobody: the kernel's socket table answers",
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

/// The error for a text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no kind of readiness: use {}", Shown(named), Names)]
pub struct UnknownReadyKind {
    /// The given text.
    pub named: String,
}

/// The names of all kinds: `connect, handshake, notify or listen`.
struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = ReadyKind::ALL.len() - 1;
        ReadyKind::ALL.iter().enumerate().try_for_each(|(index, kind)| {
            let between = match index {
                0 => "",
                index if index == last => " or ",
                _ => ", ",
            };
            write!(f, "{between}{kind}")
        })
    }
}

impl FromStr for ReadyKind {
    type Err = UnknownReadyKind;

    fn from_str(text: &str) -> Result<Self, UnknownReadyKind> {
        let known = Self::ALL.into_iter().find(|kind| kind.row().name == text);
        known.ok_or_else(|| UnknownReadyKind { named: text.to_owned() })
    }
}
