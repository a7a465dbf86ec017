//! The command line of this call, and how advice is typed there.
//!
//! # Invariants
//! 1. Advice is one command: every word is quoted where the shell would change the word's bytes.
//! 2. Advice repeats the caller's `--dir` and `--file`, and adds none that the caller left out: then the environment and the
//!    current directory decide.
//!
//! Checked by the tests below and by `smoke/tests/smoke/command/advice.rs`.

use rekindle::frontend::{as_option, shell_quoted, shell_word};
use rekindle::{Address, Endpoint, ForeignListener, SessionId, Startup, Step};
use std::env;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The command line of this call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// All arguments of this process, the name of the command first.
    line: Vec<OsString>,
    /// The value of `--dir`, as typed.
    dir: Option<PathBuf>,
    /// The value of `--file`, as typed.
    file: Option<PathBuf>,
}

impl Caller {
    /// The caller of this process, with the values of `--dir` and `--file`.
    pub(crate) fn of_this_process(dir: Option<PathBuf>, file: Option<PathBuf>) -> Self {
        Self { line: env::args_os().collect(), dir, file }
    }

    /// The command for a step.
    pub(crate) fn type_out(&self, step: &Step) -> String {
        match step {
            Step::List => self.ours(["ls"]),
            Step::Show(session) => self.ours(["show", session.as_str()]),
            Step::ShowIn { session, dir } => {
                let words: [OsString; 2] = ["show".into(), session.as_str().into()];
                self.typed(words.into_iter().chain(option("--dir", Some(dir))))
            }
            Step::Doctor(session) => self.ours(["doctor", session.as_str()]),
            Step::DoctorAll => self.ours(["doctor"]),
            Step::Logs(session) => self.ours(["logs", session.as_str()]),
            Step::Restart(session) => self.ours(["restart", session.as_str()]),
            Step::Stop(session) => self.ours(["stop", session.as_str()]),
            Step::Attach { session, address: at, speak } => {
                let mut words = up(session);
                words.extend(["--intent".into(), "attach".into()]);
                words.extend(address(at.as_ref()));
                if let Some(version) = speak {
                    words.extend(["--ready".into(), "handshake".into()]);
                    words.extend(option("--speak", Some(version.to_string())));
                }
                self.ours(words)
            }
            Step::Up(startup) => self.up(startup),
            Step::Init => self.typed(["init"]),
            Step::Again => quoted(&self.line),
            Step::AgainAt(endpoint) => self.again_at(endpoint),
            Step::UnlockByForce(session) => self.ours(["unlock", session.as_str(), "--force"]),
            Step::Forget(session) => self.ours(["unlock", session.as_str(), "--forget"]),
            Step::RemoveByForce(session) => self.ours(["rm", session.as_str(), "--force"]),
            Step::Repair(session) => self.ours(["gc", "--repair", session.as_str()]),
            Step::Probe(path) => format!("{} {}", self.typed(["probe"]), shell_quoted(path)),
            Step::ProbePort(at) => self.typed(["probe".into(), Endpoint::Tcp(*at).to_text()]),
            Step::Chmod(dir) => format!("chmod go-w {}", shell_quoted(dir)),
            Step::MakeDirectory(dir) => format!("mkdir -p -m 700 {}", shell_quoted(dir)),
            Step::PoolList => self.ours(["pool", "ls"]),
            Step::PoolStatus(session) => self.ours(["pool", "status", session.as_str()]),
            Step::LifecycleStatus(marker) => self.lifecycle("status", marker),
            Step::LifecycleForceUnlock(marker) => self.lifecycle("force-unlock", marker),
            Step::Help(verb) => self.typed(verb.iter().copied().chain(["--help"])),
        }
    }

    /// A verb that works on the state directory.
    fn ours<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.typed(words.chain(self.place()))
    }

    /// The options that name the state directory and the project.
    fn place(&self) -> impl Iterator<Item = OsString> {
        option("--dir", self.dir.as_ref()).into_iter().chain(option("--file", self.file.as_ref()))
    }

    fn up(&self, startup: &Startup) -> String {
        let mut words = up(&startup.session);
        words.extend(address(startup.address.as_ref()));
        words.extend(option("--ready", startup.ready.as_ref().map(ToString::to_string)));
        words.extend(option("--settle", startup.settle.map(|time| format!("{}ms", time.as_millis()))));
        words.extend(option("--speak", startup.speak.as_ref().map(ToString::to_string)));
        if startup.foreign_listener == ForeignListener::Allowed {
            words.push("--allow-foreign-listener".into());
        }
        let is_elsewhere = env::current_dir().is_ok_and(|here| here != startup.cwd);
        words.extend(option("--cwd", Some(&startup.cwd).filter(|_| is_elsewhere)));
        words.extend(self.place());
        words.push("--".into());
        words.extend(startup.command.iter().map(OsString::from));
        self.typed(words)
    }

    /// The same call, with one option more in front of the program.
    fn again_at(&self, endpoint: &Endpoint) -> String {
        let end = self.line.iter().position(|word| word == "--").unwrap_or(self.line.len());
        let (ours, program) = self.line.split_at(end);
        let more = option("--address", Some(as_option(endpoint)));
        quoted(ours.iter().chain(&more).chain(program))
    }

    fn lifecycle(&self, verb: &str, marker: &Path) -> String {
        format!("{} {}", self.typed(["lifecycle", verb, "--path"]), shell_quoted(marker))
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

/// The option for an address: a Unix socket by its short form.
fn address(address: Option<&Address>) -> Vec<OsString> {
    match address {
        None | Some(Address::OwnSocket) => Vec::new(),
        Some(Address::At(Endpoint::Unix(path))) => option("--socket", Some(path.clone())),
        Some(Address::At(endpoint @ (Endpoint::Tcp(_) | Endpoint::None))) => {
            option("--address", Some(as_option(endpoint)))
        }
        Some(Address::AnyPort(host)) => {
            option("--address", Some(as_option(&Endpoint::Tcp(SocketAddr::new(*host, 0)))))
        }
    }
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

fn quoted<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> String {
    words.into_iter().map(|word| shell_word(word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(dir: Option<&str>) -> Caller {
        Caller {
            line: vec!["rekindle".into(), "up".into(), "it's".into()],
            dir: dir.map(PathBuf::from),
            file: None,
        }
    }

    #[test]
    fn the_state_directory_that_was_named_is_named_again() {
        let stop = Step::Stop("s".parse().unwrap());
        assert_eq!(caller(None).type_out(&stop), "rekindle stop s");
        assert_eq!(caller(Some("my dir")).type_out(&stop), "rekindle stop s --dir 'my dir'");
        assert_eq!(caller(Some("-d")).type_out(&stop), "rekindle stop s '--dir=-d'");
    }

    #[test]
    fn the_same_call_is_typed_with_the_address_before_the_program() {
        let words = ["rekindle", "up", "web", "--env", "A=b c", "--", "serve", "--", "8000"];
        let caller = Caller { line: words.map(OsString::from).into(), dir: None, file: None };
        let at = |text: &str| caller.type_out(&Step::AgainAt(text.parse().unwrap()));
        assert_eq!(at("tcp:8000"), "rekindle up web --env 'A=b c' --address tcp:8000 -- serve -- 8000");
        assert_eq!(
            at("tcp:[::1]:80"),
            "rekindle up web --env 'A=b c' --address 'tcp:[::1]:80' -- serve -- 8000"
        );
    }

    #[test]
    fn a_start_is_typed_with_address_and_condition() {
        let startup = Startup {
            session: "web".parse().unwrap(),
            command: ["serve", "8000"].map(OsString::from).into(),
            cwd: env::current_dir().unwrap(),
            address: Some(Endpoint::Tcp(([127, 0, 0, 1], 8000).into()).into()),
            ready: Some("line=ready in \\d+ 'ms'".parse().unwrap()),
            settle: None,
            foreign_listener: ForeignListener::Allowed,
            speak: None,
        };
        let typed = caller(None).type_out(&Step::Up(Box::new(startup)));
        let expected = r"rekindle up web --address tcp:8000 --ready 'line=ready in \d+ '\''ms'\''' --allow-foreign-listener -- serve 8000";
        assert_eq!(typed, expected);
    }

    #[test]
    fn the_same_call_is_typed_as_it_was() {
        assert_eq!(caller(None).type_out(&Step::Again), r"rekindle up 'it'\''s'");
    }
}
