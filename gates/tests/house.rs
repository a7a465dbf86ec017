//! The structure of the sources: imports, rooms per folder, and the users of system calls.
//!
//! # Invariants
//! 1. No two files import each other, nor do several in a circle.
//! 2. No folder of a crate has more than [`ROOMS_MAX`] rooms. A file and the folder of the same name are one room.
//! 3. `nix`, `rustix` and `libc` are named below `adapters/src/sys/` only, and so is `unsafe`.

#[path = "house/sources.rs"]
mod sources;

use sources::{ModuleTree, files_below, without_text, words};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The checked crates. The live suite is a harness, and is not shipped.
const CRATES: [&str; 4] = ["core", "adapters", "rekindle", "cli"];

/// About a dozen.
const ROOMS_MAX: usize = 14;

/// The crates that make system calls.
const SYSTEM_CALLS: [&str; 3] = ["nix", "rustix", "libc"];

#[test]
fn no_files_import_each_other() {
    let mut found = BTreeSet::new();
    for name in members() {
        let tree = ModuleTree::read(&root().join(name).join("src"));
        found.extend(circles(&tree.imports()).iter().map(|circle| spelled(name, circle)));
    }
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn a_folder_has_about_a_dozen_rooms() {
    let mut full = BTreeMap::new();
    for name in members() {
        let src = root().join(name).join("src");
        for (folder, rooms) in rooms_by_folder(&src) {
            let folder = Path::new(name).join("src").join(folder);
            let folder = folder.display().to_string().trim_end_matches('/').to_owned();
            full.extend((rooms > ROOMS_MAX).then_some((folder, rooms)));
        }
    }
    assert!(full.is_empty(), "folders with more than {ROOMS_MAX} rooms: {full:?}");
}

#[test]
fn the_kernel_is_named_in_sys_only() {
    assert_eq!(files_outside_of_sys(names_a_system_call), BTreeSet::new());
}

#[test]
fn unsafe_code_is_in_sys_only() {
    let found = files_outside_of_sys(|source| words(&without_text(source)).contains(&"unsafe"));
    assert_eq!(found, BTreeSet::new());
}

/// The files of all crates for which `holds` is true.
fn files_outside_of_sys(holds: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let files = members().into_iter().flat_map(|name| files_below(&root().join(name).join("src")));
    let found = files.filter_map(|file| {
        let path = file.strip_prefix(root()).ok().filter(|path| !path.starts_with("adapters/src/sys"))?;
        holds(&fs::read_to_string(&file).ok()?).then(|| path.display().to_string())
    });
    found.collect()
}

/// The rule is worthless if the reader overlooks an import.
#[test]
fn an_import_is_seen_however_it_is_spelled() {
    let seen = |source: &str| {
        let modules = [
            ("", "mod a; mod b;"),
            ("a", "mod child; pub use child::Thing;"),
            ("a::child", ""),
            ("b", source),
        ];
        let tree = ModuleTree::of(modules);
        tree.imports()["b"].iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for source in [
        "use crate::a::Other;",
        "use super::a::{Other, *};",
        "use crate::{a as c, b};",
        "fn f<'a>() -> char { crate::a::g('\\''); '}' }",
        "use std::fmt; use crate::{\n    a,\n};",
    ] {
        assert_eq!(seen(source), ["a"], "{source}");
    }
    // A re-exported item counts for the room behind the `pub use`.
    assert_eq!(seen("pub(crate) use crate::a::Thing as Other;"), ["a::child"]);
    for source in [
        "// use crate::a::Other;\nconst C: &str = \"crate::a::B\";",
        "#[cfg(test)]\nmod tests { use crate::a::Other; fn f() {} }",
        "#[cfg(doc)]\nuse crate::a::Other;",
        "use std::a::Other; use self::a::Other;",
    ] {
        assert_eq!(seen(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn a_circle_is_found_however_long_it_is() {
    let long = ModuleTree::of([
        ("", "mod a; mod b; mod c;"),
        ("a", "use crate::b::B;"),
        ("b", "use crate::c::C;"),
        ("c", "use super::a;"),
    ]);
    assert_eq!(circles(&long.imports()), [BTreeSet::from(["a", "b", "c"])]);
    let none = ModuleTree::of([("", "mod a; mod b;"), ("a", "use crate::b::B;"), ("b", "")]);
    assert_eq!(circles(&none.imports()), []);
}

fn spelled(name: &str, circle: &BTreeSet<&str>) -> String {
    let modules: Vec<&str> = circle.iter().copied().collect();
    format!("{name}: {}", modules.join(" "))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate is in a folder").to_owned()
}

/// The existing crates: a copy of the workspace may have fewer.
fn members() -> Vec<&'static str> {
    CRATES.into_iter().filter(|name| root().join(name).join("src").is_dir()).collect()
}

/// The number of rooms in each folder.
fn rooms_by_folder(src: &Path) -> BTreeMap<PathBuf, usize> {
    let mut rooms: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for file in files_below(src) {
        let room = file.strip_prefix(src).expect("it was found there").with_extension("");
        if ["lib", "main", "mod"].iter().any(|door| room.ends_with(door)) {
            continue;
        }
        // The file, and each folder above.
        for (room, folder) in room.ancestors().filter_map(|room| Some((room, room.parent()?))) {
            rooms.entry(folder.to_owned()).or_default().insert(room.to_owned());
        }
    }
    rooms.into_iter().map(|(folder, rooms)| (folder, rooms.len())).collect()
}

fn names_a_system_call(source: &str) -> bool {
    let code = without_text(source);
    let words = words(&code);
    let mut pairs = words.windows(2);
    pairs.any(|pair| {
        let (before, word) = (pair[0], pair[1]);
        SYSTEM_CALLS.contains(&word)
            && ["use", "::", "{", "(", ",", "=", "<", "&", ">", "!", "|", ";", "}"].contains(&before)
    })
}

/// The circles of a graph: sets of files in which every file leads to every other.
fn circles<'m>(imports: &BTreeMap<&'m str, BTreeSet<&'m str>>) -> Vec<BTreeSet<&'m str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|module| (*module, reachable(imports, module))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (module, reached) in &reach {
        if reached.contains(module) && !circles.iter().any(|circle| circle.contains(module)) {
            let is_back = |other: &&&str| reach.get(**other).is_some_and(|back| back.contains(module));
            circles.push(reached.iter().filter(is_back).copied().collect());
        }
    }
    circles
}

fn reachable<'m>(imports: &BTreeMap<&'m str, BTreeSet<&'m str>>, from: &str) -> BTreeSet<&'m str> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&str> = imports[from].iter().copied().collect();
    while let Some(next) = left.pop() {
        if reached.insert(next) {
            left.extend(imports[next].iter().copied());
        }
    }
    reached
}
