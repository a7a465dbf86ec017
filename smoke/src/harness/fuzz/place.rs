//! File permissions of the pid namespace, and mounts for a round.

use crate::programs;
use crate::{Account, Root};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The proof that we are root of the machine, not only of a user namespace: only then other users exist.
pub(super) fn root_of_the_machine() -> Option<Root> {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let all = map.split_ascii_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
    Root::ours().filter(|_| all)
}

/// Gives the file at a path to the test environment's user.
pub(super) fn give_to(account: Account, path: &Path) {
    if account == Account::Ordinary
        && let Some(root) = root_of_the_machine()
    {
        root.give(path, account.uid());
    }
}

/// A mount, undone when dropped.
#[derive(Debug)]
pub(super) struct Mount(PathBuf);

impl Mount {
    /// An empty tmpfs over a directory.
    pub(super) fn tmpfs(dir: &Path) -> Option<Self> {
        run("mount", &["-t", "tmpfs", "tmpfs"], dir).then(|| Self(dir.to_owned()))
    }

    /// Mounts a directory over itself, read-only.
    pub(super) fn read_only(dir: &Path) -> Option<Self> {
        let bound = run("mount", &["--bind", &dir.display().to_string()], dir);
        let bound = bound.then(|| Self(dir.to_owned()))?;
        run("mount", &["-o", "remount,bind,ro"], dir).then_some(bound)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A worker may still have a file there open.
        run("umount", &["-l"], &self.0);
    }
}

fn run(program: &str, options: &[&str], dir: &Path) -> bool {
    let mut command = Command::new(programs::find(program, "mount"));
    command.args(options).arg(dir).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
