//! The kind of a file system: whether its locks hold by its kind, have to be tried, or are shared between machines.

use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::stat;
use nix::sys::statfs::{self, statfs};
use rekindle_core::OsFailure;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use std::fs;
use std::path::{Path, PathBuf};

/// File systems shared between machines, whose flock may hang, is only local, or is not kept.
const SHARED: &[(i64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "kAFS"),
    (0x00c3_6400, "Ceph"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x786f_4256, "VirtualBox shared folders"),
];

/// Every FUSE file system.
const FUSE: i64 = 0x6573_5546;

/// FUSE file systems, by their subtype in the table of mounts, that show the files of another machine: a flock holds on
/// this machine at most.
const SHARED_FUSE: &[&str] = &[
    "sshfs",
    "glusterfs",
    "ceph",
    "ceph-fuse",
    "s3fs",
    "goofys",
    "mount-s3",
    "rclone",
    "gcsfuse",
    "blobfuse",
    "blobfuse2",
    "davfs",
    "juicefs",
    "mfs",
    "moosefs",
    "lizardfs",
    "saunafs",
    "curlftpfs",
    "smbnetfs",
    "cvmfs2",
    "beegfs",
    "seaweedfs",
];

/// A mount on this machine since its boot: the kernel never reuses the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MountId(pub(crate) u64);

/// The kind of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Local to this machine: locks hold.
    Local,
    /// Shared between machines.
    Shared(String),
    /// A FUSE file system of unknown conduct, with the name and the mount.
    Fuse { name: String, mount: Option<MountId> },
}

/// The kind of file system at `path`, which may not exist yet, and the nearest existing file: new files below are on the
/// same file system.
pub(crate) fn kind_at(path: &Path) -> Result<(Kind, PathBuf), OsFailure> {
    for existing in path.ancestors() {
        match statfs(existing) {
            Ok(info) => return Ok((kind(info.filesystem_type(), existing), existing.to_owned())),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(error) => return Err(error).during("ask for the file system of", existing),
        }
    }
    Ok((Kind::Local, PathBuf::from("/")))
}

fn kind(found: statfs::FsType, existing: &Path) -> Kind {
    let magic = i128::from(found.0);
    if magic == i128::from(FUSE) {
        let subtype = fuse_subtype(existing);
        return match subtype.as_deref() {
            Some(name) if SHARED_FUSE.contains(&name) => Kind::Shared(format!("FUSE ({name})")),
            Some(name) => Kind::Fuse { name: format!("FUSE ({name})"), mount: mount_id(existing) },
            None => Kind::Fuse { name: "FUSE".to_owned(), mount: mount_id(existing) },
        };
    }
    let shared = SHARED.iter().find(|(refused, _)| magic == i128::from(*refused));
    shared.map_or(Kind::Local, |(_, name)| Kind::Shared((*name).to_owned()))
}

/// The mount at `path`; `None` if the kernel (before 6.8) does not number mounts for good.
///
/// By rustix, since nix has no `statx`.
fn mount_id(path: &Path) -> Option<MountId> {
    /// `STATX_MNT_ID_UNIQUE`
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    let found = statx(CWD, path, AtFlags::empty(), UNIQUE).ok()?;
    let is_answered = found.stx_mask & UNIQUE.bits() != 0;
    is_answered.then_some(MountId(found.stx_mnt_id))
}

/// The subtype of a FUSE mount, such as `sshfs`, by its device in the table of mounts.
fn fuse_subtype(path: &Path) -> Option<String> {
    let device = stat(path).ok()?.inode.device();
    let device = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    subtype_of(&fs::read_to_string("/proc/self/mountinfo").ok()?, &device)
}

fn subtype_of(table: &str, device: &str) -> Option<String> {
    table.lines().find_map(|line| {
        let (place, mounted) = line.split_once(" - ")?;
        let is_meant = place.split(' ').nth(2) == Some(device);
        let kind = mounted.split(' ').next().filter(|_| is_meant)?;
        Some(kind.strip_prefix("fuse.")?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtype_is_read_from_the_line_of_the_device() {
        let table = "22 1 0:20 / /sys rw - sysfs sysfs rw\n\
            40 1 0:41 / /home/u rw,nosuid shared:3 - fuse.sshfs u@host:/ rw,user_id=0\n\
            41 1 0:42 / /mnt rw - fuse none rw\n";
        assert_eq!(subtype_of(table, "0:41"), Some("sshfs".to_owned()));
        assert_eq!(subtype_of(table, "0:42"), None);
        assert_eq!(subtype_of(table, "0:20"), None);
        assert_eq!(subtype_of(table, "0:4"), None);
    }
}
