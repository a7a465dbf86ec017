//! The JSON of every verb, as types: one object, with `schema_version` as its first field.
//!
//! Fields are added and never renamed or removed; a reader ignores fields that it does not know. [`schemas`] has the
//! JSON schema of every verb, made from these types.
//!
//! # Invariants
//! 1. A holder's evidence is shown without the nonce: only the holder may release the claim.
//! 2. A path that is not UTF-8 is shown in bytes, without loss.
//! 3. The committed schemas are those of the types, and no field was ever dropped from them.
//!
//! Checked by the gates of `byte_text`, by `rekindle/tests/schemas`, and by the live suite, which validates every object.

pub mod end;
pub mod failure;
pub mod holder;
pub mod logs;
pub mod look;
pub mod programs;
pub mod project;
pub mod schemas;
pub mod send;
pub mod setup;
#[cfg(feature = "schema")]
pub mod standin;
pub mod start;
pub mod watch;
pub(crate) mod word;

#[doc(inline)]
pub use rekindle_core::byte_text::ByteText;
use serde::Serialize;
use std::path::Path;

/// The version of the JSON of all verbs.
pub const SCHEMA_VERSION: u32 = 1;

/// An object, with the version of its form in front.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct Versioned<T> {
    /// The version of the form of this object.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    schema_version: u32,
    #[serde(flatten)]
    answer: T,
}

impl<T> Versioned<T> {
    /// The answer, with the present version.
    pub fn new(answer: T) -> Self {
        Self { schema_version: SCHEMA_VERSION, answer }
    }
}

/// What to do next, in the words of the caller's shell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Next {
    /// A command to type as it stands, or empty.
    pub next: String,
    /// A sentence, or empty.
    pub hint: String,
}

/// An object with the next step: every failure, and a diagnosis.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct Advised<T> {
    /// The object.
    #[serde(flatten)]
    pub answer: T,
    /// The next step.
    #[serde(flatten)]
    pub next: Next,
}

/// A path with arbitrary bytes.
pub(crate) fn path_text(path: &Path) -> ByteText<'_> {
    ByteText(path.as_os_str())
}
