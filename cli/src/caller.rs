//! How we were called, and how advice is typed there.
//!
//! # Invariants
//! 1. What is typed is one command for `sh`: every word that needs it is quoted, whatever bytes it holds.
//! 2. It names the state directory that the caller named, and none if the caller named none: then the environment does.
//!
//! Checked by the tests below and by `smoke/tests/smoke/advice.rs`.

use rekindle::core::ReadyKind;
use rekindle::{SessionId, Startup, Step};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How we were called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// All that was typed, the name of the command first.
    line: Vec<OsString>,
    /// The state directory, as it was named.
    dir: Option<PathBuf>,
}

impl Caller {
    /// Whoever called this process, with the state directory that was named.
    pub(crate) fn of_this_process(dir: Option<PathBuf>) -> Self {
        Self { line: env::args_os().collect(), dir }
    }

    /// A step, as it is typed here.
    pub(crate) fn type_out(&self, step: &Step) -> String {
        match step {
            Step::List => self.ours(["ls"]),
            Step::Show(session) => self.ours(["show", session.as_str()]),
            Step::Doctor(session) => self.ours(["doctor", session.as_str()]),
            Step::DoctorAll => self.ours(["doctor"]),
            Step::Stop(session) => self.ours(["stop", session.as_str()]),
            Step::Attach { session, socket, speak } => {
                let mut words = up(session);
                words.extend(["--intent".into(), "attach".into()]);
                words.extend(option("--socket", socket.as_ref()));
                if let Some(version) = speak {
                    words.extend(["--ready".into(), "handshake".into()]);
                    words.extend(option("--speak", Some(version.to_string())));
                }
                self.ours(words)
            }
            Step::Up(startup) => self.up(startup),
            Step::Again => quoted(&self.line),
            Step::UnlockByForce(session) => self.ours(["unlock", session.as_str(), "--force"]),
            Step::Forget(session) => self.ours(["unlock", session.as_str(), "--forget"]),
            Step::Repair(session) => self.ours(["gc", "--repair", session.as_str()]),
            Step::Probe(path) => self.typed(["probe".as_ref(), "--".as_ref(), path.as_os_str()]),
            Step::Chmod(dir) => quoted(["chmod".as_ref(), "go-w".as_ref(), "--".as_ref(), dir.as_os_str()]),
            Step::MakeDirectory(dir) => {
                let mkdir = ["mkdir", "-p", "-m", "700", "--"].map(OsStr::new);
                quoted(mkdir.into_iter().chain([dir.as_os_str()]))
            }
            Step::PoolList => self.ours(["pool", "ls"]),
            Step::PoolStatus(session) => self.ours(["pool", "status", session.as_str()]),
            Step::LifecycleStatus(marker) => self.lifecycle("status", marker.as_os_str()),
            Step::LifecycleForceUnlock(marker) => self.lifecycle("force-unlock", marker.as_os_str()),
            Step::Help(verb) => self.typed(verb.iter().copied().chain(["--help"])),
        }
    }

    /// A verb that works on the state directory.
    fn ours<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.typed(words.chain(option("--dir", self.dir.as_ref())))
    }

    fn up(&self, startup: &Startup) -> String {
        let mut words = up(&startup.session);
        words.extend(option("--socket", startup.socket.as_ref()));
        if startup.ready != ReadyKind::Connect {
            words.extend(option("--ready", Some(ready(startup.ready))));
        }
        words.extend(option("--speak", startup.speak.as_ref().map(ToString::to_string)));
        let is_elsewhere = env::current_dir().is_ok_and(|here| here != startup.cwd);
        words.extend(option("--cwd", Some(&startup.cwd).filter(|_| is_elsewhere)));
        words.extend(option("--dir", self.dir.as_ref()));
        words.push("--".into());
        words.extend(startup.command.iter().map(OsString::from));
        self.typed(words)
    }

    fn lifecycle(&self, verb: &str, marker: &OsStr) -> String {
        self.typed(["lifecycle".as_ref(), verb.as_ref(), "--path".as_ref(), marker])
    }

    fn typed<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let us = self.line.first().filter(|us| !us.is_empty()).cloned();
        let us = us.unwrap_or_else(|| "rekindle".into());
        quoted(std::iter::once(us).chain(words.into_iter().map(|word| word.as_ref().to_owned())))
    }
}

fn up(session: &SessionId) -> Vec<OsString> {
    vec!["up".into(), session.as_str().into()]
}

/// An option with its value. A value may begin with a dash.
fn option(name: &str, value: Option<impl Into<OsString> + AsRef<OsStr>>) -> Vec<OsString> {
    let Some(value) = value else { return Vec::new() };
    if value.as_ref().as_bytes().starts_with(b"-") {
        let mut word = OsString::from(format!("{name}="));
        word.push(value.into());
        vec![word]
    } else {
        vec![name.into(), value.into()]
    }
}

fn ready(kind: ReadyKind) -> String {
    serde_json::to_value(kind).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn quoted<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| quote(word.as_ref())).collect();
    words.join(" ")
}

/// One word for `sh`.
fn quote(word: &OsStr) -> String {
    let bytes = word.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./:@%+,-".contains(byte);
    match word.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(is_plain) => text.to_owned(),
        Some(text) if text.chars().all(is_shown) => format!("'{}'", text.replace('\'', r"'\''")),
        // Bytes that no line of text may hold.
        Some(_) | None => {
            let octal = |byte: &u8| match byte {
                byte if byte.is_ascii_alphanumeric() || b"_./:@+,- ".contains(byte) => {
                    char::from(*byte).to_string()
                }
                byte => format!("\\{byte:03o}"),
            };
            // `$(...)` drops newlines at the end; the dot keeps them, and is taken away again.
            let printed: String = bytes.iter().map(octal).collect();
            if bytes.ends_with(b"\n") {
                format!("\"$(w=$(printf '{printed}.'); printf '%s\\n' \"${{w%??}}\")\"")
            } else {
                format!("\"$(printf -- '{printed}')\"")
            }
        }
    }
}

/// Whether a character is shown for what it is: neither a control character nor one that turns the text around.
fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(dir: Option<&str>) -> Caller {
        Caller { line: vec!["rekindle".into(), "up".into(), "it's".into()], dir: dir.map(PathBuf::from) }
    }

    #[test]
    fn the_state_directory_that_was_named_is_named_again() {
        let stop = Step::Stop("s".parse().unwrap());
        assert_eq!(caller(None).type_out(&stop), "rekindle stop s");
        assert_eq!(caller(Some("my dir")).type_out(&stop), "rekindle stop s --dir 'my dir'");
        assert_eq!(caller(Some("-d")).type_out(&stop), "rekindle stop s '--dir=-d'");
    }

    #[test]
    fn the_same_call_is_typed_as_it_was() {
        assert_eq!(caller(None).type_out(&Step::Again), r"rekindle up 'it'\''s'");
    }

    #[test]
    fn bytes_that_no_line_may_hold_are_printed() {
        assert_eq!(quote(OsStr::from_bytes(b"caf\xe9")), r#""$(printf -- 'caf\351')""#);
        assert_eq!(quote(OsStr::new("a\u{1b}b")), r#""$(printf -- 'a\033b')""#);
        assert_eq!(quote(OsStr::new("")), "''");
        assert_eq!(quote(OsStr::new("$HOME `x`")), "'$HOME `x`'");
    }
}
