//! `rekindle rm`: only what is provably gone, and a failed run only by force.

use super::{end, up_sleeper};
use nix::sys::signal::Signal;
use rekindle_smoke::{TestEnv, tests};

tests![only_a_session_that_is_gone_is_removed, several_sessions_are_removed_one_by_one];

fn only_a_session_that_is_gone_is_removed() {
    let env = TestEnv::new();
    let pid = up_sleeper(&env, "s");
    for force in [&[][..], &["--force"]] {
        let reply = env.rekindle([&["rm", "s"], force].concat()).expect(3, "kept");
        assert_eq!((reply.text("because"), reply.text("why")), ("running", "its worker runs, or may run"));
        assert!(reply.text("next").contains("stop s"), "{reply}");
    }
    end(pid, Signal::SIGKILL);
    let reply = env.rekindle(["rm", "s"]).expect(3, "kept");
    assert_eq!(reply.text("because"), "failed-run", "{reply}");
    assert!(reply.text("next").contains("rm s --force"), "{reply}");
    env.rekindle(["rm", "s", "--force"]).expect(0, "removed");
    assert!(!env.state().join("s").exists());
    env.rekindle(["rm", "s"]).expect_error(1, "unknown-session");
}

fn several_sessions_are_removed_one_by_one() {
    let env = TestEnv::new();
    for session in ["a", "b", "c"] {
        up_sleeper(&env, session);
    }
    env.rekindle(["stop", "a", "c"]);
    let reply = env.rekindle(["rm", "a", "b", "c"]);
    let outcomes: Vec<String> = reply
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|line| format!("{} {}", line["session"], line["outcome"]))
        .collect();
    assert_eq!(outcomes, [r#""a" "removed""#, r#""b" "kept""#, r#""c" "removed""#], "{reply}");
    assert_eq!(reply.code, Some(3), "{reply}");
    env.stop("b").expect(0, "stopped");
}
