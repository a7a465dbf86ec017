//! The conformance bodies of the stores, in memory; `smoke` runs the same on files.

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
