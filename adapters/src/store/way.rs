//! The way to a place: every directory from `/` down to the place, and every link between, is judged before anything
//! there is believed. A user who can write to a directory of the way can replace everything below.
//!
//! # Invariants
//! 1. Each directory and each link belongs to us or to root. A directory that others can write to is sticky: others
//!    cannot replace our files there.
//! 2. The way is judged from `/` down, so only we and root can change the judged part, and the judgement stays valid.
//! 3. A look creates and changes nothing. Only `create` makes directories: one by one, each 0700 from its first
//!    instant, under any umask.
//!
//! `trust` judges each directory.
//!
//! Checked by the tests below and `smoke/tests/smoke/ground/places.rs`.

use crate::store::temporary::TemporaryName;
use crate::store::trust::{Place, is_for_all, is_ours_or_roots, judge_ancestor, judge_last};
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::{FileKind, FileStatus, PRIVATE_DIRECTORY, chmod, lstat, mkdir, rename_new, stat};
use crate::sys::linux::user;
use rekindle_core::OsFailure;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

pub use crate::store::trust::{Mend, Untrusted, can_be_tightened};

/// The limit of links on a way: the kernel's limit.
const LINKS_MAX: usize = 40;

/// Why a way is not trusted or cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WayError {
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// A way without a fault.
#[derive(Debug)]
pub(crate) enum Way {
    /// The whole way exists; the status of its last directory.
    Whole(FileStatus),
    /// The way ends early.
    Ends(End),
}

/// The end of an incomplete way.
#[derive(Debug)]
pub(crate) struct End {
    /// The first missing name, with all links before resolved.
    at: PathBuf,
    why: Why,
    /// The names after `at`.
    rest: Vec<OsString>,
}

impl End {
    /// Fails unless the missing directories could be made.
    pub(crate) fn require_makeable(&self, place: Place) -> Result<(), Untrusted> {
        let what = match self.why {
            Why::Absent => return Ok(()),
            Why::AbsentBehindALink => "is where a symbolic link leads, and is not there",
            Why::NoDirectory => "is not a directory",
        };
        Err(Untrusted::new(&self.at, what, place))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Absent,
    AbsentBehindALink,
    NoDirectory,
}

/// Judges the way to `dir`, which may not exist. Creates and changes nothing.
pub(crate) fn judge(dir: &Path, place: Place) -> Result<Way, WayError> {
    let absolute = std::path::absolute(dir).during("read the current directory for", dir)?;
    let mut walk = Walk::from_the_root(&absolute, place)?;
    while let Some(step) = walk.left.pop() {
        if let Some(end) = walk.take(&step)? {
            return Ok(Way::Ends(end));
        }
    }
    judge_last(&walk.here, &walk.stat, place)?;
    if walk.links > 0 {
        // A magic link of the kernel, as in /proc, may lead elsewhere than its text says.
        let led_to = stat(&absolute).during("inspect the directory", &absolute)?;
        if led_to.inode != walk.stat.inode {
            return Err(Untrusted::new(&absolute, "leads elsewhere than its links say", place).into());
        }
    }
    Ok(Way::Whole(walk.stat))
}

/// Judges the way to `dir`, and makes missing directories.
pub(crate) fn create(dir: &Path, place: Place) -> Result<(), WayError> {
    let Way::Ends(end) = judge(dir, place)? else { return Ok(()) };
    refuse_home_of_another(&end, place)?;
    end.require_makeable(place)?;
    let mut next = end.at;
    make_directory(&next).during("create the directory", &next)?;
    for name in end.rest {
        next.push(name);
        make_directory(&next).during("create the directory", &next)?;
    }
    // Another process may have been faster.
    match judge(dir, place)? {
        Way::Whole(_) => Ok(()),
        Way::Ends(_) => {
            let gone = OsFailure::new("create the directory", "it was removed at once");
            Err(gone.on(dir).errno(Errno::ENOENT as i32).into())
        }
    }
}

/// The present state of a walk down a way.
struct Walk {
    place: Place,
    /// The present directory, as a path without links, and its status.
    here: PathBuf,
    stat: FileStatus,
    /// The remaining steps, the next step last.
    left: Vec<Step>,
    links: usize,
}

/// One name on a way.
struct Step {
    name: OsString,
    is_of_a_link: bool,
}

impl Walk {
    fn from_the_root(absolute: &Path, place: Place) -> Result<Self, WayError> {
        let here = PathBuf::from("/");
        let stat = lstat(&here).during("inspect the directory", &here)?;
        let mut walk = Self { place, here, stat, left: Vec::new(), links: 0 };
        walk.push(absolute, false);
        Ok(walk)
    }

    fn push(&mut self, path: &Path, is_of_a_link: bool) {
        let named = |component: Component<'_>| match component {
            Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
        };
        let steps = path.components().rev().filter_map(named);
        self.left.extend(steps.map(|name| Step { name, is_of_a_link }));
    }

    /// Takes a step; returns the end of the way if there is no directory to step into.
    fn take(&mut self, step: &Step) -> Result<Option<End>, WayError> {
        judge_ancestor(&self.here, &self.stat, self.place)?;
        if step.name == ".." {
            let parent = self.here.parent().unwrap_or(&self.here).to_owned();
            self.stat = lstat(&parent).during("inspect the directory", &parent)?;
            self.here = parent;
            return Ok(None);
        }
        let next = self.here.join(&step.name);
        let stat = match lstat(&next) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) if step.is_of_a_link => {
                return Ok(Some(self.end(next, Why::AbsentBehindALink)));
            }
            Err(Errno::ENOENT) => return Ok(Some(self.end(next, Why::Absent))),
            Err(error) => return Err(error).during("inspect the directory", &next)?,
        };
        match stat.kind {
            FileKind::Directory => (self.here, self.stat) = (next, stat),
            FileKind::Link => self.follow(&next, &stat)?,
            FileKind::File | FileKind::Socket | FileKind::Fifo | FileKind::Device | FileKind::Other => {
                return Ok(Some(self.end(next, Why::NoDirectory)));
            }
        }
        Ok(None)
    }

    fn follow(&mut self, link: &Path, stat: &FileStatus) -> Result<(), WayError> {
        if !is_ours_or_roots(stat.uid) {
            let what = format!("is a symbolic link that belongs to user {}", stat.uid);
            return Err(Untrusted::new(link, what, self.place).into());
        }
        if self.place == Place::State && self.left.is_empty() {
            let fault = Untrusted::new(link, "is a symbolic link", self.place);
            let mend = "name the directory that it leads to with --dir";
            return Err(fault.mended_by(Mend::ByHand(mend.to_owned())).into());
        }
        self.links += 1;
        if self.links > LINKS_MAX {
            let what = format!("is one of more than {LINKS_MAX} symbolic links");
            return Err(Untrusted::new(link, what, self.place).into());
        }
        let target = fs::read_link(link).during("read the link", link)?;
        if target.is_absolute() {
            self.here = PathBuf::from("/");
            self.stat = lstat(&self.here).during("inspect the directory", &self.here)?;
        }
        self.push(&target, true);
        Ok(())
    }

    fn end(&mut self, at: PathBuf, why: Why) -> End {
        let rest = self.left.drain(..).rev().map(|step| step.name).collect();
        End { at, why, rest }
    }
}

/// Root with another user's HOME would leave directories there that the user can neither use nor remove.
fn refuse_home_of_another(end: &End, place: Place) -> Result<(), WayError> {
    let us = user::our_uid();
    let Some(home) = env::var_os("HOME").and_then(|home| fs::canonicalize(home).ok()) else { return Ok(()) };
    // For a user without a home, HOME is `/`.
    let (true, true, Some(parent)) = (home.parent().is_some(), end.at.starts_with(&home), end.at.parent())
    else {
        return Ok(());
    };
    let home_stat = stat(&home).during("inspect the directory", &home)?;
    let is_below_ours = stat(parent).is_ok_and(|stat| stat.uid == us);
    if home_stat.uid == us || is_for_all(&home_stat) || is_below_ours {
        return Ok(());
    }
    let what =
        format!("is HOME and belongs to user {}, so that user {us} makes nothing in it", home_stat.uid);
    Err(Untrusted::new(&home, what, place).into())
}

/// Makes a directory of mode 0700, unless the name is taken.
///
/// The directory is made under a private name and put in place by rename, so no process ever sees the mode left by a
/// umask.
fn make_directory(path: &Path) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::ENOENT) };
    sweep_directories(parent, name);
    let private = parent.join(TemporaryName::new(name).to_string());
    let placed = mkdir(&private).and_then(|()| {
        let placed = set_private(&private).and_then(|()| rename_new(&private, path));
        placed.inspect_err(|_| drop(fs::remove_dir(&private)))
    });
    match placed {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        // A file system without such a rename, or a name too long for a private name beside it.
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENAMETOOLONG) => match mkdir(path) {
            Ok(()) => set_private(path),
            Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Restores permissions removed by the umask from a directory that we have just made.
fn set_private(dir: &Path) -> Result<(), Errno> {
    if lstat(dir)?.mode == PRIVATE_DIRECTORY {
        return Ok(());
    }
    chmod(dir, PRIVATE_DIRECTORY)
}

/// Removes leftovers of processes that died while making the same directory. A directory with content is kept.
fn sweep_directories(parent: &Path, name: &std::ffi::OsStr) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_left = TemporaryName::parse(&entry.file_name())
            .is_some_and(|found| found.target() == name && found.is_left_behind());
        let is_ours = || lstat(&entry.path()).is_ok_and(|stat| stat.is_ours());
        if is_left && is_ours() {
            // A leftover that stays is swept the next time.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    fn dir() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    /// The end of an incomplete way to `dir`, or the mode of the last directory.
    fn found(dir: &Path, place: Place) -> Result<u32, PathBuf> {
        match judge(dir, place).unwrap() {
            Way::Whole(stat) => Ok(stat.mode),
            Way::Ends(end) => Err(end.at),
        }
    }

    fn fault(dir: &Path, place: Place) -> Untrusted {
        match judge(dir, place) {
            Err(WayError::Untrusted(fault)) => fault,
            other => panic!("{} was trusted: {other:?}", dir.display()),
        }
    }

    #[test]
    fn a_way_is_walked_as_the_kernel_walks_it() {
        let scene = dir();
        let real = scene.path().canonicalize().unwrap();
        fs::create_dir_all(real.join("a/b")).unwrap();
        fs::set_permissions(real.join("a/b"), PermissionsExt::from_mode(0o750)).unwrap();
        symlink("a", real.join("link")).unwrap();
        symlink(real.join("link/b"), real.join("a/absolute")).unwrap();
        for way in ["a/b", "link/b", "a/absolute", "link/b/../../a/./b", "a/b/"] {
            assert_eq!(found(&real.join(way), Place::Socket), Ok(0o750), "{way}");
        }
        assert_eq!(found(&real.join("a/x/y"), Place::Socket), Err(real.join("a/x")));
        assert_eq!(found(&real.join("link/x/y"), Place::Socket), Err(real.join("a/x")));
        assert_eq!(found(Path::new("/.."), Place::Marker), found(Path::new("/"), Place::Marker));
    }

    #[test]
    fn a_state_directory_is_no_link_and_the_way_to_it_may_have_some() {
        let scene = dir();
        fs::create_dir(scene.path().join("a")).unwrap();
        symlink(scene.path(), scene.path().join("link")).unwrap();
        assert_eq!(fault(&scene.path().join("link"), Place::State).what(), "is a symbolic link");
        assert!(found(&scene.path().join("link/a"), Place::State).is_ok());
        assert!(found(&scene.path().join("link"), Place::Socket).is_ok());
    }

    /// The kernel shows a removed directory under its former name, with a word appended.
    #[test]
    fn a_link_that_leads_elsewhere_than_it_says_is_refused() {
        let scene = dir();
        let [removed, other] = ["x", "x (deleted)"].map(|name| scene.path().join(name));
        fs::create_dir(&removed).unwrap();
        let held = fs::File::open(&removed).unwrap();
        let link = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        assert!(found(&link, Place::Socket).is_ok());
        fs::remove_dir(&removed).unwrap();
        assert_eq!(found(&link, Place::Socket), Err(other.canonicalize().unwrap_or(other.clone())));
        fs::create_dir(&other).unwrap();
        assert_eq!(fault(&link, Place::Socket).what(), "leads elsewhere than its links say");
    }

    #[test]
    fn each_place_names_its_own_option() {
        let scene = dir();
        let open = scene.path().join("open");
        fs::create_dir_all(open.join("x")).unwrap();
        fs::set_permissions(&open, PermissionsExt::from_mode(0o1777)).unwrap();
        for (place, option) in [(Place::State, "--dir"), (Place::Socket, "--socket")] {
            let fault = fault(&open, place);
            assert_eq!(
                *fault.mend(),
                Mend::ByHand(format!("name another place with {option}")),
                "a sticky one is meant to be so"
            );
            assert_eq!(
                fault.to_string(),
                format!("`{}` can be written by others (mode 1777)", open.display())
            );
        }
        assert!(found(&open, Place::Marker).is_ok());
        fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
        for place in [Place::State, Place::Socket, Place::Marker] {
            for dir in [&open, &open.join("x"), &open.join("absent")] {
                assert_eq!(*fault(dir, place).mend(), Mend::Tighten(open.clone()));
            }
        }
    }

    #[test]
    fn what_is_missing_is_made_for_us_alone() {
        let scene = dir();
        let deep = scene.path().join("a/b/c");
        create(&deep, Place::State).unwrap();
        create(&deep, Place::State).unwrap();
        for made in [scene.path().join("a"), scene.path().join("a/b"), deep] {
            assert_eq!(lstat(&made).unwrap().mode, 0o700);
            assert_eq!(
                fs::read_dir(made.parent().unwrap()).unwrap().count(),
                1,
                "nothing unfinished is left"
            );
        }
    }

    #[test]
    fn what_another_left_unfinished_is_swept_with_the_next_one() {
        let scene = dir();
        let left = |name: &str| scene.path().join(format!(".rekindle-tmp.999999999.1.0.0.{name}"));
        let [ours, others, used] = ["a", "ab", "a.b"].map(left);
        for dir in [&ours, &others, &used] {
            fs::create_dir(dir).unwrap();
        }
        create(&scene.path().join("a"), Place::State).unwrap();
        assert!(!ours.exists() && others.exists() && used.exists());
    }
}
