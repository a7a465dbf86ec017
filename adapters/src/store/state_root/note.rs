//! The note of a state directory: what it stands in for, and the verdict of a trial of locks.
//!
//! A look writes no note; the first start does. The process whose note is put in place first says so, once for each
//! host and directory.
//!
//! Checked by the tests below and `smoke/tests/smoke/ground/lockless.rs`.

use crate::store::directory::Directory;
use crate::sys::linux::fs::kinds::MountId;
use rekindle_core::OsFailure;
use rekindle_core::claim::home::Locks;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the note in a state directory.
pub(in crate::store) const NOTE_FILE: &str = ".home";

/// The content of a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Note {
    schema_version: u32,
    /// The default state directory that this directory replaces; absent if the directory is the default itself.
    #[serde(default, with = "rekindle_core::byte_text", skip_serializing_if = "Option::is_none")]
    pub(in crate::store) instead_of: Option<PathBuf>,
    /// The file system of the default state directory.
    file_system: String,
    /// The verdict about its locks.
    locks: String,
    /// The boot and the number of the mount that was tried; absent if the verdict cannot be remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mount: Option<String>,
}

/// The result of putting a note in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Placed {
    /// There was no note before.
    First,
    /// There was one.
    Before,
}

impl Note {
    pub(in crate::store) fn new(
        instead_of: Option<&Path>,
        file_system: &str,
        locks: Locks,
        mount: Option<MountId>,
    ) -> Self {
        Self {
            schema_version: 1,
            instead_of: instead_of.map(ToOwned::to_owned),
            file_system: file_system.to_owned(),
            locks: locks.word().to_owned(),
            mount: mount.and_then(mount_text),
        }
    }

    /// The note in `dir`; `None` if missing, unreadable or of a later version: then nothing is remembered.
    pub(in crate::store) fn read(dir: &Path) -> Option<Self> {
        let dir = Directory::open(dir).ok()??;
        let content = dir.read(NOTE_FILE).ok()??;
        serde_json::from_slice(&content.bytes).ok().filter(|note: &Self| note.schema_version == 1)
    }

    /// The verdict, if this mount was tried.
    pub(in crate::store) fn verdict_on(&self, mount: MountId) -> Option<Locks> {
        let is_same = self.mount.is_some() && self.mount == mount_text(mount);
        Locks::of_word(&self.locks).filter(|_| is_same)
    }

    /// Puts the note in place, unless this very note is there.
    pub(in crate::store) fn place(&self, dir: &Directory) -> Result<Placed, OsFailure> {
        let present = dir.read(NOTE_FILE)?;
        let mut bytes = serde_json::to_vec(self).expect("a note holds nothing that JSON cannot");
        bytes.push(b'\n');
        match present {
            None if dir.create_new(OsStr::new(NOTE_FILE), &bytes)? => return Ok(Placed::First),
            None => {}
            Some(present) if present.bytes == bytes => {}
            Some(_) => drop(dir.replace(NOTE_FILE, &bytes)?),
        }
        Ok(Placed::Before)
    }
}

/// The boot and the number of a mount: no number has two meanings within one boot.
fn mount_text(MountId(number): MountId) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{}/{number}", boot.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_remembered_for_its_mount_alone() {
        let note = Note::new(None, "FUSE (x)", Locks::Hang, Some(MountId(7)));
        assert_eq!(note.verdict_on(MountId(7)), Some(Locks::Hang));
        assert_eq!(note.verdict_on(MountId(8)), None);
        assert_eq!(Note::new(None, "FUSE (x)", Locks::Hang, None).verdict_on(MountId(7)), None);
        let earlier_boot = Note { mount: Some("another/7".to_owned()), ..note };
        assert_eq!(earlier_boot.verdict_on(MountId(7)), None);
    }

    #[test]
    fn one_note_is_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let open = Directory::open(dir.path()).unwrap().unwrap();
        let note = |locks| Note::new(Some(Path::new("/home/u/rekindle")), "NFS", locks, None);
        assert_eq!(note(Locks::Shared).place(&open), Ok(Placed::First));
        assert_eq!(note(Locks::Shared).place(&open), Ok(Placed::Before));
        assert_eq!(note(Locks::Overlap).place(&open), Ok(Placed::Before));
        assert_eq!(Note::read(dir.path()), Some(note(Locks::Overlap)));
    }
}
