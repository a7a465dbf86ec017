//! The state root of a project: its name, and the note in the root that names the project file.
//!
//! # Invariants
//! 1. The name depends on the file's path alone, and is the same in every version.
//! 2. The name is one path component, of at most [`NAME_LEN_MAX`] bytes: a socket's path has room for little more.
//! 3. A note is read back as written, whatever bytes the path has. Another text is an error, never an empty note.
//!
//! Checked by `gates/tests/project.rs`.

use crate::prelude::*;
use crate::text::byte_text;
use serde::{Deserialize, Serialize};

/// The longest name of a state root, in bytes.
pub const NAME_LEN_MAX: usize = SLUG_LEN_MAX + 1 + DIGITS;

/// The version of the note.
const SCHEMA_VERSION: u32 = 1;

/// The readable part of the name.
const SLUG_LEN_MAX: usize = 16;

/// Hexadecimal digits of the path's hash. The note tells two paths with the same digits apart.
const DIGITS: usize = 12;

/// The name of the state root for the project of `file`, an absolute path: the name of the file's directory, and a hash of the
/// whole path.
///
/// ```
/// use rekindle_core::project::root::root_name;
///
/// assert_eq!(root_name("/home/ada/my shop/rekindle.toml".as_ref()), "my-shop-dbca43f9e085");
/// ```
pub fn root_name(file: &Path) -> String {
    let dir = file.parent().and_then(Path::file_name).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let letter = |byte: &u8| if is_plain(*byte) { char::from(*byte) } else { '-' };
    let slug: String = dir.as_bytes().iter().take(SLUG_LEN_MAX).map(letter).collect();
    let slug = if slug.is_empty() { "root".to_owned() } else { slug };
    let digits = format!("{:016x}", fnv_1a(file.as_os_str().as_bytes()));
    format!("{slug}-{}", &digits[..DIGITS])
}

/// The hash FNV-1a of 64 bits.
fn fnv_1a(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[derive(Serialize, Deserialize)]
struct Note {
    schema_version: u32,
    #[serde(with = "byte_text")]
    file: PathBuf,
}

/// The bytes of the note about `file`.
pub fn write_note(file: &Path) -> Vec<u8> {
    let note = Note { schema_version: SCHEMA_VERSION, file: file.to_owned() };
    let mut bytes = serde_json::to_vec(&note).expect("a note holds nothing that JSON cannot");
    bytes.push(b'\n');
    bytes
}

/// The project file in a note. A note of a later version may have more fields.
///
/// # Errors
/// The reason why the bytes are no note.
pub fn read_note(bytes: &[u8]) -> Result<PathBuf, String> {
    let note: Note = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok(note.file)
}
