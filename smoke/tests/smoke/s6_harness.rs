//! S6: the crash harness and the contention harness, in short. In full: `just crash` and `just contend`.

use rekindle_smoke::harness::{contend, crash};
use rekindle_smoke::trials;

trials![a_sample_of_all_kills_and_failures, a_sample_of_contention];

/// T02, T05, P11, R-3, R-9 (recipes R1, R1e, R2).
fn a_sample_of_all_kills_and_failures() {
    let size = crash::Size { kill_stride: 7, error_stride: 23, moments: 20, filter: String::new() };
    let tally = crash::run(&size);
    tally.print();
    assert!(tally.total() > 300, "there are far more points than {}", tally.total());
    assert!(tally.troubles.is_empty(), "{} failed", tally.troubles.len());
}

/// T01, T02, L1, S1.
fn a_sample_of_contention() {
    let tally = contend::run(40, 8);
    tally.print();
    assert!(tally.troubles.is_empty(), "{} failed", tally.troubles.len());
    assert_eq!(tally.passed(), 40);
}
