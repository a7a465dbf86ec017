//! The crash harness, the contention harness and the fuzz harness, in short; in full: `just crash`, `just contend` and
//! `just fuzz`. And the tests skipped by the suite.

use rekindle_smoke::harness::{contend, crash, fuzz};
use rekindle_smoke::{TestEnv, suite, tests};
use std::env;

tests![
    a_sample_of_all_kills_and_failures needs Namespaces,
    a_sample_of_contention needs Namespaces,
    a_sample_of_mutated_states_and_hostile_peers needs Namespaces,
    what_needs_root_is_skipped_for_an_ordinary_user_only,
];

/// T02, T05, P11, R-3, R-9 (recipes R1, R1e, R2).
fn a_sample_of_all_kills_and_failures() {
    let size = crash::Size { kill_stride: 7, error_stride: 23, moments: 20, filter: String::new() };
    let tally = crash::run(&size);
    tally.print();
    assert!(tally.total() > 300, "there are far more points than {}", tally.total());
    assert!(tally.troubles.is_empty(), "{} failed", tally.troubles.len());
}

/// T01, T02, L1, S1.
fn a_sample_of_contention() {
    for (site, rounds) in [(contend::Site::Socket, 40), (contend::Site::Port, 12)] {
        let tally = contend::run(rounds, 8, site);
        tally.print();
        assert!(tally.troubles.is_empty(), "{} failed", tally.troubles.len());
        assert_eq!(tally.passed(), rounds);
    }
}

/// No panic, no hang, no change to foreign files and processes, and every answer in its form.
fn a_sample_of_mutated_states_and_hostile_peers() {
    let tally = fuzz::run(30, 20);
    tally.print();
    assert!(tally.troubles.is_empty(), "{} failed", tally.troubles.len());
    assert_eq!(tally.passed(), 50);
}

/// The user of the suite sees one of the two results; `just smoke-as-user` shows the other.
fn what_needs_root_is_skipped_for_an_ordinary_user_only() {
    let env = TestEnv::new();
    let name = "probe::paths::another_users_listener_is_forged";
    let mut command = env.command(env::current_exe().expect("this program knows where it is"));
    let reply = suite::only(command.env("TMPDIR", env.dir()), name);
    let last_lines = if nix::unistd::geteuid().is_root() {
        "\n1 passed, 0 failed\n".to_owned()
    } else {
        let reason = "needs root: only root can act for two users";
        format!("\nskipped: {name}: {reason}\n0 passed, 0 failed, 1 skipped\n")
    };
    assert!(reply.code == Some(0) && reply.stdout.ends_with(&last_lines), "{reply}");
}
