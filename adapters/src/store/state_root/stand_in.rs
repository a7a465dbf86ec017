//! The directories of this host that may stand in for a default state directory without locks.
//!
//! # Invariants
//! 1. Two default directories of one user never share a stand-in: the user's own home has the plain name, any other
//!    place a name made from its path.
//! 2. A name depends on the path only, with every link resolved: two spellings of one home have one stand-in.
//! 3. No directory above a stand-in is made: the system makes the runtime directory.
//!
//! Checked by the tests below and `smoke/tests/smoke/ground/lockless.rs`.

use crate::store::state_root::locks;
use crate::store::trust::Place;
use crate::store::way::{self, Way};
use crate::sys::linux::user;
use fnv::FnvHasher;
use rekindle_core::claim::home::{Candidate, HostPlace, Locks};
use std::env;
use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The places that may stand in for one default directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct StandIns {
    runtime: PathBuf,
    var_tmp: PathBuf,
}

impl StandIns {
    /// The places for the default directory `default`.
    pub(in crate::store) fn of(default: &Path) -> Self {
        let own = user::home().map(|home| resolved(&home.join(".local/state/rekindle")));
        let resolved = resolved(default);
        if own.as_ref() == Some(&resolved) { Self::of_user() } else { Self::named(&suffix(&resolved)) }
    }

    /// The places of the user: for the user's own home, and for kernel locks of lifecycle markers.
    pub(in crate::store) fn of_user() -> Self {
        Self::named("")
    }

    /// Every place that may have been taken for a default directory with this resolved path. Asks for no passwd entry,
    /// which may be far away.
    pub(in crate::store) fn all_for(resolved: &Path) -> [Self; 2] {
        [Self::of_user(), Self::named(&suffix(resolved))]
    }

    fn named(suffix: &str) -> Self {
        let uid = user::our_uid();
        let set = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
        // A shell without the variable has to find the same directory.
        let runtime = set.unwrap_or_else(|| PathBuf::from(format!("/run/user/{uid}")));
        Self {
            runtime: runtime.join(format!("rekindle{suffix}")),
            var_tmp: PathBuf::from(format!("/var/tmp/rekindle-{uid}{suffix}")),
        }
    }

    /// The path of a place.
    pub(in crate::store) fn path(&self, place: HostPlace) -> &Path {
        match place {
            HostPlace::Runtime => &self.runtime,
            HostPlace::VarTmp => &self.var_tmp,
        }
    }

    /// Both paths.
    pub(in crate::store) fn paths(&self) -> [&Path; 2] {
        [&self.runtime, &self.var_tmp]
    }

    /// Judges a place like any other state directory.
    pub(in crate::store) fn judge(&self, place: HostPlace) -> Candidate {
        let path = self.path(place);
        let found = match way::judge(path, Place::State) {
            Ok(Way::Whole(_)) => Candidate::InUse,
            Ok(Way::Ends(end))
                if end.require_makeable(Place::State).is_ok() && is_below_a_directory(path) =>
            {
                Candidate::Free
            }
            Ok(Way::Ends(_)) | Err(_) => return Candidate::Unusable,
        };
        match locks::at(path, |_| None) {
            Ok(verdict) if verdict.locks == Locks::Exclude => found,
            Ok(_) | Err(_) => Candidate::Unusable,
        }
    }
}

fn is_below_a_directory(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir)
}

/// A path with every link resolved, as far as the path exists.
pub(in crate::store) fn resolved(path: &Path) -> PathBuf {
    let real = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, real)) = real else { return path.to_owned() };
    let missing = path.strip_prefix(above).unwrap_or(Path::new(""));
    // Joining an empty path would add a slash.
    if missing.as_os_str().is_empty() { real } else { real.join(missing) }
}

/// A suffix made from a path, stable across versions.
pub(in crate::store) fn suffix(resolved: &Path) -> String {
    let mut hasher = FnvHasher::default();
    hasher.write(resolved.as_os_str().as_bytes());
    format!("-{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn two_homes_have_two_stand_ins_and_two_spellings_one() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        fs::create_dir(&one).unwrap();
        std::os::unix::fs::symlink(&one, &other).unwrap();
        let of = |home: &Path| StandIns::of(&home.join(".local/state/rekindle"));
        assert_eq!(of(&one), of(&other));
        assert_ne!(of(&one), of(&dir.path().join("third")));
        assert_ne!(of(&one), StandIns::of_user());
    }

    #[test]
    fn the_users_own_home_has_the_plain_name() {
        let Some(home) = user::home() else { return };
        let stand_ins = StandIns::of(&home.join(".local/state/rekindle"));
        assert_eq!(
            stand_ins.path(HostPlace::VarTmp),
            Path::new(&format!("/var/tmp/rekindle-{}", user::our_uid()))
        );
    }

    #[test]
    fn a_place_below_nothing_is_unusable() {
        let dir = tempfile::tempdir().unwrap();
        let place =
            |runtime: PathBuf| StandIns { runtime, var_tmp: PathBuf::new() }.judge(HostPlace::Runtime);
        assert_eq!(place(dir.path().join("missing/rekindle")), Candidate::Unusable);
        assert_eq!(place(dir.path().join("rekindle")), Candidate::Free);
        assert_eq!(place(dir.path().to_owned()), Candidate::InUse);
    }
}
