//! The evidence of a claim as a file in the session's directory.
//!
//! # Invariants
//! The file is replaced by rename, and removed only if nonce and inode are those of the grant. Checked by
//! `smoke/tests/smoke/ground/claim.rs`.

use crate::store::session_dir::SessionDir;
use rekindle_core::claim::Found;
use rekindle_core::claim::give_up::Whose;
use rekindle_core::stores::{ClaimStore, Grant};
use rekindle_core::{LockClaim, OsFailure};

/// The name of the evidence file.
pub const CLAIM_FILE: &str = "claim";

/// Keeps claims in the file `claim` of each session's directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileClaims;

impl ClaimStore<SessionDir> for FileClaims {
    fn inspect(&self, at: &SessionDir) -> Result<Found<LockClaim>, OsFailure> {
        let content = at.read(CLAIM_FILE)?;
        Ok(Found::read(content.as_ref().map(|content| content.bytes.as_slice()), at.session()))
    }

    fn grant(&self, at: &SessionDir, claim: LockClaim) -> Result<Grant, OsFailure> {
        let mut bytes = serde_json::to_vec(&claim).expect("a claim holds nothing that JSON cannot");
        bytes.push(b'\n');
        let inode = at.replace(CLAIM_FILE, &bytes)?;
        Ok(Grant { claim, token: inode.pair() })
    }

    fn whose(&self, at: &SessionDir, grant: &Grant) -> Result<Whose, OsFailure> {
        let Some(content) = at.read(CLAIM_FILE)? else { return Ok(Whose::Nobodys) };
        let found = Found::read(Some(&content.bytes), at.session());
        let ours = content.inode.pair() == grant.token
            && found.payload().is_some_and(|claim| claim.nonce == grant.claim.nonce);
        Ok(if ours { Whose::Ours } else { Whose::Others })
    }

    fn force(&self, at: &SessionDir) -> Result<(), OsFailure> {
        at.remove(CLAIM_FILE)
    }
}
