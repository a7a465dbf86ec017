//! Files and directories: one system call per function, with the needed flags in one place.
//!
//! # Invariants
//! 1. Every descriptor is close-on-exec.
//! 2. A planted file is not followed, and opening one never blocks.

pub mod directories;
mod files;
pub(crate) mod flock;
pub(crate) mod holes;
pub(crate) mod kinds;
pub(crate) mod memory_file;
mod status;
pub(crate) mod watch;

pub(crate) use files::{
    Links, PRIVATE_DIRECTORY, PRIVATE_FILE, chmod, chmod_at, create_file_at, create_log_at, fchmod,
    is_executable, link_at, mkdir, mkdir_at, names_in, open_directory, open_directory_at, open_file_at,
    open_for_update_at, open_target_at, open_to_write, pin, pin_directory, read_at, read_once, readlink_at,
    remove_at, rename_at, rename_new, rename_new_at,
};
pub use status::{FileKind, FileStatus, Inode};
pub(crate) use status::{fstat, lstat, stat, stat_at, stat_target_at};
