//! The name of an unfinished file or directory: only rekindle gives such names, and the name identifies the writer.
//!
//! # Invariants
//! 1. A name is parsed as a whole: a name with only an equal beginning belongs to another program.
//! 2. A leftover is told from a file in progress by its writer: pid and start time.
//!
//! Checked by the tests below and `smoke/tests/smoke/ground/foreign_files.rs`.

use crate::sys::linux::procfs;
use rekindle_core::identity::{NamespaceId, StartTime, UnknownReason, judge};
use rekindle_core::{Host, Pid, ProcessIdentity, ProcessLiveness};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The prefix of all such names.
const PREFIX: &str = ".rekindle-tmp.";

/// `.rekindle-tmp.PID.START_TIME.PID_NAMESPACE.COUNT.TARGET`; 0 replaces an unknown number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemporaryName {
    target: OsString,
    pid: Pid,
    start_time: u64,
    pid_namespace: u64,
    count: u64,
}

impl TemporaryName {
    /// A name for the unfinished `target`; no two calls give the same name.
    pub(crate) fn new(target: &OsStr) -> Self {
        static GIVEN: AtomicU64 = AtomicU64::new(0);
        let writer = procfs::this_process(here());
        Self {
            target: target.to_owned(),
            pid: writer.pid,
            start_time: writer.start_time.map_or(0, StartTime::ticks),
            pid_namespace: writer.pid_namespace.map_or(0, NamespaceId::inode),
            count: GIVEN.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Parses a name; `None` unless [`Self::new`] could have made exactly this name.
    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        let rest = name.as_bytes().strip_prefix(PREFIX.as_bytes())?;
        let mut parts = rest.splitn(5, |byte| *byte == b'.');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
        let (pid, start_time, pid_namespace, count) = (number()?, number()?, number()?, number()?);
        let pid = Pid::new(i32::try_from(pid).ok()?)?;
        let read = Self { target: unescaped(parts.next()?)?, pid, start_time, pid_namespace, count };
        (read.to_string().as_bytes() == name.as_bytes()).then_some(read)
    }

    /// The name of the finished file.
    pub(crate) fn target(&self) -> &OsStr {
        &self.target
    }

    /// Whether the writer is gone, or belongs to another pid namespace and cannot be judged. Only for the holder of the
    /// lock under which such names are given.
    pub(crate) fn is_left_behind(&self) -> bool {
        let writer = ProcessIdentity {
            pid: self.pid,
            start_time: Some(self.start_time).filter(|ticks| *ticks != 0).map(StartTime::from_ticks),
            boot_id: None,
            pid_namespace: Some(self.pid_namespace).filter(|inode| *inode != 0).map(NamespaceId::from_inode),
            time_namespace: here().time_namespace,
        };
        match judge(&writer, here(), procfs::status(self.pid)) {
            ProcessLiveness::Dead(_)
            | ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace | UnknownReason::UnknownBoot) => {
                true
            }
            ProcessLiveness::Alive
            | ProcessLiveness::Unjudged(
                UnknownReason::Unproven | UnknownReason::OtherMachine | UnknownReason::NotPermitted,
            ) => false,
        }
    }
}

/// The target, with every `%` and every invalid UTF-8 byte as `%XX`.
impl fmt::Display for TemporaryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, pid, start_time, pid_namespace, count } = self;
        write!(f, "{PREFIX}{pid}.{start_time}.{pid_namespace}.{count}.")?;
        for chunk in target.as_bytes().utf8_chunks() {
            f.write_str(&chunk.valid().replace('%', "%25"))?;
            for byte in chunk.invalid() {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

fn unescaped(text: &[u8]) -> Option<OsString> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    Some(OsString::from_vec(bytes))
}

/// This machine, as far as needed for telling writers apart: the name has no boot, so a name from an earlier boot is
/// not recognised as such.
fn here() -> &'static Host {
    static HERE: OnceLock<Host> = OnceLock::new();
    HERE.get_or_init(|| Host {
        hostname: String::new(),
        machine_id: None,
        boot_id: None,
        pid_namespace: procfs::namespace("pid"),
        time_namespace: procfs::namespace("time"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str) -> Option<TemporaryName> {
        TemporaryName::parse(OsStr::new(name))
    }

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for target in
            [&b"session.json"[..], b"web", b"web-admin", b"1.2.3", b"caf\xe9", b"100%", b"%41", b".", b"a\nb"]
        {
            let target = OsStr::from_bytes(target);
            let name = TemporaryName::new(target);
            assert_eq!(parsed(&name.to_string()), Some(name.clone()), "{name}");
            assert_eq!(name.target(), target);
            assert_ne!(TemporaryName::new(target), name, "no name is given twice");
        }
    }

    #[test]
    fn what_only_looks_alike_is_somebody_elses() {
        assert!(parsed(".rekindle-tmp.7.8.9.0.web").is_some());
        for name in [
            ".tmp-web-notes",
            ".rekindle-tmp.",
            ".rekindle-tmp.web",
            ".rekindle-tmp.7.8.9.web",
            ".rekindle-tmp.07.8.9.0.web",
            ".rekindle-tmp.+7.8.9.0.web",
            ".rekindle-tmp.0.8.9.0.web",
            ".rekindle-tmp.-7.8.9.0.web",
            ".rekindle-tmp.7.8.9.99999999999999999999.web",
            ".rekindle-tmp.7.8.9.0.web%",
            ".rekindle-tmp.7.8.9.0.%77eb",
            ".rekindle-tmp.7.8.9.0.%e9",
            "x.rekindle-tmp.7.8.9.0.web",
        ] {
            assert_eq!(parsed(name), None, "{name}");
        }
    }

    #[test]
    fn only_a_writer_that_is_gone_has_left_something_behind() {
        let ours = TemporaryName::new(OsStr::new("web"));
        assert!(!ours.is_left_behind(), "we are at work on it");
        let later = TemporaryName { start_time: ours.start_time + 1, ..ours.clone() };
        assert!(later.is_left_behind(), "our pid was another's");
        let elsewhere = TemporaryName { pid_namespace: ours.pid_namespace + 1, ..ours.clone() };
        assert!(elsewhere.is_left_behind(), "the lock says that nobody is at work");
        let unknown = TemporaryName { start_time: 0, pid_namespace: 0, ..ours };
        assert!(!unknown.is_left_behind(), "it may be ours");
    }
}
