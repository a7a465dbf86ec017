//! Waiting for the end of a worker: every cell of both tables.

use rekindle_core::LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
use rekindle_core::identity::{DeathProof, UnknownReason};
use rekindle_core::session::wait::{Next, OfLeader, after_look, after_look_at_leader};
use rekindle_core::{Generation, ProcessLiveness};

#[test]
fn only_a_proof_ends_a_wait() {
    let [earlier, own, later] = [1, 2, 3].map(Generation::new);
    for (last, expected) in [
        (Gone, Next::Ended),
        (AliveUnobserved, Next::Watch),
        (AliveReady, Next::Watch),
        (Unknown, Next::Unknown),
    ] {
        assert_eq!(after_look(own, own, last), expected, "{last:?}");
        assert_eq!(after_look(own, earlier, last), expected, "a record that went back: {last:?}");
        assert_eq!(after_look(own, later, last), Next::AskLeader, "{last:?}");
    }
}

#[test]
fn a_leader_that_cannot_be_judged_has_not_ended() {
    let dead = ProcessLiveness::Dead(DeathProof::NoSuchProcess);
    assert_eq!(after_look_at_leader(Some(dead)), OfLeader::Ended);
    assert_eq!(after_look_at_leader(Some(ProcessLiveness::Alive)), OfLeader::Watch);
    assert_eq!(after_look_at_leader(None), OfLeader::Unknown(None));
    for reason in [UnknownReason::Unproven, UnknownReason::NotPermitted, UnknownReason::OtherPidNamespace] {
        let unjudged = ProcessLiveness::Unjudged(reason);
        assert_eq!(after_look_at_leader(Some(unjudged)), OfLeader::Unknown(Some(reason)));
    }
}
