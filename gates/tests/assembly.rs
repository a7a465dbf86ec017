//! The conclusions of a look from record, lifeline and mark: every combination, and the answers of each view.

use FoundBy::{Name, Search};
use LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
use Lifeline::{Free, Held, Missing, Unreadable};
use RecordState::{Exited, Ready, Retained, Starting};
use rekindle_core::endpoint::EndpointKind;
use rekindle_core::evidence::{EndpointHolder, LifelineHistory, Listener};
use rekindle_core::identity::{DeathProof, UnknownReason};
use rekindle_core::readiness::{Proof, ShownBy};
use rekindle_core::view::assembly::{Assembly, FoundBy, Marked, Recorded};
use rekindle_core::view::{Coherence, Contact, EndpointView, RecordIs, View};
use rekindle_core::{
    ChildExit, Evidence, Generation, LastWorker, Lifeline, Nonce, ProcessLiveness, RecordState, SessionRecord,
};
use rekindle_gates::builders::{instant, plan, process};

/// A process in the tests is a letter, and a start is a number.
type Record = Recorded<char, u8>;
type Mark = Marked<char, u8>;

const LIFELINES: [Lifeline; 4] = [Free, Held, Missing, Unreadable];
const STATES: [Option<RecordState>; 5] = [None, Some(Starting), Some(Ready), Some(Exited), Some(Retained)];
const LAST_WORKERS: [LastWorker; 4] = [Gone, AliveUnobserved, AliveReady, Unknown];
const RECORDS: [RecordIs; 5] =
    [RecordIs::Absent, RecordIs::NamesWorker, RecordIs::NamesNobody, RecordIs::Newer, RecordIs::Corrupt];
const SEVENTH: Generation = Generation::new(7);
const DEAD: ProcessLiveness = ProcessLiveness::Dead(DeathProof::NoSuchProcess);
const ELSEWHERE: ProcessLiveness = ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace);
const STANDINGS: [Option<ProcessLiveness>; 4] =
    [None, Some(ProcessLiveness::Alive), Some(DEAD), Some(ELSEWHERE)];

/// Generation 7 with nonce 1: process `w` was started, process `p` answered.
const RECORD: Record = Recorded {
    is: RecordIs::NamesWorker,
    generation: Some(SEVENTH),
    nonce: Some(1),
    state: Some(Ready),
    start_observed: true,
    history: Some(LifelineHistory::WasHeld),
    worker: Some('w'),
    peer: Some('p'),
};
/// The mark of the same start.
const MARK: Mark = Marked { generation: SEVENTH, nonce: Some(1), worker: 'w' };

fn assembly(recorded: Record, lifeline: Lifeline, mark: Option<Mark>) -> Assembly<char, u8> {
    Assembly::new(recorded, (lifeline, Name), mark)
}

/// Invariant 1: a mark counts for its own start only.
#[test]
fn a_mark_speaks_of_its_own_start_only() {
    let unnamed = Record { generation: None, ..RECORD };
    let unknown = Record { nonce: None, ..RECORD };
    let mark = |generation, nonce| Marked { generation: Generation::new(generation), nonce, ..MARK };
    #[rustfmt::skip]
    let table = [
        (RECORD,         mark(7, Some(1)), true),
        (RECORD,         mark(7, None),    true),
        (RECORD,         mark(7, Some(2)), false),
        (RECORD,         mark(6, Some(1)), false),
        (RECORD,         mark(8, Some(1)), false),
        (RECORD,         mark(8, None),    false),
        (unknown,        mark(7, Some(2)), true),
        (unknown,        mark(8, Some(2)), false),
        (unnamed,        mark(8, Some(1)), true),
        (unnamed,        mark(8, Some(2)), false),
        (Record::ABSENT, mark(8, Some(2)), true),
    ];
    for (recorded, mark, is_of_it) in table {
        let of = assembly(recorded, Held, Some(mark));
        assert_eq!(of.is_marked(), is_of_it, "{mark:?} beside {recorded:?}");
        assert_eq!(of.taker, is_of_it.then_some('w'), "{mark:?} beside {recorded:?}");
    }
    assert!(!assembly(RECORD, Held, None).is_marked());
}

/// Invariant 4: a mark counts only for facts missing in the record.
#[test]
fn a_mark_stands_in_for_a_lost_record_and_overrides_none() {
    let other = Marked { worker: 'm', ..MARK };
    let nameless = Record { is: RecordIs::NamesNobody, worker: None, peer: None, ..RECORD };
    #[rustfmt::skip]
    let table = [
        (RECORD,         Some(other), (SEVENTH, Some('w'), Some('p'))),
        (nameless,       Some(other), (SEVENTH, Some('m'), None)),
        (nameless,       None,        (SEVENTH, None,      None)),
        (Record::ABSENT, Some(other), (SEVENTH, Some('m'), None)),
        (Record::ABSENT, None,        (Generation::UNMANAGED, None, None)),
    ];
    for (recorded, mark, expected) in table {
        let of = assembly(recorded, Held, mark);
        assert_eq!((of.generation(), of.leader, of.peer), expected, "{mark:?} beside {recorded:?}");
    }
}

/// Invariant 3: a process left behind by an earlier start proves nothing about the recorded start.
#[test]
fn a_lifeline_that_was_searched_for_and_is_older_is_none_of_the_sessions() {
    let of = |generation| Some(Marked { generation: Generation::new(generation), ..MARK });
    #[rustfmt::skip]
    let table = [
        (RECORD,         Search, of(6), Missing),
        (RECORD,         Search, of(7), Held),
        (RECORD,         Search, of(8), Held),
        (RECORD,         Search, None,  Held),
        (RECORD,         Name,   of(6), Held),
        (RECORD,         Name,   of(7), Held),
        (Record::ABSENT, Search, of(6), Held),
    ];
    for (recorded, found_by, mark, expected) in table {
        let lifeline = Assembly::new(recorded, (Held, found_by), mark).lifeline();
        assert_eq!(lifeline, expected, "{found_by:?}, {mark:?} beside {recorded:?}");
    }
}

/// Invariant 2, and all other conclusions from a held or marked lifeline.
#[test]
fn a_held_lifeline_without_its_mark_is_torn() {
    let foreign = Marked { generation: Generation::new(8), ..MARK };
    let other = Marked { worker: 'm', ..MARK };
    for lifeline in LIFELINES {
        let is_held = lifeline == Held;
        #[rustfmt::skip]
        let table = [
            //                                torn,     lacks record, leader took it
            (RECORD,         Some(MARK),     (false,    false,        is_held)),
            (RECORD,         Some(other),    (false,    false,        false)),
            (RECORD,         Some(foreign),  (is_held,  false,        false)),
            (RECORD,         None,           (is_held,  false,        false)),
            (Record::ABSENT, Some(MARK),     (false,    is_held,      is_held)),
            (Record::ABSENT, None,           (is_held,  false,        false)),
        ];
        for (recorded, mark, expected) in table {
            let of = assembly(recorded, lifeline, mark);
            let is_torn = of.coherence() == Coherence::Torn;
            let told = (is_torn, of.lacks_record(), of.leader_took_lifeline());
            assert_eq!(told, expected, "{lifeline:?}, {mark:?} beside {recorded:?}");
        }
    }
    for is in RECORDS {
        let of = assembly(Record { is, ..Record::ABSENT }, Held, Some(MARK));
        assert_eq!(of.lacks_record(), is == RecordIs::Absent, "{is:?}");
    }
}

/// If no launcher observed the start, a mark proves that the lifeline was taken, unless the record is missing.
#[test]
fn the_mark_says_that_a_lifeline_was_held_where_no_record_does() {
    use LifelineHistory::{NotKnown, WasHeld};
    for is in RECORDS {
        let is_read = matches!(is, RecordIs::NamesWorker | RecordIs::NamesNobody);
        #[rustfmt::skip]
        let table = [
            (Some(WasHeld),  Some(MARK), WasHeld),
            (Some(WasHeld),  None,       WasHeld),
            (Some(NotKnown), Some(MARK), NotKnown),
            (None,           Some(MARK), if is_read { WasHeld } else { NotKnown }),
            (None,           None,       NotKnown),
        ];
        for (history, mark, expected) in table {
            let of = assembly(Record { is, history, ..RECORD }, Free, mark);
            assert_eq!(of.evidence(None, None).history, expected, "{is:?}, {history:?}, {mark:?}");
        }
    }
}

#[test]
fn the_evidence_and_the_view_repeat_what_was_read() {
    for (lifeline, mark) in [(Held, Some(MARK)), (Held, None), (Unreadable, None)] {
        let of = assembly(Record { start_observed: false, ..RECORD }, lifeline, mark);
        let evidence = of.evidence(Some(DEAD), Some(ELSEWHERE));
        let expected = Evidence {
            recorded: Some(Ready),
            start_observed: false,
            lifeline,
            history: LifelineHistory::WasHeld,
            leader: Some(DEAD),
            peer: Some(ELSEWHERE),
            endpoint: EndpointHolder::Unclear,
        };
        assert_eq!(evidence, expected);
        assert!(assembly(RECORD, lifeline, mark).evidence(None, None).start_observed);
        for (contact, leader, last) in [
            (Contact::Connect, Some(ProcessLiveness::Alive), AliveReady),
            (Contact::Gentle, Some(DEAD), Unknown),
        ] {
            let view = View {
                generation: SEVENTH,
                last,
                recorded: Some(Ready),
                record: RecordIs::NamesWorker,
                lifeline,
                coherence: of.coherence(),
                contact,
                endpoint: EndpointKind::Tcp,
                proof: Proof::Watch,
                shown_by: ShownBy::Process,
            };
            let (kind, proof, shown_by) = (view.endpoint, view.proof, view.shown_by);
            let endpoint = EndpointView { kind, contact, proof, shown_by };
            assert_eq!(of.view(&Evidence { leader, ..evidence }, endpoint), view);
        }
    }
}

/// The recorded facts are read from the same record.
#[test]
fn a_record_is_read_whole() {
    let nonce = Nonce::from_random(0x5e55);
    let starting = SessionRecord::starting(&plan(), SEVENTH, nonce.clone(), process(77, 1_000), instant());
    let nobody = Recorded {
        is: RecordIs::NamesNobody,
        generation: Some(SEVENTH),
        nonce: Some(nonce),
        state: Some(Starting),
        start_observed: false,
        history: None,
        worker: None,
        peer: None,
    };
    assert_eq!(Recorded::of(&starting), nobody);
    let ready = SessionRecord {
        worker: Some(process(78, 1_001)),
        peer: Some(process(79, 1_002)),
        state: Ready,
        ready_at: Some(instant()),
        lifeline_held_when_ready: Some(true),
        ..starting
    };
    let whole = Recorded {
        is: RecordIs::NamesWorker,
        state: Some(Ready),
        start_observed: true,
        history: Some(LifelineHistory::WasHeld),
        worker: Some(process(78, 1_001)),
        peer: Some(process(79, 1_002)),
        ..nobody
    };
    assert_eq!(Recorded::of(&ready), whole);
    let closed = SessionRecord { lifeline_held_when_ready: None, exit: Some(ChildExit::Code(0)), ..ready };
    assert_eq!(Recorded::of(&closed).history, Some(LifelineHistory::NotKnown));
}

/// The peer is asked if the recorded processes do not answer for their session.
#[test]
fn who_listens_is_asked_of_a_held_lifeline_whose_processes_are_not_seen_alive() {
    for lifeline in LIFELINES {
        for leader in STANDINGS {
            for peer in STANDINGS {
                let evidence = Evidence { lifeline, leader, peer, ..Evidence::NONE };
                let lives = [leader, peer].contains(&Some(ProcessLiveness::Alive));
                assert_eq!(evidence.is_held_by_others(), lifeline == Held && !lives, "{evidence:?}");
            }
        }
    }
}

/// A daemon that listened and then forked is not dead because the first process is.
#[test]
fn a_dead_peer_whose_socket_is_listened_on_says_nothing() {
    for peer in STANDINGS {
        let evidence = Evidence { leader: Some(DEAD), peer, lifeline: Held, ..Evidence::NONE };
        let heard = if peer == Some(DEAD) { None } else { peer };
        assert_eq!(evidence.heard_of(Listener::Present), Evidence { peer: heard, ..evidence });
        assert_eq!(evidence.heard_of(Listener::Absent), evidence);
    }
}

/// The endpoint's owner is asked if a worker seems gone after readiness, or is in another namespace.
#[test]
fn a_worker_that_was_lost_sight_of_is_looked_for_at_its_endpoint() {
    use LifelineHistory::{NotKnown, WasHeld};
    let gone = Evidence { lifeline: Free, leader: Some(DEAD), ..Evidence::NONE };
    let unknown = Evidence { leader: Some(ELSEWHERE), ..gone };
    let alive = Evidence { leader: Some(ProcessLiveness::Alive), ..gone };
    for recorded in STATES {
        for history in [WasHeld, NotKnown] {
            let is_lost = |evidence| Evidence { recorded, history, ..evidence }.was_lost_sight_of();
            assert_eq!(is_lost(gone), recorded == Some(Ready), "{recorded:?}, {history:?}");
            assert_eq!(is_lost(unknown), history == WasHeld, "{recorded:?}, {history:?}");
            assert!(!is_lost(alive), "{recorded:?}, {history:?}");
        }
    }
}

/// Every view, and every question to a view.
#[test]
fn a_view_answers_by_the_table() {
    for generation in [Generation::UNMANAGED, SEVENTH] {
        for (record, recorded) in RECORDS.into_iter().flat_map(|record| STATES.map(|state| (record, state))) {
            for (lifeline, last) in LIFELINES.into_iter().flat_map(|it| LAST_WORKERS.map(|last| (it, last))) {
                let view = View { generation, last, recorded, record, lifeline, ..View::NOTHING };
                let is_known = generation == SEVENTH || recorded.is_some() || lifeline == Held;
                let may_answer = is_known && last != Gone;
                let is_unfinished = match record {
                    RecordIs::NamesNobody => may_answer,
                    RecordIs::NamesWorker => may_answer && recorded != Some(Ready),
                    RecordIs::Absent | RecordIs::Newer | RecordIs::Corrupt => false,
                };
                assert_eq!(view.is_known(), is_known, "{view:?}");
                assert_eq!(view.may_answer(), may_answer, "{view:?}");
                assert_eq!(view.is_known_to_answer(), may_answer && recorded == Some(Ready), "{view:?}");
                assert_eq!(view.is_unfinished(), is_unfinished, "{view:?}");
                assert_eq!(view.is_all_gone(), last == Gone && lifeline != Held, "{view:?}");
            }
        }
    }
    assert!(!View::NOTHING.is_known() && View::NOTHING.is_all_gone());
}
