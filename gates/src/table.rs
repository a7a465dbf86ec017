//! Compares a state machine with its table: every reachable state, every event.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

/// A row of a table: the state's name, the effect, and the next state of each event. An unlisted event changes nothing.
pub type Row<N, E, X> = (N, X, Vec<(E, N)>);

/// Compares a machine with its table. `roots` names the initial states of the machine.
///
/// The table is complete: each event is tried in each row, and each next state has a row.
///
/// # Panics
/// If the machine differs from the table.
pub fn assert_table<N, S, E, X>(
    roots: impl IntoIterator<Item = (N, S)>,
    (step, effect): (impl Fn(S, E) -> S, impl Fn(S) -> X),
    events: &[E],
    rows: &[Row<N, E, X>],
) where
    N: Clone + Eq + Hash + Debug,
    S: Copy + Eq + Debug,
    E: Copy + Eq + Debug,
    X: Eq + Debug,
{
    let mut states: HashMap<N, S> = roots.into_iter().collect();
    for (name, expected, ways) in rows {
        let state = *states.get(name).unwrap_or_else(|| panic!("no row above leads to {name:?}"));
        assert_eq!(&effect(state), expected, "the effect of {name:?}");
        assert!(
            ways.iter().all(|(event, _)| events.contains(event)),
            "{name:?} has an event that is not tried"
        );
        for event in events {
            let next = step(state, *event);
            let to = ways.iter().find(|(listed, _)| listed == event).map_or(name, |(_, to)| to);
            let known = *states.entry(to.clone()).or_insert(next);
            assert_eq!(next, known, "{event:?} in {name:?} leads to {to:?}");
        }
    }
    let named: HashSet<&N> = rows.iter().map(|(name, ..)| name).collect();
    let bare: Vec<&N> = states.keys().filter(|name| !named.contains(name)).collect();
    assert!(bare.is_empty(), "without a row: {bare:?}");
    println!("{} states, {} transitions", rows.len(), rows.len() * events.len());
}

/// Every reachable state of the machine, beginning at `roots`.
pub fn reach<S, E>(roots: impl IntoIterator<Item = S>, step: impl Fn(S, E) -> S, events: &[E]) -> HashSet<S>
where
    S: Copy + Eq + Hash,
    E: Copy,
{
    let mut ahead: Vec<S> = roots.into_iter().collect();
    let mut seen: HashSet<S> = ahead.iter().copied().collect();
    while let Some(state) = ahead.pop() {
        let next = events.iter().map(|event| step(state, *event));
        ahead.extend(next.filter(|next| seen.insert(*next)).collect::<Vec<_>>());
    }
    seen
}
