//! A launcher of 1 GiB starts a worker without a copy of its page tables.
//!
//! A fork with copied page tables also write-protects every page of the parent, and each later write faults. So the
//! parent, a separate process, writes to all pages again and counts the faults.

use rekindle::{Ensured, Launch, Sessions, StartKind};
use rekindle_smoke::starts::id;
use rekindle_smoke::{Launcher, TestEnv, programs, tests, wait};
use serde_json::json;
use std::env;
use std::fs;
use std::process::ExitCode;

tests![a_parent_of_one_gibibyte_shares_its_memory_with_the_child];

/// Names the state directory; tells a process to be the large parent.
const LARGE_PARENT: &str = "REKINDLE_SMOKE_LARGE_PARENT";
/// The size of the touched memory.
const LEN: usize = 1 << 30;
/// A page.
const PAGE_LEN: usize = 4096;
/// The most faults outside of the memory, from other code of the process. Copied tables make a fault for each page, or
/// with huge pages a fault for each 2 MiB, 512 in total.
const FAULTS_MAX: u64 = 256;

/// Copying takes 15 ms for a launcher of this size, and each page written afterwards costs another fault.
fn a_parent_of_one_gibibyte_shares_its_memory_with_the_child() {
    let env = TestEnv::new();
    let mut command = env.command(env::current_exe().expect("this test knows where it is"));
    command.env(LARGE_PARENT, env.state());
    let reply = Launcher::start(command).finish();
    assert_eq!(reply.code, Some(0), "{reply}");
    assert_eq!(reply.json["touched"], LEN / PAGE_LEN, "{reply}");
    let faults = reply.json["faults"].as_u64().expect("it counted its faults");
    assert!(faults <= FAULTS_MAX, "its pages were write-protected by the start: {reply}");
    programs::expect_echo(&env.socket("s"));
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// Acts as the large parent, if this process was started as such.
pub(crate) fn serve_if_large_parent() -> Option<ExitCode> {
    let state = env::var_os(LARGE_PARENT)?;
    let mut memory = vec![0_u8; LEN];
    let touched = touch(&mut memory, 1);
    let sessions = Sessions::open(state).expect("a test environment's state directory can be used");
    let launch = Launch::new(programs::python()).args(["-c", programs::ECHO_SERVER, "{socket}"]);
    let ensured = wait::run(async move { sessions.ensure(&id("s"), launch).await });
    let Ok(Ensured::Running(running)) = ensured else { panic!("it starts: {ensured:?}") };
    assert_eq!(running.kind, StartKind::Started);
    let before = faults();
    touch(&mut memory, 2);
    let faults = faults() - before;
    println!("{}", json!({ "touched": touched, "faults": faults }));
    Some(ExitCode::SUCCESS)
}

/// Writes to every page, and returns the number of pages.
fn touch(memory: &mut [u8], value: u8) -> usize {
    memory.chunks_mut(PAGE_LEN).map(|page| page[0] = std::hint::black_box(value)).count()
}

/// The number of page faults without I/O of this process: field 10 of its stat.
fn faults() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").expect("/proc is there");
    let (_, fields) = text.rsplit_once(')').expect("the name is in parentheses");
    fields.split_ascii_whitespace().nth(7).and_then(|field| field.parse().ok()).expect("a count of faults")
}
