//! The traits of the stores for claims and records. The state directory implements the traits; a program may implement
//! its own.
//!
//! Each method of a store takes an *anchor* `A`: the session's directory on this machine. For everything but a look the
//! caller holds the anchor's kernel lock. A child inherits the anchor during a start, so no store has to know about
//! forks; a store that keeps its data elsewhere needs only the anchor's session.
//!
//! # Invariants
//! 1. The store that grants the right to decide also numbers the next start: [`ClaimStore::generation`].
//! 2. Unreadable data is reported as corrupt, and never taken for absent.
//! 3. Evidence is removed or marked only under the anchor's lock.
//!
//! Checked by `gates/tests/stores.rs` on memory, and by the live suite on files.

use crate::claim::give_up::Whose;
use crate::claim::{Found, LockClaim};
use crate::effects::failure::OsFailure;
use crate::prelude::*;
use crate::process::id::{Generation, SessionId};
use crate::session::record::{RecordFile, SessionRecord};
use core::fmt;
use jiff::Timestamp;

/// The session's place, for the methods of a store.
pub trait Anchor {
    /// The session.
    fn session(&self) -> &SessionId;
}

/// The granted right to decide about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The evidence, with the holder of the right.
    pub claim: LockClaim,
    /// The store's own name for the evidence, in addition to the nonce: for a file, the device and inode.
    pub token: (u64, u64),
}

/// Keeps the evidence of claims: the present or last holder of the right to decide about a session.
///
/// Each method is short and does not wait; waiters poll.
pub trait ClaimStore<A: ?Sized>: fmt::Debug + Send + Sync {
    /// Reads the evidence of any holder.
    ///
    /// # Errors
    /// If the store cannot be read. Evidence that cannot be understood is [`Found::Corrupt`].
    fn inspect(&self, at: &A) -> Result<Found<LockClaim>, OsFailure>;

    /// Writes the evidence of a new claim, and replaces old evidence.
    ///
    /// # Errors
    /// If the evidence cannot be written; the old evidence then remains.
    fn grant(&self, at: &A, claim: LockClaim) -> Result<Grant, OsFailure>;

    /// The number of the next start under a grant: greater than `last`, and than any earlier number.
    ///
    /// # Errors
    /// If the store cannot read or write the number.
    fn generation(&self, _at: &A, _grant: &Grant, last: Generation) -> Result<Generation, OsFailure> {
        Ok(last.next())
    }

    /// The owner of the evidence in place: this very grant, another grant, or none.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn whose(&self, at: &A, grant: &Grant) -> Result<Whose, OsFailure> {
        Ok(match self.inspect(at)? {
            Found::Nothing => Whose::Nobodys,
            Found::Held(claim) | Found::Retained(claim) if claim.nonce == grant.claim.nonce => Whose::Ours,
            Found::Held(_)
            | Found::Retained(_)
            | Found::Empty
            | Found::Corrupt { .. }
            | Found::OtherSession { .. } => Whose::Others,
        })
    }

    /// Removes the evidence of a grant, if in place.
    ///
    /// # Errors
    /// If the evidence cannot be removed.
    fn release(&self, at: &A, _grant: &Grant) -> Result<(), OsFailure> {
        self.force(at)
    }

    /// Marks the evidence of a grant as retained: nothing could be observed, and the claim is kept for the worker.
    ///
    /// # Errors
    /// If the evidence cannot be marked.
    fn retain(&self, at: &A, grant: &mut Grant, now: Timestamp) -> Result<(), OsFailure> {
        let claim = LockClaim { retained_at: Some(now), ..grant.claim.clone() };
        *grant = self.grant(at, claim)?;
        Ok(())
    }

    /// Removes any evidence, for an operator or a collection.
    ///
    /// # Errors
    /// If the evidence cannot be removed; missing evidence is no error.
    fn force(&self, at: &A) -> Result<(), OsFailure>;
}

/// Keeps the records of sessions.
pub trait RecordStore<A: ?Sized>: fmt::Debug + Send + Sync {
    /// Reads the record.
    ///
    /// # Errors
    /// If the store cannot be read. A record that cannot be understood is [`RecordFile::Corrupt`].
    fn read(&self, at: &A) -> Result<RecordFile, OsFailure>;

    /// Writes a record, and replaces the old record.
    ///
    /// # Errors
    /// If the record cannot be written; the old record then remains.
    fn write(&self, at: &A, record: &SessionRecord) -> Result<(), OsFailure>;

    /// Renames an unusable record, and returns the new name.
    ///
    /// # Errors
    /// If there is no record, the record cannot be renamed, or the store has no names.
    fn set_aside(&self, _at: &A) -> Result<PathBuf, OsFailure> {
        Err(OsFailure::new("set the record aside", "the store of records keeps none under another name"))
    }

    /// Removes the record.
    ///
    /// # Errors
    /// If the record cannot be removed; a missing record is no error.
    fn remove(&self, at: &A) -> Result<(), OsFailure>;
}
