//! The kernel's table of Unix sockets: who listens where, without connecting to anybody.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `__SO_ACCEPTCON`: the socket listens.
const LISTENS: u32 = 1 << 16;

/// The paths on which somebody listened when the table was read, as the listeners spelled them.
#[derive(Debug, Default)]
pub struct ListeningSockets(HashSet<PathBuf>);

impl ListeningSockets {
    /// Reads the table of our network namespace; empty where there is no `/proc`.
    pub fn read() -> Self {
        Self::parse(&fs::read("/proc/net/unix").unwrap_or_default())
    }

    /// Whether somebody listens on `path`. A listener that spelled it otherwise is not found.
    pub fn contains(&self, path: &Path) -> bool {
        self.0.contains(path)
    }

    /// The columns are `Num RefCount Protocol Flags Type St Inode Path`; a path may hold spaces.
    fn parse(table: &[u8]) -> Self {
        let listening = table.split(|byte| *byte == b'\n').skip(1).filter_map(|line| {
            let mut columns = line.splitn(4, |byte| *byte == b' ');
            let rest = columns.nth(3)?;
            let flags = u32::from_str_radix(std::str::from_utf8(rest.get(..8)?).ok()?, 16).ok()?;
            let path = rest.iter().position(|byte| *byte == b'/').and_then(|at| rest.get(at..))?;
            (flags & LISTENS != 0).then(|| PathBuf::from(OsStr::from_bytes(path)))
        });
        Self(listening.collect())
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
            0000000000000000: 00000003 00000000 00000000 0001 03 2564\n";
        let listening = ListeningSockets::parse(table);
        assert!(listening.contains(Path::new("/run/a b/sock")));
        assert!(!listening.contains(Path::new("/run/connected")));
    }
}
