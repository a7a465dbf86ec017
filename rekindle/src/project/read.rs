//! Reads a project file, and the local file beside it, into starts.
//!
//! # Invariants
//! 1. A key of the local file replaces the same key of the project file; of `env`, the same variable.
//! 2. Each value is read by the parser of the option of `up` with the same name.
//! 3. Relative paths count from the project file's directory.

use super::error::ProjectError;
use super::text::{Item, Key, Source, entries};
use super::values::{duration, ready};
use crate::launch::Launch;
use rekindle_core::endpoint::serves;
use rekindle_core::plan::KillChange;
use rekindle_core::project::{Order, OrderFault};
use rekindle_core::{Address, Endpoint, EndpointKind, Readiness, SessionId};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The only table of a project file.
const SESSIONS: &str = "sessions";

/// The keys of a session.
pub(super) const KEYS: [&str; 12] = [
    "command",
    "address",
    "ready",
    "timeout",
    "cwd",
    "env",
    "env-file",
    "after",
    "stop-signal",
    "term-grace",
    "kill-grace",
    "log-max",
];

/// The keys of one session, of both files.
#[derive(Debug)]
struct Fields<'s> {
    name: Key<'s>,
    keys: BTreeMap<&'static str, Item<'s>>,
    env: BTreeMap<&'s str, Item<'s>>,
}

impl<'s> Fields<'s> {
    fn get(&self, key: &str) -> Option<&Item<'s>> {
        self.keys.get(key)
    }

    /// The value of a key, read by `parse`.
    fn parsed<T, E: std::fmt::Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&'s str) -> Result<T, E>,
    ) -> Result<Option<T>, ProjectError> {
        self.get(key).map(|item| item.parsed(parse)).transpose()
    }

    /// The keys of a later file replace ours.
    fn replace(&mut self, later: Fields<'s>) {
        self.keys.extend(later.keys);
        self.env.extend(later.env);
    }
}

/// The local file beside a project file: `rekindle.local.toml` beside `rekindle.toml`.
pub(super) fn local_file(file: &Path) -> PathBuf {
    file.with_extension("local.toml")
}

/// Reads both files.
pub(super) fn read(file: &Path) -> Result<(BTreeMap<SessionId, Launch>, Order), ProjectError> {
    let missing =
        || ProjectError::Read { path: file.to_owned(), source: io::Error::from(io::ErrorKind::NotFound) };
    let shared = Source::read(file)?.ok_or_else(missing)?;
    let local = Source::read(&local_file(file))?;
    let (shared_table, local_table) = (shared.parse()?, local.as_ref().map(Source::parse).transpose()?);
    let mut fields = BTreeMap::new();
    let tables = local.as_ref().zip(local_table.as_ref());
    for (source, table) in std::iter::once((&shared, &shared_table)).chain(tables) {
        for (key, item) in entries(source, table) {
            key.among(&[SESSIONS])?;
            collect(&item, &mut fields)?;
        }
    }
    if fields.is_empty() {
        return Err(ProjectError::Empty { path: file.to_owned() });
    }
    sessions(file.parent().unwrap_or(Path::new("/")), &fields)
}

/// Adds the sessions of one file.
fn collect<'s>(table: &Item<'s>, all: &mut BTreeMap<SessionId, Fields<'s>>) -> Result<(), ProjectError> {
    for (name, item) in table.table()? {
        let session: SessionId = name
            .name
            .parse()
            .map_err(|error: rekindle_core::id::InvalidSessionId| name.wrong(error.to_string()))?;
        let mut fields = Fields { name, keys: BTreeMap::new(), env: BTreeMap::new() };
        for (key, value) in item.table()? {
            match key.among(&KEYS)? {
                "env" => {
                    for (variable, value) in value.table()? {
                        let is_name = !variable.name.is_empty() && !variable.name.contains(['=', '\0']);
                        if !is_name {
                            return Err(variable.wrong("no variable has such a name"));
                        }
                        fields.env.insert(variable.name, value);
                    }
                }
                key => drop(fields.keys.insert(key, value)),
            }
        }
        match all.get_mut(&session) {
            Some(earlier) => earlier.replace(fields),
            None => drop(all.insert(session, fields)),
        }
    }
    Ok(())
}

fn sessions(
    dir: &Path,
    fields: &BTreeMap<SessionId, Fields<'_>>,
) -> Result<(BTreeMap<SessionId, Launch>, Order), ProjectError> {
    let mut sessions = BTreeMap::new();
    let mut addresses: Vec<(&SessionId, Address)> = Vec::new();
    for (session, fields) in fields {
        let made = self::session(dir, fields)?;
        let address = made.named_address().cloned().unwrap_or_default();
        if let Some((other, _)) = addresses.iter().find(|(_, it)| collide(it, &address)) {
            let at = fields.get("address").map_or_else(|| fields.name.wrong(""), |it| it.wrong(""));
            return Err(with_message(at, format!("`{session}` and `{other}` have the same address")));
        }
        addresses.push((session, address));
        sessions.insert(session.clone(), made);
    }
    Ok((sessions, order(fields)?))
}

/// The order of `after`, with the place of a fault.
fn order(fields: &BTreeMap<SessionId, Fields<'_>>) -> Result<Order, ProjectError> {
    let mut needs = BTreeMap::new();
    for (session, fields) in fields {
        let after = fields.get("after").map(Item::array).transpose()?.unwrap_or_default();
        let named: Result<Vec<SessionId>, _> = after.iter().map(|it| it.parsed(str::parse)).collect();
        needs.insert(session.clone(), named?);
    }
    Order::new(needs).map_err(|fault| {
        let (session, named) = match &fault {
            OrderFault::Unknown { session, named } => (session, Some(named)),
            OrderFault::Cycle { sessions } => (&sessions[0], None),
        };
        let after = fields[session].get("after").expect("a fault of the order is in an `after`");
        let words = after.array().unwrap_or_default();
        let is_named = |it: &&Item<'_>| it.text().ok() == named.map(SessionId::as_str);
        words.iter().find(is_named).unwrap_or(after).wrong(fault.to_string())
    })
}

fn with_message(error: ProjectError, text: String) -> ProjectError {
    match error {
        ProjectError::Wrong { place, hint, .. } => ProjectError::Wrong { place, message: text, hint },
        error => error,
    }
}

/// Whether two sessions cannot both have their address.
fn collide(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::At(Endpoint::Unix(one)), Address::At(Endpoint::Unix(other))) => one == other,
        (Address::At(Endpoint::Tcp(one)), Address::At(Endpoint::Tcp(other))) => {
            serves(*one, *other) || serves(*other, *one)
        }
        (Address::OwnSocket | Address::AnyPort(_) | Address::At(_), _) => false,
    }
}

/// The start that the keys describe.
fn session(dir: &Path, fields: &Fields<'_>) -> Result<Launch, ProjectError> {
    let Some(command) = fields.get("command") else {
        return Err(fields.name.wrong("this session has no `command`"));
    };
    let words: Result<Vec<&str>, _> = command.array()?.iter().map(Item::text).collect();
    let words = words?;
    let Some((program, arguments)) = words.split_first().filter(|(program, _)| !program.is_empty()) else {
        return Err(command.wrong("`command` needs a program, such as [\"my-server\", \"--verbose\"]"));
    };
    if words.iter().any(|word| word.contains('\0')) {
        return Err(command.wrong("no argument can hold a NUL byte"));
    }
    let cwd = fields.parsed("cwd", |path| Ok::<_, ProjectError>(dir.join(path)))?;
    let cwd = cwd.unwrap_or_else(|| dir.to_owned());
    let address = address(dir, fields)?;
    let kind = address.kind();
    placeholders(command, &words, kind)?;
    let mut launch = Launch::new(program_in(&cwd, program)).args(arguments.iter().map(OsString::from));
    launch = launch.cwd(&cwd).address(address).kill_change(kill_change(fields)?);
    if let Some(condition) = condition(fields, kind)? {
        launch = launch.ready(condition);
    }
    if let Some(time) = fields.parsed("timeout", duration)? {
        launch = launch.timeout(time);
    }
    for (name, value) in &fields.env {
        launch = launch.env(*name, value.text()?);
    }
    let files = fields.get("env-file").map(Item::one_or_more).transpose()?.unwrap_or_default();
    for file in &files {
        launch = launch.env_file(dir.join(file.text()?));
    }
    Ok(match fields.parsed("log-max", str::parse)? {
        Some(max) => launch.log_max(max),
        None => launch,
    })
}

/// A program by a path counts from the session's directory; a mere name is looked up in PATH.
fn program_in(cwd: &Path, program: &str) -> OsString {
    if program.contains('/') { cwd.join(program).into() } else { program.into() }
}

fn address(dir: &Path, fields: &Fields<'_>) -> Result<Address, ProjectError> {
    let named = fields.parsed("address", |text| Address::from_text(text.as_ref()))?;
    Ok(match named.unwrap_or_default() {
        Address::At(Endpoint::Unix(path)) => Address::At(Endpoint::Unix(dir.join(path))),
        address @ (Address::OwnSocket | Address::AnyPort(_) | Address::At(_)) => address,
    })
}

fn condition(fields: &Fields<'_>, kind: EndpointKind) -> Result<Option<Readiness>, ProjectError> {
    let Some(item) = fields.get("ready") else { return Ok(None) };
    let condition = item.parsed(ready)?;
    let row = condition.kind().row();
    if !row.suits(kind) {
        let message = format!("`{}` does not suit the address, which is of the kind {kind}", row.name);
        return Err(item.wrong(message));
    }
    if condition == Readiness::Handshake {
        return Err(item.wrong("a handshake needs --speak, so name the session on the command line"));
    }
    Ok(Some(condition))
}

/// An argument with a placeholder that the address never fills in would reach the program as it stands.
fn placeholders(command: &Item<'_>, words: &[&str], kind: EndpointKind) -> Result<(), ProjectError> {
    let of = [("{socket}", EndpointKind::Unix), ("{port}", EndpointKind::Tcp), ("{host}", EndpointKind::Tcp)];
    let is_foreign = |(name, of): &(&str, EndpointKind)| {
        *of != kind && words.iter().skip(1).any(|word| word.contains(name))
    };
    match of.into_iter().find(is_foreign) {
        Some((name, of)) => Err(command.wrong(format!(
            "{name} is for an address of the kind {of}, and the address here is of the kind {kind}"
        ))),
        None => Ok(()),
    }
}

fn kill_change(fields: &Fields<'_>) -> Result<KillChange, ProjectError> {
    Ok(KillChange {
        signal: fields.parsed("stop-signal", str::parse)?,
        term_grace: fields.parsed("term-grace", duration)?,
        kill_grace: fields.parsed("kill-grace", duration)?,
        no_kill: false,
    })
}
