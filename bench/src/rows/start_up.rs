//! The command as a whole process: `rekindle up` of a running session.

use super::spawn::timed;
use crate::floor::Program;
use crate::harness::{Goal, Role, Row, Table, Unit};
use crate::home::{Bench, CHILD, HELLO, Home, kill_and_wait, runtime, session};
use rekindle::{Ensured, Launch};

const FLOOR: &str = "a static hello-world";
const UP: &str = "rekindle up, already live";

pub(crate) fn run(bench: &Bench) -> Vec<Table> {
    let (home, runtime) = (Home::new(&bench.in_memory("start-up")), runtime());
    let ensured =
        runtime.block_on(home.sessions().ensure(&session(0), Launch::new(CHILD).args(["{socket}"])));
    let Ok(Ensured::Running(running)) = ensured else { panic!("the smallest worker starts: {ensured:?}") };
    let command = bench.rekindle.as_os_str();
    let dir = home.root.path().as_os_str();
    let words = |words: &[&'static str]| -> Program {
        let words = words.iter().map(AsRef::as_ref);
        let all: Vec<&std::ffi::OsStr> = [command, "--dir".as_ref(), dir].into_iter().chain(words).collect();
        Program::new(&all).silent()
    };
    let (hello, smallest) = (Program::new(&[HELLO]).silent(), Program::new(&[CHILD]));
    let (up, json) = (
        words(&["up", "s0", "--", CHILD, "{socket}"]),
        words(&["--json", "up", "s0", "--", CHILD, "{socket}"]),
    );
    let (ls, version) = (words(&["ls"]), words(&["--version"]));
    let tables = Row::new("start-up of the command", 60)
        .measure("the whole process", Unit::Microseconds)
        .timed(Role::Floor, FLOOR, || timed(|| hello.run()))
        .timed(Role::Peer, "the smallest program", || timed(|| smallest.run()))
        .timed(Role::Ours, UP, || timed(|| up.run()))
        .timed(Role::Ours, "rekindle --json up, already live", || timed(|| json.run()))
        .timed(Role::Ours, "rekindle ls, one session", || timed(|| ls.run()))
        .timed(Role::Ours, "rekindle --version", || timed(|| version.run()))
        .goal(0, UP, Goal::AtMost { times: 5.0, than: FLOOR.into() })
        .run(bench.effort);
    kill_and_wait(running.pid.expect("a started worker has a pid"));
    tables
}
