//! Starts and ends children over and over in one process, and counts the remains.

use crate::children;
use crate::test_env::TestEnv;
use crate::{procs, wait};
use rekindle::StdioEnd;
use rekindle_core::ChildExit;
use std::fmt;
use tokio::runtime::Handle;

/// Cycles before the first count: one-time allocations are over by then.
const WARM_UP: usize = 50;
/// How much the memory may vary, in KiB; a leak of a thousandth of a cycle's memory would exceed the limit.
const WANDER_MAX_KIB: u64 = 4 << 10;

/// The resources of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belongings {
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Tasks of the runtime.
    pub tasks: usize,
    /// Children waiting to be reaped.
    pub zombies: usize,
    /// Memory, in KiB.
    pub resident_kib: u64,
}

impl Belongings {
    /// The current resources of this process.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn count() -> Self {
        let us = std::process::id().try_into().expect("a pid is an i32");
        let threads = procs::status(us, "Threads").expect("the kernel says it");
        Self {
            descriptors: procs::descriptors_of_ours(),
            threads: threads.parse().expect("a number"),
            tasks: Handle::current().metrics().num_alive_tasks(),
            zombies: procs::zombies_of_ours(),
            resident_kib: children::resident_kib(),
        }
    }

    fn is_as_before(&self, before: &Self) -> bool {
        (self.descriptors, self.threads, self.tasks, self.zombies)
            == (before.descriptors, before.threads, before.tasks, before.zombies)
    }
}

impl fmt::Display for Belongings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptors, threads, tasks, zombies, resident_kib } = self;
        write!(
            f,
            "{descriptors} descriptors, {threads} threads, {tasks} tasks, {zombies} zombies, {resident_kib} KiB"
        )
    }
}

/// Runs `cycle` `cycles` times, asserts that no resource stays, and prints the figures.
fn soak<F: Future<Output = ()>>(what: &str, cycles: usize, cycle: impl Fn(usize) -> F) {
    wait::run(async {
        for round in 0..WARM_UP {
            cycle(round).await;
        }
        settled(None).await;
        let before = Belongings::count();
        for round in 0..cycles {
            cycle(round).await;
        }
        settled(Some(before)).await;
        let after = Belongings::count();
        println!("{cycles} cycles of {what}\n  before: {before}\n  after:  {after}");
        assert!(after.is_as_before(&before), "something stays: {before}; {after}");
        let wander = after.resident_kib.saturating_sub(before.resident_kib);
        assert!(wander < WANDER_MAX_KIB, "the memory grew by {wander} KiB");
    });
}

/// Waits until the last child has ended: until no task and zombie is left, or no more than before.
async fn settled(before: Option<Belongings>) {
    let is_settled = |now: Belongings| match &before {
        Some(before) => now.is_as_before(before),
        None => now.tasks == 0 && now.zombies == 0,
    };
    let settles = async {
        while !is_settled(Belongings::count()) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    // A failed wait is reported by the next count, with the figures.
    let _ = tokio::time::timeout(wait::FACT_TIMEOUT, settles).await;
}

/// Children that exit by themselves.
///
/// # Panics
/// If a resource stays.
pub fn starts_and_exits(cycles: usize) {
    let env = TestEnv::new();
    let script = ["sh", "-c", "echo out; echo err >&2; exit 3"];
    soak("start and exit", cycles, |_| async {
        let mut child = children::spawn(&env, &script).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::ended(&child).await, ChildExit::Code(3));
        assert_eq!(
            (children::rest(&mut stdout).await.as_str(), child.stderr_tail()),
            ("out\n", vec!["err".to_owned()])
        );
    });
    children::assert_nothing_left(&env);
}

/// Children that are stopped, in each of the ways, or dropped.
///
/// # Panics
/// If a resource stays.
pub fn starts_and_stops(cycles: usize) {
    let env = TestEnv::new();
    soak("start and stop", cycles, |round| {
        let env = &env;
        async move {
            let (command, policy, end) = match round % 4 {
                0 => (&["cat"][..], children::gentle(), StdioEnd::ClosedStdin),
                1 => (&["sleep", "1000"][..], children::patient(), StdioEnd::Terminated),
                2 => (&children::STUBBORN[..], children::abrupt(), StdioEnd::Killed),
                _ => {
                    drop(children::spawn(env, &["sleep", "1000"]).await);
                    return;
                }
            };
            let mut child = children::spawn(env, command).await;
            let (_stdin, mut stdout) = children::streams(&mut child);
            if end == StdioEnd::Killed {
                assert_eq!(children::hear(&mut stdout).await, "ready\n");
            }
            assert_eq!(children::stop(&child, &policy).await.end, end);
        }
    });
    children::assert_nothing_left(&env);
}
