//! `unlock`, `gc` and `doctor`: held locks stay, provably gone sessions go, and every answer names the next command.

use nix::sys::signal::Signal;
use rekindle_smoke::{TestEnv, cli, procs, programs, tests, wait};
use std::fs;

tests![
    a_claim_of_a_live_launcher_is_not_cleared,
    a_corrupt_claim_is_cleared_by_force_only,
    a_claim_left_by_a_dead_launcher_is_cleared,
    a_session_that_is_gone_is_collected_and_one_that_runs_is_kept,
    a_corrupt_record_is_set_aside,
    a_directory_with_foreign_files_is_kept,
    a_doctor_says_who_holds_what,
    a_removed_directory_starts_no_second_worker,
];

fn started(env: &TestEnv, session: &str) -> procs::Pid {
    env.up(session, &[&cli::binary_arg(), "worker"]).expect_running("started").pid()
}

fn claim_is_there(env: &TestEnv, session: &str) -> bool {
    env.of(session, "claim").exists()
}

fn a_claim_of_a_live_launcher_is_not_cleared() {
    let env = TestEnv::new();
    let launcher = env.launch_up("s", &[], &["sleep", "1000"]);
    env.worker_pid("s");
    for args in [&["unlock", "s"][..], &["unlock", "s", "--force"]] {
        let reply = env.rekindle(args).expect_error(3, "target-locked");
        assert_eq!(reply.json["holder"]["pid"], launcher.pid(), "{reply}");
        assert!(claim_is_there(&env, "s"));
    }
    let reply =
        env.up_with("s", &["--timeout", "100ms"], &["sleep", "1000"]).expect_rejected("target-locked");
    assert_eq!(reply.json["holder"]["pid"], launcher.pid(), "{reply}");
    assert!(reply.text("message").contains("since"), "{reply}");
    assert!(reply.text("next").contains("rekindle doctor s"), "{reply}");
}

/// L4, T12: bad input loses nothing unasked.
fn a_corrupt_claim_is_cleared_by_force_only() {
    let env = TestEnv::new();
    started(&env, "s");
    env.stop("s").expect(0, "stopped");
    fs::write(env.of("s", "claim"), "{\"half\":").expect("the claim can be written");
    env.rekindle(["unlock", "s"]).expect_error(3, "target-locked");
    assert_eq!(fs::read(env.of("s", "claim")).expect("it is still there"), b"{\"half\":");
    let reply = env.rekindle(["unlock", "s", "--force"]).expect(0, "unlocked");
    assert!(reply.json["previous"].is_null(), "{reply}");
    env.rekindle(["unlock", "s"]).expect(0, "not-locked");
    started(&env, "s");
}

fn a_claim_left_by_a_dead_launcher_is_cleared() {
    let env = TestEnv::new();
    let launcher = env.launch_up("s", &[], &["sleep", "1000"]);
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    let _ = launcher.finish();
    procs::send(worker, Signal::SIGKILL);
    wait::until("the worker is gone", || !procs::is_running(worker));
    let reply = env.rekindle(["unlock", "s"]).expect(0, "unlocked");
    assert_eq!(reply.json["previous"]["owner"], "rekindle", "{reply}");
    assert!(reply.json["previous"]["nonce"].is_null(), "the authority to release is nobody else's: {reply}");
    assert!(!claim_is_there(&env, "s"));
}

fn a_session_that_is_gone_is_collected_and_one_that_runs_is_kept() {
    let env = TestEnv::new();
    let live = started(&env, "live");
    started(&env, "gone");
    env.stop("gone").expect(0, "stopped");
    let crashed = started(&env, "crashed");
    procs::send(crashed, Signal::SIGKILL);
    wait::until("it is gone", || !procs::is_running(crashed));
    let reply = env.rekindle(["gc", "--all"]);
    assert_eq!(reply.json["removed"], serde_json::json!(["crashed", "gone"]), "{reply}");
    assert_eq!(reply.json["kept"][0]["session"], "live", "{reply}");
    assert!(!env.state().join("gone").exists() && !env.state().join("crashed").exists());
    assert_eq!(env.processes(), [live]);
    env.up("live", &[&cli::binary_arg(), "worker"]).expect_running("attached");
}

/// T12, R-2.
fn a_corrupt_record_is_set_aside() {
    let env = TestEnv::new();
    started(&env, "s");
    env.stop("s").expect(0, "stopped");
    fs::write(env.of("s", "session.json"), "not a record").expect("the record can be written");
    let reply = env.rekindle(["gc"]);
    assert_eq!(reply.json["kept"][0]["session"], "s", "{reply}");
    env.rekindle(["gc", "--repair"]);
    assert_eq!(fs::read(env.of("s", "session.json.aside")).expect("nothing is lost"), b"not a record");
    started(&env, "s");
}

fn a_directory_with_foreign_files_is_kept() {
    let env = TestEnv::new();
    started(&env, "s");
    env.stop("s").expect(0, "stopped");
    fs::write(env.of("s", "notes.txt"), "mine").expect("a file can be added");
    let reply = env.rekindle(["gc"]);
    assert_eq!(reply.json["kept"][0]["session"], "s", "{reply}");
    assert_eq!(fs::read(env.of("s", "notes.txt")).expect("it is not ours to remove"), b"mine");
}

fn a_doctor_says_who_holds_what() {
    let env = TestEnv::new();
    let launcher = env.launch_up("s", &[], &["sleep", "1000"]);
    let worker = env.worker_pid("s");
    let findings = || {
        let reply = env.rekindle(["doctor", "s"]);
        (reply.json["findings"].to_string(), reply.text("next").to_owned())
    };
    wait::until("the worker is written down", || findings().0.contains("started: process"));
    let (text, next) = findings();
    assert!(
        text.contains(&format!("(pid {} on ", launcher.pid())) && text.contains("lock is held"),
        "{text}"
    );
    assert!(text.contains(&format!("lifeline: held by process {worker}")), "{text}");
    assert_eq!(next, "", "a launcher is at work: there is nothing to type");
    launcher.signal(Signal::SIGKILL);
    let _ = launcher.finish();
    let (text, _) = findings();
    assert!(text.contains("it is gone") && text.contains("nobody holds the kernel's lock"), "{text}");
    env.stop("s").expect(0, "stopped");
    env.rekindle(["doctor", "nobody"]).expect_error(1, "unknown-session");
}

/// T27, L15: the files are gone, the worker is not.
fn a_removed_directory_starts_no_second_worker() {
    for removed in ["state/s", "state"] {
        let env = TestEnv::new();
        let worker = started(&env, "s");
        fs::remove_dir_all(env.path(removed)).expect("the directory can be removed");
        let reply = env.up_with("s", &["--timeout", "300ms"], &[&cli::binary_arg(), "worker"]);
        let reply = reply.expect_rejected("worker-unresponsive");
        assert_eq!(reply.pid(), worker, "{reply}");
        assert_eq!(env.processes(), [worker]);
        fs::remove_dir_all(env.path(removed)).expect("and once more");
        env.stop("s").expect(0, "stopped");
        assert!(!procs::is_running(worker));
        started(&env, "s");
        programs::expect_echo(&env.socket("s"));
    }
}
