//! The cost of a verb on a machine with many other processes, in system calls; and many sessions side by side.

use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::{Container, Launcher, Place, TestEnv, programs, tests, wait};
use std::fs;
use std::time::Instant;

tests![the_descriptors_of_others_cost_nothing needs Namespaces, ten_stubborn_workers_are_stopped_side_by_side];

const SESSION: &str = "s";

/// The number of other processes on a busy machine, and the number of open descriptors of each.
const OTHERS: usize = 2000;
const DESCRIPTORS: usize = 100;

/// The limit of calls of a verb for each other process, independent of the process's descriptors.
const CALLS_FOR_EACH: usize = 25;

/// Forks sleepers. Arguments: the number, the descriptors of each, and the file to create when all sleep.
const SLEEPERS: &str = "
import os, signal, sys
count, descriptors, done = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
null = os.open('/dev/null', os.O_RDONLY)
for _ in range(descriptors - 4):
    os.dup(null)
for _ in range(count):
    if os.fork() == 0:
        signal.pause()
        os._exit(0)
open(done, 'w').close()
signal.pause()
";

/// A worker and its child; both ignore SIGTERM. Arguments: the command under test, the socket.
const STUBBORN: &str = r#"trap '' TERM; sleep 1000 & exec "$0" worker --ignore-term --socket "$1""#;

/// The number of system calls of each verb.
#[derive(Debug)]
struct Cost {
    verb: &'static str,
    calls: usize,
    micros: u128,
}

/// The number of system calls of `rekindle ARGS`, and how long they take under the tracer.
fn count(env: &TestEnv, verb: &'static str, args: &[&str], outcome: &str) -> Cost {
    let trace = env.path("trace");
    let path = trace.to_str().expect("a test environment's path is UTF-8");
    let began = Instant::now();
    // Threads are followed, but no worker: a worker would be traced for its whole life.
    let follow: &[&str] = if args[0] == "up" { &[] } else { &["-f"] };
    let options = [follow, &["-o", path, "-e", "signal=none"]].concat();
    let reply = Launcher::start(Place::Outside.traced(env, &options, args)).finish();
    let micros = began.elapsed().as_micros();
    assert_eq!(reply.code, Some(0), "{verb}: {reply}");
    assert!(outcome.is_empty() || reply.text("outcome") == outcome, "{verb}: {reply}");
    let text = fs::read_to_string(&trace).expect("strace writes it");
    let calls = text.lines().filter(|line| line.contains('(')).count();
    Cost { verb, calls, micros }
}

/// A session's life; each verb's calls are counted.
fn costs(env: &TestEnv) -> Vec<Cost> {
    let rekindle = env.binary_arg();
    let up = ["up", SESSION, "--", "sh", "-c", STUBBORN, &rekindle, "{socket}"];
    let stop = ["stop", SESSION, "--term-grace", "300ms"];
    vec![
        count(env, "first up", &up, "started"),
        count(env, "ls", &["ls"], ""),
        count(env, "escalated stop", &stop, "killed"),
        count(env, "next up", &up, "started"),
        count(env, "escalated stop --all", &["stop", "--all", "--term-grace", "300ms"], ""),
        count(env, "gc", &["gc"], ""),
    ]
}

/// U18: counted twice, on the quiet machine and beside many other processes. Only counts are judged.
fn the_descriptors_of_others_cost_nothing() {
    let env = TestEnv::new();
    let quiet = costs(&env);
    let crowd = Container::start(&env);
    let done = env.path("all-sleep");
    let mut command = crowd.command(&env, programs::python());
    command.args(["-c", SLEEPERS, &OTHERS.to_string(), &DESCRIPTORS.to_string()]).arg(&done);
    let sleepers = Launcher::start(command);
    wait::until_there(&done);
    assert!(procs::others().len() > OTHERS, "they sleep");
    let busy = costs(&env);
    for (quiet, busy) in quiet.iter().zip(&busy) {
        let extra = busy.calls.saturating_sub(quiet.calls);
        println!(
            "{:22} {:6} calls, beside {OTHERS} processes {:7}: {:.1} for each; {:.1} times as long",
            quiet.verb,
            quiet.calls,
            busy.calls,
            extra as f64 / OTHERS as f64,
            busy.micros as f64 / quiet.micros as f64,
        );
    }
    for (quiet, busy) in quiet.iter().zip(&busy) {
        let extra = busy.calls.saturating_sub(quiet.calls);
        let most = OTHERS * CALLS_FOR_EACH;
        assert!(
            extra < most,
            "{}: {extra} calls more beside {OTHERS} processes with {} descriptors",
            busy.verb,
            OTHERS * DESCRIPTORS
        );
    }
    crowd.kill();
    drop(sleepers);
}

/// The number of workers stopped at once.
const STUBBORN_WORKERS: usize = 10;

/// Ignores SIGTERM, and at SIGTERM writes down the running workers. Arguments: the socket, a directory.
const WITNESS: &str = "
import os, signal, socket, sys
path, directory = sys.argv[1:]
def runs(pid):
    try:
        return open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError:
        return False
def note(number, frame):
    alive = [name for name in os.listdir(directory) if name.isdigit() and runs(name)]
    with open(f'{directory}/heard-{os.getpid()}', 'w') as file:
        file.write(str(len(alive)))
signal.signal(signal.SIGTERM, note)
listener = socket.socket(socket.AF_UNIX)
open(f'{directory}/{os.getpid()}', 'w').close()
listener.bind(path)
listener.listen()
while True:
    signal.pause()
";

/// U18: at each worker's SIGTERM all others still run; after one-by-one ends the last worker would be alone.
fn ten_stubborn_workers_are_stopped_side_by_side() {
    let env = TestEnv::new();
    let directory = env.path("witnesses");
    fs::create_dir(&directory).expect("a test environment can hold a directory");
    let (python, directory_arg) = (programs::python(), directory.display().to_string());
    let start = |number: usize| {
        let session = format!("s{number}");
        env.up(&session, &[&python, "-c", WITNESS, "{socket}", &directory_arg])
            .expect_running("started")
            .pid()
    };
    let workers: Vec<Pid> = (0..STUBBORN_WORKERS).map(start).collect();
    let reply = env.rekindle(["stop", "--all", "--term-grace", "3s"]);
    assert_eq!(reply.code, Some(0), "{reply}");
    let alive: Vec<&Pid> = workers.iter().filter(|pid| procs::is_running(**pid)).collect();
    assert!(alive.is_empty(), "{alive:?} run: {reply}");
    for pid in &workers {
        let seen = fs::read_to_string(directory.join(format!("heard-{pid}"))).unwrap_or_default();
        let seen: usize = seen.parse().unwrap_or_else(|_| panic!("{pid} got no SIGTERM: {reply}"));
        assert_eq!(seen, STUBBORN_WORKERS, "when {pid} got its SIGTERM, others had been killed: {reply}");
    }
}
