//! The conformance bodies of the stores, in memory; `smoke` runs the same on files.

use rekindle_core::record::RecordFile;
use rekindle_core::stores::RecordStore;
use rekindle_core::{Generation, SessionRecord};
use rekindle_gates::builders;
use rekindle_gates::conformance::stores::{claims_conform, records_conform};
use rekindle_gates::fakes::{Memory, Named};

#[test]
fn claims_in_memory_conform() {
    claims_conform(&Memory::default(), &Named(builders::session()));
}

#[test]
fn records_in_memory_conform() {
    records_conform(&Memory::default(), &Named(builders::session()));
}

/// A store without names sets nothing aside, and says so: the caller must not take the record for renamed.
#[test]
fn a_store_without_names_refuses_to_set_a_record_aside() {
    let (store, at) = (Memory::default(), Named(builders::session()));
    let (plan, claim) = (builders::plan(), builders::claim());
    let launcher = builders::process(1, 1);
    let record =
        SessionRecord::starting(&plan, Generation::new(1), claim.nonce, launcher, builders::instant());
    store.write(&at, &record).expect("memory takes any record");
    assert!(store.set_aside(&at).is_err());
    assert_eq!(store.read(&at).expect("memory can be read"), RecordFile::Whole(Box::new(record)));
}
