//! The names of a pool's sessions.

use jiff::Timestamp;
use proptest::prelude::*;
use rekindle_core::SessionId;
use rekindle_core::pool::{Meant, find, generate, is_generated};
use rekindle_core::protocol::WorkerName;
use rekindle_gates::builders::session_named;
use rekindle_gates::property;

fn named(ours: &str, theirs: Option<&str>) -> (SessionId, Option<WorkerName>) {
    (session_named(ours), theirs.map(|name| name.parse().expect("the test names a valid name")))
}

/// For any time and random number, the name is a recognised id of ours, and two names differ.
#[test]
fn every_name_is_an_id_and_known_as_ours() {
    let moments = (0..=4_102_444_800_i64, 0..1_000_000_000_i32, any::<u64>(), any::<u64>());
    property!("pool", every_name_is_an_id_and_known_as_ours).check(
        &moments,
        |(seconds, nanos, one, other)| {
            let at = Timestamp::new(seconds, nanos).expect("it lies within the range of a timestamp");
            let id = generate(at, one);
            prop_assert!(is_generated(&id), "{}", id);
            prop_assert_eq!(id.as_str().parse::<SessionId>(), Ok(id.clone()));
            prop_assert_eq!(generate(at, other) == id, one == other);
            Ok(())
        },
    );
}

/// A clock before 1970 makes names too.
#[test]
fn a_clock_that_is_wrong_makes_names_too() {
    assert_eq!(generate(Timestamp::MIN, 1).as_str(), "p-0-0000000000000001");
    assert!(is_generated(&generate(Timestamp::MAX, u64::MAX)));
}

#[test]
fn what_others_named_is_not_ours() {
    for name in [
        "p",
        "p-",
        "p-1",
        "p--0000000000000001",
        "p-1-1",
        "p-x-0000000000000001",
        "p-1-00000000000000010",
        "p-1-000000000000000g",
        "p-1-000000000000000A",
        "q-1-0000000000000001",
        "p-1-0000000000000001-1",
    ] {
        assert!(!is_generated(&session_named(name)), "{name}");
    }
}

#[test]
fn ours_wins_and_two_of_one_name_are_ambiguous() {
    let known = || {
        [
            named("p-1", Some("a")),
            named("a", Some("p-1")),
            named("p-2", Some("b")),
            named("p-3", Some("b")),
            named("p-4", None),
        ]
    };
    assert_eq!(find("p-1", known()), Meant::Session(session_named("p-1")), "ours wins");
    assert_eq!(find("a", known()), Meant::Session(session_named("a")), "ours wins wherever it stands");
    assert_eq!(find("b", known()), Meant::Ambiguous(vec![session_named("p-2"), session_named("p-3")]));
    assert_eq!(find("p-4", known()), Meant::Session(session_named("p-4")));
    assert_eq!(find("c", known()), Meant::Unknown);
    assert_eq!(find("", known()), Meant::Unknown);
    assert_eq!(find("a", [named("p-9", Some("a"))]), Meant::Session(session_named("p-9")));
}
