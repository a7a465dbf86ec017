//! Options of `up` that do not fit together: refused before anything is looked at.
//!
//! Checked by the tests below and by `smoke/tests/smoke/command/addresses.rs`.

use crate::args::UpArgs;
use rekindle::readiness::Row;
use rekindle::{Address, EndpointKind, Intent, Launch, Readiness, ReadyKind};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Why the options do not fit together, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misuse {
    pub(super) message: String,
    pub(super) hint: String,
}

fn misuse(message: impl Into<String>, hint: impl Into<String>) -> Option<Misuse> {
    Some(Misuse { message: message.into(), hint: hint.into() })
}

/// The first fault of the command line, if there is any; `base` is the start in the project file.
pub(super) fn of(args: &UpArgs, base: Option<&Launch>) -> Option<Misuse> {
    let is_attach = Intent::from(args.intent) == Intent::Attach;
    // Without a program the record has the options that are not named.
    let is_recorded = args.command.is_empty() && !is_attach && base.is_none();
    if args.speak.is_some() && args.ready != Some(Readiness::Handshake) && !is_recorded {
        let message = "--speak names a version for --ready handshake, which is not asked for";
        return misuse(message, "add --ready handshake, or leave --speak out");
    }
    // An attach without an address takes the recorded address, whatever its kind.
    if is_attach && args.address.is_none() && args.socket.is_none() {
        return None;
    }
    let names_no_address = args.address.is_none() && args.socket.is_none();
    if is_recorded && (names_no_address || args.ready.is_none()) {
        return None;
    }
    let in_file = base.and_then(Launch::named_address);
    let kind = args.address.as_ref().or(in_file).map_or(EndpointKind::Unix, Address::kind);
    let of_file = || base.map_or_else(|| Readiness::default_for(kind), Launch::condition);
    let condition = args.ready.clone().unwrap_or_else(of_file);
    of_condition(condition.kind().row(), kind)
        .or_else(|| of_settle(args, condition.kind()))
        .or_else(|| of_placeholders(&args.command, kind))
        .or_else(|| of_foreign_listener(args, kind))
}

fn of_condition(row: Row, kind: EndpointKind) -> Option<Misuse> {
    if row.suits(kind) {
        return None;
    }
    let needs: Vec<&str> = row.endpoints.iter().copied().map(in_words).collect();
    let message = format!(
        "--ready {} needs {}, and the worker's address is {}",
        row.name,
        needs.join(" or "),
        in_words(kind)
    );
    let rows = ReadyKind::ALL.map(ReadyKind::row);
    let suited: Vec<String> = rows.iter().filter(|it| it.suits(kind)).map(Row::spelling).collect();
    misuse(message, format!("for {} there are: {}", in_words(kind), suited.join(", ")))
}

fn of_settle(args: &UpArgs, kind: ReadyKind) -> Option<Misuse> {
    if args.settle.is_none() || kind == ReadyKind::Running {
        return None;
    }
    let message = "--settle is the time for --ready running, which is not asked for";
    misuse(message, "add --ready running, or leave --settle out")
}

/// Each placeholder of one kind of endpoint, with that kind.
const PLACEHOLDERS: [(&str, EndpointKind); 3] =
    [("{socket}", EndpointKind::Unix), ("{port}", EndpointKind::Tcp), ("{host}", EndpointKind::Tcp)];

/// The program's name is no argument: nothing in the name is filled in.
fn of_placeholders(command: &[OsString], kind: EndpointKind) -> Option<Misuse> {
    let named = |name: &str| command.iter().skip(1).any(|word| holds(word, name));
    let (name, of) = PLACEHOLDERS.into_iter().find(|(name, of)| *of != kind && named(name))?;
    let message = format!(
        "{name} in an argument stands for {}, and the worker's address is {}",
        in_words(of),
        in_words(kind)
    );
    let hint = match (of, kind) {
        (EndpointKind::Tcp, EndpointKind::Unix | EndpointKind::None) => {
            "name the port with --address tcp:PORT; --address tcp:0 chooses a free port"
        }
        (EndpointKind::Unix, EndpointKind::Tcp) => {
            "write {port}, {host} or {address}; or leave --address out"
        }
        (EndpointKind::Unix | EndpointKind::None, _) | (EndpointKind::Tcp, EndpointKind::Tcp) => {
            "leave --address none out, or leave the placeholder out"
        }
    };
    misuse(message, hint)
}

fn of_foreign_listener(args: &UpArgs, kind: EndpointKind) -> Option<Misuse> {
    if !args.allow_foreign_listener || kind == EndpointKind::Tcp {
        return None;
    }
    let message =
        format!("--allow-foreign-listener is for a TCP port, and the worker's address is {}", in_words(kind));
    misuse(message, "name the port with --address tcp:PORT, or leave --allow-foreign-listener out")
}

fn holds(word: &OsStr, name: &str) -> bool {
    word.as_bytes().windows(name.len()).any(|part| part == name.as_bytes())
}

fn in_words(kind: EndpointKind) -> &'static str {
    match kind {
        EndpointKind::Unix => "a Unix socket",
        EndpointKind::Tcp => "a TCP port",
        EndpointKind::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Verb};
    use clap::Parser;

    fn fault(options: &[&str]) -> Option<String> {
        let args = Args::try_parse_from([&["rekindle", "up", "s"], options].concat()).unwrap();
        let Verb::Up(up) = args.verb else { panic!("another verb") };
        of(&up, None).map(|misuse| misuse.message)
    }

    #[test]
    fn a_condition_has_to_suit_the_address() {
        let message = fault(&["--address", "tcp:1", "--ready", "handshake", "--speak", "1", "--", "p"]);
        let expected = "--ready handshake needs a Unix socket, and the worker's address is a TCP port";
        assert_eq!(message.as_deref(), Some(expected));
        for wrong in ["connect", "http=/", "listen"] {
            let message = fault(&["--address", "none", "--ready", wrong, "--", "p"]).unwrap();
            assert!(message.ends_with("and the worker's address is none"), "{message}");
        }
        for kind in ReadyKind::ALL.map(ReadyKind::row) {
            let spelling = kind.spelling().replace("PATH", "/");
            for (address, endpoint) in
                [("unix", EndpointKind::Unix), ("tcp:1", EndpointKind::Tcp), ("none", EndpointKind::None)]
            {
                let mut options = vec!["--address", address, "--ready", &spelling];
                options.extend(["--speak", "1"].into_iter().filter(|_| kind.kind == ReadyKind::Handshake));
                options.extend(["--", "p"]);
                assert_eq!(fault(&options).is_none(), kind.suits(endpoint), "{options:?}");
            }
        }
    }

    #[test]
    fn a_placeholder_has_to_suit_the_address() {
        let wrong: [&[&str]; 4] = [
            &["--", "p", "{port}"],
            &["--socket", "/s", "--", "p", "--listen={host}"],
            &["--address", "tcp:0", "--", "p", "unix:{socket}"],
            &["--address", "none", "--", "p", "{socket}"],
        ];
        for options in wrong {
            assert!(fault(options).is_some_and(|it| it.contains("in an argument stands for")), "{options:?}");
        }
        let right: [&[&str]; 4] = [
            &["--", "p", "{socket}", "{address}"],
            &["--address", "tcp:0", "--", "p", "{host}:{port}"],
            &["--address", "none", "--", "p", "{session}"],
            &["--intent", "attach", "--", "p", "{port}"],
        ];
        for options in right {
            assert_eq!(fault(options), None, "{options:?}");
        }
    }

    #[test]
    fn an_option_for_another_choice_is_refused() {
        assert!(fault(&["--settle", "1s", "--", "p"]).is_some());
        assert!(fault(&["--speak", "1", "--", "p"]).is_some());
        assert!(fault(&["--allow-foreign-listener", "--", "p"]).is_some());
        assert_eq!(fault(&[]), None, "the record names the program");
        assert_eq!(fault(&["--settle", "1s"]), None, "the record has the condition");
        assert_eq!(fault(&["--address", "none", "--settle", "1s", "--", "p"]), None);
        assert_eq!(fault(&["--address", "tcp:1", "--allow-foreign-listener", "--", "p"]), None);
        assert_eq!(fault(&["--intent", "attach"]), None);
    }
}
