//! A project file as text: its tables with the place of every key and value.
//!
//! # Invariants
//! 1. Every fault names file, line and column.
//! 2. A key that is not known is a fault, with the nearest known key.

use super::error::ProjectError;
use super::place::Place;
use rekindle_core::shown::Shown;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How similar a suggested key has to be, from 0 to 1.
const SIMILARITY_MIN: f64 = 0.7;

/// A file with its text.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads a file; `None` if missing.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, ProjectError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(Self { path: path.to_owned(), text })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ProjectError::Read { path: path.to_owned(), source }),
        }
    }

    /// Parses the text.
    pub(super) fn parse(&self) -> Result<DeTable<'_>, ProjectError> {
        let parsed = DeTable::parse(&self.text);
        parsed.map(Spanned::into_inner).map_err(|error| {
            let message = error.message().trim().replace('\n', "; ");
            self.wrong(error.span().unwrap_or_default(), message)
        })
    }

    /// The place of a byte.
    fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// A fault at a place.
    pub(super) fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> ProjectError {
        ProjectError::Wrong { place: self.place(span.start), message: message.into(), hint: String::new() }
    }
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Item<'s> {
    source: &'s Source,
    span: Range<usize>,
    value: &'s DeValue<'s>,
}

/// A key with its place.
#[derive(Debug, Clone)]
pub(super) struct Key<'s> {
    source: &'s Source,
    span: Range<usize>,
    pub(super) name: &'s str,
}

/// The keys and values of a table.
pub(super) fn entries<'s>(
    source: &'s Source,
    table: &'s DeTable<'s>,
) -> impl Iterator<Item = (Key<'s>, Item<'s>)> {
    table.iter().map(move |(key, value)| {
        let key = Key { source, span: key.span(), name: key.get_ref() };
        (key, Item { source, span: value.span(), value: value.get_ref() })
    })
}

impl Key<'_> {
    /// A fault of the key.
    pub(super) fn wrong(&self, message: impl Into<String>) -> ProjectError {
        self.source.wrong(self.span.clone(), message)
    }

    /// The name among the known names.
    pub(super) fn among(&self, known: &[&'static str]) -> Result<&'static str, ProjectError> {
        known.iter().find(|name| **name == self.name).copied().ok_or_else(|| {
            let similar = |name: &&str| strsim::jaro_winkler(self.name, name);
            let nearest = known.iter().copied().max_by(|one, other| similar(one).total_cmp(&similar(other)));
            let hint = match nearest.filter(|name| similar(name) >= SIMILARITY_MIN) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the keys here are {}", known.join(", ")),
            };
            let place = self.source.place(self.span.start);
            ProjectError::Wrong { place, message: format!("unknown key `{}`", Shown(self.name)), hint }
        })
    }
}

impl<'s> Item<'s> {
    /// A fault of the value.
    pub(super) fn wrong(&self, message: impl Into<String>) -> ProjectError {
        self.source.wrong(self.span.clone(), message)
    }

    fn is_no(&self, wanted: &str) -> ProjectError {
        self.wrong(format!("use {wanted}, and not the {} here", self.value.type_str()))
    }

    /// The value as text.
    pub(super) fn text(&self) -> Result<&'s str, ProjectError> {
        self.value.as_str().ok_or_else(|| self.is_no("a text in quotes"))
    }

    /// The value as a text that `parse` reads.
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        parse: impl FnOnce(&'s str) -> Result<T, E>,
    ) -> Result<T, ProjectError> {
        parse(self.text()?).map_err(|error| self.wrong(error.to_string()))
    }

    /// The value as a table.
    pub(super) fn table(&self) -> Result<impl Iterator<Item = (Key<'s>, Item<'s>)>, ProjectError> {
        let table = self.value.as_table().ok_or_else(|| self.is_no("a table"))?;
        Ok(entries(self.source, table))
    }

    /// The value as an array.
    pub(super) fn array(&self) -> Result<Vec<Item<'s>>, ProjectError> {
        let array = self.value.as_array().ok_or_else(|| self.is_no("an array"))?;
        let item = |value: &'s Spanned<DeValue<'s>>| Item {
            source: self.source,
            span: value.span(),
            value: value.get_ref(),
        };
        Ok(array.iter().map(item).collect())
    }

    /// The value as a text, or as an array of texts.
    pub(super) fn one_or_more(&self) -> Result<Vec<Item<'s>>, ProjectError> {
        if self.value.is_array() { self.array() } else { Ok(vec![self.clone()]) }
    }
}
