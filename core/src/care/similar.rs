//! Finds the session that a mistyped name probably means.
//!
//! # Invariants
//! 1. Pure: the names are arguments.
//! 2. A suggestion is one of the names, and never the name that was typed.
//! 3. A name that has little in common with every session has no suggestion.
//!
//! Checked by `gates/tests/similar.rs`.

use crate::process::id::SessionId;

/// One edit is allowed for each so many letters of the longer name, and at least one.
const LETTERS_PER_EDIT: usize = 3;

/// The shortest beginning that counts as a shortened name.
const BEGINNING_LEN_MIN: usize = 2;

/// The most similar name: with the fewest edits (a letter added, removed, replaced, or two neighbours swapped), else the
/// only name that begins with the typed text. The first in the order of names, if several are equally similar.
pub fn most_similar(typed: &SessionId, names: &[SessionId]) -> Option<SessionId> {
    let others = || names.iter().filter(|name| *name != typed);
    let edited = others()
        .map(|name| (edits(typed.as_str(), name.as_str()), name))
        .filter(|(edits, name)| *edits <= edits_max(typed, name))
        .min();
    let mut longer = others().filter(|name| begins(name, typed));
    let beginning = match (longer.next(), longer.next()) {
        (Some(only), None) => Some(only),
        (Some(_), Some(_)) | (None, _) => None,
    };
    edited.map(|(_, name)| name).or(beginning).cloned()
}

fn begins(name: &SessionId, typed: &SessionId) -> bool {
    typed.as_str().len() >= BEGINNING_LEN_MIN && name.as_str().starts_with(typed.as_str())
}

fn edits_max(one: &SessionId, other: &SessionId) -> usize {
    let longer = one.as_str().len().max(other.as_str().len());
    // In a name of one or two letters one edit would make nearly any other name.
    if longer < LETTERS_PER_EDIT { 0 } else { longer / LETTERS_PER_EDIT }
}

/// The number of edits between two names, whatever their case. A session's name is ASCII.
fn edits(one: &str, other: &str) -> usize {
    strsim::osa_distance(&one.to_ascii_lowercase(), &other.to_ascii_lowercase())
}
