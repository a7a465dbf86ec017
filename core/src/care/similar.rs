//! Finds the session that a mistyped name probably means.
//!
//! # Invariants
//! 1. Pure: the names are arguments.
//! 2. A suggestion is one of the names, and never the typed name.
//! 3. A name that has little in common with every session has no suggestion.
//!
//! Checked by `gates/tests/similar.rs`.

/// One edit is allowed for so many letters of the longer name.
const LETTERS_PER_EDIT: usize = 3;

/// The most edits: two generated names differ in more.
const EDITS_MAX: usize = 3;

/// The shortest beginning that counts as a shortened name.
const BEGINNING_LEN_MIN: usize = 2;

/// The most similar name: with the fewest edits (a letter added, removed, replaced, or two neighbours swapped), else the
/// only name that begins with the typed text. The first in the order of names, if several are equally similar.
pub fn most_similar<'n>(typed: &str, names: &[&'n str]) -> Option<&'n str> {
    let others = || names.iter().copied().filter(|name| *name != typed);
    let edited = others()
        .map(|name| (edits(typed, name), name))
        .filter(|(edits, name)| *edits <= edits_max(typed, name))
        .min();
    let mut longer = others().filter(|name| begins(name, typed));
    let beginning = match (longer.next(), longer.next()) {
        (Some(only), None) => Some(only),
        (Some(_), Some(_)) | (None, _) => None,
    };
    edited.map(|(_, name)| name).or(beginning)
}

fn begins(name: &str, typed: &str) -> bool {
    typed.len() >= BEGINNING_LEN_MIN && name.starts_with(typed)
}

/// No edit for names of one or two letters: one edit would make nearly any other name.
fn edits_max(one: &str, other: &str) -> usize {
    (one.len().max(other.len()) / LETTERS_PER_EDIT).min(EDITS_MAX)
}

/// The number of edits between two names, whatever their case.
fn edits(one: &str, other: &str) -> usize {
    let [one, other] = [one, other].map(str::to_lowercase);
    strsim::osa_distance(&one, &other)
}
