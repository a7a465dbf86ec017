//! The choice of the state directory: every cell (`core/src/claim/home.rs`).

use rekindle_core::Lifeline;
use rekindle_core::claim::home::{AskedBy, Candidate, Home, HostPlace, Locks, choose, forbids_start};

const ASKED: [AskedBy; 2] = [AskedBy::Name, AskedBy::Default];
const CANDIDATES: [Candidate; 3] = [Candidate::Unusable, Candidate::Free, Candidate::InUse];

/// Every combination of facts.
fn cells() -> impl Iterator<Item = (AskedBy, Locks, Candidate, Candidate)> {
    ASKED.into_iter().flat_map(|asked| {
        Locks::ALL.into_iter().flat_map(move |locks| {
            CANDIDATES.into_iter().flat_map(move |runtime| {
                CANDIDATES.into_iter().map(move |var_tmp| (asked, locks, runtime, var_tmp))
            })
        })
    })
}

#[test]
fn the_place_asked_for_wins_wherever_its_locks_hold() {
    for (asked, locks, runtime, var_tmp) in cells() {
        let home = choose(asked, locks, runtime, var_tmp);
        assert_eq!(
            home == Home::AsAsked,
            locks == Locks::Exclude,
            "{asked:?} {locks:?} {runtime:?} {var_tmp:?}"
        );
    }
}

#[test]
fn a_named_directory_is_never_replaced() {
    for (asked, locks, runtime, var_tmp) in cells().filter(|cell| cell.0 == AskedBy::Name) {
        let home = choose(asked, locks, runtime, var_tmp);
        assert!(!matches!(home, Home::StandIn(_)), "{locks:?} {runtime:?} {var_tmp:?}");
    }
}

/// The whole table for a default directory without locks.
#[test]
fn a_stand_in_in_use_stays_and_the_runtime_directory_comes_first() {
    use Candidate::{Free, InUse, Unusable};
    let (runtime, var_tmp) = (Home::StandIn(HostPlace::Runtime), Home::StandIn(HostPlace::VarTmp));
    let table = [
        (InUse, InUse, runtime),
        (InUse, Free, runtime),
        (InUse, Unusable, runtime),
        (Free, InUse, var_tmp),
        (Free, Free, runtime),
        (Free, Unusable, runtime),
        (Unusable, InUse, var_tmp),
        (Unusable, Free, var_tmp),
        (Unusable, Unusable, Home::Refused),
    ];
    for locks in Locks::ALL.into_iter().filter(|locks| *locks != Locks::Exclude) {
        for (first, second, expected) in table {
            assert_eq!(
                choose(AskedBy::Default, locks, first, second),
                expected,
                "{locks:?} {first:?} {second:?}"
            );
        }
    }
}

/// Unknown is never dead: only a lifeline that is provably not held allows a start elsewhere.
#[test]
fn a_worker_that_may_live_in_another_directory_forbids_a_start() {
    let forbids =
        [Lifeline::Held, Lifeline::Unreadable, Lifeline::Free, Lifeline::Missing].map(forbids_start);
    assert_eq!(forbids, [true, true, false, false]);
}

#[test]
fn a_verdict_has_one_word() {
    for locks in Locks::ALL {
        assert_eq!(Locks::of_word(locks.word()), Some(locks));
    }
    assert_eq!(Locks::of_word("maybe"), None);
}
