//! The project file that `rekindle init` writes.

use super::error::ProjectError;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// The text. A test reads the text with every line of code uncommented.
pub(super) const TEMPLATE: &str = r#"# The sessions of this project. The JSON schema of this file: rekindle schema config
#
# rekindle up          start all sessions, in the order of `after`
# rekindle up NAME     start one session
# rekindle ls          list the sessions of this project
# rekindle down        end all sessions, in reverse order
#
# A file rekindle.local.toml beside this file wins key by key: keep it out of version control.

[sessions.hello]
# The program and its arguments; no shell is involved. {socket}, {port}, {host}, {address} and {session} are filled in.
command = ["rekindle", "worker", "--protocol", "echo"]

# Where the worker answers: unix (a socket in the state directory), unix:PATH, tcp:PORT, tcp:HOST:PORT or none.
# With port 0 a free port is chosen.
# address = "unix"

# When the worker is ready: connect, http=PATH, notify, listen, line=REGEX, exec=COMMAND or running.
# ready = "connect"

# How long a start may take.
# timeout = "30s"

# The working directory, from the directory of this file.
# cwd = "."

# Variables, besides those of the caller; and files with variables.
# env = { LANG = "C.UTF-8" }
# env-file = ".env"

# The sessions that have to be ready first.
# after = []

# How the worker is ended: a signal, then SIGKILL.
# stop-signal = "TERM"
# term-grace = "5s"
# kill-grace = "5s"

# The bound of each log; 0 is no bound.
# log-max = "64m"
"#;

/// Writes the text into a new file.
pub(super) fn write(file: &Path) -> Result<(), ProjectError> {
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let written = opened.and_then(|mut opened| opened.write_all(TEMPLATE.as_bytes()));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => ProjectError::Exists { path: file.to_owned() },
        _ => ProjectError::Write { path: file.to_owned(), source },
    })
}
