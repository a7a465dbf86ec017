//! The conformance tests of every store of claims and of records, in memory or on files.

use crate::builders;
use rekindle_core::claim::Found;
use rekindle_core::claim::give_up::Whose;
use rekindle_core::record::RecordFile;
use rekindle_core::stores::{Anchor, ClaimStore, RecordStore};
use rekindle_core::{Generation, LockClaim, Nonce, SessionRecord};

const SET: &str = "the store can be changed";
const ASKED: &str = "the store can be asked";

fn nonce(text: &str) -> Nonce {
    text.parse().expect("it is hexadecimal and long enough")
}

fn claim_of<A: Anchor>(at: &A, text: &str) -> LockClaim {
    LockClaim { session_id: at.session().clone(), nonce: nonce(text), ..builders::claim() }
}

/// A granted claim is found, recognised by the nonce, marked once, and removed.
///
/// # Panics
/// If the store behaves differently.
pub fn claims_conform<A: Anchor>(store: &dyn ClaimStore<A>, at: &A) {
    assert_eq!(store.inspect(at).expect(ASKED), Found::Nothing, "nobody has claimed it");
    let first = store.grant(at, claim_of(at, "00112233445566778899aabbccddeeff")).expect(SET);
    assert_eq!(store.inspect(at).expect(ASKED), Found::Held(first.claim.clone()));
    assert_eq!(store.whose(at, &first).expect(ASKED), Whose::Ours);

    let number = store.generation(at, &first, Generation::new(7)).expect(ASKED);
    assert!(number > Generation::new(7), "a start gets a number that no start had");

    let mut second = store.grant(at, claim_of(at, "ffeeddccbbaa99887766554433221100")).expect(SET);
    assert_eq!(store.whose(at, &first).expect(ASKED), Whose::Others, "it was taken over");
    assert_eq!(store.whose(at, &second).expect(ASKED), Whose::Ours);

    store.retain(at, &mut second, builders::instant()).expect(SET);
    let retained = LockClaim { retained_at: Some(builders::instant()), ..second.claim.clone() };
    assert_eq!(store.inspect(at).expect(ASKED), Found::Retained(retained));
    assert_eq!(store.whose(at, &second).expect(ASKED), Whose::Ours, "what we marked is still ours");

    store.release(at, &second).expect(SET);
    assert_eq!(store.inspect(at).expect(ASKED), Found::Nothing);
    assert_eq!(store.whose(at, &second).expect(ASKED), Whose::Nobodys);
    store.force(at).expect("there is nothing to remove, which is no error");

    store.grant(at, claim_of(at, "00112233445566778899aabbccddeeff")).expect(SET);
    store.force(at).expect(SET);
    assert_eq!(store.inspect(at).expect(ASKED), Found::Nothing, "an operator may remove any");
}

/// The last written record is found, and removed.
///
/// # Panics
/// If the store behaves differently.
pub fn records_conform<A: Anchor>(store: &dyn RecordStore<A>, at: &A) {
    assert_eq!(store.read(at).expect(ASKED), RecordFile::Absent);
    store.remove(at).expect("there is nothing to remove, which is no error");
    let mut plan = builders::plan();
    plan.session_id = at.session().clone();
    let nonce = nonce("00112233445566778899aabbccddeeff");
    let launcher = builders::process(1, 1);
    let first = SessionRecord::starting(&plan, Generation::new(1), nonce, launcher, builders::instant());
    store.write(at, &first).expect(SET);
    assert_eq!(store.read(at).expect(ASKED), RecordFile::Whole(Box::new(first.clone())));
    let second = first.into_retained();
    store.write(at, &second).expect(SET);
    assert_eq!(store.read(at).expect(ASKED), RecordFile::Whole(Box::new(second)));
    store.remove(at).expect(SET);
    assert_eq!(store.read(at).expect(ASKED), RecordFile::Absent);
}
