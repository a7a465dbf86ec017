//! Claims and records in memory, for sessions without a directory.

use rekindle_core::claim::Found;
use rekindle_core::record::RecordFile;
use rekindle_core::stores::{Anchor, ClaimStore, Grant, RecordStore};
use rekindle_core::{LockClaim, OsFailure, SessionId, SessionRecord};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A session, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named(pub SessionId);

impl Anchor for Named {
    fn session(&self) -> &SessionId {
        &self.0
    }
}

/// Both stores.
#[derive(Debug, Default)]
pub struct Memory {
    claims: Mutex<BTreeMap<SessionId, LockClaim>>,
    records: Mutex<BTreeMap<SessionId, SessionRecord>>,
}

fn open<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<A: Anchor> ClaimStore<A> for Memory {
    fn inspect(&self, at: &A) -> Result<Found<LockClaim>, OsFailure> {
        Ok(open(&self.claims).get(at.session()).cloned().into())
    }

    fn grant(&self, at: &A, claim: LockClaim) -> Result<Grant, OsFailure> {
        open(&self.claims).insert(at.session().clone(), claim.clone());
        Ok(Grant { claim, token: (0, 0) })
    }

    fn force(&self, at: &A) -> Result<(), OsFailure> {
        open(&self.claims).remove(at.session());
        Ok(())
    }
}

impl<A: Anchor> RecordStore<A> for Memory {
    fn read(&self, at: &A) -> Result<RecordFile, OsFailure> {
        let record = open(&self.records).get(at.session()).cloned();
        Ok(record.map_or(RecordFile::Absent, |record| RecordFile::Whole(Box::new(record))))
    }

    fn write(&self, at: &A, record: &SessionRecord) -> Result<(), OsFailure> {
        open(&self.records).insert(at.session().clone(), record.clone());
        Ok(())
    }

    fn remove(&self, at: &A) -> Result<(), OsFailure> {
        open(&self.records).remove(at.session());
        Ok(())
    }
}
