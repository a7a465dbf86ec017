//! The session that a mistyped name means.

use proptest::prelude::*;
use rekindle_core::care::similar::most_similar;

fn of<'n>(typed: &str, names: &[&'n str]) -> Option<&'n str> {
    most_similar(typed, names)
}

#[test]
fn a_slip_of_the_finger_is_understood() {
    let names = ["api", "cache", "web", "worker-1", "worker-2"];
    let typed = [
        ("cahce", "cache"),
        ("cach", "cache"),
        ("cachee", "cache"),
        ("wen", "web"),
        ("Web", "web"),
        ("worker-3", "worker-1"),
        ("wroker-2", "worker-2"),
        ("ca", "cache"),
    ];
    for (typed, meant) in typed {
        assert_eq!(of(typed, &names), Some(meant), "{typed}");
    }
}

#[test]
fn another_name_is_no_slip() {
    for typed in ["database", "x", "zzz", "queue"] {
        assert_eq!(of(typed, &["api", "cache", "web"]), None, "{typed}");
    }
    assert_eq!(of("work", &["worker-1", "worker-2"]), None, "two begin with it");
    assert_eq!(of("a", &["b"]), None, "one edit makes any other name of one letter");
    assert_eq!(of("web", &[]), None);
    let (one, other) = ("p-4711-0123456789abcdef", "p-4711-fedcba9876543210");
    assert_eq!(of(one, &[other]), None, "two generated names have a beginning in common");
}

proptest! {
    /// A suggestion is one of the names, and never the typed one.
    #[test]
    fn a_suggestion_is_another_name(typed in "[a-c]{1,6}", names in prop::collection::vec("[a-c]{1,6}", 0..6)) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Some(found) = most_similar(&typed, &names) {
            prop_assert!(names.contains(&found) && found != typed);
        }
    }
}
