//! `rekindle man`: the manual pages, made from the grammar of the command line.
//!
//! # Invariants
//! 1. Every verb has a page, with the options and the texts of its help.
//! 2. A file is replaced only if it is a page of ours, and a link is not followed.
//!
//! Checked below and by `smoke/tests/smoke/command/manual.rs`.

mod page;

use crate::args::{ManArgs, pages};
use crate::report::{Exit, Report};
use page::Page;
use rekindle::frontend::{ByteText, Shown};
use rekindle::json::setup::{ManJson, PageJson};
use rekindle::{Advice, Step};
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::slice;

/// The mode of a page: readable for every user, as far as the umask allows.
const PAGE_MODE: u32 = 0o644;

pub(crate) fn run(dir: Option<&Path>, args: &ManArgs, report: &Report) -> Exit {
    let pages = page::all(pages::command());
    tracing::info!(pages = pages.len(), "made the manual");
    let name = page::file_name(&args.verb);
    let named = pages.iter().find(|page| page.name == name);
    match (dir, named) {
        (_, None) => {
            let message = format!("there is no verb `{}`", Shown(&args.verb.join(" ")));
            report.failure("usage", &message, &Step::Help(None).into(), Exit::Usage)
        }
        (Some(dir), Some(_)) if args.verb.is_empty() => write(&pages, dir, report),
        (Some(dir), Some(page)) => write(slice::from_ref(page), dir, report),
        (None, Some(Page { name, text })) => {
            let page = PageJson { name, path: None, text: Some(text) };
            report.answer(&text.trim_end(), ManJson { pages: vec![page] });
            Exit::Done
        }
    }
}

fn write(pages: &[Page], dir: &Path, report: &Report) -> Exit {
    let made = fs::create_dir_all(dir).map_err(|error| (dir.to_owned(), error));
    let written = made.and_then(|()| {
        let write = |page: &Page| {
            let path = dir.join(&page.name);
            replace(dir, &path, &page.text).map_err(|error| (path.clone(), error))?;
            Ok(path)
        };
        pages.iter().map(write).collect::<Result<Vec<PathBuf>, _>>()
    });
    match written {
        Ok(paths) => {
            let json = pages.iter().zip(&paths).map(|(page, path)| PageJson {
                name: &page.name,
                path: Some(ByteText(path.as_os_str())),
                text: None,
            });
            let text = format!("wrote {} pages to {}", paths.len(), Shown(dir));
            report.answer(&text, ManJson { pages: json.collect() });
            Exit::Done
        }
        Err((path, error)) => {
            let message = format!("failed to write `{}`: {error}", Shown(&path));
            let advice = Advice::by_hand("name another directory, or remove what is in the way");
            report.failure("output-unwritable", &message, &advice, Exit::Failed)
        }
    }
}

/// Writes a temporary file and renames the file to the page's path: a reader sees the old page or the new page.
fn replace(dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    if path.symlink_metadata().is_ok() && !is_ours(path) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "another file is there, not a page of ours",
        ));
    }
    let permissions = Permissions::from_mode(PAGE_MODE);
    let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// Whether a path is a regular file, written by any version of this command.
fn is_ours(path: &Path) -> bool {
    let is_regular = path.symlink_metadata().is_ok_and(|it| it.is_file());
    is_regular && fs::read_to_string(path).is_ok_and(|text| text.contains(page::MARK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_page_of_ours_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rekindle.1");
        let put = |text: &str| replace(dir.path(), &path, text);
        let page = |text: &str| format!("{}{text}", page::MARK);
        put(&page("one")).unwrap();
        put(&page("two")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), page("two"));
        fs::write(&path, "another text").unwrap();
        assert_eq!(put(&page("three")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "another text");
        let target = dir.path().join("target");
        fs::write(&target, page("target")).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&target, &path).unwrap();
        assert!(put(&page("four")).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), page("target"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left");
    }
}
