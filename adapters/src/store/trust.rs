//! Whether a file or directory is ours, and only writable for us: one judgement, with one error, for every place.
//!
//! # Invariants
//! 1. Equal faults have equal words, for every kind of place. `chmod` is advised only for a directory of our own, never
//!    for a sticky directory or a directory of the system.
//! 2. A judgement uses the `stat` of an open file, or of a name that no other user can replace. Nothing is changed.
//!
//! Checked by the tests below, `smoke/tests/smoke/ground/places.rs` and `foreign_files.rs`.

use crate::sys::linux::failure::refused;
use crate::sys::linux::fs::{FileKind, FileStatus, fstat, lstat};
use crate::sys::linux::user;
use rekindle_core::OsFailure;
use rekindle_core::shown::Shown;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The write permissions of group and others.
const OTHERS_WRITE: u32 = 0o022;

/// The sticky bit: users cannot remove or replace other users' files.
const STICKY: u32 = 0o1000;

/// Directories of the system; root owns them, and is not advised to change their modes.
const OF_THE_SYSTEM: [&str; 12] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/run", "/sbin", "/usr", "/var"];

/// The purpose of the directory at the end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The state directory: ours, writable for us only, and not a link.
    State,
    /// The directory of a socket: ours, and writable for us only.
    Socket,
    /// The directory of a lifecycle marker: a directory of root is fine, and so is a sticky one.
    Marker,
}

impl Place {
    /// The option that names another place.
    fn option(self) -> &'static str {
        match self {
            Self::State => "--dir",
            Self::Socket => "--socket",
            Self::Marker => "--path",
        }
    }
}

/// The remedy for an untrusted place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Remove the write permission of others from this directory, which is ours.
    Tighten(PathBuf),
    /// Advice in words, if no command helps.
    ByHand(String),
}

/// Why a place is not trusted: the faulty file or directory, the fault, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {what}", Shown(path))]
pub struct Untrusted {
    path: PathBuf,
    what: String,
    mend: Mend,
}

impl Untrusted {
    /// A fault of `path`; the only remedy is another place.
    pub(crate) fn new(path: &Path, what: impl Into<String>, place: Place) -> Self {
        let mend = Mend::ByHand(format!("name another place with {}", place.option()));
        Self { path: path.to_owned(), what: what.into(), mend }
    }

    /// The untrusted file or directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The fault, as a phrase to follow the name.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The remedy.
    pub fn mend(&self) -> &Mend {
        &self.mend
    }

    pub(super) fn mended_by(self, mend: Mend) -> Self {
        Self { mend, ..self }
    }
}

/// Judges the directory at the end of a way, after all directories above.
pub(crate) fn judge_last(dir: &Path, stat: &FileStatus, place: Place) -> Result<(), Untrusted> {
    match place {
        Place::Marker => judge_ancestor(dir, stat, place),
        Place::State | Place::Socket if !stat.is_ours() => Err(belongs_to(dir, stat, place)),
        Place::State | Place::Socket if stat.mode & OTHERS_WRITE != 0 => Err(writable(dir, stat, place)),
        Place::State | Place::Socket => Ok(()),
    }
}

/// Judges an open directory that only we may write to; `what` names the directory in a failure.
pub(super) fn require_ours_alone(dir: impl AsFd, path: &Path, what: &str) -> Result<FileStatus, OsFailure> {
    let stat = fstat(dir).map_err(|errno| refused(format!("inspect the {what}"), errno as i32).on(path))?;
    match judge_last(path, &stat, Place::State) {
        Ok(()) => Ok(stat),
        Err(fault) => {
            Err(OsFailure::new(format!("trust the {what}"), format!("it {}", fault.what())).on(path))
        }
    }
}

/// Judges a file that has to be regular, ours, and without a second name.
pub(super) fn judge_file(path: &Path, stat: &FileStatus, place: Place) -> Result<(), Untrusted> {
    if !stat.is_file() {
        Err(Untrusted::new(path, "is not a regular file", place))
    } else if !stat.is_ours() {
        Err(belongs_to(path, stat, place))
    } else if stat.names > 1 {
        Err(Untrusted::new(path, "has more than one name", place))
    } else {
        Ok(())
    }
}

/// Judges a directory above: only files of ours or root's are used there.
pub(super) fn judge_ancestor(dir: &Path, stat: &FileStatus, place: Place) -> Result<(), Untrusted> {
    if !is_ours_or_roots(stat.uid) {
        return Err(belongs_to(dir, stat, place));
    }
    if stat.mode & OTHERS_WRITE != 0 && stat.mode & STICKY == 0 {
        return Err(writable(dir, stat, place));
    }
    Ok(())
}

fn belongs_to(path: &Path, stat: &FileStatus, place: Place) -> Untrusted {
    Untrusted::new(path, format!("belongs to user {}", stat.uid), place)
}

fn writable(dir: &Path, stat: &FileStatus, place: Place) -> Untrusted {
    let mode = stat.mode;
    let fault = Untrusted::new(dir, format!("can be written by others (mode {mode:04o})"), place);
    if may_be_tightened(dir, stat) { fault.mended_by(Mend::Tighten(dir.to_owned())) } else { fault }
}

/// Whether every user can create files in a directory, but cannot replace other users' files.
pub(super) fn is_for_all(stat: &FileStatus) -> bool {
    stat.mode & OTHERS_WRITE != 0 && stat.mode & STICKY != 0
}

/// Whether others can write to a directory, and we may remove the permission.
fn may_be_tightened(dir: &Path, stat: &FileStatus) -> bool {
    stat.kind == FileKind::Directory
        && stat.is_ours()
        && stat.mode & OTHERS_WRITE != 0
        && stat.mode & STICKY == 0
        && !is_the_systems(dir)
}

/// The same for a named directory: the remedy after a failed system call there.
pub fn can_be_tightened(dir: &Path) -> bool {
    lstat(dir).is_ok_and(|stat| may_be_tightened(dir, &stat))
}

/// Whether the mode of a directory is the system's to decide: only root can own such a directory.
fn is_the_systems(dir: &Path) -> bool {
    let near_the_root = dir.components().count() <= 2;
    near_the_root || user::is_root() && OF_THE_SYSTEM.iter().any(|system| dir.starts_with(system))
}

pub(super) fn is_ours_or_roots(uid: u32) -> bool {
    uid == user::our_uid() || uid == 0 || stands_for_root(uid)
}

/// Whether `uid` may be root's. A user namespace without a mapping for every user shows all unmapped users, root of the
/// machine included, under one overflow uid. Such an owner cannot be told apart from other unmapped users. The overflow
/// uid is accepted, since `/` itself has this owner and otherwise no directory could be used; in a namespace with a
/// full mapping this case does not occur.
fn stands_for_root(uid: u32) -> bool {
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    overflow.trim().parse() == Ok(uid) && has_numbers_for_all_users() == Some(false)
}

/// Whether our user namespace maps every user of the machine; `None` if unknown.
pub(crate) fn has_numbers_for_all_users() -> Option<bool> {
    fs::read_to_string("/proc/self/uid_map").ok().map(|map| numbers_all_users(&map))
}

fn numbers_all_users(uid_map: &str) -> bool {
    let fields: Vec<&str> = uid_map.split_ascii_whitespace().collect();
    fields == ["0", "0", "4294967295"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_namespace_that_leaves_users_out_has_some_without_a_number() {
        assert!(numbers_all_users("         0          0 4294967295\n"));
        for map in ["", "0 1000 1", "0 0 65536", "0 0 1000\n1000 1000 4294966295", "1 0 4294967295"] {
            assert!(!numbers_all_users(map), "{map}");
        }
    }

    #[test]
    fn directories_near_the_root_are_the_systems() {
        for dir in ["/", "/srv", "/tmp"] {
            assert!(is_the_systems(Path::new(dir)), "{dir}");
        }
        assert!(!is_the_systems(Path::new("/home/me")));
        assert_eq!(
            is_the_systems(Path::new("/var/mail")),
            user::is_root(),
            "an ordinary user owns none of it"
        );
    }
}
