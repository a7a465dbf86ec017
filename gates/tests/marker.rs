//! The steps of a lifecycle lock: the table, and a walk of several daemons killed at every step (L1, L2, L14).

use rekindle_core::claim::marker::{Effect, End, Event, Judgement, MarkerTask, Purpose, SameFile, step};
use rekindle_core::claim::{ClaimPolicy, ConflictReason, KeptBy, KernelLock, TakeOverReason};
use rekindle_core::identity::{DeathProof, UnknownReason};
use rekindle_core::{
    ClaimDecision, Found, LifecyclePayload, Nonce, ProcessIdentity, ProcessLiveness, decide_claim,
};
use rekindle_gates::builders::{here, process};
use rekindle_gates::table::{Row, assert_table, reach};
use std::collections::{HashMap, VecDeque};

const EVENTS: [Event; 9] = {
    use {Event::*, Judgement as J};
    [
        Did,
        Refused,
        Judged(J::Nothing),
        Judged(J::Ours),
        Judged(J::Unreadable),
        Judged(J::Passing),
        Judged(J::Others),
        Late,
        Failed,
    ]
};

/// The rows of one purpose.
#[rustfmt::skip]
fn rows(purpose: Purpose) -> Vec<Row<&'static str, Event, Effect>> {
    use {Effect as Fx, Event::*, Judgement::*};
    let take = purpose == Purpose::Take;
    let give_back = purpose == Purpose::GiveBack;
    let change = if take { Fx::Write } else { Fx::Remove };
    let changed = if take { "did" } else { "did: unlock" };
    let nothing = if take { "changing" } else { "no marker: unlock" };
    let passing = if give_back { "not ours: unlock" } else { "unlock, pause" };
    let opened = if give_back { "checking lock" } else { "locking" };
    let locked_out = match purpose { Purpose::Take => "asking", Purpose::Remove => "pausing", Purpose::GiveBack => "not ours" };
    let mut rows = vec![
        ("opening", Fx::Open, vec![(Did, opened), (Refused, "no marker"), (Failed, "failed")]),
    ];
    if give_back {
        rows.push(("checking lock", Fx::CheckLock, vec![(Did, "judging"), (Refused, "locking"), (Failed, "failed: unlock")]));
    }
    rows.push(("locking", Fx::Lock, vec![(Did, "judging"), (Refused, locked_out), (Failed, "failed")]));
    if take {
        rows.push(("asking", Fx::Judge, vec![
            (Judged(Nothing), "pausing"), (Judged(Ours), "pausing"), (Judged(Unreadable), "pausing"),
            (Judged(Passing), "pausing"), (Judged(Others), "not ours"), (Failed, "failed"),
        ]));
    }
    rows.push(("judging", Fx::Judge, vec![
        (Judged(Nothing), nothing), (Judged(Ours), "changing"), (Judged(Unreadable), "keeping aside"),
        (Judged(Passing), passing), (Judged(Others), "not ours: unlock"), (Failed, "failed: unlock"),
    ]));
    rows.push(("keeping aside", Fx::KeepAside, vec![(Did, "changing"), (Failed, "failed: unlock")]));
    rows.push(("changing", change, vec![(Did, changed), (Failed, "failed: unlock")]));
    if !take {
        rows.push(("did: unlock", Fx::Unlock, vec![(Did, "did"), (Failed, "did")]));
        rows.push(("no marker: unlock", Fx::Unlock, vec![(Did, "no marker"), (Failed, "no marker")]));
    }
    if !give_back {
        let late = if take { "not ours" } else { "in use" };
        rows.push(("unlock, pause", Fx::Unlock, vec![(Did, "pausing"), (Failed, "pausing")]));
        rows.push(("pausing", Fx::Pause, vec![(Did, "placing"), (Late, late), (Failed, "failed")]));
        rows.push(("placing", Fx::CheckPlace, vec![(Did, "locking"), (Refused, "opening"), (Failed, "failed")]));
    }
    if purpose == Purpose::Remove {
        rows.push(("in use", Fx::Done(End::InUse), vec![]));
    }
    rows.push(("not ours: unlock", Fx::Unlock, vec![(Did, "not ours"), (Failed, "not ours")]));
    rows.push(("failed: unlock", Fx::Unlock, vec![(Did, "failed"), (Failed, "failed")]));
    rows.push(("did", Fx::Done(End::Did), vec![]));
    rows.push(("no marker", Fx::Done(End::NoMarker), vec![]));
    rows.push(("not ours", Fx::Done(End::NotOurs), vec![]));
    rows.push(("failed", Fx::Done(End::Failed), vec![]));
    rows
}

const PURPOSES: [Purpose; 3] = [Purpose::Take, Purpose::Remove, Purpose::GiveBack];

#[test]
fn a_marker_is_taken_and_removed_by_the_table() {
    for purpose in PURPOSES {
        let root = ("opening", MarkerTask::new(purpose));
        assert_table([root], (step, MarkerTask::effect), &EVENTS, &rows(purpose));
    }
}

/// A release is called in places without await.
#[test]
fn a_release_never_waits() {
    for task in reach([MarkerTask::new(Purpose::GiveBack)], step, &EVENTS) {
        assert_ne!(task.effect(), Effect::Pause);
    }
}

#[test]
fn unreadable_bytes_are_kept_and_only_a_passing_conflict_is_waited_for() {
    use {ClaimDecision as D, TakeOverReason as Why};
    let take_over = |why| Judgement::of(&D::<()>::TakeOver { why, previous: None }, false);
    assert_eq!(Judgement::of(&D::<()>::Fresh, false), Judgement::Ours);
    for why in [Why::Corrupt, Why::OtherSession] {
        assert_eq!(take_over(why), Judgement::Unreadable);
    }
    for why in [Why::HolderDead(DeathProof::NoSuchProcess), Why::Retained, Why::OtherMachine] {
        assert_eq!(take_over(why), Judgement::Ours);
    }
    let conflict = |why, runs| Judgement::of(&D::<()>::Conflict { why, holder: None }, runs);
    assert_eq!(conflict(ConflictReason::KernelLockHeld, false), Judgement::Passing);
    assert_eq!(conflict(ConflictReason::KernelLockHeld, true), Judgement::Others);
    for why in [ConflictReason::HolderAlive, ConflictReason::HolderUnjudged(UnknownReason::UnknownBoot)] {
        assert_eq!(conflict(why, false), Judgement::Others);
    }
}

#[test]
fn force_removes_whatever_stands_there_and_keeps_what_nobody_can_read() {
    let judged = |content: Option<&[u8]>| Judgement::by_force(&Found::read_lifecycle(content));
    assert_eq!(judged(None), Judgement::Nothing);
    assert_eq!(judged(Some(b"")), Judgement::Ours);
    assert_eq!(judged(Some(b"what?")), Judgement::Unreadable);
    assert_eq!(Judgement::by_force(&Found::Held(payload(1, KeptBy::KernelLock))), Judgement::Ours);
}

#[test]
fn a_lock_is_released_only_for_the_process_that_the_marker_names() {
    let found = Found::Held(payload(1, KeptBy::Evidence));
    let judged = |pid: u8, liveness| Judgement::for_holder(&found, identity(pid).pid, liveness);
    let unproven = ProcessLiveness::Unjudged(UnknownReason::Unproven);
    let elsewhere = ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace);
    assert_eq!(judged(1, ProcessLiveness::Alive), Judgement::Ours);
    assert_eq!(judged(1, unproven), Judgement::Ours);
    assert_eq!(judged(2, ProcessLiveness::Alive), Judgement::Others);
    assert_eq!(judged(1, elsewhere), Judgement::Others);
    assert_eq!(judged(1, ProcessLiveness::Dead(DeathProof::NoSuchProcess)), Judgement::Others);
}

#[test]
fn a_writer_knows_its_marker_by_nonce_and_file() {
    let found = Found::Held(payload(1, KeptBy::KernelLock));
    let judged = |writer, file| Judgement::of_writer(&found, &nonce(writer), file);
    assert_eq!(judged(1, SameFile::Yes), Judgement::Ours);
    assert_eq!(judged(1, SameFile::No), Judgement::Others);
    assert_eq!(judged(2, SameFile::Yes), Judgement::Others);
    assert_eq!(Judgement::of_writer(&Found::Nothing, &nonce(1), SameFile::Yes), Judgement::Others);
}

/// The number of daemons.
const DAEMONS: usize = 3;

/// A process and its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Daemon {
    alive: bool,
    /// Whether the daemon keeps the flock after taking the lock.
    keeps_flock: bool,
    task: Option<MarkerTask>,
    /// Whether the daemon was told that it holds the lock.
    holds: bool,
    /// The number of further attempts to take the lock.
    takes_left: u8,
}

/// The kernel: a marker, a lock file, and processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Machine {
    daemons: [Daemon; DAEMONS],
    marker: Marker,
    /// The daemon with the flock.
    flock: Option<u8>,
    kills_left: u8,
    forces_left: u8,
    /// The process that removes the marker by force; not a daemon.
    force: Option<MarkerTask>,
    force_has_flock: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Marker {
    Nothing,
    Unreadable,
    Names(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Act {
    Begins(usize, Purpose),
    Steps(usize),
    TimeIsUp(usize),
    Killed(usize),
    ForceBegins,
    ForceSteps,
    ForceTimeIsUp,
}

fn identity(number: u8) -> ProcessIdentity {
    process(i32::from(number) + 100, 1)
}

fn nonce(number: u8) -> Nonce {
    format!("{number:032x}").parse().expect("32 hex digits")
}

fn payload(number: u8, kept_by: KeptBy) -> LifecyclePayload {
    let at = "2026-01-02T03:04:05Z".parse().expect("a time");
    LifecyclePayload::new(&here(), identity(number), at, nonce(number), kept_by)
}

impl Machine {
    fn begin(marker: Marker, keeps_flock: [bool; DAEMONS]) -> Self {
        let daemon =
            |keeps_flock| Daemon { alive: true, keeps_flock, task: None, holds: false, takes_left: 1 };
        Self {
            daemons: keeps_flock.map(daemon),
            marker,
            flock: None,
            kills_left: 2,
            forces_left: 1,
            force: None,
            force_has_flock: false,
        }
    }

    fn found(&self) -> (Found<LifecyclePayload>, ProcessLiveness) {
        match self.marker {
            Marker::Nothing => (Found::Nothing, ProcessLiveness::Unjudged(UnknownReason::NotPermitted)),
            Marker::Unreadable => {
                let found = Found::Corrupt { why: "it is not JSON".into() };
                (found, ProcessLiveness::Unjudged(UnknownReason::NotPermitted))
            }
            Marker::Names(by) => {
                let daemon = &self.daemons[usize::from(by)];
                let kept_by = if daemon.keeps_flock { KeptBy::KernelLock } else { KeptBy::Evidence };
                let dead = ProcessLiveness::Dead(DeathProof::NoSuchProcess);
                (Found::Held(payload(by, kept_by)), if daemon.alive { ProcessLiveness::Alive } else { dead })
            }
        }
    }

    fn flock_is_free(&self) -> bool {
        self.flock.is_none() && !self.force_has_flock
    }

    fn judge(&self, id: usize, purpose: Purpose) -> Judgement {
        let (found, liveness) = self.found();
        match purpose {
            Purpose::Take => {
                let ours = self.flock == Some(id as u8);
                let kernel = if ours { KernelLock::Free } else { KernelLock::Held };
                let runs = found.payload().is_some() && liveness.pid_is_taken();
                Judgement::of(&decide_claim(ClaimPolicy::lifecycle(), kernel, found, liveness), runs)
            }
            Purpose::Remove => Judgement::by_force(&found),
            Purpose::GiveBack => Judgement::of_writer(&found, &nonce(id as u8), SameFile::Yes),
        }
    }

    /// The answer of the kernel to a daemon's step.
    fn answer(&mut self, id: usize, effect: Effect, purpose: Purpose) -> Event {
        let me = Some(id as u8);
        match effect {
            Effect::Open | Effect::CheckPlace | Effect::Pause => Event::Did,
            Effect::CheckLock => {
                if self.flock == me {
                    Event::Did
                } else {
                    Event::Refused
                }
            }
            Effect::Lock if self.flock_is_free() => {
                self.flock = me;
                Event::Did
            }
            Effect::Lock => Event::Refused,
            Effect::Judge => Event::Judged(self.judge(id, purpose)),
            Effect::KeepAside | Effect::Write | Effect::Remove => {
                assert_eq!(self.flock, me, "{effect:?} without the flock");
                self.marker = match effect {
                    Effect::Write => Marker::Names(id as u8),
                    _ => Marker::Nothing,
                };
                Event::Did
            }
            Effect::Unlock => {
                assert_eq!(self.flock, me, "an unlock without a lock");
                self.flock = None;
                Event::Did
            }
            Effect::Done(_) => Event::Did,
        }
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = vec![];
        for (id, daemon) in self.daemons.iter().enumerate().filter(|(_, daemon)| daemon.alive) {
            match daemon.task {
                Some(task) => {
                    acts.push(Act::Steps(id));
                    acts.extend((task.effect() == Effect::Pause).then_some(Act::TimeIsUp(id)));
                }
                None if daemon.holds && daemon.keeps_flock => acts.push(Act::Begins(id, Purpose::GiveBack)),
                None => acts.extend((daemon.takes_left > 0).then_some(Act::Begins(id, Purpose::Take))),
            }
            acts.extend((self.kills_left > 0).then_some(Act::Killed(id)));
        }
        match self.force {
            Some(task) => {
                acts.push(Act::ForceSteps);
                acts.extend((task.effect() == Effect::Pause).then_some(Act::ForceTimeIsUp));
            }
            None => acts.extend((self.forces_left > 0).then_some(Act::ForceBegins)),
        }
        acts
    }

    fn apply(&mut self, act: Act) {
        match act {
            Act::Begins(id, purpose) => {
                let daemon = &mut self.daemons[id];
                daemon.takes_left -= u8::from(purpose == Purpose::Take);
                daemon.task = Some(MarkerTask::new(purpose));
            }
            Act::Steps(id) => self.steps(id, None),
            Act::TimeIsUp(id) => self.steps(id, Some(Event::Late)),
            Act::Killed(id) => {
                self.kills_left -= 1;
                self.daemons[id] =
                    Daemon { alive: false, task: None, holds: false, takes_left: 0, ..self.daemons[id] };
                self.flock = self.flock.filter(|by| usize::from(*by) != id);
            }
            Act::ForceBegins => {
                self.forces_left -= 1;
                self.force = Some(MarkerTask::new(Purpose::Remove));
            }
            Act::ForceSteps => self.force_steps(None),
            Act::ForceTimeIsUp => self.force_steps(Some(Event::Late)),
        }
    }

    fn steps(&mut self, id: usize, event: Option<Event>) {
        let Some(task) = self.daemons[id].task else { return };
        let gives_back = self.daemons[id].holds;
        let purpose = if gives_back { Purpose::GiveBack } else { Purpose::Take };
        let event = event.unwrap_or_else(|| self.answer(id, task.effect(), purpose));
        let next = step(task, event);
        let Effect::Done(end) = next.effect() else {
            self.daemons[id].task = Some(next);
            return;
        };
        let took = !gives_back && end == End::Did;
        let keeps = took && self.daemons[id].keeps_flock;
        self.daemons[id] = Daemon { task: None, holds: took, ..self.daemons[id] };
        if !keeps {
            // The descriptor of a lock that is not kept is closed.
            let left_locked = self.flock == Some(id as u8);
            assert!(!left_locked || took || gives_back, "{end:?} leaves the flock");
            self.flock = self.flock.filter(|by| usize::from(*by) != id);
        }
    }

    fn force_steps(&mut self, event: Option<Event>) {
        let Some(task) = self.force else { return };
        let event = event.unwrap_or_else(|| match task.effect() {
            Effect::Open => {
                if self.marker == Marker::Nothing {
                    Event::Refused
                } else {
                    Event::Did
                }
            }
            Effect::Lock if self.flock_is_free() => {
                self.force_has_flock = true;
                Event::Did
            }
            Effect::Lock => Event::Refused,
            Effect::Judge => Event::Judged(Judgement::by_force(&self.found().0)),
            Effect::KeepAside | Effect::Remove => {
                assert!(self.force_has_flock, "removed without the flock");
                self.marker = Marker::Nothing;
                Event::Did
            }
            Effect::Unlock => {
                self.force_has_flock = false;
                Event::Did
            }
            Effect::CheckLock | Effect::Write | Effect::Pause | Effect::CheckPlace | Effect::Done(_) => {
                Event::Did
            }
        });
        let next = step(task, event);
        self.force = if let Effect::Done(_) = next.effect() { None } else { Some(next) };
        assert!(self.force.is_some() || !self.force_has_flock, "a removal leaves the flock");
    }

    /// The rules for every state.
    fn check(&self, forces: u8) -> Result<(), &'static str> {
        let holders = self.daemons.iter().enumerate().filter(|(_, daemon)| daemon.alive && daemon.holds);
        let kept: Vec<usize> = holders.filter(|(_, daemon)| daemon.keeps_flock).map(|(id, _)| id).collect();
        // Without force, a lock held only by evidence excludes other daemons too.
        let all = self.daemons.iter().filter(|daemon| daemon.alive && daemon.holds).count();
        if kept.len() > 1 || (forces == 0 && all > 1) {
            return Err("two daemons hold the lock");
        }
        let gives_back = |id: usize| self.daemons[id].task.is_some();
        match kept.first() {
            Some(id) if !gives_back(*id) && self.marker != Marker::Names(*id as u8) => {
                Err("the marker of a holder is gone")
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Visits every state; returns the number of states.
fn walk(root: Machine, forces: u8) -> usize {
    let root = Machine { forces_left: forces, ..root };
    let mut from: HashMap<Machine, Option<(Machine, Act)>> = HashMap::from([(root, None)]);
    let mut ahead = VecDeque::from([root]);
    while let Some(state) = ahead.pop_front() {
        if let Err(broken) = state.check(forces) {
            let mut history = vec![];
            let mut at = state;
            while let Some((before, act)) = from[&at] {
                history.push(format!("{act:?}"));
                at = before;
            }
            history.reverse();
            panic!("{broken}, after:\n{}", history.join("\n"));
        }
        let acts = state.acts();
        if acts.iter().all(|act| matches!(act, Act::Killed(_))) {
            assert!(next_daemon_succeeds(state), "the next daemon meets a dead end in {state:?}");
        }
        for act in acts {
            let mut next = state;
            next.apply(act);
            from.entry(next).or_insert_with(|| {
                ahead.push_back(next);
                Some((state, act))
            });
        }
    }
    from.len()
}

/// A later daemon takes the lock, unless a living process holds the lock.
fn next_daemon_succeeds(mut state: Machine) -> bool {
    if state.daemons.iter().any(|daemon| daemon.alive && daemon.holds) {
        return true;
    }
    state.daemons[0] = Daemon { alive: true, keeps_flock: true, task: None, holds: false, takes_left: 1 };
    state.apply(Act::Begins(0, Purpose::Take));
    (0..20).for_each(|_| state.apply(Act::Steps(0)));
    state.daemons[0].holds || state.marker == Marker::Names(0)
}

/// L1, L2: three daemons at once, killed at every step.
#[test]
fn of_daemons_that_race_one_holds_the_lock() {
    let mut states = 0;
    for marker in [Marker::Nothing, Marker::Unreadable, Marker::Names(2)] {
        for keeps_flock in [[true; 3], [true, false, true], [false; 3]] {
            let mut root = Machine::begin(marker, keeps_flock);
            if marker == Marker::Names(2) {
                // The holder died before the other daemons began.
                root.daemons[2] = Daemon { alive: false, takes_left: 0, ..root.daemons[2] };
            }
            states += walk(root, 0) + walk(root, 1);
        }
    }
    println!("{states} states in all");
}
