//! File systems whose locks hold: only those local to this machine.

use crate::sys::linux::failure::{During, Errno};
use nix::sys::statfs::{self, statfs};
use rekindle_core::OsFailure;
use std::path::Path;

/// File systems whose flock may hang, is only local, or is not kept.
const REFUSED: &[(i64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "kAFS"),
    (0x00c3_6400, "Ceph"),
    (0x6573_5546, "FUSE"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x786f_4256, "VirtualBox shared folders"),
];

/// The kind of file system at `path`, if locks do not hold there. `path` may not exist yet.
///
/// The nearest existing directory decides: new files below are on the same file system.
pub(crate) fn kind_without_locks(path: &Path) -> Result<Option<&'static str>, OsFailure> {
    for existing in path.ancestors() {
        match statfs(existing) {
            Ok(info) => return Ok(refused_kind(info.filesystem_type())),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(error) => return Err(error).during("ask for the file system of", existing),
        }
    }
    Ok(None)
}

fn refused_kind(found: statfs::FsType) -> Option<&'static str> {
    REFUSED.iter().find(|(magic, _)| i128::from(found.0) == i128::from(*magic)).map(|(_, kind)| *kind)
}
