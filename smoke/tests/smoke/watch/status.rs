//! `rekindle status`: a line and an exit code.

use super::{end, up_sleeper};
use nix::sys::signal::Signal;
use rekindle_smoke::{TestEnv, tests};

tests![the_exit_code_tells_whether_all_are_live];

fn the_exit_code_tells_whether_all_are_live() {
    let env = TestEnv::new();
    let status = |sessions: &[&str]| {
        let reply = env.rekindle([&["status"], sessions].concat());
        let standings: Vec<String> = reply.json["sessions"]
            .as_array()
            .map(|all| all.iter().map(|it| it["standing"].as_str().unwrap_or_default().to_owned()).collect())
            .unwrap_or_default();
        (reply.code, standings.join(" "))
    };
    assert_eq!(status(&[]), (Some(0), String::new()), "no session, nothing wrong");
    up_sleeper(&env, "a");
    let gone = up_sleeper(&env, "b");
    assert_eq!(status(&[]), (Some(0), "live live".to_owned()));
    end(gone, Signal::SIGKILL);
    assert_eq!(status(&[]), (Some(3), "live not-running".to_owned()));
    assert_eq!(status(&["a"]), (Some(0), "live".to_owned()));
    assert_eq!(status(&["b", "a"]), (Some(3), "not-running live".to_owned()), "in the order of the call");
    assert_eq!(status(&["a", "nobody", "b"]), (Some(4), "live unknown not-running".to_owned()));
    let record = env.of("b", "session.json");
    std::fs::write(&record, "{").expect("the record can be written");
    assert_eq!(status(&["a", "b"]), (Some(4), "live unknown".to_owned()), "an unreadable record");
    env.stop("a").expect(0, "stopped");
    let reply = env.rekindle(["status", "a"]);
    let stopped = &reply.json["sessions"][0];
    assert_eq!(
        (&stopped["ended_by"], &stopped["exit"]["signal"]),
        (&"stop".into(), &"TERM".into()),
        "{reply}"
    );
}
