//! The kernel's table of Unix sockets: listeners and their paths, without a connection.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `__SO_ACCEPTCON`: the socket listens.
const LISTENS: u32 = 1 << 16;

/// The paths with a listener at the time of reading, in the listeners' spelling.
#[derive(Debug, Default)]
pub struct ListeningSockets(HashSet<PathBuf>);

impl ListeningSockets {
    /// Reads the table of our network namespace; empty without `/proc`.
    pub fn read() -> Self {
        Self::parse(&fs::read("/proc/net/unix").unwrap_or_default())
    }

    /// Whether a process listens on `path`. A listener under another spelling is not found.
    pub fn contains(&self, path: &Path) -> bool {
        self.0.contains(path)
    }

    fn parse(table: &[u8]) -> Self {
        Self(rows(table).map(|row| row.path.to_owned()).collect())
    }
}

/// A row of the table: a socket listening under a path.
struct Row<'t> {
    inode: &'t str,
    path: &'t Path,
}

impl Row<'_> {
    /// The socket's link in `/proc/PID/fd`.
    fn link(&self) -> PathBuf {
        format!("socket:[{}]", self.inode).into()
    }
}

/// The columns are `Num RefCount Protocol Flags Type St Inode Path`, and a path may hold spaces. An abstract name, free
/// for any user to choose, begins with `@`.
fn rows(table: &[u8]) -> impl Iterator<Item = Row<'_>> {
    table.split(|byte| *byte == b'\n').skip(1).filter_map(|line| {
        let mut rest = line;
        let mut columns = std::iter::from_fn(|| {
            rest = rest.trim_ascii_start();
            let (column, behind) = rest.split_at(rest.iter().position(|byte| *byte == b' ')?);
            rest = behind;
            std::str::from_utf8(column).ok()
        });
        let flags = u32::from_str_radix(columns.nth(3)?, 16).ok()?;
        let inode = columns.nth(2)?;
        let path = rest.get(1..).filter(|path| path.starts_with(b"/"))?;
        (flags & LISTENS != 0).then(|| Row { inode, path: Path::new(OsStr::from_bytes(path)) })
    })
}

/// The sockets listening at one path.
#[derive(Debug, Default)]
pub(crate) struct SocketInodes(HashSet<PathBuf>);

impl SocketInodes {
    /// Reads the table of our network namespace.
    pub(crate) fn at(path: &Path) -> Self {
        let table = fs::read("/proc/net/unix").unwrap_or_default();
        Self(rows(&table).filter(|row| row.path == path).map(|row| row.link()).collect())
    }

    /// Whether a descriptor's link leads to one of the sockets.
    pub(crate) fn names(&self, link: &Path) -> bool {
        self.0.contains(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_are_found_whatever_their_path() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  7142 /run/a b/sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 25640 /run/connected\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 2564 @/abstract\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 2565 @x /abstract\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 2564\n";
        let listening = ListeningSockets::parse(table);
        assert!(listening.contains(Path::new("/run/a b/sock")));
        assert!(!listening.contains(Path::new("/run/connected")));
        let inodes: Vec<_> = rows(table).map(|row| row.link()).collect();
        assert_eq!(inodes, [Path::new("socket:[7142]")]);
    }
}
