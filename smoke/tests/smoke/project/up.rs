//! `up`, `down` and `init` in a project.

use super::{Project, here, objects, of};
use nix::fcntl::{Flock, FlockArg};
use rekindle_smoke::{Reply, TestEnv, procs, programs, tests};
use serde_json::Value;
use std::fs::{self, File};
use std::process::Stdio;

tests![
    five_services_start_in_order_and_end_in_reverse,
    a_second_up_attaches_under_the_claims_of_others,
    a_failing_session_names_itself_and_the_others_go_on,
    a_faulty_file_starts_nothing,
    a_session_of_the_file_starts_by_name,
    the_order_is_kept_both_ways,
    a_terminal_sees_a_line_for_each_session,
    init_writes_a_project_and_overwrites_none,
];

/// redis on a socket and on a port, a server in Python, a server in Node, a bot.
fn five() -> String {
    let (redis, python) = (programs::find("redis-server", "redis-server"), programs::python());
    let node = programs::find("node", "nodejs");
    format!(
        r#"
[sessions.cache]
command = ["{redis}", "--port", "0", "--unixsocket", "{{socket}}", "--save", ""]

[sessions.store]
command = ["{redis}", "--port", "{{port}}", "--save", ""]
address = "tcp:0"
after = ["cache"]

[sessions.web]
command = ["{python}", "-m", "http.server", "{{port}}"]
address = "tcp:0"
ready = "http=/"
after = ["store"]

[sessions.api]
command = ["{node}", "-e", "require('http').createServer((q, r) => r.end(process.env.NAME)).listen(process.env.PORT, '127.0.0.1')"]
address = "tcp:0"
ready = "http=/"
env = {{ NAME = "api" }}
after = ["store", "cache"]

[sessions.bot]
command = ["sleep", "1000"]
address = "none"
after = ["web"]
"#
    )
}

/// A field of a session's record that holds a time.
fn time(project: &Project<'_>, session: &str, field: &str) -> String {
    let bytes =
        fs::read(project.root().join(session).join("session.json")).expect("the session has a record");
    let record: Value = serde_json::from_slice(&bytes).expect("a record is JSON");
    record[field].as_str().unwrap_or_else(|| panic!("{session} has no {field}")).to_owned()
}

const FIVE: [&str; 5] = ["cache", "store", "web", "api", "bot"];

fn five_services_start_in_order_and_end_in_reverse() {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", &five());
    let up = project.rekindle(&["up"]);
    assert_eq!(up.code, Some(0), "{up}");
    let started = objects(&up);
    assert_eq!(started.len(), 6, "an object a session, and the summary: {up}");
    assert_eq!(started[5]["outcome"], "done", "{up}");
    assert_eq!(up.stderr, "", "nothing beside the objects");
    for session in FIVE {
        assert_eq!(of(&started, session)["outcome"], "started", "{up}");
    }
    for (before, after) in [("cache", "store"), ("store", "web"), ("store", "api"), ("web", "bot")] {
        assert!(
            time(&project, before, "ready_at") <= time(&project, after, "started_at"),
            "{before} {after}"
        );
    }
    let listed = project.rekindle(&["ls"]);
    assert_eq!(listed.stdout.matches("\"live\"").count(), 5, "{listed}");

    let down = project.rekindle(&["down"]);
    assert_eq!(down.code, Some(0), "{down}");
    let ended = objects(&down);
    assert_eq!(ended.len(), 6, "{down}");
    let place = |session: &str| ended.iter().position(|it| it["session"] == session).expect("it ended");
    for session in FIVE {
        assert_eq!(of(&ended, session)["outcome"], "stopped", "{down}");
    }
    for (before, after) in [("bot", "web"), ("web", "store"), ("api", "store"), ("store", "cache")] {
        assert!(place(before) < place(after), "{before} {after}: {down}");
    }
    let again = project.rekindle(&["down"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(again.stdout.matches("\"not-running\"").count(), 5, "{again}");
}

fn pids(objects: &[Value]) -> Vec<&Value> {
    FIVE.map(|session| &of(objects, session)["pid"]).into()
}

/// If other launchers hold every claim, an `up` that needed a claim would wait.
fn a_second_up_attaches_under_the_claims_of_others() {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", &five());
    let first = project.rekindle(&["up"]);
    assert_eq!(first.code, Some(0), "{first}");
    let claims: Vec<Flock<File>> = FIVE
        .iter()
        .map(|session| {
            let dir = File::open(project.root().join(session)).expect("the session has a directory");
            Flock::lock(dir, FlockArg::LockExclusiveNonblock).expect("the claim is free")
        })
        .collect();
    let second = project.rekindle(&["up", "--timeout", "1ms"]);
    assert_eq!(second.code, Some(0), "{second}");
    let (before, after) = (objects(&first), objects(&second));
    assert_eq!(pids(&before), pids(&after));
    for session in FIVE {
        assert_eq!(of(&after, session)["outcome"], "attached", "{second}");
        assert_eq!(of(&after, session)["generation"], 1, "{second}");
    }
    drop(claims);
    assert_eq!(project.rekindle(&["down"]).code, Some(0));
}

const FAILING: &str = r#"
[sessions.db]
command = ["sh", "-c", "echo no space >&2; exit 3"]
[sessions.app]
command = ["sleep", "1000"]
address = "none"
after = ["db"]
[sessions.front]
command = ["sleep", "1000"]
address = "none"
after = ["app"]
[sessions.bot]
command = ["sleep", "1000"]
address = "none"
"#;

fn a_failing_session_names_itself_and_the_others_go_on() {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", FAILING);
    let up = project.rekindle(&["up"]);
    assert_eq!(up.code, Some(5), "the worst code: {up}");
    let seen = objects(&up);
    let db = of(&seen, "db");
    assert_eq!((&db["outcome"], &db["exit_code"]), (&"child-exited".into(), &3.into()), "{up}");
    assert_eq!(of(&seen, "bot")["outcome"], "started", "{up}");
    for skipped in ["app", "front"] {
        let object = of(&seen, skipped);
        assert_eq!((&object["outcome"], &object["because"]), (&"skipped".into(), &"db".into()), "{up}");
    }
    let summary = seen.last().expect("a summary");
    assert_eq!(summary["outcome"], "incomplete", "{up}");
    let log = summary["failed"][0]["stderr_log"].as_str().expect("the log is named");
    assert_eq!(fs::read_to_string(log).expect("the log is there"), "no space\n");
    assert_eq!(summary["done"], serde_json::json!(["bot"]), "{up}");
    assert!(!project.root().join("app").exists(), "a skipped session is not touched");

    let text: Reply = Reply::to(project.command(&["up"]));
    assert_eq!(text.code, Some(5), "{text}");
    for part in
        ["worker of db exited with 3", "no space", log, "app was not started: it starts after db", "1 failed"]
    {
        assert!(text.stderr.contains(part), "{part}: {text}");
    }
    assert!(text.stdout.starts_with("attached bot"), "{text}");
    assert_eq!(project.rekindle(&["down"]).code, Some(0));
}

fn a_faulty_file_starts_nothing() {
    let env = TestEnv::new();
    let good = "[sessions.a]\ncommand = ['sleep', '1000']\naddress = 'none'\n";
    let faults = [
        ("adress = 'none'", "rekindle.toml:4:1: unknown key `adress`"),
        ("after = ['b']", "rekindle.toml:4:10: `a` starts after `b`"),
        ("after = ['a']", "wait for each other"),
        ("[sessions.b]\ncommand = ['sleep', '{port}']", "rekindle.toml:5:11: {port} is for"),
        ("timeout = '1 fortnight'", "rekindle.toml:4:11: "),
        ("x", "rekindle.toml:4:2: "),
    ];
    for (index, (line, expected)) in faults.into_iter().enumerate() {
        let project = Project::new(&env, &format!("p{index}"), &format!("{good}{line}\n"));
        for verb in [&["up"][..], &["up", "a"], &["up", "--dry-run"], &["stop"]] {
            let reply = project.rekindle(verb).expect_error(1, "project-file-wrong");
            assert!(reply.text("message").contains(expected), "{expected}: {reply}");
        }
        assert_eq!(project.rekindle(&["stop", "--all"]).code, Some(0), "workers end whatever the file says");
    }
    let hint = Project::new(&env, "q", &format!("{good}adress = 'none'\n")).rekindle(&["up"]);
    assert_eq!(hint.text("hint"), "did you mean `address`?", "{hint}");
    assert!(!env.path("xdg").exists(), "nothing was created");
    let nowhere: Reply = Reply::to(here(&env, env.dir(), &["--json", "up"]));
    let nowhere = nowhere.expect_error(2, "no-project");
    assert!(nowhere.text("next").ends_with("rekindle init"), "{nowhere}");
    let unnamed: Reply = Reply::to(here(&env, env.dir(), &["--json", "stop"]));
    unnamed.expect_error(2, "usage");
    let project = Project::new(&env, "r", good);
    project.rekindle(&["up", "--address", "none"]).expect_error(2, "usage");
    project.rekindle(&["up", "--", "sleep", "1"]).expect_error(2, "usage");
}

fn a_session_of_the_file_starts_by_name() {
    let env = TestEnv::new();
    let text = "[sessions.a]\ncommand = ['./run.sh']\naddress = 'none'\ncwd = 'sub'\nenv = { A = 'file', B = 'file' }\n";
    let project = Project::new(&env, "shop", text);
    fs::create_dir(project.dir.join("sub")).expect("a free name");
    let script = project.dir.join("sub/run.sh");
    fs::write(&script, "#!/bin/sh\necho $A $B $PWD\nexec sleep 1000\n").expect("a free name");
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    let plan = project.rekindle(&["up", "a", "--dry-run"]);
    assert_eq!(plan.json["outcome"], "dry-run", "{plan}");
    let inner = Project { env: &env, dir: project.dir.join("sub") };
    let started = inner.rekindle(&["up", "a", "--env", "B=option"]).expect_running("started");
    assert!(procs::runs(started.pid(), "sleep"), "{started}");
    let log = fs::read_to_string(project.root().join("a/stdout.log")).expect("the log is there");
    assert_eq!(log, format!("file option {}\n", project.dir.join("sub").display()));
    project.rekindle(&["up", "a"]).expect_running("attached");
    // A session that the file does not name, in the project's root all the same.
    project.rekindle(&["up", "more", "--address", "none", "--", "sleep", "1000"]).expect_running("started");
    project.rekindle(&["up", "unknown"]).expect_error(1, "no-plan");
    let down = objects(&project.rekindle(&["down"]));
    assert_eq!(
        (&of(&down, "a")["outcome"], &of(&down, "more")["outcome"]),
        (&"stopped".into(), &"stopped".into())
    );
}

/// The workers themselves write down when they start and end.
fn the_order_is_kept_both_ways() {
    let env = TestEnv::new();
    let order = env.path("order");
    let bot = |name: &str, after: &str| {
        let script = format!(
            "trap 'echo -{name} >> {0}; exit' TERM; echo +{name} >> {0}; echo ready; sleep 1000 & wait",
            order.display()
        );
        format!(
            "[sessions.{name}]\ncommand = ['sh', '-c', \"\"\"{script}\"\"\"]\naddress = 'none'\nready = 'line=ready'\nafter = {after}\n"
        )
    };
    let text = [bot("c", "['b']"), bot("a", "[]"), bot("b", "['a']"), bot("d", "['a']")].concat();
    let project = Project::new(&env, "shop", &text);
    assert_eq!(project.rekindle(&["up"]).code, Some(0));
    assert_eq!(project.rekindle(&["stop", "--all"]).code, Some(0));
    let seen = fs::read_to_string(&order).expect("the workers wrote");
    let at =
        |word: &str| seen.lines().position(|line| line == word).unwrap_or_else(|| panic!("{word}: {seen}"));
    for (before, after) in
        [("+a", "+b"), ("+b", "+c"), ("+a", "+d"), ("-c", "-b"), ("-b", "-a"), ("-d", "-a")]
    {
        assert!(at(before) < at(after), "{before} {after}: {seen}");
    }
}

fn a_terminal_sees_a_line_for_each_session() {
    let env = TestEnv::new();
    let project = Project::new(&env, "shop", FAILING);
    // A cursor that cannot be moved turns no spinner; plain lines tell the same.
    for terminal in ["xterm", "dumb"] {
        let mut command = env.command(programs::find("script", "bsdutils"));
        command.env("XDG_STATE_HOME", env.path("xdg")).env("TERM", terminal).current_dir(&project.dir);
        command.args(["-qec", &format!("{} up", env.binary_arg()), "/dev/null"]).stdin(Stdio::null());
        let reply: Reply = Reply::of(None, &command.output().expect("script can be started"));
        assert_eq!(reply.code, Some(5), "{terminal}: {reply}");
        for part in
            ["starting bot", "started bot: pid", "worker of db exited with 3", "front was not started"]
        {
            assert!(reply.stdout.contains(part), "{terminal}, {part}: {reply}");
        }
        assert!(!reply.stdout.contains("starting app"), "{terminal}: {reply}");
        assert_eq!(reply.stdout.contains('\u{1b}'), terminal == "xterm", "{terminal}: {reply}");
        assert_eq!(project.rekindle(&["down"]).code, Some(0));
    }
}

fn init_writes_a_project_and_overwrites_none() {
    let env = TestEnv::new();
    let project = Project { env: &env, dir: env.path("new") };
    fs::create_dir(&project.dir).expect("a free name");
    let written = project.rekindle(&["init"]);
    assert_eq!((written.code, written.text("outcome")), (Some(0), "written"), "{written}");
    let file = project.dir.join("rekindle.toml");
    let text = fs::read_to_string(&file).expect("the file is there");
    assert!(text.lines().next().is_some_and(|line| line.contains("rekindle schema config")), "{text}");
    project.rekindle(&["init"]).expect_error(3, "project-file-exists");
    assert_eq!(fs::read_to_string(&file).expect("the file is there"), text, "the file was left alone");
    let other = project.rekindle(&["init", "--file", "dev.toml"]);
    assert_eq!(other.code, Some(0), "{other}");
    // The example works as it stands, with rekindle in PATH.
    let path = format!("{}:/usr/bin:/bin", env.binary().parent().expect("it is in a directory").display());
    let mut up = project.command(&["--json", "up"]);
    up.env("PATH", path);
    Reply::to(up).expect_running("started");
    assert_eq!(project.rekindle(&["down"]).code, Some(0));
}
