//! Where claims and records are kept, as traits: the state directory implements them, and so may a program of its own.
//!
//! A store is asked *at an anchor*, `A`: the session's directory on this machine, whose kernel lock the caller holds for
//! everything but a look. The anchor is what a child inherits while it is started, so that no store has to know about forks; a
//! store that keeps its data elsewhere needs only the session that the anchor names.
//!
//! # Invariants
//! 1. Whoever grants the right to decide also hands out the number of the next start: [`ClaimStore::generation`].
//! 2. What cannot be read is said to be corrupt, and is never taken for absent.
//! 3. Nothing is removed or marked but under the anchor's lock.
//!
//! Checked by `gates/tests/stores.rs` on memory, and by the live suite on files.

use crate::claim::give_up::Whose;
use crate::claim::{Found, LockClaim};
use crate::failure::OsFailure;
use crate::prelude::*;
use crate::process::id::{Generation, SessionId};
use crate::session::record::{RecordFile, SessionRecord};
use core::fmt;
use jiff::Timestamp;

/// What a store is asked at.
pub trait Anchor {
    /// The session.
    fn session(&self) -> &SessionId;
}

/// The right to decide about a session, once it is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The evidence: who holds the right.
    pub claim: LockClaim,
    /// What the store knows the evidence by, beside its nonce: of a file, its device and inode.
    pub token: (u64, u64),
}

/// Keeps the evidence of claims: who decides about a session now, or decided last.
///
/// Each method is short and does not wait; whoever waits for a claim asks again.
pub trait ClaimStore<A: ?Sized>: fmt::Debug + Send + Sync {
    /// Reads the evidence, whoever holds the claim.
    ///
    /// # Errors
    /// If the store cannot be asked. Evidence that cannot be understood is [`Found::Corrupt`].
    fn inspect(&self, at: &A) -> Result<Found<LockClaim>, OsFailure>;

    /// Puts the evidence of a new claim in place of any that is there.
    ///
    /// # Errors
    /// If it cannot be put in place; what was there then still stands.
    fn grant(&self, at: &A, claim: LockClaim) -> Result<Grant, OsFailure>;

    /// The number of the next start under a grant: greater than `last`, and than any that was handed out before.
    ///
    /// # Errors
    /// If the store cannot tell.
    fn generation(&self, _at: &A, _grant: &Grant, last: Generation) -> Result<Generation, OsFailure> {
        Ok(last.next())
    }

    /// Whose evidence is in place: that of this very grant, another's, or nobody's.
    ///
    /// # Errors
    /// If the store cannot be asked.
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

    /// Removes the evidence of a grant that is in place.
    ///
    /// # Errors
    /// If it cannot be removed.
    fn release(&self, at: &A, _grant: &Grant) -> Result<(), OsFailure> {
        self.force(at)
    }

    /// Marks the evidence of a grant: nothing could be observed, and the claim is kept for its worker.
    ///
    /// # Errors
    /// If it cannot be marked.
    fn retain(&self, at: &A, grant: &mut Grant, now: Timestamp) -> Result<(), OsFailure> {
        let claim = LockClaim { retained_at: Some(now), ..grant.claim.clone() };
        *grant = self.grant(at, claim)?;
        Ok(())
    }

    /// Removes any evidence, for an operator or a collection.
    ///
    /// # Errors
    /// If it cannot be removed; that there is none is no error.
    fn force(&self, at: &A) -> Result<(), OsFailure>;
}

/// Keeps the records of sessions.
pub trait RecordStore<A: ?Sized>: fmt::Debug + Send + Sync {
    /// Reads the record.
    ///
    /// # Errors
    /// If the store cannot be asked. A record that cannot be understood is [`RecordFile::Corrupt`].
    fn read(&self, at: &A) -> Result<RecordFile, OsFailure>;

    /// Puts a record in place of the one that is there.
    ///
    /// # Errors
    /// If it cannot be put in place; the old one then still stands.
    fn write(&self, at: &A, record: &SessionRecord) -> Result<(), OsFailure>;

    /// Gives a record that cannot be used another name, and says which.
    ///
    /// # Errors
    /// If there is none, it cannot be renamed, or the store has no names.
    fn set_aside(&self, _at: &A) -> Result<PathBuf, OsFailure> {
        Err(OsFailure::new("set the record aside", "the store of records keeps none under another name"))
    }

    /// Removes the record.
    ///
    /// # Errors
    /// If it cannot be removed; that there is none is no error.
    fn remove(&self, at: &A) -> Result<(), OsFailure>;
}
