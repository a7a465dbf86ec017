//! All the points of a case, from traces of runs without a fault.

use super::point::{Case, Fault, Point};
use super::run::{TRACE, traced};
use super::sweep;
use super::trouble::TroubleKind::Other;
use super::trouble::{Trouble, ensure};
use crate::TestEnv;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// The number of traced runs: the number of polls differs from run to run, and the longest run counts.
const RUNS: usize = 3;

/// The first call of `main`; earlier calls belong to the loader and the runtime.
const FIRST_OF_MAIN: &str = "rt_sigaction(SIGCHLD";

/// The exec of the program; without exec there is no run.
const NEVER: [&str; 1] = ["execve"];

/// Calls that are not failed:
///
/// - those of the allocator and of the stack guard, because a failure leads to an abort;
/// - futex, because std's locks do not expect a failure, and futex only wakes here;
/// - calls that return nothing;
/// - calls that cannot fail on Linux, because a failure would prove nothing.
const NEVER_FAILED: [&str; 18] = [
    "mmap",
    "brk",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "sigaltstack",
    "futex",
    "exit",
    "exit_group",
    "rt_sigreturn",
    "restart_syscall",
    "geteuid",
    "getuid",
    "getpid",
    "getppid",
    "gettid",
    "uname",
];

/// The count of a name's calls, before `main` and in total.
#[derive(Debug, Default, Clone, Copy)]
struct Calls {
    before_main: u32,
    total: u32,
}

type Counts = BTreeMap<String, Calls>;

/// The points of a case, with all faults.
pub(super) fn of(case: Case) -> Result<Value, Trouble> {
    let mut longest = Counts::new();
    for _ in 0..RUNS {
        for (call, calls) in count(case)? {
            let known = longest.entry(call).or_insert(calls);
            known.total = known.total.max(calls.total);
            known.before_main = known.before_main.min(calls.before_main);
        }
    }
    let points = Fault::ALL.into_iter().flat_map(|fault| points(case, fault, &longest));
    Ok(json!(points.map(|point| point.to_string()).collect::<Vec<_>>()))
}

fn points(case: Case, fault: Fault, counts: &Counts) -> Vec<Point> {
    let is_meant = |call: &str| match fault {
        Fault::Kill => !NEVER.contains(&call),
        Fault::Error(_) => !NEVER.contains(&call) && !NEVER_FAILED.contains(&call),
    };
    let first = |calls: &Calls| match fault {
        Fault::Kill => 1,
        Fault::Error(_) => calls.before_main + 1,
    };
    let of_call = |(call, calls): (&String, &Calls)| {
        let point = |nth| Point { case, fault, call: call.clone(), nth };
        (first(calls)..=calls.total).map(point).collect::<Vec<_>>()
    };
    counts.iter().filter(|(call, _)| is_meant(call)).flat_map(of_call).collect()
}

fn count(case: Case) -> Result<Counts, Trouble> {
    let env = TestEnv::new();
    sweep::prepare(&env, case)?;
    let trace = env.path(TRACE).display().to_string();
    let reply = traced(&env, &["-o", &trace], &sweep::args(case))?;
    ensure(reply.code == Some(0), Other, || format!("`{}` fails by itself: {reply}", case.name()))?;
    let trace = fs::read_to_string(trace).expect("strace wrote its log");
    ensure(trace.contains(FIRST_OF_MAIN), Other, || format!("`{FIRST_OF_MAIN}` is not called"))?;
    Ok(counted(&trace))
}

fn counted(trace: &str) -> Counts {
    let mut counts = Counts::new();
    let mut in_main = false;
    for line in trace.lines() {
        in_main = in_main || line.starts_with(FIRST_OF_MAIN);
        let name = line.split('(').next().unwrap_or_default();
        // Signals and exits are lines as well.
        if name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_') {
            let calls = counts.entry(name.to_owned()).or_default();
            calls.total += 1;
            calls.before_main += u32::from(!in_main);
        }
    }
    counts
}
