//! Attach, start, adopt or reject: the steps of one `ensure`, each rule a table (design, section 3).

use Depth::{AtOnce, DryRun, Whole};
use Event as Ev;
use Intent::{Attach, Ensure as Start, Restart, Resume};
use LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
use Liveness::{Dormant, Forged, Indeterminate, Live};
use rekindle_core::decide::Unrecorded;
use rekindle_core::effects::{ReleaseError, SpawnError, WatchError};
use rekindle_core::endpoint::EndpointKind;
use rekindle_core::ensure::{
    Before, Conclusion, Deadline, Depth, Effect, Ended, Ensure, Event, MayPass, PORTS_LOST_MAX, Request,
    StartPath, Stranger, step,
};
use rekindle_core::execute::{Cause, Diagnostic, ExecuteError, Outcome, Seen};
use rekindle_core::plan::PortChoice;
use rekindle_core::readiness::{Proof, ShownBy};
use rekindle_core::release::PairingError;
use rekindle_core::resume::RetainedReason;
use rekindle_core::view::{Contact, RecordIs, View};
use rekindle_core::{
    ChildExit, Endpoint, Finding, Intent, LastWorker, Liveness, RecordState, RejectReason, Verdict, decide,
};
use rekindle_gates::builders::{self, CHILD_PID, pid};
use rekindle_gates::table::reach;

const INTENTS: [Intent; 3] = [Start, Attach, Resume];
const DEPTHS: [Depth; 3] = [Whole, AtOnce, DryRun];
const LIVENESSES: [Liveness; 4] = [Live, Dormant, Indeterminate, Forged];
const LAST_WORKERS: [LastWorker; 4] = [Gone, AliveUnobserved, AliveReady, Unknown];
const KINDS: [StartPath; 4] =
    [StartPath::Fresh, StartPath::Adopted, StartPath::AdoptedConnected, StartPath::Attached];
const ENDS: [Ended; 8] = [
    Ended::Ready,
    Ended::Exited,
    Ended::Abandoned,
    Ended::AddressTaken,
    Ended::NotStarted,
    Ended::Retained,
    Ended::ReleaseFailed,
    Ended::NotBegun,
];
const DEADLINES: [Deadline; 2] = [Deadline::Ahead, Deadline::Passed];

/// A session with a ready worker, by its record.
const READY: View = View {
    last: AliveReady,
    recorded: Some(RecordState::Ready),
    record: RecordIs::NamesWorker,
    ..View::NOTHING
};
const ATTACHED: Effect = Effect::Done(Conclusion::Running(StartPath::Attached));

fn request(intent: Intent, depth: Depth) -> Request {
    Request { intent, depth, port: PortChoice::Caller, unrecorded: Unrecorded::Taken }
}

fn whole() -> Request {
    request(Start, Whole)
}

fn done(conclusion: Conclusion) -> Effect {
    Effect::Done(conclusion)
}

fn rejected(reason: RejectReason) -> Conclusion {
    Conclusion::Rejected(reason)
}

fn conflict() -> Conclusion {
    rejected(RejectReason::TargetAddressConflict)
}

fn led(request: Request, events: &[Event]) -> Ensure {
    events.iter().fold(Ensure::new(request), |call, event| step(call, *event))
}

/// The effect after each of these events.
fn effects(begun: Ensure, events: &[Event]) -> Vec<Effect> {
    let steps = events.iter().scan(begun, |call, event| {
        *call = step(*call, *event);
        Some(call.effect())
    });
    steps.collect()
}

/// A call with the claim.
fn claimed(request: Request) -> Ensure {
    led(request, &[Ev::Looked(View::NOTHING), Ev::Did, Ev::Did])
}

/// A call after a look and a probe under the claim.
fn judged(request: Request, view: View, liveness: Liveness) -> Ensure {
    let events = [Ev::Looked(view), Ev::Probed(liveness)];
    events.into_iter().fold(claimed(request), step)
}

/// A call that starts or watches a worker.
fn starting(kind: StartPath) -> Option<Ensure> {
    let found = |last, liveness| judged(whole(), View { last, proof: Proof::Answer, ..READY }, liveness);
    match kind {
        StartPath::Fresh => Some(found(Gone, Dormant)),
        StartPath::Adopted => Some(found(AliveUnobserved, Dormant)),
        StartPath::AdoptedConnected => Some(found(AliveUnobserved, Live)),
        StartPath::Attached => None,
    }
}

/// Every possible finding of a probe and a look.
fn findings() -> Vec<(Liveness, LastWorker)> {
    LIVENESSES.into_iter().flat_map(|liveness| LAST_WORKERS.map(|last| (liveness, last))).collect()
}

/// The next effect of `ensure`, `attach` and `resume` on a usable target.
#[test]
fn the_lock_free_way_is_for_a_worker_that_is_known_to_answer() {
    use Effect::{Acquire, Probe};
    let gentle = View { contact: Contact::Gentle, ..READY };
    let starting = View { recorded: Some(RecordState::Starting), ..READY };
    let gone = View { last: Gone, ..READY };
    let more = done(Conclusion::NotAtOnce);
    #[rustfmt::skip]
    let table = [
        (READY,         Whole,  [Probe, Probe, Probe]),
        (gentle,        Whole,  [Probe, Probe, Probe]),
        (starting,      Whole,  [Acquire, Probe, Acquire]),
        (gone,          Whole,  [Acquire, Probe, Acquire]),
        (View::NOTHING, Whole,  [Acquire, Probe, Acquire]),
        (READY,         AtOnce, [Probe, Probe, Probe]),
        (gentle,        AtOnce, [more, more, more]),
        (starting,      AtOnce, [more, more, more]),
        (gone,          AtOnce, [more, more, more]),
        (View::NOTHING, AtOnce, [more, more, more]),
        (READY,         DryRun, [Probe, Probe, Probe]),
        (gentle,        DryRun, [Probe, Probe, Probe]),
        (View::NOTHING, DryRun, [Probe, Probe, Probe]),
    ];
    for (view, depth, row) in table {
        for (intent, expected) in INTENTS.into_iter().zip(row) {
            let told = effects(Ensure::new(request(intent, depth)), &[Ev::Looked(view), Ev::Did]);
            assert_eq!(told, [Effect::CheckTarget, expected], "{intent:?}, {depth:?}, {view:?}");
        }
    }
}

/// The next effect of `ensure`, `attach` and `resume` after a probe and a second look without a lock.
#[test]
fn without_a_lock_only_what_needs_no_start_is_concluded() {
    use Effect::{Acquire, InspectClaim};
    use RejectReason as R;
    let [more, no_worker, unclear, forged, live] = [
        Conclusion::NotAtOnce,
        rejected(R::NotRunning),
        rejected(R::IndeterminateNoSpawn),
        rejected(R::TargetAddressConflict),
        rejected(R::AlreadyLive),
    ]
    .map(done);
    for (liveness, last) in findings() {
        let [at_once, whole] = match liveness {
            Live => [[InspectClaim, ATTACHED, more], [InspectClaim, ATTACHED, live]],
            Dormant => [[more; 3], [Acquire, no_worker, Acquire]],
            Indeterminate => [[more; 3], [Acquire, unclear, Acquire]],
            Forged => [[more; 3], [Acquire, forged, Acquire]],
        };
        let dry =
            INTENTS.map(|intent| done(Conclusion::WouldBe(decide(intent, Finding::of(liveness, last)))));
        for (depth, row) in [(AtOnce, at_once), (Whole, whole), (DryRun, dry)] {
            for (intent, expected) in INTENTS.into_iter().zip(row) {
                let again = View { last, ..READY };
                let events = [Ev::Looked(READY), Ev::Did, Ev::Probed(liveness), Ev::Looked(again)];
                let told = effects(Ensure::new(request(intent, depth)), &events);
                assert_eq!(
                    told[1..],
                    [Effect::Probe, Effect::Look, expected],
                    "{intent:?}, {depth:?}, {again:?}"
                );
            }
        }
    }
}

/// A dead launcher left a claim, but the worker answers: the claim is cleared on the way, with or without success.
#[test]
fn a_claim_that_was_left_behind_is_cleared_on_the_way() {
    let attached = led(whole(), &[Ev::Looked(READY), Ev::Did, Ev::Probed(Live), Ev::Looked(READY)]);
    for (event, expected) in [(Ev::Did, Effect::ClearClaim), (Ev::Refused, ATTACHED), (Ev::Failed, ATTACHED)]
    {
        assert_eq!(step(attached, event).effect(), expected, "{event:?}");
    }
    for event in [Ev::Did, Ev::Failed] {
        assert_eq!(step(step(attached, Ev::Did), event).effect(), ATTACHED, "{event:?}");
    }
}

/// The next effect under the claim, and the effect after success. `None`: a start, with another end.
fn under_claim(intent: Intent, liveness: Liveness, last: LastWorker) -> (Effect, Option<Effect>) {
    use RejectReason as R;
    let releases = |conclusion| (Effect::Release, Some(done(conclusion)));
    match (intent, liveness, last) {
        (Resume, Live, _) => releases(rejected(R::AlreadyLive)),
        (_, Live, _) => (Effect::Release, Some(ATTACHED)),
        (_, Indeterminate, _) => releases(rejected(R::IndeterminateNoSpawn)),
        (_, Forged, _) => releases(rejected(R::TargetAddressConflict)),
        (_, Dormant, Gone) => (Effect::Start(StartPath::Fresh), None),
        (_, Dormant, AliveUnobserved) => (Effect::Start(StartPath::Adopted), None),
        (Start, Dormant, AliveReady) => (Effect::Release, Some(Effect::AwaitAnswer)),
        (_, Dormant, AliveReady) => releases(rejected(R::WorkerUnresponsive)),
        (_, Dormant, Unknown) => releases(rejected(R::WorkerUnknown)),
    }
}

/// Invariants 2 and 3.
#[test]
fn under_the_claim_a_worker_is_started_adopted_attached_or_the_claim_released() {
    for intent in [Start, Resume] {
        for (liveness, last) in findings() {
            let call = judged(request(intent, Whole), View { last, ..READY }, liveness);
            let (effect, then) = under_claim(intent, liveness, last);
            let what = format!("{intent:?} on {liveness:?}, {last:?}");
            assert!(call.holds_claim(), "{what}");
            assert_eq!(call.effect(), effect, "{what}");
            let Some(then) = then else { continue };
            let after = step(call, Ev::Did);
            assert!(!after.holds_claim(), "{what}");
            assert_eq!(after.effect(), then, "{what}");
        }
    }
}

/// A restart takes the claim whatever it saw, and only a dry run goes without.
#[test]
fn a_restart_begins_with_the_claim() {
    let gentle = View { contact: Contact::Gentle, ..READY };
    for view in [READY, gentle, View { last: Gone, ..READY }, View::NOTHING] {
        for (depth, expected) in
            [(Whole, Effect::Acquire), (AtOnce, done(Conclusion::NotAtOnce)), (DryRun, Effect::Probe)]
        {
            let told = effects(Ensure::new(request(Restart, depth)), &[Ev::Looked(view), Ev::Did]);
            assert_eq!(told, [Effect::CheckTarget, expected], "{depth:?}, {view:?}");
        }
    }
    for (liveness, last) in findings() {
        let events = [Ev::Looked(READY), Ev::Did, Ev::Probed(liveness), Ev::Looked(View { last, ..READY })];
        let verdict = decide(Restart, Finding::of(liveness, last));
        let told = led(request(Restart, DryRun), &events).effect();
        assert_eq!(told, done(Conclusion::WouldBe(verdict)), "{liveness:?}, {last:?}");
    }
}

/// `--managed-only`: what answers without a record is refused for every intent, with and without the claim, and a worker
/// that may be ours is treated as ever.
#[test]
fn what_no_record_names_is_refused_if_the_caller_says_so() {
    let refused = rejected(RejectReason::RecordLessSocket);
    for intent in [Start, Attach, Resume, Restart, Intent::RestartIfRunning] {
        let managed_only = Request { unrecorded: Unrecorded::Refused, ..request(intent, Whole) };
        let stranger = View { last: Gone, ..READY };
        let call = judged(managed_only, stranger, Live);
        if intent != Attach {
            assert_eq!(
                (call.effect(), step(call, Ev::Did).effect()),
                (Effect::Release, done(refused)),
                "{intent:?}"
            );
        }
        if !intent.is_restart() {
            let events = [Ev::Looked(READY), Ev::Did, Ev::Probed(Live), Ev::Looked(stranger)];
            assert_eq!(led(managed_only, &events).effect(), done(refused), "{intent:?}");
        }
        for (liveness, last) in findings() {
            let same = liveness == Live && last == Gone;
            let view = View { last, ..READY };
            let [strict, lax] = [managed_only, request(intent, Whole)]
                .map(|request| judged(request, view, liveness).effect());
            assert!(same || strict == lax, "{intent:?}, {liveness:?}, {last:?}");
        }
    }
}

/// A restart of a session that does not run starts nothing if it is only meant for a running worker.
#[test]
fn a_restart_if_running_starts_nothing_where_nothing_runs() {
    let asked = request(Intent::RestartIfRunning, Whole);
    for (liveness, last) in findings() {
        let [call, other] =
            [asked, request(Restart, Whole)].map(|request| judged(request, View { last, ..READY }, liveness));
        if (liveness, last) == (Dormant, Gone) {
            let then = step(call, Ev::Did).effect();
            assert_eq!((call.effect(), then), (Effect::Release, done(rejected(RejectReason::NotRunning))));
        } else {
            assert_eq!(call.effect(), other.effect(), "{liveness:?}, {last:?}");
        }
    }
    let replaced = [Ev::Did, Ev::Did].into_iter().fold(judged(asked, READY, Live), step);
    assert_eq!(replaced, claimed(request(Resume, Whole)), "once the worker is gone, another is started");
}

/// Invariant 6: a worker of the session is ended, and nothing else; what cannot be judged stays.
#[test]
fn a_restart_ends_the_worker_of_its_session_alone() {
    use RejectReason as R;
    for (liveness, last) in findings() {
        let call = judged(request(Restart, Whole), View { last, ..READY }, liveness);
        let rejects = |reason| (Effect::Release, Some(rejected(reason)));
        let (effect, then) = match (liveness, last) {
            (Indeterminate, _) => rejects(R::IndeterminateNoSpawn),
            (Forged, _) => rejects(R::TargetAddressConflict),
            (Live | Dormant, Unknown) => rejects(R::WorkerUnknown),
            // Who answers is a stranger.
            (Live, Gone) => rejects(R::AlreadyLive),
            (Dormant, Gone) => (Effect::Start(StartPath::Fresh), None),
            (Live | Dormant, AliveUnobserved | AliveReady) => (Effect::CheckProgram, None),
        };
        assert_eq!(call.effect(), effect, "{liveness:?}, {last:?}");
        assert!(call.holds_claim());
        if let Some(conclusion) = then {
            assert_eq!(step(call, Ev::Did).effect(), done(conclusion), "{liveness:?}, {last:?}");
        }
    }
}

/// Invariant 6: the claim is held throughout, and after the end the call is a resume.
#[test]
fn a_restart_goes_on_as_a_resume_once_the_worker_is_gone() {
    let checking = judged(request(Restart, Whole), READY, Live);
    for (event, conclusion) in [(Ev::Refused, Conclusion::NotStarted), (Ev::Failed, Conclusion::Failed)] {
        let given_up = step(checking, event);
        assert_eq!(step(given_up, Ev::Did).effect(), done(conclusion), "nobody is ended: {event:?}");
    }
    let ending = step(checking, Ev::Did);
    assert_eq!((ending.effect(), ending.holds_claim()), (Effect::EndWorker, true));
    let replaced = step(ending, Ev::Did);
    assert_eq!((replaced.effect(), replaced.holds_claim()), (Effect::LookUnderClaim, true));
    assert_eq!(replaced, claimed(request(Resume, Whole)));
    for (event, conclusion) in [(Ev::Refused, Conclusion::NotEnded), (Ev::Failed, Conclusion::Failed)] {
        let given_up = step(ending, event);
        assert_eq!((given_up.effect(), given_up.holds_claim()), (Effect::Release, true), "{event:?}");
        assert_eq!(step(given_up, Ev::Did).effect(), done(conclusion), "{event:?}");
    }
    for foreign in [Ev::Looked(READY), Ev::Probed(Live), Ev::Late, Ev::Conflict(MayPass::Yes)] {
        assert_eq!(step(ending, foreign), ending);
    }
}

#[test]
fn a_record_of_a_later_version_is_not_started_over() {
    for (intent, proof, last) in [
        (Start, Proof::Listener, Gone),
        (Start, Proof::Watch, AliveUnobserved),
        (Resume, Proof::Watch, Gone),
        (Resume, Proof::Listener, AliveUnobserved),
        (Restart, Proof::Listener, AliveReady),
    ] {
        let newer = View { last, proof, recorded: None, record: RecordIs::Newer, ..READY };
        let call = judged(request(intent, Whole), newer, Dormant);
        assert_eq!(call.effect(), Effect::Release, "{intent:?}, {last:?}");
        assert_eq!(step(call, Ev::Did).effect(), done(Conclusion::RecordNewer), "{intent:?}, {last:?}");
    }
    let answers = View { recorded: None, record: RecordIs::Newer, ..READY };
    assert_eq!(effects(judged(whole(), answers, Live), &[Ev::Did]), [ATTACHED]);
}

/// If the launcher died before the worker's answer, only a new answer proves readiness.
#[test]
fn a_worker_that_accepts_and_has_to_answer_is_watched_like_a_start() {
    let connected = Effect::Start(StartPath::AdoptedConnected);
    #[rustfmt::skip]
    let table = [
        (Proof::Answer,   AliveUnobserved, connected),
        (Proof::Answer,   AliveReady,      Effect::Complete),
        (Proof::Answer,   Unknown,         Effect::Complete),
        (Proof::Answer,   Gone,            Effect::Release),
        // The listener proves nothing, so there is no connection to begin with.
        (Proof::Watch,    AliveUnobserved, Effect::Start(StartPath::Adopted)),
        (Proof::Watch,    AliveReady,      Effect::Complete),
        (Proof::Listener, AliveUnobserved, Effect::Complete),
        (Proof::Listener, AliveReady,      Effect::Complete),
    ];
    for (proof, last, expected) in table {
        let unfinished = View {
            last,
            proof,
            recorded: Some(RecordState::Starting),
            record: RecordIs::NamesNobody,
            ..READY
        };
        let call = judged(whole(), unfinished, Live);
        assert_eq!(call.effect(), expected, "{proof:?}, {last:?}");
    }
}

#[test]
fn the_record_of_a_worker_that_answers_is_completed() {
    let unfinished = View { recorded: Some(RecordState::Starting), ..READY };
    let call = judged(whole(), unfinished, Live);
    assert_eq!((call.effect(), call.holds_claim()), (Effect::Complete, true));
    let failed = done(Conclusion::ReleaseFailed(Before::Answering));
    assert_eq!((step(call, Ev::Did).effect(), step(call, Ev::Failed).effect()), (ATTACHED, failed));
}

/// Invariant 4: a silent worker is waited for without the claim, and again only while silent.
#[test]
fn a_silent_worker_is_waited_for_without_the_claim() {
    let silent = step(judged(whole(), READY, Dormant), Ev::Did);
    let late = step(silent, Ev::Late).effect();
    assert_eq!(late, done(rejected(RejectReason::WorkerUnresponsive)));
    for (liveness, last) in findings() {
        let events = [Ev::Did, Ev::Looked(View { last, ..READY }), Ev::Probed(liveness)];
        let is_silent = (liveness, last) == (Dormant, AliveReady);
        let then = if is_silent { Effect::AwaitAnswer } else { Effect::Look };
        let told = effects(silent, &events);
        assert_eq!(told, [Effect::Look, Effect::Probe, then], "{liveness:?}, {last:?}");
        let mut calls = (0..=events.len()).map(|n| events[..n].iter().copied().fold(silent, step));
        assert!(calls.all(|call| !call.holds_claim()), "{liveness:?}, {last:?}");
        assert!(!is_silent || events.into_iter().fold(silent, step) == silent);
        assert!(is_silent || events.into_iter().fold(silent, step) == Ensure::new(whole()));
    }
}

#[test]
fn a_claim_of_another_is_waited_for_if_its_holder_is_at_work() {
    let acquiring = led(whole(), &[Ev::Looked(View::NOTHING), Ev::Did]);
    let locked = done(Conclusion::Locked);
    let waiting = step(acquiring, Ev::Conflict(MayPass::Yes));
    assert_eq!(waiting.effect(), Effect::AwaitClaim);
    assert_eq!(step(acquiring, Ev::Conflict(MayPass::No)).effect(), locked);
    assert_eq!(step(waiting, Ev::Late).effect(), locked);
    assert_eq!(step(waiting, Ev::Did), Ensure::new(whole()), "everything is looked at again");
}

/// Invariant 5: the end of a start, with and without time left.
#[test]
fn only_a_deadline_that_is_ahead_lets_a_call_begin_anew() {
    for kind in [StartPath::Fresh, StartPath::Adopted, StartPath::AdoptedConnected] {
        let begun = starting(kind).expect("it is a start");
        assert_eq!((begun.effect(), begun.holds_claim()), (Effect::Start(kind), true));
        let exited = done(Conclusion::Exited);
        let again = if kind == StartPath::Fresh { exited } else { Effect::Look };
        let not_started = done(Conclusion::NotStarted);
        for ended in ENDS {
            let [ahead, passed] = match ended {
                Ended::Ready => [done(Conclusion::Running(kind)); 2],
                Ended::Exited => [again, exited],
                Ended::Abandoned => [Effect::Pause, not_started],
                Ended::AddressTaken => [done(conflict()); 2],
                Ended::NotStarted => [not_started; 2],
                Ended::Retained => [done(Conclusion::Retained); 2],
                Ended::ReleaseFailed => [done(Conclusion::ReleaseFailed(Before::Start)); 2],
                Ended::NotBegun => [Effect::Release; 2],
            };
            for (deadline, expected) in DEADLINES.into_iter().zip([ahead, passed]) {
                let call = step(begun, Ev::Ended(ended, deadline));
                assert_eq!(call.effect(), expected, "{kind:?}, {ended:?}, {deadline:?}");
                assert_eq!(call.holds_claim(), ended == Ended::NotBegun, "{ended:?}");
            }
        }
        let unpinned = step(begun, Ev::Ended(Ended::NotBegun, Deadline::Ahead));
        assert_eq!(step(unpinned, Ev::Did).effect(), done(Conclusion::Failed));
        let abandoned = [Ev::Ended(Ended::Abandoned, Deadline::Ahead), Ev::Did];
        let anew = abandoned.into_iter().fold(begun, step);
        assert_eq!(anew.effect(), Effect::Look, "what was abandoned is begun anew");
    }
}

/// The failed step, and the next effect of the call.
#[test]
fn a_step_that_fails_ends_the_call_and_gives_the_claim_up() {
    let failed = done(Conclusion::Failed);
    let looked = [Ev::Looked(READY), Ev::Did, Ev::Probed(Live)];
    let nothing = [Ev::Looked(View::NOTHING), Ev::Did, Ev::Did];
    let silent = step(judged(whole(), READY, Dormant), Ev::Did);
    #[rustfmt::skip]
    let table = [
        (Ensure::new(whole()),                    Effect::Look,           failed),
        (led(whole(), &looked[..1]),              Effect::CheckTarget,    failed),
        (led(whole(), &looked),                   Effect::Look,           failed),
        (led(whole(), &nothing[..2]),             Effect::Acquire,        failed),
        (claimed(whole()),                        Effect::LookUnderClaim, Effect::Release),
        (step(claimed(whole()), Ev::Failed),      Effect::Release,        failed),
        (step(silent, Ev::Did),                   Effect::Look,           failed),
    ];
    for (call, effect, expected) in table {
        assert_eq!(call.effect(), effect);
        assert_eq!(step(call, Ev::Failed).effect(), expected, "{effect:?} fails");
    }
    assert_eq!(effects(claimed(whole()), &[Ev::Failed, Ev::Did]), [Effect::Release, failed]);
    let bad = led(whole(), &[Ev::Looked(READY), Ev::Refused]);
    assert_eq!(bad.effect(), done(Conclusion::BadTarget));
}

/// If the claim cannot be released, the earlier observation decides what the caller may do.
#[test]
fn a_claim_that_cannot_be_released_is_told_with_what_was_seen_before() {
    let newer = View { last: Gone, recorded: None, record: RecordIs::Newer, ..READY };
    let resume = request(Resume, Whole);
    #[rustfmt::skip]
    let table = [
        (judged(whole(), READY, Live),                         Before::Answering),
        (judged(whole(), READY, Indeterminate),                Before::Nothing),
        (judged(whole(), newer, Dormant),                      Before::Nothing),
        (judged(whole(), READY, Dormant),                      Before::Nothing),
        (judged(resume, READY, Live),                          Before::Nothing),
    ];
    for (call, before) in table {
        assert_eq!(call.effect(), Effect::Release);
        assert_eq!(step(call, Ev::Failed).effect(), done(Conclusion::ReleaseFailed(before)), "{call:?}");
    }
}

/// The answers of an effect, by its documentation.
fn is_answer(effect: Effect, event: Event) -> bool {
    match effect {
        Effect::Look | Effect::LookUnderClaim => matches!(event, Ev::Looked(_) | Ev::Failed),
        Effect::CheckTarget | Effect::InspectClaim => matches!(event, Ev::Did | Ev::Refused | Ev::Failed),
        Effect::Probe => matches!(event, Ev::Probed(_)),
        Effect::ClearClaim | Effect::Complete | Effect::Release => matches!(event, Ev::Did | Ev::Failed),
        Effect::Acquire => matches!(event, Ev::Did | Ev::Conflict(_) | Ev::Failed),
        Effect::AwaitClaim | Effect::AwaitAnswer => matches!(event, Ev::Did | Ev::Late),
        Effect::CheckProgram | Effect::EndWorker => matches!(event, Ev::Did | Ev::Refused | Ev::Failed),
        Effect::Start(_) => matches!(event, Ev::Ended(..)),
        Effect::Pause => event == Ev::Did,
        Effect::Done(_) => false,
    }
}

fn events() -> Vec<Event> {
    let mut events = vec![Ev::Did, Ev::Refused, Ev::Late, Ev::Failed];
    events.extend([MayPass::Yes, MayPass::No].map(Ev::Conflict));
    events.extend(LIVENESSES.map(Ev::Probed));
    events.extend(ENDS.into_iter().flat_map(|ended| DEADLINES.map(|deadline| Ev::Ended(ended, deadline))));
    let records =
        [RecordIs::Absent, RecordIs::NamesWorker, RecordIs::NamesNobody, RecordIs::Newer, RecordIs::Corrupt];
    for record in records {
        for recorded in [None, Some(RecordState::Starting), Some(RecordState::Ready)] {
            let [listener, answer] = [Proof::Listener, Proof::Answer].map(|proof| (Contact::Connect, proof));
            for (contact, proof) in [listener, answer, (Contact::Gentle, Proof::Watch)] {
                let view = |last| View { last, recorded, record, contact, proof, ..READY };
                events.extend(LAST_WORKERS.map(|last| Ev::Looked(view(last))));
            }
        }
    }
    events
}

/// Invariants 1 and 3, in every reachable state: an answer leads on, any other event changes nothing, and a finished
/// call holds no claim.
#[test]
fn every_state_takes_its_answers_and_nothing_else() {
    let events = events();
    let (mut states, mut concluded) = (0, Vec::new());
    for intent in INTENTS.into_iter().chain([Restart]) {
        for depth in DEPTHS {
            for port in [PortChoice::Caller, PortChoice::Launcher] {
                let begun = Ensure::new(Request { port, ..request(intent, depth) });
                let reached = reach([begun], step, &events);
                states += reached.len();
                for call in reached {
                    let effect = call.effect();
                    for event in &events {
                        let leads_on = step(call, *event) != call;
                        assert_eq!(leads_on, is_answer(effect, *event), "{event:?} in {call:?}");
                    }
                    concluded.extend(matches!(effect, Effect::Done(_)).then_some(effect));
                    let needs_claim = matches!(
                        effect,
                        Effect::LookUnderClaim
                            | Effect::Complete
                            | Effect::CheckProgram
                            | Effect::EndWorker
                            | Effect::Start(_)
                            | Effect::Release
                    );
                    let may_have_it = needs_claim || effect == Effect::Probe;
                    assert!(call.holds_claim() || !needs_claim, "{call:?}");
                    assert!(!call.holds_claim() || may_have_it, "{call:?}");
                    let takes = needs_claim || matches!(effect, Effect::Acquire | Effect::AwaitClaim);
                    assert!(!takes || (intent != Attach && depth == Whole), "{begun:?} comes to {effect:?}");
                }
            }
        }
    }
    for kind in KINDS {
        assert!(concluded.contains(&done(Conclusion::Running(kind))), "no call ends with {kind:?}");
    }
    println!("{states} states, {} transitions", states * events.len());
}

/// Every outcome of a start leads to a next effect.
#[test]
fn every_outcome_of_a_start_leads_on() {
    let release = |observed, source| Err(ExecuteError::Release { observed, source });
    let not_started = |error| Ok(Outcome::SpawnStartFailed { error });
    let directory = || "/state/cache".into();
    let replaced = || ReleaseError::DirectoryReplaced { path: directory() };
    let retained = Outcome::LockRetained {
        reason: RetainedReason::KillUnconfirmed,
        cause: Cause::ObserveTimeout { after: builders::OBSERVE },
        diagnostic: Diagnostic {
            session: builders::session(),
            pid: None,
            address: builders::plan().target().clone(),
            socket_path: builders::plan().expected_socket_path().map(ToOwned::to_owned),
            lock_path: "/state/cache/claim".into(),
            observe_timeout: builders::OBSERVE,
            kill_grace: builders::KILL,
            kill_error: None,
        },
    };
    let abandoned = SpawnError::Abandoned { why: "moved".into() };
    let exit = ChildExit::Code(1);
    let exited = |cause: Option<Cause>| {
        Ok(Outcome::ChildExited { exit, pid: None, after_kill: cause.is_some(), cause })
    };
    let late = || Cause::ObserveTimeout { after: builders::OBSERVE };
    let unwatched = || Cause::Seam(builders::watch_error("watch the socket"));
    let met = || {
        let address = Endpoint::Tcp(([127, 0, 0, 1], 80).into());
        Cause::Seam(WatchError::Stranger { address, who: "`nc` (pid 7)".into() })
    };
    let alive = Seen::SocketAlive { pid: Some(pid(CHILD_PID)) };
    type Ends = [Ended; 2];
    /// The end without a listener, and with a stranger's listener after the end.
    const fn both(ended: Ended) -> Ends {
        [ended, ended]
    }
    #[rustfmt::skip]
    let table: Vec<(Result<Outcome<()>, ExecuteError>, Ends)> = vec![
        (Ok(Outcome::SocketAlive { pid: None, connection: (), after_kill: false }), both(Ended::Ready)),
        // A worker that could not listen because of a stranger ends by itself.
        (exited(None),                                                [Ended::Exited, Ended::AddressTaken]),
        // A worker that was too slow, or could not be watched, was ended for that reason.
        (exited(Some(late())),                                        both(Ended::Exited)),
        (exited(Some(unwatched())),                                   both(Ended::Exited)),
        (exited(Some(met())),                                         both(Ended::AddressTaken)),
        (not_started(abandoned),                                      both(Ended::Abandoned)),
        (not_started(builders::spawn_error()),                        both(Ended::NotStarted)),
        (Ok(retained),                                                both(Ended::Retained)),
        (release(Seen::SpawnStartFailed, replaced()),                 both(Ended::Abandoned)),
        (release(Seen::SpawnStartFailed, builders::release_error()),  both(Ended::ReleaseFailed)),
        (release(alive, replaced()),                                  both(Ended::ReleaseFailed)),
        (release(Seen::ChildExited { exit }, replaced()),             both(Ended::ReleaseFailed)),
        (Err(PairingError::Missing { session: builders::session() }.into()), both(Ended::ReleaseFailed)),
    ];
    for (outcome, expected) in table {
        let ended = [Stranger::Absent, Stranger::Listens].map(|stranger| Ended::of(&outcome, stranger));
        assert_eq!(ended, expected, "{outcome:?}");
    }
}

/// A call whose launcher chose the port, after it has lost `lost` ports during starts.
fn lost(port: PortChoice, lost: u8) -> Ensure {
    let taken = Ev::Ended(Ended::AddressTaken, Deadline::Ahead);
    let again = [Ev::Looked(View::NOTHING), Ev::Did, Ev::Did, Ev::Looked(View::NOTHING), Ev::Probed(Dormant)];
    let start = |call| again.into_iter().fold(call, step);
    let begun = start(Ensure::new(Request { port, ..whole() }));
    (0..lost).fold(begun, |call, _| start(step(step(call, taken), Ev::Did)))
}

/// Invariant 6: a port that a stranger took during a start is replaced only if a launcher chose it, only while there is
/// time, and only so many times.
#[test]
fn a_chosen_port_that_a_stranger_took_is_replaced_so_many_times() {
    let taken = |deadline| Ev::Ended(Ended::AddressTaken, deadline);
    for n in 0..=PORTS_LOST_MAX {
        let starting = lost(PortChoice::Launcher, n);
        assert_eq!(starting.effect(), Effect::Start(StartPath::Fresh), "start {n}");
        let again = if n < PORTS_LOST_MAX { Effect::Pause } else { done(conflict()) };
        let after = step(starting, taken(Deadline::Ahead));
        assert_eq!((after.effect(), after.holds_claim()), (again, false), "after {n} lost ports");
        assert_eq!(step(starting, taken(Deadline::Passed)).effect(), done(conflict()));
    }
    let callers = lost(PortChoice::Caller, 0);
    assert_eq!(step(callers, taken(Deadline::Ahead)).effect(), done(conflict()), "the caller named the port");
}

/// Invariant 6, before a start: no worker runs, and a stranger took the chosen port before the start could begin.
#[test]
fn a_chosen_port_that_a_stranger_took_before_the_start_is_replaced() {
    let found = |port, last| judged(Request { port, ..whole() }, View { last, ..READY }, Forged);
    for (port, last, again) in [
        (PortChoice::Launcher, Gone, true),
        // The worker runs on the port in its record, or was about to: that worker is in question, and no other.
        (PortChoice::Launcher, AliveUnobserved, false),
        (PortChoice::Launcher, AliveReady, false),
        (PortChoice::Launcher, Unknown, false),
        (PortChoice::Caller, Gone, false),
    ] {
        let call = found(port, last);
        assert_eq!((call.effect(), call.holds_claim()), (Effect::Release, true), "{port:?}, {last:?}");
        let then = if again { Effect::Pause } else { done(conflict()) };
        assert_eq!(step(call, Ev::Did).effect(), then, "{port:?}, {last:?}");
        let failed = done(Conclusion::ReleaseFailed(Before::Nothing));
        assert_eq!(step(call, Ev::Failed).effect(), failed, "{port:?}, {last:?}");
    }
    // Both kinds of loss count.
    let begun =
        step(lost(PortChoice::Launcher, PORTS_LOST_MAX - 1), Ev::Ended(Ended::AddressTaken, Deadline::Ahead));
    let forged =
        [Ev::Did, Ev::Looked(View::NOTHING), Ev::Did, Ev::Did, Ev::Looked(View::NOTHING), Ev::Probed(Forged)];
    let last = forged.into_iter().fold(begun, step);
    assert_eq!(effects(last, &[Ev::Did]), [done(conflict())]);
}

/// A session without an endpoint: there is nothing to attach to, and every other call takes the running worker.
#[test]
fn nothing_is_attached_to_without_an_endpoint() {
    let silent = View { endpoint: EndpointKind::None, shown_by: ShownBy::Process, ..READY };
    let events = [Ev::Looked(silent), Ev::Did, Ev::Probed(Dormant), Ev::Looked(silent)];
    let refused = Verdict::Reject(RejectReason::NoEndpoint);
    for (depth, expected) in [
        (Whole, rejected(RejectReason::NoEndpoint)),
        (AtOnce, rejected(RejectReason::NoEndpoint)),
        (DryRun, Conclusion::WouldBe(refused)),
    ] {
        assert_eq!(led(request(Attach, depth), &events).effect(), done(expected), "{depth:?}");
    }
    assert_eq!(led(request(Start, Whole), &events).effect(), Effect::InspectClaim, "the worker runs");
    assert_eq!(led(request(Start, AtOnce), &events).effect(), Effect::InspectClaim, "the worker runs");
    assert_eq!(led(request(Start, DryRun), &events).effect(), done(Conclusion::WouldBe(Verdict::Attach)));
    let resumed = led(request(Resume, Whole), &events).effect();
    assert_eq!(resumed, done(rejected(RejectReason::AlreadyLive)));
    // If no worker runs, that is the reason.
    let gone = View { last: Gone, ..silent };
    let events = [Ev::Looked(gone), Ev::Did, Ev::Probed(Dormant), Ev::Looked(gone)];
    let told = led(request(Attach, Whole), &events).effect();
    assert_eq!(told, done(rejected(RejectReason::NotRunning)));
}

/// A worker that its process shows to be live is attached without a listener, with and without a lock; a start that was
/// not watched to its end is watched again.
#[test]
fn a_worker_that_its_process_shows_to_be_live_need_not_listen() {
    for endpoint in [EndpointKind::Unix, EndpointKind::Tcp] {
        let view = View { endpoint, shown_by: ShownBy::Process, proof: Proof::Watch, ..READY };
        for liveness in [Live, Dormant, Indeterminate] {
            let events = [Ev::Looked(view), Ev::Did, Ev::Probed(liveness), Ev::Looked(view)];
            assert_eq!(led(request(Attach, Whole), &events).effect(), ATTACHED, "{endpoint}, {liveness}");
            assert_eq!(led(whole(), &events).effect(), Effect::InspectClaim, "{endpoint}, {liveness}");
            assert_eq!(effects(judged(whole(), view, liveness), &[Ev::Did]), [ATTACHED], "{liveness}");
        }
        let unobserved = View { last: AliveUnobserved, ..view };
        for liveness in [Live, Dormant, Indeterminate] {
            let adopted = judged(whole(), unobserved, liveness).effect();
            assert_eq!(adopted, Effect::Start(StartPath::Adopted), "{liveness}");
        }
    }
}

/// Another start's worker may listen where the first look knew of no worker: the probe took its listener for a stranger's.
#[test]
fn a_listener_of_another_start_is_probed_again() {
    let later = View { generation: READY.generation.next(), ..READY };
    for (first, depth) in [(View::NOTHING, Whole), (READY, Whole), (READY, DryRun)] {
        let probed = [Ev::Looked(first), Ev::Did, Ev::Probed(Forged)];
        let again = led(request(Attach, depth), &[&probed[..], &[Ev::Looked(later)]].concat());
        assert_eq!(effects(again, &[Ev::Did]), [Effect::Probe], "{first:?}");
        let still = [Ev::Did, Ev::Probed(Forged), Ev::Looked(later)];
        let call = still.iter().fold(again, |call, event| step(call, *event));
        assert!(matches!(call.effect(), Effect::Done(_)), "a stranger there now is a conflict: {call:?}");
        let same = led(request(Attach, depth), &[&probed[..], &[Ev::Looked(first)]].concat());
        assert!(matches!(same.effect(), Effect::Done(_)), "{same:?}");
    }
}

/// A listener that is not the worker's is a conflict for every intent, whatever shows the worker to be live.
#[test]
fn a_stranger_stays_a_conflict() {
    for shown_by in [ShownBy::Listener, ShownBy::Process] {
        for last in LAST_WORKERS {
            let view = View { last, shown_by, endpoint: EndpointKind::Tcp, ..READY };
            let events = [Ev::Looked(READY), Ev::Did, Ev::Probed(Forged), Ev::Looked(view)];
            assert_eq!(led(request(Attach, Whole), &events).effect(), done(conflict()), "{view:?}");
            for intent in [Start, Resume, Restart] {
                let call = judged(request(intent, Whole), view, Forged);
                assert_eq!(call.effect(), Effect::Release, "{intent:?}, {view:?}");
                assert_eq!(step(call, Ev::Did).effect(), done(conflict()), "{intent:?}, {view:?}");
            }
        }
    }
}
