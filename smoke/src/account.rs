//! Whose processes a test starts: this user's, or those of an ordinary user who owns nothing else on this machine.

use crate::programs;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// The user ids from here on belong to nobody: each run takes one of its own, so that two runs do not share a user.
const FIRST_UID: u32 = 400_000;

/// The mode of a directory that others may pass through but not list.
const PASSABLE: u32 = 0o711;

/// Who owns a test environment and runs its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Account {
    /// The user who runs the suite.
    #[default]
    Ours,
    /// A user without a name, a home or a privilege. Only root can act for one.
    Ordinary,
}

/// The proof that we are root, and can give files away.
///
/// A test that takes one declares that it needs `TwoUsers`: nobody else hands one out without asking.
#[derive(Debug, Clone, Copy)]
pub struct Root(());

impl Root {
    /// If we are root.
    pub fn ours() -> Option<Self> {
        is_root().then_some(Self(()))
    }

    /// Gives what stands at a path to another user and the group of the same number; a link itself, not what it leads to.
    ///
    /// # Panics
    /// If nothing stands there.
    pub fn give(self, path: &Path, user: u32) {
        self.try_give(path, user).expect("root gives files away");
    }

    /// The same, where it may be that nothing stands there, or that nobody may write.
    ///
    /// # Errors
    /// Why it cannot be given away.
    #[expect(clippy::disallowed_methods, reason = "here is the proof that we may")]
    pub fn try_give(self, path: &Path, user: u32) -> io::Result<()> {
        lchown(path, Some(user), Some(user))
    }
}

impl Account {
    /// Those that this user can act for: root for both, an ordinary user for itself.
    pub fn all() -> Vec<Self> {
        if is_root() { vec![Self::Ours, Self::Ordinary] } else { vec![Self::Ours] }
    }

    /// One without a privilege: this user, or another if this is root.
    pub fn unprivileged() -> Self {
        if is_root() { Self::Ordinary } else { Self::Ours }
    }

    /// Whether it needs a user namespace to be allowed any other.
    pub(crate) fn needs_a_user_namespace(self) -> bool {
        self == Self::Ordinary || !is_root()
    }

    /// Its user id, which is its group id too.
    pub fn uid(self) -> u32 {
        match self {
            Self::Ours => nix::unistd::geteuid().as_raw(),
            Self::Ordinary => FIRST_UID + std::process::id(),
        }
    }

    /// The words in front of a command that run it for this user.
    pub(crate) fn prefix(self) -> Vec<OsString> {
        match self {
            Self::Ours => Vec::new(),
            Self::Ordinary => {
                let uid = self.uid().to_string();
                let setpriv = programs::find("setpriv", "util-linux");
                let words = [&setpriv, "--reuid", &uid, "--regid", &uid, "--clear-groups", "--"];
                words.iter().map(OsString::from).collect()
            }
        }
    }

    /// Gives `dir` to this user, together with the way to it.
    ///
    /// # Panics
    /// If that is not allowed, as it is to root only.
    pub(crate) fn take_over(self, dir: &Path) {
        if self == Self::Ours {
            return;
        }
        Root::ours().expect("only root can act for another user").give(dir, self.uid());
        dir.parent().into_iter().for_each(make_passable);
    }

    /// `program`, where this user can execute it; the copy, where one is needed, is `copy`.
    ///
    /// # Panics
    /// If it cannot be copied.
    pub(crate) fn executable(self, program: PathBuf, copy: PathBuf) -> PathBuf {
        match self {
            Self::Ours => program,
            Self::Ordinary if copy.exists() => copy,
            Self::Ordinary => {
                fs::copy(&program, &copy).expect("the command under test can be copied");
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("the copy is ours");
                copy
            }
        }
    }
}

/// Lets everybody pass through `dir` and the directories above it.
pub(crate) fn make_passable(dir: &Path) {
    for dir in dir.ancestors() {
        let mode = fs::metadata(dir).expect("a directory above a env can be looked at").permissions().mode();
        if mode & 0o001 == 0 {
            let passable = fs::Permissions::from_mode(PASSABLE);
            fs::set_permissions(dir, passable).expect("the way to a env is ours");
        }
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
