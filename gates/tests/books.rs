//! The pages agree with the code: every cited failure has an entry, and every named test exists.
//!
//! # Invariants
//! 1. Each id of the failure catalogue in a source file or page has an entry in `docs/failures.md`.
//! 2. Each entry has a test, and each test named in `docs/failures.md` or `gates/README.md` exists.
//! 3. Each repository path in a doc comment, a page or a link exists.
//! 4. `smoke/tests/smoke/command/pages.rs` types each example for a shell on a page, and `smoke/src/lib.rs` compiles
//!    each program.
//! 5. The tables and lists of readiness kinds are those of `rekindle_core::readiness`.
//!
//! Files are read, nothing else: no process, no socket, no clock.

use rekindle_core::readiness::{Row, ShownBy};
use rekindle_core::{EndpointKind, Readiness, ReadyKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CATALOGUE: &str = "docs/failures.md";
const GATES_PAGE: &str = "gates/README.md";
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Folders without files of ours.
const FOREIGN: [&str; 3] = ["target", ".git", "node_modules"];

/// The repository: the folder above this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a member of a workspace").to_owned()
}

/// The text of a file of the repository.
fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files with any of the endings, as paths below the repository.
fn files(endings: &[&str]) -> Vec<String> {
    let root = root();
    let mut open = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let (folders, files): (Vec<_>, Vec<_>) = entries(&folder).into_iter().partition(|path| path.is_dir());
        open.extend(folders.into_iter().filter(|folder| !FOREIGN.iter().any(|name| folder.ends_with(name))));
        found.extend(
            files.iter().filter_map(|path| Some(path.strip_prefix(&root).ok()?.to_str()?.to_owned())),
        );
    }
    found.retain(|path| endings.iter().any(|ending| path.ends_with(ending)));
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    listed.map(|entry| entry.expect("a folder can be listed").path()).collect()
}

/// Whether a word is an id of the catalogue: `L1`, `R-9`, `T01`, or a recipe such as `R1e`.
fn is_id(word: &str) -> bool {
    let (family, number) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    let is_number =
        |text: &str| matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
    match family {
        "T" => number.len() == 2 && is_number(number),
        "A" | "L" | "P" | "S" | "U" | "X" => is_number(number) && !number.starts_with('0'),
        "R" => is_number(number.strip_prefix('-').unwrap_or(number).trim_end_matches('e')),
        _ => false,
    }
}

/// The ids in a line of a page, or in the comments and strings of a line of code.
fn ids(path: &str, line: &str) -> Vec<String> {
    let prose = match (path.ends_with(".rs"), line.find("//").into_iter().chain(line.find('"')).min()) {
        (true, None) => "",
        (true, Some(start)) => &line[start..],
        (false, _) => line,
    };
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    prose.split(|letter| !is_word(letter)).filter(|word| is_id(word)).map(str::to_owned).collect()
}

/// The rows of the catalogue: id and text.
fn catalogue() -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in text(CATALOGUE).lines() {
        let Some((id, row)) = line.strip_prefix("| ").and_then(|row| row.split_once(" | ")) else { continue };
        if is_id(id) {
            assert!(rows.insert(id.to_owned(), row.to_owned()).is_none(), "{id} has two entries");
        }
    }
    rows
}

/// The words between backquotes in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a word is the name of a test: `file::test` or `folder::file::test`.
fn is_test_name(word: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    };
    let parts: Vec<&str> = word.split("::").collect();
    matches!(parts.len(), 2 | 3)
        && parts.iter().all(|part| is_part(part) && part.starts_with(|it: char| it.is_lowercase()))
}

/// Why a test with this name does not exist; `None` if the test exists.
fn missing(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split("::").collect();
    let (path, test) = match parts[..] {
        [folder, file, test] => (format!("smoke/tests/smoke/{folder}/{file}.rs"), test),
        ["soak", test] => ("smoke/tests/soak/main.rs".to_owned(), test),
        [file, test] => (format!("gates/tests/{file}.rs"), test),
        _ => return Some(format!("`{name}` is no name of a test")),
    };
    let Ok(source) = fs::read_to_string(root().join(&path)) else {
        return Some(format!("`{name}`: there is no {path}"));
    };
    let is_written =
        if path.starts_with("smoke/") { is_listed(&source, test) } else { is_gate(&source, test) };
    (!is_written).then(|| format!("`{name}`: no such test in {path}"))
}

/// Whether `tests![...]` lists the function.
fn is_listed(source: &str, test: &str) -> bool {
    let list = source.split_once("\ntests![").and_then(|(_, rest)| rest.split_once("];"));
    let entries = list.into_iter().flat_map(|(list, _)| list.split(','));
    entries.filter_map(|entry| entry.split_whitespace().next()).any(|entry| entry == test)
        && source.contains(&format!("fn {test}("))
}

/// Whether the function has the attribute of a test.
fn is_gate(source: &str, test: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {test}(")) else { return false };
    let above = before.lines().rev().map(str::trim_start).skip_while(|line| line.is_empty());
    above.take_while(|line| line.starts_with(['#', '/'])).any(|line| line.starts_with("#[test]"))
}

fn assert_none(faults: &BTreeSet<String>) {
    assert!(faults.is_empty(), "{}", faults.iter().cloned().collect::<Vec<_>>().join("\n"));
}

/// Invariant 1.
#[test]
fn every_cited_failure_has_an_entry() {
    let known = catalogue();
    let mut faults = BTreeSet::new();
    for path in files(&[".rs", ".md"]).iter().filter(|path| *path != CATALOGUE) {
        for (number, line) in (1..).zip(text(path).lines()) {
            let unknown = ids(path, line).into_iter().filter(|id| !known.contains_key(id));
            faults.extend(unknown.map(|id| format!("{path}:{number}: {id} has no entry in {CATALOGUE}")));
        }
    }
    assert_none(&faults);
}

/// Invariant 2.
#[test]
fn every_entry_is_shown_by_a_test() {
    let bare = catalogue().into_iter().filter(|(_, row)| !quoted(row).any(is_test_name));
    assert_none(&bare.map(|(id, _)| format!("{id} names no test")).collect());
}

/// Invariant 2.
#[test]
fn every_test_that_a_page_names_exists() {
    let examples = ["file::test", "folder::file::test", "soak::test"];
    let mut faults = BTreeSet::new();
    for page in [CATALOGUE, GATES_PAGE] {
        for line in text(page).lines().filter(|line| line.starts_with('|')) {
            let names = quoted(line).filter(|word| is_test_name(word) && !examples.contains(word));
            faults.extend(names.filter_map(missing).map(|fault| format!("{page}: {fault}")));
        }
    }
    assert_none(&faults);
}

/// Invariant 3.
#[test]
fn every_path_that_is_named_exists() {
    let mut faults = BTreeSet::new();
    for path in files(&[".rs", ".md"]).iter().filter(|path| *path != "CHANGELOG.md") {
        let folder = Path::new(path).parent().expect("a file is in a folder");
        for (number, line) in (1..).zip(text(path).lines()) {
            let comment = path.ends_with(".md") || line.trim_start().starts_with("//");
            let named = quoted(line).filter(|word| comment && is_repository_path(word)).map(PathBuf::from);
            let linked = links(line).filter(|_| path.ends_with(".md")).map(|link| folder.join(link));
            let short = short_names(line).into_iter().filter(|_| path == ARCHITECTURE);
            let absent = named.chain(linked).chain(short).filter(|named| !root().join(named).exists());
            faults.extend(absent.map(|absent| format!("{path}:{number}: there is no {}", absent.display())));
        }
    }
    assert_none(&faults);
}

/// Invariant 4.
#[test]
fn every_example_is_tried() {
    let typed = text("smoke/tests/smoke/command/pages.rs");
    let compiled = text("smoke/src/lib.rs");
    let mut faults = BTreeSet::new();
    for path in files(&[".md"]).iter().filter(|path| *path == "README.md" || path.starts_with("docs/")) {
        let page = text(path);
        let has = |fence| page.lines().any(|line| line == fence);
        let included = format!("/{path}\")");
        for (fence, tried) in [("```sh", &typed), ("```rust,no_run", &compiled)] {
            let is_untried = has(fence) && !tried.contains(&included);
            faults.extend(is_untried.then(|| format!("{path}: nothing tries its {fence}")));
        }
        faults.extend(has("```rust").then(|| format!("{path}: write ```rust,no_run, which is compiled")));
    }
    assert_none(&faults);
}

/// Invariant 5.
#[test]
fn the_pages_have_the_table_of_readiness_kinds() {
    let guide = written(|row| {
        let defaults = [(EndpointKind::Unix, " (default)"), (EndpointKind::None, " (default for `none`)")];
        let is_default = |endpoint| Readiness::default_for(endpoint).kind() == row.kind;
        let default = defaults.iter().find(|(endpoint, _)| is_default(*endpoint)).map_or("", |(_, it)| *it);
        let (connects, provides) = (row.connects.in_words(), row.provides.in_words());
        let (spelling, addresses) = (row.spelling(), addresses(row));
        let shown_by = match row.shown_by {
            ShownBy::Listener => "the worker listens",
            ShownBy::Process => "the worker runs",
        };
        let Row { best_for, ready_when, .. } = row;
        format!(
            "| `{spelling}`{default} | {addresses} | {best_for} | {ready_when} | {connects} | {provides} | {shown_by} |"
        )
    });
    let header =
        "| `--ready` | address | best for | ready when | who connects | the worker gets | later live while |";
    assert_eq!(table("docs/readiness.md", header), guide);
}

/// The kinds of addresses that suit a kind of readiness.
fn addresses(row: Row) -> String {
    row.endpoints.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// Invariant 5: the page types an example of each kind.
#[test]
fn each_readiness_kind_has_an_example() {
    let page = text("docs/readiness.md");
    let examples =
        page.split("```sh\n").nth(1).and_then(|rest| rest.split_once("```")).expect("an example").0;
    let is_typed = |name: &str| examples.contains(&format!("--ready {name}"));
    let is_quoted = |name: &str| examples.contains(&format!("--ready '{name}="));
    let default = |kind: ReadyKind| {
        [EndpointKind::Unix, EndpointKind::None].map(|it| Readiness::default_for(it).kind()).contains(&kind)
    };
    let rows = ReadyKind::ALL.map(ReadyKind::row);
    let missing = rows.iter().filter(|it| !is_typed(it.name) && !is_quoted(it.name) && !default(it.kind));
    assert_none(&missing.map(|row| format!("docs/readiness.md has no example of `{}`", row.name)).collect());
}

/// Invariant 5: a list in a sentence or a field is whole and in order.
#[test]
fn lists_of_readiness_kinds_are_whole() {
    let names = ReadyKind::ALL.map(|kind| format!("`{}`", kind.row().name));
    let field = names.join(", ");
    assert!(text("docs/formats.md").contains(&field), "docs/formats.md does not list {field}");
    let (last, first) = names.split_last().expect("there are kinds");
    let sentence = format!("{} or {last}", first.join(", "));
    assert!(text("docs/glossary.md").contains(&sentence), "docs/glossary.md does not list {sentence}");
}

/// The rows of the table of a page that begins with this header.
fn table(path: &str, header: &str) -> Vec<String> {
    let page = text(path);
    let lines = page.lines().skip_while(|line| *line != header).skip(2);
    lines.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

fn written(write: impl Fn(Row) -> String) -> Vec<String> {
    ReadyKind::ALL.map(|kind| write(kind.row())).into()
}

/// Whether a word is the path of one source file or page below a folder of this repository.
fn is_repository_path(word: &str) -> bool {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte));
    let folder = word.split_once('/').map(|(folder, _)| folder);
    let is_ours = folder.is_some_and(|folder| root().join(folder).is_dir());
    is_plain && is_ours && [".rs", ".md"].iter().any(|ending| word.ends_with(ending))
}

/// The files in a row of invariants; `G` and `S` abbreviate two folders.
fn short_names(line: &str) -> Vec<PathBuf> {
    let mut folder = None;
    let mut found = Vec::new();
    for (index, part) in line.split('`').enumerate() {
        match (index % 2, folder) {
            (0, _) if part.ends_with(" G ") => folder = Some("gates/tests"),
            (0, _) if part.ends_with(" S ") => folder = Some("smoke/tests/smoke"),
            (1, Some(folder)) if part.ends_with(".rs") => found.push(Path::new(folder).join(part)),
            _ => {}
        }
    }
    found
}

/// The files linked in a line of a page.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let files = targets.map(|(target, _)| target.split_once('#').map_or(target, |(file, _)| file));
    files.filter(|file| !file.is_empty() && !file.contains("://"))
}
