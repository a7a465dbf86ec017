//! Leftover claims, seen from the command line.

use rekindle_smoke::{Launcher, TestEnv, cli, procs, tests, wait};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

tests![
    a_claim_left_by_a_dead_holder_is_taken_over,
    an_empty_claim_wedges_nothing,
    another_hostname_on_the_same_boot_is_no_other_machine,
    a_corrupt_claim_is_refused_and_kept,
    a_claim_file_that_is_no_file_never_blocks,
    a_claim_of_another_session_is_refused_and_kept,
    a_holder_on_another_machine_is_named,
    a_holder_in_another_pid_namespace_is_judged_by_its_lock,
    a_holder_that_lives_without_its_lock_is_waited_for,
];

/// A used session, with a claim whose holder is provably dead.
fn left_behind(env: &TestEnv) -> Value {
    env.up("s", &["true"]).expect(5, "child-exited");
    // A launcher killed during its watch leaves its claim unchanged.
    let launcher = env.launch_up("s", &[], &["sleep", "1000"]);
    wait::until_there(&env.of("s", "claim"));
    let worker = wait::for_some("the worker is recorded", || env.record("s")["worker"]["pid"].as_i64());
    launcher.signal(nix::sys::signal::Signal::SIGKILL);
    launcher.finish();
    procs::send(worker.try_into().expect("a pid"), nix::sys::signal::Signal::SIGKILL);
    wait::until("the worker is gone", || env.processes().is_empty());
    let bytes = fs::read(env.of("s", "claim")).expect("the claim was left behind");
    serde_json::from_slice(&bytes).expect("the claim is whole")
}

fn serve(env: &TestEnv) -> rekindle_smoke::Reply {
    env.up_with("s", &["--timeout", "10s"], &[&cli::binary_arg(), "worker"])
}

fn write(env: &TestEnv, content: &[u8]) -> PathBuf {
    let path = env.of("s", "claim");
    fs::write(&path, content).expect("the claim can be written");
    path
}

/// Refused as `target-locked`; nothing was started, and the file is unchanged.
fn expect_refused_and_kept(env: &TestEnv, content: &[u8]) -> rekindle_smoke::Reply {
    let path = write(env, content);
    let reply = env.up_with("s", &["--timeout", "200ms"], &[&cli::binary_arg(), "worker"]);
    let reply = reply.expect_rejected("target-locked");
    assert_eq!(reply.json["liveness"], Value::Null, "nothing was probed: {reply}");
    assert_eq!(fs::read(&path).expect("the claim is kept"), content, "{reply}");
    env.assert_no_process();
    reply
}

/// T02.
fn a_claim_left_by_a_dead_holder_is_taken_over() {
    let env = TestEnv::new();
    left_behind(&env);
    serve(&env).expect_running("started");
    assert!(!env.of("s", "claim").exists(), "the claim was released");
}

/// T05, L3.
fn an_empty_claim_wedges_nothing() {
    let env = TestEnv::new();
    env.up("s", &["true"]).expect(5, "child-exited");
    write(&env, b"");
    serve(&env).expect_running("started");
    assert!(!env.of("s", "claim").exists(), "the claim was released");
}

/// T29, L9.
fn another_hostname_on_the_same_boot_is_no_other_machine() {
    let env = TestEnv::new();
    let mut claim = left_behind(&env);
    claim["hostname"] = json!("renamed-since");
    write(&env, claim.to_string().as_bytes());
    serve(&env).expect_running("started");
}

/// T12, L4: corrupt is never empty.
fn a_corrupt_claim_is_refused_and_kept() {
    let env = TestEnv::new();
    let claim = left_behind(&env).to_string();
    let half = &claim.as_bytes()[..claim.len() / 2];
    let contents: [&[u8]; 7] = [b"garbage", b"{}", b"null", b"\0\0\0\0", b"\n", b"[1,2]", half];
    for content in contents {
        let reply = expect_refused_and_kept(&env, content);
        assert!(reply.text("message").contains("corrupt"), "{reply}");
        let next = reply.text("next");
        assert!(next.contains("gc --repair s"), "it says how to clear it: {reply}");
    }
    fs::remove_file(env.of("s", "claim")).expect("a hand can clear it");
    serve(&env).expect_running("started");
}

/// L4, X4.
fn a_claim_file_that_is_no_file_never_blocks() {
    let env = TestEnv::new();
    env.up("s", &["true"]).expect(5, "child-exited");
    let path = env.of("s", "claim");
    let target = env.file("target", "untouched");
    let plants: [&dyn Fn(); 4] = [
        &|| nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO can be planted"),
        &|| symlink(&target, &path).expect("a link can be planted"),
        &|| fs::create_dir(&path).expect("a directory can be planted"),
        &|| fs::write(&path, vec![b' '; 10 << 20]).expect("a huge file can be planted"),
    ];
    for (number, plant) in plants.iter().enumerate() {
        plant();
        let reply = env.up_with("s", &["--timeout", "200ms"], &[&cli::binary_arg(), "worker"]);
        assert!(matches!(reply.code, Some(1 | 3)), "plant {number}: {reply}");
        assert!(reply.text("message").contains("claim"), "plant {number}: {reply}");
        env.assert_no_process();
        assert!(path.symlink_metadata().is_ok(), "plant {number} was removed");
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).expect("it can be removed by hand");
    }
    assert_eq!(fs::read(&target).expect("the target is there"), b"untouched");
    serve(&env).expect_running("started");
}

fn a_claim_of_another_session_is_refused_and_kept() {
    let env = TestEnv::new();
    let mut claim = left_behind(&env);
    claim["session_id"] = json!("another");
    let reply = expect_refused_and_kept(&env, claim.to_string().as_bytes());
    assert!(reply.text("message").contains("`another`"), "{reply}");
}

/// T29, L10.
fn a_holder_on_another_machine_is_named() {
    let env = TestEnv::new();
    let mut claim = left_behind(&env);
    claim["hostname"] = json!("far-away");
    claim["machine_id"] = json!("00000000000000000000000000000001");
    claim["boot_id"] = json!("00000000-0000-0000-0000-000000000001");
    let reply = expect_refused_and_kept(&env, claim.to_string().as_bytes());
    assert!(reply.text("message").contains("far-away"), "{reply}");
    assert_eq!(reply.json["holder"]["hostname"], "far-away", "{reply}");
    claim["retained_at"] = claim["created_at"].clone();
    expect_refused_and_kept(&env, claim.to_string().as_bytes());
}

/// T28, L8, U2: a pid of another namespace is never looked up in ours. A free lock proves the death of a holder of this
/// boot; for a holder of an unknown boot, nothing is proof.
fn a_holder_in_another_pid_namespace_is_judged_by_its_lock() {
    let env = TestEnv::new();
    let mut claim = left_behind(&env);
    claim["pid_namespace"] = json!(1);
    let boot = claim.as_object_mut().and_then(|fields| fields.remove("boot_id"));
    let reply = expect_refused_and_kept(&env, claim.to_string().as_bytes());
    assert!(reply.text("message").contains("pid namespace"), "{reply}");
    claim["boot_id"] = boot.expect("a claim names its boot");
    write(&env, claim.to_string().as_bytes());
    serve(&env).expect_running("started");
}

/// L5: the deadline passes, and the holder is named.
fn a_holder_that_lives_without_its_lock_is_waited_for() {
    let env = TestEnv::new();
    let mut claim = left_behind(&env);
    let holder = Launcher::start({
        let mut sleep = env.command("sleep");
        sleep.arg("1000");
        sleep
    });
    claim["pid"] = json!(holder.pid());
    claim["start_time"] = json!(procs::start_time(holder.pid()));
    let path = write(&env, claim.to_string().as_bytes());
    let reply = env.up_with("s", &["--timeout", "200ms"], &["true"]).expect_rejected("target-locked");
    assert_eq!(reply.json["holder"]["pid"], holder.pid(), "{reply}");
    assert!(path.exists(), "the claim is kept");
    // Without any message from us, the holder's death frees the claim.
    let waiting = env.launch_up("s", &["--timeout", "30s"], &[&cli::binary_arg(), "worker"]);
    holder.signal(nix::sys::signal::Signal::SIGKILL);
    holder.finish();
    waiting.finish().expect_running("started");
}
