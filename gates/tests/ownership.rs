//! Whose listener receives the connections to an address: every value of the facts, and the rules of the module.

use core::net::SocketAddr;
use rekindle_core::decide::Unrecorded;
use rekindle_core::ensure::{Conclusion, Depth, Effect, Ensure, Event, PORTS_LOST_MAX, Request, step};
use rekindle_core::ownership::{
    Families, HeldBy, ListenerFacts, ListeningSocket, Network, Outsider, Precedence, Sight, Whose,
    WorkerFacts, deciding, looked_for_at, reached, whose,
};
use rekindle_core::plan::{ForeignListener, PortChoice};
use rekindle_core::view::View;
use rekindle_core::warrant::Sameness;
use rekindle_core::{EndpointKind, Intent, Lifeline, Liveness, Owner, Pid, RejectReason};

const PRECEDENCES: [Precedence; 4] =
    [Precedence::Exact, Precedence::Wildcard, Precedence::DualStack, Precedence::OtherLoopback];
const NETWORKS: [Network; 2] = [Network::Here, Network::Elsewhere];
const HOLDERS: [HeldBy; 3] = [HeldBy::Member, HeldBy::Others, HeldBy::Unseen];
const USERS: [Sameness; 3] = [Sameness::Same, Sameness::Other, Sameness::Unknown];
const SIGHTS: [Sight; 2] = [Sight::Whole, Sight::Partial];
const LIFELINES: [Lifeline; 4] = [Lifeline::Free, Lifeline::Held, Lifeline::Missing, Lifeline::Unreadable];
const FOREIGN: [ForeignListener; 2] = [ForeignListener::Refused, ForeignListener::Allowed];

fn every_listener() -> Vec<ListenerFacts> {
    let mut all = Vec::new();
    for precedence in PRECEDENCES {
        for network in NETWORKS {
            for held_by in HOLDERS {
                all.extend(USERS.map(|user| ListenerFacts { precedence, network, held_by, user }));
            }
        }
    }
    all
}

fn every_worker() -> Vec<Option<WorkerFacts>> {
    let known = |sight| LIFELINES.map(|lifeline| Some(WorkerFacts { sight, lifeline }));
    SIGHTS.into_iter().flat_map(known).chain([None]).collect()
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("it is an address")
}

fn listener(bound: &str, families: Families) -> ListeningSocket {
    ListeningSocket { bound: address(bound), families, uid: 0, inode: 1 }
}

/// The rule for one listener, in other words than the module's.
fn is_owned(listener: &ListenerFacts, worker: Option<WorkerFacts>) -> Option<Owner> {
    let worker = worker?;
    let agrees = listener.user == Sameness::Same && worker.lifeline == Lifeline::Held;
    let is_seen = listener.held_by == HeldBy::Member;
    if is_seen && listener.network == Network::Here {
        Some(Owner::Verified)
    } else if is_seen || (listener.held_by == HeldBy::Unseen && worker.sight == Sight::Partial && agrees) {
        Some(Owner::Unverified)
    } else {
        None
    }
}

#[test]
fn every_listener_has_the_verdict_that_its_facts_allow() {
    for one in every_listener() {
        for worker in every_worker() {
            for foreign in FOREIGN {
                let expected = match (is_owned(&one, worker), one.precedence.receives(), foreign, worker) {
                    (Some(owner), ..) => Whose::Workers(0, owner),
                    (None, false, ..) => Whose::Nobody,
                    (None, true, ForeignListener::Refused, _) => Whose::Stranger(0),
                    (None, true, ForeignListener::Allowed, Some(_)) => Whose::Relay(0),
                    (None, true, ForeignListener::Allowed, None) => Whose::RelayToNobody,
                };
                assert_eq!(whose(&[one], worker, foreign), expected, "{one:?} {worker:?} {foreign:?}");
            }
        }
    }
}

/// Invariant 2: with a stranger among the listeners of an address nothing is the worker's.
#[test]
fn a_shared_address_is_the_workers_only_as_a_whole() {
    for one in every_listener() {
        for other in every_listener() {
            for worker in every_worker() {
                let judged = whose(&[one, other], worker, ForeignListener::Refused);
                let owners = [one, other].map(|it| is_owned(&it, worker));
                let strangers = [one, other].map(|it| it.precedence.receives()).into_iter().zip(owners);
                match judged {
                    Whose::Stranger(at) => assert_eq!(owners[at], None),
                    Whose::Workers(at, owner) => {
                        assert_eq!(owners[at], Some(owner));
                        assert!(strangers.clone().all(|(receives, owner)| !receives || owner.is_some()));
                        let verified = owners.contains(&Some(Owner::Verified));
                        assert_eq!(owner == Owner::Verified, verified, "a proof counts before an assumption");
                    }
                    Whose::Nobody => assert_eq!(owners, [None, None]),
                    judged @ (Whose::Relay(_) | Whose::RelayToNobody) => panic!("{judged:?}"),
                }
            }
        }
    }
}

#[test]
fn nobody_listens_where_there_is_no_listener() {
    for worker in every_worker() {
        for foreign in FOREIGN {
            assert_eq!(whose(&[], worker, foreign), Whose::Nobody);
        }
    }
    assert_eq!(deciding(&[]), Vec::<usize>::new());
}

/// Invariant 1.
#[test]
fn the_most_specific_listeners_decide() {
    use Precedence::{DualStack, Exact, OtherLoopback, Wildcard};
    assert_eq!(deciding(&[Wildcard, Exact, DualStack, Exact]), [1, 3]);
    assert_eq!(deciding(&[OtherLoopback, DualStack]), [1]);
    assert_eq!(deciding(&[OtherLoopback, OtherLoopback]), [0, 1]);
}

#[test]
fn the_precedence_is_the_kernels() {
    use Families::{Both, Own};
    use Precedence::{DualStack, Exact, OtherLoopback, Wildcard};
    let cases = [
        ("127.0.0.1:80", Both, "127.0.0.1:80", Some(Exact)),
        ("[::ffff:127.0.0.1]:80", Both, "127.0.0.1:80", Some(Exact)),
        ("0.0.0.0:80", Both, "127.0.0.1:80", Some(Wildcard)),
        ("[::]:80", Both, "127.0.0.1:80", Some(DualStack)),
        ("[::]:80", Own, "127.0.0.1:80", Some(OtherLoopback)),
        ("[::]:80", Own, "10.0.0.1:80", None),
        ("[::]:80", Own, "[::1]:80", Some(Wildcard)),
        ("[::]:80", Both, "[::1]:80", Some(Wildcard)),
        ("[::1]:80", Both, "127.0.0.1:80", Some(OtherLoopback)),
        ("127.0.0.1:80", Both, "[::1]:80", Some(OtherLoopback)),
        ("0.0.0.0:80", Both, "[::1]:80", None),
        ("127.0.0.2:80", Both, "127.0.0.1:80", None),
        ("127.0.0.1:81", Both, "127.0.0.1:80", None),
    ];
    for (bound, families, wanted, expected) in cases {
        let found = Precedence::of(&listener(bound, families), address(wanted));
        assert_eq!(found, expected, "{bound} {families:?} for {wanted}");
    }
}

#[test]
fn a_listener_is_reached_where_it_listens() {
    let cases = [
        ("127.0.0.1:80", Precedence::Exact, "127.0.0.1:80", "127.0.0.1:80"),
        ("0.0.0.0:80", Precedence::Wildcard, "127.0.0.1:80", "127.0.0.1:80"),
        ("[::]:80", Precedence::DualStack, "127.0.0.1:80", "127.0.0.1:80"),
        ("[::]:80", Precedence::OtherLoopback, "127.0.0.1:80", "[::1]:80"),
        ("[::1]:80", Precedence::OtherLoopback, "127.0.0.1:80", "[::1]:80"),
        ("127.0.0.1:80", Precedence::OtherLoopback, "[::1]:80", "127.0.0.1:80"),
    ];
    for (bound, precedence, wanted, expected) in cases {
        let at = reached(&listener(bound, Families::Both), precedence, address(wanted));
        assert_eq!(at, address(expected), "{bound} for {wanted}");
    }
    for (asked, expected) in
        [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")]
    {
        assert_eq!(looked_for_at(address(asked)), address(expected));
    }
}

#[test]
fn a_stranger_is_named() {
    let visible = Outsider { process: Some((Pid::new(123).expect("it is a pid"), "python3".into())), uid: 0 };
    assert_eq!(visible.to_string(), "`python3` (pid 123, user 0)");
    let steering = Outsider { process: Some((Pid::new(1).expect("it is a pid"), "a\x1b[2J".into())), uid: 7 };
    assert!(!steering.to_string().contains('\x1b'), "a process chooses its own name");
    assert_eq!(Outsider { process: None, uid: 33 }.to_string(), "a process of user 33");
}

/// A call that finds a stranger at its port each time it looks under the claim: the number of looks, and the end.
fn looks_among_strangers(port: PortChoice) -> (u8, Conclusion) {
    let (intent, depth) = (Intent::Ensure, Depth::Whole);
    let mut call = Ensure::new(Request { intent, depth, port, unrecorded: Unrecorded::Taken });
    let mut looks = 0;
    loop {
        let event = match call.effect() {
            Effect::Look => Event::Looked(View { endpoint: EndpointKind::Tcp, ..View::NOTHING }),
            Effect::LookUnderClaim => {
                looks += 1;
                Event::Looked(View { endpoint: EndpointKind::Tcp, ..View::NOTHING })
            }
            Effect::Probe => Event::Probed(Liveness::Forged),
            Effect::Done(conclusion) => return (looks, conclusion),
            Effect::CheckTarget
            | Effect::InspectClaim
            | Effect::ClearClaim
            | Effect::Acquire
            | Effect::AwaitClaim
            | Effect::Complete
            | Effect::CheckProgram
            | Effect::EndWorker
            | Effect::Start(_)
            | Effect::Release
            | Effect::Pause
            | Effect::AwaitAnswer => Event::Did,
        };
        call = step(call, event);
    }
}

#[test]
fn only_a_port_that_the_launcher_chose_is_chosen_again() {
    let refused = Conclusion::Rejected(RejectReason::TargetAddressConflict);
    assert_eq!(looks_among_strangers(PortChoice::Caller), (1, refused));
    assert_eq!(looks_among_strangers(PortChoice::Launcher), (1 + PORTS_LOST_MAX, refused));
}
