//! The steps of a pool's calls: the tables, and a walk of hosts killed at every step (P11).

use rekindle_core::pool::job::{Attached, Effect, End, Event, Job, Name, Purpose, Stopped, WasRunning, step};
use rekindle_gates::table::{Row, assert_table, reach};
use std::collections::{HashSet, VecDeque};

const PURPOSES: [Purpose; 5] =
    [Purpose::Run, Purpose::Continue, Purpose::Status, Purpose::Settle, Purpose::Shutdown];

const EVENTS: [Event; 12] = {
    use Event::*;
    [
        Did,
        Refused,
        Attached(self::Attached::Running),
        Attached(self::Attached::NotRunning),
        Attached(self::Attached::Rejected),
        Attached(self::Attached::Other),
        Greeted(Name::Recorded),
        Greeted(Name::New),
        Event::Stopped(WasRunning::Yes),
        Event::Stopped(WasRunning::No),
        Late,
        Failed,
    ]
};

type Rows = Vec<Row<&'static str, Event, Effect>>;

/// The rows for reaching a worker that ran before; `lost` names the phases of a call without a connection.
#[rustfmt::skip]
fn reaching(lost: [&'static str; 5]) -> Rows {
    use {Effect as Fx, Event::*};
    let [unreachable, other, gone, silent, failed] = lost;
    vec![
        ("attaching", Fx::Attach, vec![
            (Attached(self::Attached::Running), "greeting"), (Attached(self::Attached::NotRunning), "asking whether gone"),
            (Attached(self::Attached::Rejected), unreachable), (Attached(self::Attached::Other), other), (Failed, failed),
        ]),
        ("asking whether gone", Fx::AskWhetherGone, vec![(Did, gone), (Refused, "pausing"), (Failed, failed)]),
        ("pausing",             Fx::Pause,          vec![(Did, "attaching"), (Late, silent)]),
    ]
}

const LOST: [&str; 5] = ["unreachable", "not started", "gone", "silent", "failed"];

fn ends(names: &[&'static str]) -> Rows {
    let end = |name: &str| match name {
        "fed" => End::Fed,
        "told" => End::Told,
        "settled" => End::Settled,
        "stopped" => End::Stopped(Stopped::AsReported),
        "ended by itself" => End::Stopped(Stopped::ByItself),
        "not started" => End::NotStarted,
        "gone" => End::Gone,
        "silent" => End::Silent,
        "unreachable" => End::Unreachable,
        "no handshake" => End::NoHandshake,
        "no session" => End::NoSession,
        "refused" => End::Refused,
        "failed" => End::Failed,
        other => panic!("no end is called {other}"),
    };
    names.iter().map(|name| (*name, Effect::Done(end(name)), vec![])).collect()
}

#[rustfmt::skip]
fn rows(purpose: Purpose) -> Rows {
    use {Effect as Fx, Event::*, Name::*};
    match purpose {
        Purpose::Run => [
            vec![
                ("starting",          Fx::Start,     vec![(Did, "greeting"), (Refused, "not started"), (Failed, "failed")]),
                ("greeting",          Fx::Greet,     vec![(Greeted(Recorded), "feeding"), (Greeted(New), "feeding"), (Failed, "no handshake: end")]),
                ("feeding",           Fx::Feed,      vec![(Did, "remembering"), (Refused, "refused: end"), (Failed, "failed")]),
                ("remembering",       Fx::Remember,  vec![(Did, "fed"), (Failed, "fed")]),
                ("no handshake: end", Fx::EndWorker, vec![(Did, "no handshake"), (Failed, "no handshake")]),
                ("refused: end",      Fx::EndWorker, vec![(Did, "refused"), (Failed, "refused")]),
            ],
            ends(&["fed", "not started", "no handshake", "refused", "failed"]),
        ].concat(),
        Purpose::Continue => [
            reaching(LOST),
            vec![
                ("greeting",         Fx::Greet,    vec![(Greeted(Recorded), "feeding"), (Greeted(New), "naming"), (Failed, "no handshake")]),
                ("naming",           Fx::AskName,  vec![(Did, "feeding, unnamed"), (Refused, "no session"), (Failed, "failed")]),
                ("feeding",          Fx::Feed,     vec![(Did, "fed"), (Refused, "refused"), (Failed, "failed")]),
                ("feeding, unnamed", Fx::Feed,     vec![(Did, "remembering"), (Refused, "refused"), (Failed, "failed")]),
                ("remembering",      Fx::Remember, vec![(Did, "fed"), (Failed, "fed")]),
            ],
            ends(&LOST), ends(&["no handshake", "no session", "fed", "refused"]),
        ].concat(),
        Purpose::Status => [
            reaching(LOST),
            vec![
                ("greeting", Fx::Greet,     vec![(Greeted(Recorded), "asking"), (Greeted(New), "asking"), (Failed, "no handshake")]),
                ("asking",   Fx::AskStatus, vec![(Did, "told"), (Failed, "failed")]),
            ],
            ends(&LOST), ends(&["no handshake", "told"]),
        ].concat(),
        Purpose::Settle => [
            reaching(LOST),
            vec![
                ("greeting",    Fx::Greet,     vec![(Greeted(Recorded), "naming"), (Greeted(New), "naming"), (Failed, "no handshake")]),
                ("naming",      Fx::AskName,   vec![(Did, "remembering"), (Refused, "ending"), (Failed, "failed")]),
                ("remembering", Fx::Remember,  vec![(Did, "settled"), (Failed, "settled")]),
                ("ending",      Fx::EndWorker, vec![(Did, "settled"), (Failed, "settled")]),
            ],
            ends(&LOST), ends(&["no handshake", "settled"]),
        ].concat(),
        Purpose::Shutdown => [
            reaching(["stopping"; 5]),
            vec![
                ("greeting",         Fx::Greet,    vec![(Greeted(Recorded), "asking to end"), (Greeted(New), "asking to end"), (Failed, "stopping")]),
                ("asking to end",    Fx::AskToEnd, vec![(Did, "stopping, agreed"), (Failed, "stopping")]),
                ("stopping",         Fx::Stop,     vec![(Event::Stopped(WasRunning::Yes), "stopped"), (Event::Stopped(WasRunning::No), "stopped"), (Failed, "failed")]),
                ("stopping, agreed", Fx::Stop,     vec![(Event::Stopped(WasRunning::Yes), "stopped"), (Event::Stopped(WasRunning::No), "ended by itself"), (Failed, "failed")]),
            ],
            ends(&["stopped", "ended by itself", "failed"]),
        ].concat(),
    }
}

#[test]
fn a_call_follows_its_table() {
    for purpose in PURPOSES {
        let root = if purpose == Purpose::Run { "starting" } else { "attaching" };
        assert_table([(root, Job::new(purpose))], (step, Job::effect), &EVENTS, &rows(purpose));
    }
}

/// Invariant 1.
#[test]
fn a_worker_that_was_there_before_is_never_ended_for_its_answer() {
    for purpose in [Purpose::Continue, Purpose::Status, Purpose::Shutdown] {
        for job in reach([Job::new(purpose)], step, &EVENTS) {
            assert_ne!(job.effect(), Effect::EndWorker, "{job:?}");
        }
    }
}

/// The worker of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Worker {
    Absent,
    /// The worker accepts connections and has no session.
    Idle,
    /// The worker has a session.
    AtWork,
    Gone,
}

/// A session, and the calling processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    worker: Worker,
    name_is_recorded: bool,
    host_is_alive: bool,
    /// The host of the work, then another host that continues, settles or shuts down.
    jobs: [Option<(Purpose, Job)>; 2],
    kills_left: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Act {
    Answer(usize, Event),
    HostDies,
    Begins(Purpose),
    WorkerDies,
}

impl World {
    fn begin() -> Self {
        Self {
            worker: Worker::Absent,
            name_is_recorded: false,
            host_is_alive: true,
            jobs: [Some((Purpose::Run, Job::new(Purpose::Run))), None],
            kills_left: 1,
        }
    }

    /// Every possible answer of the world to an effect.
    fn answers(&self, effect: Effect) -> Vec<Event> {
        use Event::*;
        let lives = matches!(self.worker, Worker::Idle | Worker::AtWork);
        let name = if self.name_is_recorded { Name::Recorded } else { Name::New };
        match effect {
            Effect::Start => vec![Did, Refused, Failed],
            Effect::Attach if lives => {
                vec![Attached(self::Attached::Running), Attached(self::Attached::Rejected), Failed]
            }
            Effect::Attach => vec![Attached(self::Attached::NotRunning)],
            Effect::AskWhetherGone => vec![if lives { Refused } else { Did }],
            Effect::Pause => vec![Did, Late],
            Effect::Greet if lives => vec![Greeted(name), Failed],
            Effect::AskName if lives => vec![if self.worker == Worker::AtWork { Did } else { Refused }],
            Effect::Feed if lives => vec![Did, Refused, Failed],
            Effect::Greet | Effect::AskName | Effect::Feed => vec![Failed],
            Effect::AskStatus | Effect::AskToEnd => vec![Did, Failed],
            Effect::Remember => vec![Did, Failed],
            Effect::EndWorker => vec![Did],
            Effect::Stop => vec![Event::Stopped(if lives { WasRunning::Yes } else { WasRunning::No })],
            Effect::Done(_) => vec![],
        }
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = vec![];
        for (id, (_, job)) in self.jobs.iter().enumerate().filter_map(|(id, job)| Some((id, (*job)?))) {
            acts.extend(self.answers(job.effect()).into_iter().map(|event| Act::Answer(id, event)));
        }
        if self.kills_left > 0 && self.jobs[0].is_some() {
            acts.push(Act::HostDies);
        }
        if self.kills_left > 0 && matches!(self.worker, Worker::Idle | Worker::AtWork) {
            acts.push(Act::WorkerDies);
        }
        // The collector settles only if the host is gone and the name is not recorded.
        if self.jobs[1].is_none() && self.worker != Worker::Absent {
            acts.extend([Purpose::Continue, Purpose::Status, Purpose::Shutdown].map(Act::Begins));
            let is_forsaken = !self.name_is_recorded && !self.host_is_alive;
            acts.extend(is_forsaken.then_some(Act::Begins(Purpose::Settle)));
        }
        acts
    }

    fn apply(&mut self, act: Act) {
        match act {
            Act::Answer(id, event) => {
                let Some((purpose, job)) = self.jobs[id] else { return };
                self.perform(purpose, job.effect(), event);
                let next = step(job, event);
                let is_over = matches!(next.effect(), Effect::Done(_));
                if is_over && id == 0 {
                    self.host_is_alive = false;
                }
                self.jobs[id] = (!is_over).then_some((purpose, next));
            }
            Act::HostDies => {
                self.kills_left -= 1;
                self.host_is_alive = false;
                self.jobs[0] = None;
            }
            Act::WorkerDies => {
                self.kills_left -= 1;
                self.worker = Worker::Gone;
            }
            Act::Begins(purpose) => self.jobs[1] = Some((purpose, Job::new(purpose))),
        }
    }

    fn perform(&mut self, purpose: Purpose, effect: Effect, event: Event) {
        match (effect, event) {
            (Effect::Start, Event::Did) => self.worker = Worker::Idle,
            // A worker's answer may be lost after the worker took the work.
            (Effect::Feed, Event::Did | Event::Failed) if self.worker == Worker::Idle => {
                self.worker = Worker::AtWork;
            }
            (Effect::Remember, Event::Did) => self.name_is_recorded = true,
            (Effect::EndWorker | Effect::Stop, _) => {
                let loses_work = self.worker == Worker::AtWork && effect == Effect::EndWorker;
                assert!(!loses_work, "{purpose:?} ends a worker that has a session");
                self.worker = Worker::Gone;
            }
            _ => {}
        }
    }

    /// After a collection, no worker stays idle, and every session has its name.
    fn check_end(mut self) {
        for _ in 0..2 {
            if self.name_is_recorded || self.worker == Worker::Absent {
                break;
            }
            let mut job = Job::new(Purpose::Settle);
            while !matches!(job.effect(), Effect::Done(_)) {
                let event = self.answers(job.effect())[0];
                self.perform(Purpose::Settle, job.effect(), event);
                job = step(job, event);
            }
        }
        let is_settled = match self.worker {
            Worker::Absent | Worker::Gone => true,
            Worker::Idle => false,
            Worker::AtWork => self.name_is_recorded,
        };
        assert!(is_settled, "the collector leaves {self:?}");
    }
}

/// P11: after a host's death, the next collection records the session of the worker, or ends a worker without a
/// session.
#[test]
fn a_worker_whose_host_died_is_recorded_or_ended() {
    let root = World::begin();
    let mut seen = HashSet::from([root]);
    let mut ahead = VecDeque::from([root]);
    let (mut transitions, mut ends) = (0, 0);
    while let Some(world) = ahead.pop_front() {
        if world.jobs == [None, None] {
            ends += 1;
            world.check_end();
        }
        for act in world.acts() {
            transitions += 1;
            let mut next = world;
            next.apply(act);
            if seen.insert(next) {
                ahead.push_back(next);
            }
        }
    }
    println!("{} states, {transitions} transitions, {ends} ends", seen.len());
    assert!(ends > 10, "the walk ends nowhere");
}
