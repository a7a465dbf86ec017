//! Sessions with claims and records in memory: `cargo run --example own_stores`. The directory is still necessary: it
//! holds the worker's lifeline, socket and logs, and its kernel lock guards each start.

use rekindle::stores::{Anchor, ClaimStore, Found, Grant, LockClaim, RecordFile, RecordStore};
use rekindle::{Launch, OsFailure, SessionId, SessionRecord, Sessions, StopPolicy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone, Default)]
struct Memory {
    claims: Arc<Mutex<BTreeMap<SessionId, LockClaim>>>,
    records: Arc<Mutex<BTreeMap<SessionId, SessionRecord>>>,
}

impl<A: Anchor> ClaimStore<A> for Memory {
    fn inspect(&self, at: &A) -> Result<Found<LockClaim>, OsFailure> {
        Ok(self.claims.lock().expect("nobody panics").get(at.session()).cloned().into())
    }

    fn grant(&self, at: &A, claim: LockClaim) -> Result<Grant, OsFailure> {
        self.claims.lock().expect("nobody panics").insert(at.session().clone(), claim.clone());
        Ok(Grant { claim, token: (0, 0) })
    }

    fn force(&self, at: &A) -> Result<(), OsFailure> {
        self.claims.lock().expect("nobody panics").remove(at.session());
        Ok(())
    }
}

impl<A: Anchor> RecordStore<A> for Memory {
    fn read(&self, at: &A) -> Result<RecordFile, OsFailure> {
        let record = self.records.lock().expect("nobody panics").get(at.session()).cloned();
        Ok(record.map_or(RecordFile::Absent, |record| RecordFile::Whole(Box::new(record))))
    }

    fn write(&self, at: &A, record: &SessionRecord) -> Result<(), OsFailure> {
        self.records.lock().expect("nobody panics").insert(at.session().clone(), record.clone());
        Ok(())
    }

    fn remove(&self, at: &A) -> Result<(), OsFailure> {
        self.records.lock().expect("nobody panics").remove(at.session());
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (dir, memory) = (tempfile::tempdir()?, Memory::default());
    let sessions = Sessions::open(dir.path())?.claims(memory.clone()).records(memory.clone());
    let session: SessionId = "web".parse()?;
    let launch = || Launch::new("socat").args(["UNIX-LISTEN:{socket},fork", "EXEC:cat"]);
    for _ in 0..2 {
        println!("{}", sessions.ensure(&session, launch()).await?);
    }
    println!("{}", sessions.stop(&session, &StopPolicy::default()).await?);
    println!("in memory: {:?}", memory.records.lock().expect("nobody panics")[&session].state);
    Ok(())
}
