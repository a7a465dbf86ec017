//! Things that no command may touch: a tree of files beside the state directory, and a process unrelated to any
//! session.

use super::super::trouble::{Trouble, TroubleKind, ensure};
use super::place;
use crate::procs::Pid;
use crate::{Account, Place, Sentinel, SentinelKind, TestEnv};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Kept by a pid namespace from round to round: starting a sentinel takes longer than a round.
struct Kept {
    account: Account,
    sentinel: Sentinel,
    /// The sentinel ends together with its test environment.
    _env: TestEnv,
}

thread_local! {
    static SENTINELS: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// A tree of files outside of any session, with the facts that must not change.
#[derive(Debug)]
pub(super) struct Canary {
    dir: PathBuf,
    facts: BTreeMap<PathBuf, Fact>,
}

/// The facts about one file: device, inode, mode, owner, group, and content.
type Fact = (u64, u64, u32, u32, u32, Vec<u8>);

impl Canary {
    /// Makes a tree that belongs to the test environment's user: a command that follows a link could write there.
    pub(super) fn plant(env: &TestEnv) -> Self {
        let dir = env.path("canary");
        let inner = dir.join("inner");
        fs::create_dir_all(&inner).expect("a test environment's directory is writable");
        let record = br#"{"schema_version":1,"session":"s","generation":7,"nonce":"00","state":"ready"}"#;
        let files: [(&Path, &str, &[u8], u32); 6] = [
            (&dir, "file", b"leave me alone\n", 0o640),
            (&dir, "empty", b"", 0o600),
            (&inner, "session.json", record, 0o600),
            (&inner, "claim", b"{}", 0o600),
            (&inner, "stdout.log", b"what a worker said\n", 0o644),
            (&inner, "lifeline", b"", 0o600),
        ];
        for (dir, name, content, mode) in files {
            let path = dir.join(name);
            fs::write(&path, content).expect("a test environment's directory is writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the file is ours");
            place::give_to(env.account(), &path);
        }
        [&inner, &dir].into_iter().for_each(|dir| place::give_to(env.account(), dir));
        let facts = facts(&dir);
        Self { dir, facts }
    }

    /// A file of the tree.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.join("file")
    }

    /// A directory of the tree that looks like a session's.
    pub(super) fn session(&self) -> PathBuf {
        self.dir.join("inner")
    }

    /// Fails if any file in the tree has changed.
    pub(super) fn check(&self, what: &str) -> Result<(), Trouble> {
        let now = facts(&self.dir);
        let changed: Vec<_> = self
            .facts
            .keys()
            .chain(now.keys())
            .filter(|path| self.facts.get(*path) != now.get(*path))
            .map(|path| format!("{}: {:?}, was {:?}", path.display(), now.get(path), self.facts.get(path)))
            .collect();
        ensure(changed.is_empty(), TroubleKind::Other, || {
            format!("{what} touched the canary: {}", changed.join("; "))
        })
    }
}

fn facts(dir: &Path) -> BTreeMap<PathBuf, Fact> {
    let mut all = BTreeMap::new();
    let mut paths = vec![dir.to_owned()];
    while let Some(path) = paths.pop() {
        let Ok(found) = path.symlink_metadata() else { continue };
        if found.is_dir() {
            paths.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        let content = if found.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        let fact = (found.dev(), found.ino(), found.mode(), found.uid(), found.gid(), content);
        all.insert(path, fact);
    }
    all
}

/// The pid of this user's sentinel, started if missing.
pub(super) fn sentinel_pid(account: Account) -> Pid {
    SENTINELS.with_borrow_mut(|all| {
        if let Some(kept) = all.iter().find(|kept| kept.account == account) {
            return kept.sentinel.pid();
        }
        let env = TestEnv::owned_by(account);
        let sentinel = Sentinel::start(&env, Place::Outside, SentinelKind::SessionLeader);
        let pid = sentinel.pid();
        all.push(Kept { account, sentinel, _env: env });
        pid
    })
}

/// Fails if this user's sentinel was touched; replaces a touched sentinel.
pub(super) fn check_sentinel(account: Account, what: &str) -> Result<(), Trouble> {
    SENTINELS.with_borrow_mut(|all| {
        let Some(at) = all.iter().position(|kept| kept.account == account) else { return Ok(()) };
        let Some(harm) = all[at].sentinel.harm() else { return Ok(()) };
        all.remove(at);
        Err(Trouble::new(TroubleKind::Other, format!("{what} touched the sentinel: {harm}")))
    })
}
