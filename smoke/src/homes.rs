//! Directories of several users; only root can make them.

use crate::account::Root;
use crate::cli::{self, Launcher, Reply};
use crate::{TestEnv, programs};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An ordinary user id; no entry in the user database is needed.
pub const USER: u32 = 14_242;
/// Another ordinary user.
pub const STRANGER: u32 = 15_151;

/// A path as an argument.
///
/// # Panics
/// If the path is not UTF-8.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a test environment's paths are UTF-8")
}

/// The mode of the file at a path.
///
/// # Panics
/// If no file is there.
pub fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o7777
}

/// Makes a directory with a mode.
///
/// # Panics
/// If the directory cannot be made.
pub fn made(path: PathBuf, mode: u32) -> PathBuf {
    fs::create_dir(&path).expect("a test environment can hold a directory");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode can be set");
    path
}

/// All files below a directory, with their modes.
///
/// # Panics
/// If the directory cannot be listed.
pub fn all_below(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).expect("root can list it").flatten() {
        all.push((entry.path(), mode(&entry.path())));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(all_below(&entry.path()));
        }
    }
    all.sort();
    all
}

/// The home of an ordinary user, with a copy of the command. The home is outside of the test environments, because
/// ordinary users cannot enter those.
#[derive(Debug)]
pub struct Home {
    /// The test environment of the home's processes; dropped first, so the processes end first.
    pub env: TestEnv,
    dir: TempDir,
    root: Root,
    user: u32,
}

impl Home {
    /// The home of `user`, empty except for the command.
    ///
    /// # Panics
    /// If the home cannot be made.
    pub fn new(root: Root, user: u32) -> Self {
        let dir =
            tempfile::Builder::new().prefix("rk-home-").tempdir_in("/tmp").expect("/tmp can be written");
        root.give(dir.path(), user);
        // The user can execute files here.
        let binary = dir.path().join("rekindle");
        fs::copy(cli::binary(), &binary).expect("the command can be copied");
        Self { env: TestEnv::new(), dir, root, user }
    }

    /// The path of the home.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a directory of the user in the home.
    ///
    /// # Panics
    /// If the directory cannot be made.
    pub fn made(&self, name: &str, mode: u32) -> PathBuf {
        let path = made(self.path(name), mode);
        self.root.give(&path, self.user);
        path
    }

    /// A command of the user with this home; the caller adds a program and arguments.
    pub fn command(&self) -> Command {
        let user = self.user;
        let mut command = self.env.command(programs::find("setpriv", "util-linux"));
        command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
        command.current_dir("/").env("HOME", self.dir.path());
        command
    }

    /// The copy of the command, executable for the user.
    pub fn binary(&self) -> PathBuf {
        self.path("rekindle")
    }

    /// Runs `rekindle --json` as the user.
    pub fn rekindle(&self, args: &[&str]) -> Reply {
        let mut command = self.command();
        command.arg(self.binary()).arg("--json").args(args);
        Launcher::start(command).finish()
    }
}
