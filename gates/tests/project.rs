//! The order of a project's sessions, and the schedule of their work.

use proptest::prelude::*;
use rekindle_core::SessionId;
use rekindle_core::project::root::{NAME_LEN_MAX, read_note, root_name, write_note};
use rekindle_core::project::{Direction, Effect, Ended, Order, OrderFault, Phase, Schedule, Summary};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn id(name: &str) -> SessionId {
    name.parse().expect("a valid name")
}

/// `a<b,c` is the session `a`, after `b` and `c`.
fn needs(text: &str) -> Vec<(SessionId, Vec<SessionId>)> {
    let one = |text: &str| {
        let (name, after) = text.split_once('<').unwrap_or((text, ""));
        (id(name), after.split(',').filter(|it| !it.is_empty()).map(id).collect())
    };
    text.split_whitespace().map(one).collect()
}

fn order(text: &str) -> Order {
    Order::new(needs(text)).expect("an order")
}

fn words(effects: &[Effect]) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Begin(session) => format!("+{session}"),
        Effect::Skip { session, because } => format!("-{session}:{because}"),
    };
    effects.iter().map(word).collect()
}

#[test]
fn a_sequence_has_the_needed_session_first() {
    let sequence = order("a<c b c<d d").sequence();
    assert_eq!(sequence, ["b", "d", "c", "a"].map(id));
    assert_eq!(order("").sequence(), []);
}

#[test]
fn a_fault_names_its_sessions() {
    let fault = |text| Order::new(needs(text)).unwrap_err();
    let unknown = OrderFault::Unknown { session: id("web"), named: id("bd") };
    assert_eq!(fault("web<bd db"), unknown);
    assert_eq!(unknown.to_string(), "`web` starts after `bd`, and there is no session `bd`");
    assert_eq!(fault("a<a"), OrderFault::Cycle { sessions: vec![id("a")] });
    let cycle = fault("a<b b<c c<b d<a");
    assert_eq!(cycle, OrderFault::Cycle { sessions: vec![id("b"), id("c")] });
    assert_eq!(cycle.to_string(), "these sessions wait for each other: b after c after b");
}

#[test]
fn free_sessions_start_side_by_side_and_the_others_after_them() {
    let (schedule, begun) = Schedule::begin(order("web<db,cache db cache bot"), Direction::Up, 8);
    assert_eq!(words(&begun), ["+bot", "+cache", "+db"]);
    let (schedule, begun) = schedule.ended(&id("db"), Ended::Well);
    assert_eq!(words(&begun), [""; 0]);
    let (schedule, begun) = schedule.ended(&id("cache"), Ended::Well);
    assert_eq!(words(&begun), ["+web"]);
    let (schedule, _) = schedule.ended(&id("web"), Ended::Well);
    assert!(!schedule.is_settled());
    let (schedule, _) = schedule.ended(&id("bot"), Ended::Well);
    assert!(schedule.is_settled());
    assert_eq!(schedule.summary(), Summary { done: 4, failed: 0, skipped: 0 });
}

#[test]
fn a_failure_skips_what_needs_it_and_nothing_else() {
    let (schedule, _) = Schedule::begin(order("web<app app<db db bot late<bot"), Direction::Up, 8);
    let (schedule, effects) = schedule.ended(&id("db"), Ended::Badly);
    assert_eq!(words(&effects), ["-app:db", "-web:db"], "the failed one is named, however far it is");
    let (schedule, effects) = schedule.ended(&id("bot"), Ended::Well);
    assert_eq!(words(&effects), ["+late"]);
    let (schedule, _) = schedule.ended(&id("late"), Ended::Well);
    assert_eq!(schedule.summary(), Summary { done: 2, failed: 1, skipped: 2 });
    assert_eq!(schedule.phase(&id("web")), Some(&Phase::Skipped { because: id("db") }));
}

#[test]
fn on_the_way_down_the_needed_session_is_last_and_a_failure_holds_up_nothing() {
    let (schedule, begun) = Schedule::begin(order("web<db db bot"), Direction::Down, 8);
    assert_eq!(words(&begun), ["+bot", "+web"]);
    let (schedule, begun) = schedule.ended(&id("web"), Ended::Badly);
    assert_eq!(words(&begun), ["+db"]);
    let (schedule, _) = schedule.ended(&id("db"), Ended::Well);
    assert_eq!(schedule.summary(), Summary { done: 1, failed: 1, skipped: 0 });
}

#[test]
fn a_late_or_unknown_fact_changes_nothing() {
    let (schedule, _) = Schedule::begin(order("b<a a"), Direction::Up, 1);
    for session in ["b", "x"] {
        let (after, effects) = schedule.clone().ended(&id(session), Ended::Badly);
        assert_eq!((&after, words(&effects).len()), (&schedule, 0), "{session}");
    }
    let (done, _) = schedule.ended(&id("a"), Ended::Well);
    let (again, effects) = done.clone().ended(&id("a"), Ended::Badly);
    assert_eq!((&again, words(&effects).len()), (&done, 0));
}

#[test]
fn more_sessions_wait_for_no_session() {
    let more = order("a<b b").with([id("c"), id("a")]);
    assert_eq!(more.needs(&id("a")).count(), 1, "a known session stays");
    assert_eq!(more.needs(&id("c")).count(), 0);
}

/// The name is on disk: no version may change the name.
#[test]
fn the_name_of_a_root_never_changes() {
    let name = |file: &str| root_name(file.as_ref());
    assert_eq!(name("/home/ada/my shop/rekindle.toml"), "my-shop-dbca43f9e085");
    assert_eq!(name("/rekindle.toml"), "root-48fd6ad60397");
    assert_ne!(name("/a/x/rekindle.toml"), name("/b/x/rekindle.toml"));
    assert_ne!(name("/a/x/rekindle.toml"), name("/a/x/dev.toml"));
    let long = name(&format!("/{}/rekindle.toml", "\u{e9}".repeat(99)));
    assert!(long.len() <= NAME_LEN_MAX, "{long}");
}

/// What this version reads: its own note, a note of any path, a later note with more fields; nothing else.
#[test]
fn a_note_is_read_as_written() {
    for file in [&b"/a/rekindle.toml"[..], b"/caf\xe9/rekindle.toml", b"/a\nb/rekindle.toml"] {
        let file = Path::new(OsStr::from_bytes(file));
        assert_eq!(read_note(&write_note(file)).as_deref(), Ok(file));
    }
    let first = r#"{"schema_version":1,"file":"/a/rekindle.toml"}"#;
    assert_eq!(write_note("/a/rekindle.toml".as_ref()), format!("{first}\n").into_bytes());
    let later = r#"{"schema_version":2,"file":"/a/rekindle.toml","more":[]}"#;
    assert_eq!(read_note(later.as_bytes()), Ok("/a/rekindle.toml".into()));
    for wrong in ["", "{}", "/a/rekindle.toml", &first[..first.len() - 1]] {
        assert!(read_note(wrong.as_bytes()).is_err(), "{wrong:?} was taken");
    }
}

/// Any graph: each of up to nine sessions after any others, cycles included.
fn any_graph() -> impl Strategy<Value = Vec<(SessionId, Vec<SessionId>)>> {
    prop::collection::vec(prop::collection::btree_set(0_usize..9, 0..4), 1..10).prop_map(|graph| {
        let len = graph.len();
        let name = |index: usize| id(&format!("s{}", index % len));
        graph
            .iter()
            .enumerate()
            .map(|(index, after)| (name(index), after.iter().map(|it| name(*it)).collect()))
            .collect()
    })
}

/// A graph without a cycle: each session after earlier ones only.
fn any_order() -> impl Strategy<Value = Vec<(SessionId, Vec<SessionId>)>> {
    prop::collection::vec(prop::collection::btree_set(0_usize..12, 0..4), 1..13).prop_map(|graph| {
        let name = |index: usize| id(&format!("s{index}"));
        let earlier = |index: usize, after: &BTreeSet<usize>| {
            after.iter().filter(|it| **it < index).map(|it| name(*it)).collect()
        };
        graph.iter().enumerate().map(|(index, after)| (name(index), earlier(index, after))).collect()
    })
}

type Needs = BTreeMap<SessionId, BTreeSet<SessionId>>;

/// All that `session` needs, directly or through others.
fn reached(needs: &Needs, session: &SessionId) -> BTreeSet<SessionId> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&SessionId> = needs[session].iter().collect();
    while let Some(next) = open.pop() {
        if found.insert(next.clone()) {
            open.extend(&needs[next]);
        }
    }
    found
}

fn as_needs(graph: &[(SessionId, Vec<SessionId>)]) -> Needs {
    graph.iter().map(|(session, after)| (session.clone(), after.iter().cloned().collect())).collect()
}

proptest! {
    /// An order exists exactly if no session needs itself; a reported cycle is one.
    #[test]
    fn an_order_exists_unless_a_session_needs_itself(graph in any_graph()) {
        let needs = as_needs(&graph);
        let is_cyclic = needs.keys().any(|session| reached(&needs, session).contains(session));
        match Order::new(graph) {
            Ok(order) => {
                prop_assert!(!is_cyclic);
                let sequence = order.sequence();
                prop_assert_eq!(sequence.len(), needs.len());
                for (at, session) in sequence.iter().enumerate() {
                    prop_assert!(needs[session].iter().all(|it| sequence[..at].contains(it)));
                }
            }
            Err(OrderFault::Cycle { sessions }) => {
                prop_assert!(is_cyclic);
                for (at, session) in sessions.iter().enumerate() {
                    prop_assert!(needs[session].contains(&sessions[(at + 1) % sessions.len()]));
                }
            }
            Err(fault) => prop_assert!(false, "{}", fault),
        }
    }

    /// Any graph, any sequence of ends, any failures: the invariants of the schedule.
    #[test]
    fn every_session_is_worked_on_in_order_or_skipped_with_a_reason(
        graph in any_order(),
        is_up in any::<bool>(),
        at_work_max in 1_usize..5,
        picks in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.25)), 13),
    ) {
        let needs = as_needs(&graph);
        let direction = if is_up { Direction::Up } else { Direction::Down };
        let (mut schedule, mut effects) = Schedule::begin(Order::new(graph).unwrap(), direction, at_work_max);
        let (mut begun, mut at_work) = (BTreeSet::new(), Vec::new());
        let (mut well, mut failed, mut skipped) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let mut picks = picks.into_iter();
        loop {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Begin(session) => {
                        let is_in_order = match direction {
                            Direction::Up => reached(&needs, &session).iter().all(|it| well.contains(it)),
                            Direction::Down => needs.keys().filter(|it| reached(&needs, it).contains(&session))
                                .all(|it| well.contains(it) || failed.contains(it)),
                        };
                        prop_assert!(is_in_order, "{} came too soon", session);
                        prop_assert!(begun.insert(session.clone()), "{} was begun twice", session);
                        at_work.push(session);
                    }
                    Effect::Skip { session, because } => {
                        prop_assert!(failed.contains(&because) && reached(&needs, &session).contains(&because));
                        prop_assert!(skipped.insert(session, because).is_none());
                    }
                }
            }
            prop_assert!(at_work.len() <= at_work_max);
            if at_work.is_empty() {
                break;
            }
            let (pick, fails) = picks.next().unwrap();
            let session = at_work.swap_remove(pick.index(at_work.len()));
            let ended = if fails { Ended::Badly } else { Ended::Well };
            if fails { &mut failed } else { &mut well }.insert(session.clone());
            (schedule, effects) = schedule.ended(&session, ended);
            // Whatever could be at work is at work.
            if at_work.len() < at_work_max && effects.is_empty() {
                let could = needs.keys().filter(|it| schedule.phase(it) == Some(&Phase::Waiting)).find(|it| match direction {
                    Direction::Up => needs[*it].iter().all(|needed| well.contains(needed)),
                    Direction::Down => needs.iter().filter(|(_, of)| of.contains(*it)).all(|(other, _)| !at_work.contains(other) && begun.contains(other)),
                });
                prop_assert_eq!(could, None);
            }
        }
        prop_assert!(schedule.is_settled(), "nothing is at work, and yet not all is settled");
        prop_assert_eq!(begun.len() + skipped.len(), needs.len());
        if direction == Direction::Down {
            prop_assert!(skipped.is_empty());
        }
        for (session, needed) in &needs {
            let is_doomed = is_up && needed.iter().any(|it| failed.contains(it) || skipped.contains_key(it));
            prop_assert_eq!(skipped.contains_key(session), is_doomed, "{}", session);
        }
        let summary = Summary { done: well.len(), failed: failed.len(), skipped: skipped.len() };
        prop_assert_eq!(schedule.summary(), summary);
    }
}
