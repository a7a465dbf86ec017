//! The user behind a test's processes: this user, or an ordinary user without other property on this machine.

use crate::programs;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// User ids without an owner begin here. Each run takes another id, so two runs share no user.
const FIRST_UID: u32 = 400_000;

/// The mode of a directory that others may pass through but not list.
const PASSABLE: u32 = 0o711;

/// The owner of a test environment, and the user of its commands.
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
/// A test with a `Root` parameter declares `needs TwoUsers`: no other way gives a test a `Root`.
#[derive(Debug, Clone, Copy)]
pub struct Root(());

impl Root {
    /// If we are root.
    pub fn ours() -> Option<Self> {
        is_root().then_some(Self(()))
    }

    /// Gives the file at a path to another user and to the group of the same number. A link itself is given, not the
    /// target.
    ///
    /// # Panics
    /// If the path is empty.
    pub fn give(self, path: &Path, user: u32) {
        self.try_give(path, user).expect("root gives files away");
    }

    /// Gives the file at a path to another user, if the file exists and the file system allows a change.
    ///
    /// # Errors
    /// Why the file cannot be given away.
    #[expect(clippy::disallowed_methods, reason = "here is the proof that we may")]
    pub fn try_give(self, path: &Path, user: u32) -> io::Result<()> {
        lchown(path, Some(user), Some(user))
    }
}

impl Account {
    /// The accounts that this user can act for: root for both, an ordinary user for itself.
    pub fn all() -> Vec<Self> {
        if is_root() { vec![Self::Ours, Self::Ordinary] } else { vec![Self::Ours] }
    }

    /// An unprivileged account: this user, or the ordinary user if this user is root.
    pub fn unprivileged() -> Self {
        if is_root() { Self::Ordinary } else { Self::Ours }
    }

    /// Whether the account needs a user namespace to be allowed any other namespace.
    pub(crate) fn needs_a_user_namespace(self) -> bool {
        self == Self::Ordinary || !is_root()
    }

    /// The user id, also used as the group id.
    pub fn uid(self) -> u32 {
        match self {
            Self::Ours => nix::unistd::geteuid().as_raw(),
            Self::Ordinary => FIRST_UID + std::process::id(),
        }
    }

    /// The command prefix that makes a command run as this user.
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

    /// Gives `dir` to this user, and makes the directories above passable.
    ///
    /// # Panics
    /// If the change is not allowed; only root may give directories away.
    pub(crate) fn take_over(self, dir: &Path) {
        if self == Self::Ours {
            return;
        }
        Root::ours().expect("only root can act for another user").give(dir, self.uid());
        dir.parent().into_iter().for_each(make_passable);
    }

    /// `program`, or the executable copy at `copy` if this user cannot execute `program`.
    ///
    /// # Panics
    /// If the copy fails.
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

/// Lets every user pass through `dir` and the directories above.
pub(crate) fn make_passable(dir: &Path) {
    for dir in dir.ancestors() {
        let mode = fs::metadata(dir)
            .expect("a directory above a test environment can be looked at")
            .permissions()
            .mode();
        if mode & 0o001 == 0 {
            let passable = fs::Permissions::from_mode(PASSABLE);
            fs::set_permissions(dir, passable).expect("the way to a test environment is ours");
        }
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
