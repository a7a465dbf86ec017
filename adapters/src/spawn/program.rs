//! Finds the program, and the missing file if exec fails.

use crate::sys::linux::failure::{Errno, refused};
use crate::sys::linux::fs::is_executable;
use rekindle_core::SpawnError;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How much of a program is read to find the interpreter.
const HEADER_LEN: u64 = 4096;

/// Finds a program as a shell would, in the caller's PATH and working directory, as an absolute path.
///
/// # Errors
/// If there is no such program, or no executable one.
pub fn resolve(program: &OsStr) -> Result<PathBuf, SpawnError> {
    if program.is_empty() {
        return Err(SpawnError::NoProgram);
    }
    if program.as_bytes().contains(&b'/') {
        let path = std::path::absolute(program).ok().ok_or(SpawnError::NoWorkingDirectory)?;
        return if path.exists() { Ok(path) } else { Err(not_found(program, None)) };
    }
    let searched = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let found = env::split_paths(&searched)
        .filter_map(|dir| std::path::absolute(dir).ok())
        .map(|dir| dir.join(program))
        .find(|path| path.is_file() && is_executable(path));
    found.ok_or_else(|| not_found(program, Some(&searched)))
}

fn not_found(program: &OsStr, searched: Option<&OsStr>) -> SpawnError {
    SpawnError::ProgramNotFound { program: program.to_owned(), searched: searched.map(ToOwned::to_owned) }
}

/// Explains why the kernel refused to execute `program`.
pub(crate) fn explain(program: &Path, errno: i32) -> SpawnError {
    let not_executable = |why: String| SpawnError::NotExecutable { program: program.to_owned(), why };
    match Errno::from_raw(errno) {
        Errno::ENOENT if fs::symlink_metadata(program).is_err() => not_found(program.as_os_str(), None),
        Errno::ENOENT => match interpreter(program) {
            Some(interpreter) => SpawnError::InterpreterNotFound { program: program.to_owned(), interpreter },
            None => not_executable("it is a link to a file that does not exist".into()),
        },
        Errno::EACCES if program.is_dir() => not_executable("it is a directory".into()),
        Errno::EACCES => not_executable(format!("{} (errno {errno})", why_not_permitted(program))),
        Errno::ENOEXEC => {
            not_executable("it is neither a program for this machine nor a script with a #! line".into())
        }
        Errno::E2BIG => {
            not_executable("its arguments and environment are longer than the system allows".into())
        }
        _ => refused("execute", errno).on(program).into(),
    }
}

fn why_not_permitted(program: &Path) -> &'static str {
    match program.exists() && !is_executable(program) {
        true => "its mode does not allow it; `chmod +x` would",
        false => "permission denied",
    }
}

/// The interpreter of a program, from the `#!` line or the ELF header.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut header = Vec::new();
    File::open(program).ok()?.take(HEADER_LEN).read_to_end(&mut header).ok()?;
    let name = match header.strip_prefix(b"#!") {
        Some(line) => {
            let line = line.split(|byte| *byte == b'\n').next()?;
            line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?
        }
        None => elf_interpreter(&header)?,
    };
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

/// The `PT_INTERP` of a 64-bit little-endian ELF file.
fn elf_interpreter(header: &[u8]) -> Option<&[u8]> {
    const PT_INTERP: u64 = 3;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |at: usize, len: usize| -> Option<u64> {
        let bytes = header.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    };
    let table = usize::try_from(number(0x20, 8)?).ok()?;
    let entry_len = usize::try_from(number(0x36, 2)?).ok()?;
    let entries = usize::try_from(number(0x38, 2)?).ok()?;
    let entry = (0..entries)
        .filter_map(|index| table.checked_add(index.checked_mul(entry_len)?))
        .find(|entry| number(*entry, 4) == Some(PT_INTERP))?;
    let at = usize::try_from(number(entry.checked_add(8)?, 8)?).ok()?;
    let len = usize::try_from(number(entry.checked_add(32)?, 8)?).ok()?;
    let name = header.get(at..at.checked_add(len)?)?;
    Some(name.strip_suffix(b"\0").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_header_is_a_panic() {
        let mut header = fs::read("/proc/self/exe").unwrap();
        header.truncate(HEADER_LEN as usize);
        assert!(elf_interpreter(&header).is_some_and(|name| name.starts_with(b"/lib")));
        for at in 0..512.min(header.len()) {
            let mut broken = header.clone();
            broken[at] ^= 0xff;
            let _ = elf_interpreter(&broken);
            let _ = elf_interpreter(&header[..at]);
        }
    }
}
