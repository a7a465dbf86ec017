//! The sources of one crate: modules, and the imports between modules.
//!
//! A reader for this workspace, no parser of Rust: it knows comments, strings, attributes, `mod`, `use` and paths.
//!
//! # Invariants
//! 1. An import counts for the file that defines the item: `use crate::room::Item` is an import of the file behind the
//!    `pub use` in `room.rs`.
//! 2. Tests and documentation may import anything: `#[cfg(test)]` and `#[cfg(doc)]` are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The limit of re-exports to follow for one item; beyond the limit there is a circle of re-exports.
const RE_EXPORTS_MAX: usize = 8;

/// A path as written in the source, in segments.
pub(crate) type Segments = Vec<String>;

/// One file, by the path of its module: `store::claim_lock`; empty for the root.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The modules declared in the file.
    children: BTreeSet<String>,
    /// The imported names, each with its path.
    names: BTreeMap<String, Segments>,
    /// Every path in the file, including imports.
    paths: BTreeSet<Segments>,
}

/// One name in the tree of a `use`, as far as read.
#[derive(Debug, Default)]
struct Leaf {
    path: Segments,
    alias: Option<String>,
    is_named: bool,
}

/// The modules of one crate.
#[derive(Debug, Default)]
pub(crate) struct ModuleTree {
    modules: BTreeMap<String, Module>,
}

/// The Rust files below a directory, in order.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.expect("a folder can be listed to its end").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

impl ModuleTree {
    /// Reads the crate with sources in `src`.
    pub(crate) fn read(src: &Path) -> Self {
        let sources = files_below(src).into_iter().map(|file| {
            let source = fs::read_to_string(&file).expect("a source is text");
            (module_of(file.strip_prefix(src).expect("it was found there")), source)
        });
        Self { modules: sources.map(|(module, source)| (module, Module::read(&source))).collect() }
    }

    /// A crate of these modules and their sources.
    pub(crate) fn of<const N: usize>(modules: [(&str, &str); N]) -> Self {
        let read = |(module, source): (&str, &str)| (module.to_owned(), Module::read(source));
        Self { modules: modules.into_iter().map(read).collect() }
    }

    /// Every import, from file to file.
    pub(crate) fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let of = |(name, module): (&String, &Module)| {
            let targets = module.paths.iter().filter_map(|path| self.target(name, path, RE_EXPORTS_MAX));
            targets.filter(|target| target != name).collect::<BTreeSet<_>>()
        };
        self.modules.iter().map(|each| (each.0.as_str(), of(each))).collect()
    }

    /// The file behind a path in `from`; `None` if the path leads out of the crate.
    fn target(&self, from: &str, path: &[String], re_exports: usize) -> Option<&str> {
        let (mut at, mut rest) = self.begin(from, path)?;
        while let Some((next, after)) = rest.split_first() {
            let (name, module) = self.modules.get_key_value(&at)?;
            if module.children.contains(next) {
                at = join(name, next);
            } else if let Some(named) = module.names.get(next).filter(|named| named.as_slice() != path) {
                let further = named.iter().chain(after).cloned().collect::<Segments>();
                let target = (re_exports > 0).then(|| self.target(name, &further, re_exports - 1));
                return target.flatten().or(Some(name));
            } else {
                return Some(name);
            }
            rest = after;
        }
        self.modules.get_key_value(&at).map(|(name, _)| name.as_str())
    }

    /// The first module of a path, and the rest of the path.
    fn begin<'p>(&self, from: &str, path: &'p [String]) -> Option<(String, &'p [String])> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some((String::new(), rest)),
            "self" => Some((from.to_owned(), rest)),
            "super" => {
                let mut at = parent(from);
                let mut rest = rest;
                while let Some((_, after)) = rest.split_first().filter(|(next, _)| *next == "super") {
                    (at, rest) = (parent(&at), after);
                }
                Some((at, rest))
            }
            child if self.modules.get(from)?.children.contains(child) => Some((from.to_owned(), path)),
            _ => None,
        }
    }
}

impl Module {
    fn read(source: &str) -> Self {
        let code = without_tests(&without_text(source));
        let mut module = Self::default();
        let words = words(&code);
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let rest = &words[at + 1..];
            match (*word, rest) {
                ("mod", [name, ";", ..]) => drop(module.children.insert((*name).to_owned())),
                ("use", [_, ..]) => at += module.read_use(rest),
                // Words after `::` continue an earlier path.
                (head, ["::", ..]) if is_name(head) && (at == 0 || words[at - 1] != "::") => {
                    module.read_path(&words[at..]);
                }
                _ => {}
            }
            at += 1;
        }
        module
    }

    fn read_path(&mut self, words: &[&str]) {
        let rest = words[1..].chunks_exact(2).take_while(|pair| pair[0] == "::" && is_name(pair[1]));
        let path = std::iter::once(words[0]).chain(rest.map(|pair| pair[1]));
        self.paths.insert(path.map(ToOwned::to_owned).collect());
    }

    /// Reads the tree behind `use`, up to the semicolon, and returns the number of words.
    fn read_use(&mut self, words: &[&str]) -> usize {
        let mut groups: Vec<Segments> = vec![Vec::new()];
        let mut leaf = Leaf::default();
        for (at, word) in words.iter().enumerate() {
            match *word {
                "{" => {
                    groups.push(leaf.path.clone());
                    leaf.is_named = false;
                }
                "," | "}" | ";" => {
                    self.import(std::mem::take(&mut leaf));
                    match *word {
                        "," => leaf.path = groups.last().cloned().unwrap_or_default(),
                        "}" => drop(groups.pop()),
                        _ => return at,
                    }
                }
                "as" => leaf.alias = words.get(at + 1).map(|name| (*name).to_owned()),
                "::" => {}
                _ if leaf.alias.is_some() => {}
                "*" => leaf.is_named = true,
                "self" if groups.len() > 1 => leaf.is_named = true,
                name => {
                    leaf.path.push(name.to_owned());
                    leaf.is_named = true;
                }
            }
        }
        words.len()
    }

    fn import(&mut self, leaf: Leaf) {
        let Leaf { path, alias, is_named } = leaf;
        // A group leaves an empty leaf behind its last comma.
        if let Some(name) = alias.or_else(|| path.last().cloned()).filter(|_| is_named) {
            self.names.insert(name, path.clone());
            self.paths.insert(path);
        }
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// `store/claim_lock.rs` is `store::claim_lock`; `lib.rs`, `main.rs` and `mod.rs` are their folder.
fn module_of(file: &Path) -> String {
    let parts = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().expect("a file of ours has a name in UTF-8").to_owned())
        .collect();
    let mut parts: Segments = parts;
    if parts.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        parts.pop();
    }
    parts.join("::")
}

fn join(module: &str, child: &str) -> String {
    if module.is_empty() { child.to_owned() } else { format!("{module}::{child}") }
}

fn parent(module: &str) -> String {
    module.rsplit_once("::").map(|(parent, _)| parent.to_owned()).unwrap_or_default()
}

/// The code without comments and quoted text.
pub(crate) fn without_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r#\"") {
            rest.get(3..).and_then(|text| text.find("\"#")).map_or(rest.len(), |end| end + 5)
        } else if first == '"' {
            end_of_string(rest)
        } else if let Some(len) = len_of_char(rest) {
            len
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, letter)| {
        let ends = *letter == '"' && !escaped;
        escaped = *letter == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// The length of a character literal; `None` for a lifetime.
fn len_of_char(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if let Some(escape) = inner.strip_prefix('\\') {
        // At least one letter is escaped, possibly the quote.
        return escape.char_indices().skip(1).find(|(_, letter)| *letter == '\'').map(|(at, _)| at + 3);
    }
    let first = inner.chars().next()?;
    inner[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

/// The code without parts for tests or documentation only.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = ["#[cfg(test)]", "#[cfg(doc)]"].iter().filter_map(|it| rest.find(it)).min() {
        kept.push_str(&rest[..at]);
        rest = &rest[at + end_of_item(&rest[at..])..];
    }
    kept.push_str(rest);
    kept
}

/// The end of an item: the closing brace, or the semicolon of an item without braces.
fn end_of_item(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in item.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Names, `::`, and every other letter as a separate word.
pub(crate) fn words(code: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let len = if is_part(first) {
            rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        words.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    words
}
