//! State roots: each project has its own, and every root is listed.

use super::{Project, here, objects};
use rekindle_smoke::{Reply, Root, TestEnv, tests};
use std::fs;
use std::os::unix::fs::PermissionsExt;

tests![
    two_projects_do_not_collide,
    a_moved_project_is_reported,
    a_named_directory_wins,
    a_root_of_another_project_is_left_alone,
    a_file_that_others_can_write_is_not_used_unless_named,
    a_file_of_another_user_is_not_used_unless_named needs TwoUsers,
];

const BOT: &str = "[sessions.bot]\ncommand = ['sleep', '1000']\naddress = 'none'\n";

fn two_projects_do_not_collide() {
    let env = TestEnv::new();
    let (one, two) = (Project::new(&env, "one", BOT), Project::new(&env, "two", BOT));
    let first = one.rekindle(&["up"]).expect_running("started");
    let second = two.rekindle(&["up"]).expect_running("started");
    assert_ne!(first.pid(), second.pid());
    let default: Reply = Reply::to(here(&env, env.dir(), &["--json", "ls"]));
    assert_eq!(
        default.json["sessions"],
        serde_json::json!([]),
        "outside of the projects there is no session: {default}"
    );
    let listed = two.rekindle(&["ls"]);
    assert_eq!(listed.json["sessions"][0]["pid"], second.pid(), "{listed}");

    let all = one.rekindle(&["ls", "--all"]);
    assert_eq!(all.code, Some(0), "{all}");
    let roots = all.json["roots"].as_array().expect("the roots");
    assert_eq!(roots.len(), 3, "{all}");
    assert_eq!(
        (&roots[0]["project"], roots[0]["sessions"].as_array().map(Vec::len)),
        (&serde_json::Value::Null, Some(0))
    );
    for (root, project, pid) in [(&roots[1], &one, first.pid()), (&roots[2], &two, second.pid())] {
        assert_eq!(root["project"], project.dir.join("rekindle.toml").to_str().expect("text"), "{all}");
        assert_eq!(
            (&root["project_gone"], &root["sessions"][0]["pid"]),
            (&false.into(), &pid.into()),
            "{all}"
        );
    }
    assert_eq!(objects(&one.rekindle(&["down"]))[0]["outcome"], "stopped");
    two.rekindle(&["up"]).expect_running("attached");
    two.rekindle(&["stop", "bot"]).expect(0, "stopped");
}

fn a_moved_project_is_reported() {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", BOT);
    project.rekindle(&["up"]).expect_running("started");
    let root = project.root();
    fs::rename(&project.dir, env.path("elsewhere")).expect("it can be moved");
    let all: Reply = Reply::to(here(&env, env.dir(), &["--json", "ls", "--all"]));
    assert_eq!(all.json["roots"][1]["project_gone"], true, "{all}");
    let text: Reply = Reply::to(here(&env, env.dir(), &["ls", "--all"]));
    let advice = format!("rekindle stop --all --dir {}", root.display());
    assert!(text.stdout.contains(&advice), "{advice}: {text}");
    let dir = root.to_str().expect("the path is text");
    let doctor: Reply = Reply::to(here(&env, env.dir(), &["doctor", "--dir", dir]));
    assert!(doctor.stderr.contains("is gone"), "{doctor}");
    let moved = Project { env: &env, dir: env.path("elsewhere") };
    assert_eq!(
        moved.rekindle(&["ls"]).json["sessions"],
        serde_json::json!([]),
        "another path is another project"
    );
    moved.rekindle(&["stop", "--all", "--dir", dir]).expect(0, "stopped");
}

fn a_named_directory_wins() {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", BOT);
    let state = env.state();
    let dir = state.to_str().expect("the path is text");
    let up = project.rekindle(&["up", "--dir", dir]).expect_running("started");
    assert!(state.join("bot").is_dir() && !env.path("xdg").exists());
    assert!(!state.join(".project").exists(), "a named directory belongs to no project");
    let output = project.command(&["--json", "ls"]).env("REKINDLE_DIR", dir).output();
    let listed: Reply = Reply::of(None, &output.expect("it runs"));
    assert_eq!(listed.json["sessions"][0]["pid"], up.pid(), "{listed}");
    assert_eq!(project.rekindle(&["ls"]).json["sessions"], serde_json::json!([]));
    let file = project.dir.join("rekindle.toml");
    let outside =
        here(&env, env.dir(), &["--json", "--file", file.to_str().expect("text"), "--dir", dir, "down"]);
    let down: Reply = Reply::to(outside);
    assert_eq!(objects(&down)[0]["outcome"], "stopped", "{down}");
}

fn a_root_of_another_project_is_left_alone() {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", BOT);
    project.rekindle(&["up"]).expect_running("started");
    project.rekindle(&["down"]).expect(0, "stopped");
    let note = project.root().join(".project");
    let mode = fs::metadata(&note).expect("the root has a note").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let other = b"{\"schema_version\":1,\"file\":\"/other/rekindle.toml\"}\n";
    fs::write(&note, other).expect("it is ours");
    let refused = project.rekindle(&["up"]).expect_error(3, "state-dir-of-other-project");
    assert!(refused.text("message").contains("/other/rekindle.toml"), "{refused}");
    assert_eq!(fs::read(&note).expect("it is there"), other);
    fs::write(&note, "").expect("it is ours");
    project.rekindle(&["up"]).expect_error(3, "project-note-corrupt");
    assert_eq!(fs::read(&note).expect("it is there"), b"", "what cannot be read is not overwritten");
}

fn a_file_that_others_can_write_is_not_used_unless_named() {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", BOT);
    fs::write(project.dir.join("rekindle.local.toml"), "").expect("a free name");
    for name in ["rekindle.toml", "rekindle.local.toml"] {
        let file = project.dir.join(name);
        fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).expect("it is ours");
        for verb in [&["up"][..], &["up", "bot"], &["down"]] {
            let refused = project.rekindle(verb).expect_error(3, "project-file-untrusted");
            assert!(refused.text("message").contains("every user (mode 0666)"), "{refused}");
        }
        fs::set_permissions(&file, PermissionsExt::from_mode(0o664)).expect("it is ours");
    }
    assert_eq!(project.rekindle(&["stop", "--all"]).code, Some(0), "a look at the root reads no file");
    fs::set_permissions(project.dir.join("rekindle.toml"), PermissionsExt::from_mode(0o666))
        .expect("it is ours");
    project.rekindle(&["up", "--file", "rekindle.toml"]).expect_running("started");
    project.rekindle(&["down", "--file", "rekindle.toml"]).expect(0, "stopped");
}

fn a_file_of_another_user_is_not_used_unless_named(root: Root) {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", BOT);
    root.give(&project.dir.join("rekindle.toml"), 12345);
    let refused = project.rekindle(&["up"]).expect_error(3, "project-file-untrusted");
    assert!(refused.text("message").contains("belongs to user 12345"), "{refused}");
    assert!(refused.text("hint").contains("--file"), "{refused}");
    project.rekindle(&["up", "--file", "rekindle.toml"]).expect_running("started");
    project.rekindle(&["down", "--file", "rekindle.toml"]).expect(0, "stopped");
}
