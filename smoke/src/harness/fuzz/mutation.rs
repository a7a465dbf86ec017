//! Mutations of a state directory: bytes, kinds of file, values, owners, modes and mounts.

use super::super::rng::Rng;
use super::json;
use super::place::{self, Mount};
use super::round::{Round, SESSION};
use crate::Root;
use crate::homes::STRANGER;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

/// The files of a session, existing or not.
const SESSION_FILES: [&str; 6] = ["session.json", "claim", "lifeline", "sock", "stdout.log", "stderr.log"];

/// The files of the lifecycle lock.
const ROOT_FILES: [&str; 2] = [".locked", ".locked.lock"];

/// Names that do not belong in a state directory.
const STRAYS: [&[u8]; 7] = [
    b".rekindle-tmp.1",
    b"-rf",
    b"a\nb",
    b"\xff\xfe",
    b"\x1b[2J",
    b"p-18ec765614e8aab8-8da36d9d12d584a5",
    b"session.json.kept",
];

/// Modes different from the modes of all our files.
const MODES: [u32; 9] = [0, 0o200, 0o400, 0o500, 0o644, 0o777, 0o1777, 0o4755, 0o2770];

/// How often another mutation is tried after an impossible mutation.
const TRIES_MAX: usize = 8;

/// The name of an impossible mutation.
const NOTHING: &str = "nothing";

/// A performed mutation.
#[derive(Debug)]
pub(super) struct Mutated {
    /// The mutation's name in the tally.
    pub(super) kind: &'static str,
    /// The details.
    pub(super) what: String,
    /// A mount to keep until the end of the round.
    pub(super) mount: Option<Mount>,
}

/// Performs a mutation of a round's state directory.
pub(super) fn mutate(rng: &mut Rng, round: &Round) -> Mutated {
    let mut tried = try_to_mutate(rng, round);
    for _ in 1..TRIES_MAX {
        if tried.kind != NOTHING {
            break;
        }
        tried = try_to_mutate(rng, round);
    }
    tried
}

fn try_to_mutate(rng: &mut Rng, round: &Round) -> Mutated {
    let path = target(rng, round);
    let name = path.strip_prefix(round.env.dir()).unwrap_or(&path).display().to_string();
    let mut mount = None;
    if let Err(error) = stays_inside(&path, round) {
        return Mutated { kind: NOTHING, what: format!("{name}: {error}"), mount };
    }
    let (kind, done) = match rng.below(20) {
        0..5 => ("bytes", bytes(rng, &path)),
        5..10 => ("json", value(rng, &path, round)),
        10..14 => ("kind of file", kind_of_file(rng, &path, round)),
        14 => {
            let dir = directory(rng, round);
            ("kind of directory", kind_of_file(rng, &dir, round))
        }
        15 => ("owner", owner(rng, &path)),
        16 | 17 => ("mode", mode(rng, &path)),
        18 => ("stray", stray(rng, round)),
        _ => (
            "mount",
            mounted(rng, round).map(|(made, what)| {
                mount = Some(made);
                what
            }),
        ),
    };
    match done {
        Ok(what) => Mutated { kind, what: format!("{name}: {what}"), mount },
        // A missing file, or an action that this user may not perform.
        Err(error) => Mutated { kind: NOTHING, what: format!("{kind} of {name}: {error}"), mount },
    }
}

/// A file of a session or of the lifecycle lock.
fn target(rng: &mut Rng, round: &Round) -> PathBuf {
    if rng.below(6) == 0 {
        return round.env.state().join(rng.pick(&ROOT_FILES));
    }
    // Listed twice: the record and the lifeline decide more than the other files.
    let file = if rng.below(2) == 0 { rng.pick(&SESSION_FILES) } else { rng.pick(&SESSION_FILES[..3]) };
    let path = round.env.of(session(rng, round), file);
    let files: Vec<PathBuf> =
        SESSION_FILES.iter().map(|file| path.with_file_name(file)).filter(|path| path.exists()).collect();
    // A missing file is tried now and then.
    if path.exists() || files.is_empty() || rng.below(6) == 0 { path } else { rng.pick(&files) }
}

fn session<'r>(rng: &mut Rng, round: &'r Round) -> &'r str {
    if rng.below(2) == 0 { SESSION } else { &round.names.pool_session }
}

fn directory(rng: &mut Rng, round: &Round) -> PathBuf {
    let state = round.env.state();
    if rng.below(4) == 0 { state } else { state.join(session(rng, round)) }
}

fn bytes(rng: &mut Rng, path: &Path) -> io::Result<String> {
    let mut bytes = fs::read(plain(path)?)?;
    let place = |rng: &mut Rng, bytes: &[u8]| rng.below(bytes.len() as u64 + 1) as usize;
    let what = match rng.below(9) {
        0 | 1 if !bytes.is_empty() => {
            let flips = 1 + rng.below(4);
            for _ in 0..flips {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << rng.below(8);
            }
            "flipped"
        }
        2 | 3 => {
            bytes.truncate(place(rng, &bytes));
            "truncated"
        }
        4 => {
            bytes.extend(bytes.clone());
            "duplicated"
        }
        5 => {
            let at = place(rng, &bytes);
            bytes.splice(at..at, (0..1 + rng.below(64)).map(|_| rng.below(256) as u8).collect::<Vec<_>>());
            "with bytes put in"
        }
        6 => {
            bytes = json::deep(rng);
            "nested deeply"
        }
        7 => {
            let len = [1 << 12, 1 << 16, 1 << 20, 17 << 20][rng.below(4) as usize];
            bytes.resize(bytes.len() + len, [b' ', b'0', 0, b'['][rng.below(4) as usize]);
            "made long"
        }
        _ => {
            bytes.clear();
            "emptied"
        }
    };
    write(rng, path, &bytes)?;
    Ok(what.to_owned())
}

fn value(rng: &mut Rng, path: &Path, round: &Round) -> io::Result<String> {
    let bytes = fs::read(plain(path)?)?;
    let changed = json::changed(rng, &bytes, round.names.sentinel);
    let (bytes, what) = changed.ok_or_else(|| io::Error::other("no JSON"))?;
    write(rng, path, &bytes)?;
    Ok(what)
}

/// Fails if the way to a path leads out of the state directory: the mutation would touch the canary.
pub(super) fn stays_inside(path: &Path, round: &Round) -> io::Result<()> {
    let root = round.env.dir().canonicalize()?;
    let parent = path.parent().unwrap_or(path).canonicalize()?;
    let inside = parent == root || parent.starts_with(root.join("state"));
    if inside { Ok(()) } else { Err(io::Error::other("the way leads to the canary")) }
}

/// The path, if a plain file: any other file may lead to the canary, or block us.
fn plain(path: &Path) -> io::Result<&Path> {
    if path.symlink_metadata()?.is_file() { Ok(path) } else { Err(io::Error::other("no plain file")) }
}

/// Writes into the existing file, which may have holders, or replaces the file with a new inode.
fn write(rng: &mut Rng, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    if found.nlink() > 1 {
        return Err(io::Error::other("it has another name"));
    }
    if rng.below(4) > 0 {
        return OpenOptions::new().write(true).truncate(true).open(path)?.write_all(bytes);
    }
    fs::remove_file(path)?;
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    if let Some(root) = place::root_of_the_machine() {
        root.try_give(path, found.uid())?;
    }
    Ok(())
}

fn kind_of_file(rng: &mut Rng, path: &Path, round: &Round) -> io::Result<String> {
    stays_inside(path, round)?;
    remove(path)?;
    let rwx = Mode::S_IRWXU;
    let canary = &round.canary;
    let what = match rng.below(13) {
        0 => fs::create_dir(path).map(|()| "a directory"),
        1 => fs::create_dir(path).and_then(|()| fs::write(path.join("x"), "x")).map(|()| "a full directory"),
        2 | 3 => mkfifo(path, rwx).map(|()| "a FIFO").map_err(Into::into),
        4 => symlink(canary.file(), path).map(|()| "a link to the canary"),
        5 => symlink(canary.session(), path).map(|()| "a link to the canary's directory"),
        6 => symlink("/nowhere/at/all", path).map(|()| "a dangling link"),
        7 => symlink(path, path).map(|()| "a link to itself"),
        8 | 9 => fs::hard_link(canary.file(), path).map(|()| "a hard link to the canary"),
        10 => UnixDatagram::bind(path).map(|_| "a datagram socket"),
        11 => UnixListener::bind(path).map(|_| "a socket that nobody has"),
        _ => mknod(path, SFlag::S_IFCHR, rwx, makedev(1, 5)).map(|()| "a device").map_err(Into::into),
    }?;
    let is_the_canary = path.symlink_metadata().is_ok_and(|it| it.is_file());
    if !is_the_canary {
        place::give_to(round.env.account(), path);
    }
    Ok(what.to_owned())
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

fn owner(rng: &mut Rng, path: &Path) -> io::Result<String> {
    let Some(root) = place::root_of_the_machine() else {
        return Err(io::Error::other("only root gives files away"));
    };
    let user = if rng.below(2) == 0 { STRANGER } else { 0 };
    give(root, rng, path, user)?;
    Ok(format!("given to user {user}"))
}

/// Gives the file, or its directory, to another user.
fn give(root: Root, rng: &mut Rng, path: &Path, user: u32) -> io::Result<()> {
    let path = if rng.below(3) == 0 { path.parent().unwrap_or(path) } else { path };
    let found = path.symlink_metadata()?;
    if found.is_file() && found.nlink() > 1 {
        return Err(io::Error::other("it has another name"));
    }
    root.try_give(path, user)
}

fn mode(rng: &mut Rng, path: &Path) -> io::Result<String> {
    let path = if rng.below(3) == 0 { path.parent().unwrap_or(path) } else { path };
    let found = path.symlink_metadata()?;
    if found.is_symlink() || (found.is_file() && found.nlink() > 1) {
        return Err(io::Error::other("it leads to the canary"));
    }
    let mode = rng.pick(&MODES);
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(format!("{} of mode {mode:o}", path.file_name().unwrap_or_default().display()))
}

fn stray(rng: &mut Rng, round: &Round) -> io::Result<String> {
    let name = OsStr::from_bytes(rng.pick(&STRAYS));
    let dir = directory(rng, round);
    if !dir.symlink_metadata()?.is_dir() {
        return Err(io::Error::other("no directory"));
    }
    let path = dir.join(name);
    let what = kind_of_file(rng, &path, round)?;
    Ok(format!("{} in {}: {what}", name.display(), dir.display()))
}

fn mounted(rng: &mut Rng, round: &Round) -> io::Result<(Mount, String)> {
    let dir = directory(rng, round);
    if !dir.symlink_metadata()?.is_dir() {
        return Err(io::Error::other("no directory"));
    }
    let (mount, what) = match rng.below(2) {
        0 => (Mount::tmpfs(&dir), "a tmpfs"),
        _ => (Mount::read_only(&dir), "read-only"),
    };
    let mount = mount.ok_or_else(|| io::Error::other("mounts are not allowed"))?;
    Ok((mount, format!("{what} over {}", dir.display())))
}
