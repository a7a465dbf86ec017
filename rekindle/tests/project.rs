//! Project files: what is read, and the place of each fault.

use rekindle::project::{PROJECT_FILE, Project, ProjectError};
use rekindle::{Address, Endpoint, Readiness, SessionId};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn id(name: &str) -> SessionId {
    name.parse().expect("a valid name")
}

/// A directory with a project file, and a local file beside it unless empty.
fn project(shared: &str, local: &str) -> (TempDir, Result<Project, ProjectError>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join(PROJECT_FILE), shared).expect("a free name");
    if !local.is_empty() {
        fs::write(dir.path().join("rekindle.local.toml"), local).expect("a free name");
    }
    let read = Project::read(&dir.path().join(PROJECT_FILE));
    (dir, read)
}

/// The fault of a file: the name of the file, line and column, the message, and the hint.
fn fault(shared: &str, local: &str) -> (String, String, String) {
    let (_dir, read) = project(shared, local);
    match read.expect_err(shared) {
        ProjectError::Wrong { place, message, hint } => {
            let file = place.file.file_name().and_then(|name| name.to_str()).expect("a file with a name");
            (format!("{file}:{}:{}", place.line, place.column), message, hint)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [sessions.db]
        command = ["redis-server", "--port", "{port}"]
        address = "tcp:127.0.0.1:6379"
        ready = "line=ready"
        timeout = "2m"
        cwd = "data"
        env = { LANG = "C", "A.B" = "1" }
        env-file = [".env", "more.env"]
        stop-signal = "INT"
        term-grace = "1s"
        kill-grace = "500ms"
        log-max = "64m"

        [sessions.web]
        command = ["./serve"]
        after = ["db"]
        env-file = ".env"
    "#;
    let (dir, read) = project(text, "");
    let project = read.unwrap();
    let root = dir.path().canonicalize().unwrap();
    assert_eq!(project.sequence(), [id("db"), id("web")]);
    let db = project.launch(&id("db")).unwrap();
    assert_eq!(db.condition(), Readiness::Line("ready".into()));
    let at = Address::At(Endpoint::Tcp(([127, 0, 0, 1], 6379).into()));
    assert_eq!(db.named_address(), Some(&at));
    let launch = format!("{db:?}");
    for file in [root.join(".env"), root.join("more.env")] {
        assert!(launch.contains(&format!("{file:?}")), "{launch}");
    }
    for part in
        ["timeout: Some(120s)", "\"INT\"", "Some(1s)", "Some(500ms)", "\"A.B\": \"1\"", "67108864", "/data\""]
    {
        assert!(launch.contains(part), "{part}: {launch}");
    }
    let web = format!("{:?}", project.launch(&id("web")).unwrap());
    assert!(web.contains(&format!("{:?}", root.join("./serve"))), "a path counts from the file: {web}");
    assert!(project.launch(&id("x")).is_none());
}

#[test]
fn the_local_file_wins_key_by_key() {
    let shared = "[sessions.a]\ncommand = ['a']\nenv = { A = '1', B = '1' }\ntimeout = '1s'";
    let local = "[sessions.a]\nenv = { B = '2' }\ntimeout = '9s'\n[sessions.b]\ncommand = ['b']";
    let (_dir, read) = project(shared, local);
    let project = read.unwrap();
    assert_eq!(project.sequence(), [id("a"), id("b")]);
    let a = format!("{:?}", project.launch(&id("a")).unwrap());
    for part in ["\"A\": \"1\"", "\"B\": \"2\"", "timeout: Some(9s)", "\"a\""] {
        assert!(a.contains(part), "{part}: {a}");
    }
    let (place, message, _) = fault(shared, "[sessions.a]\ntimeout = 'soon'");
    assert_eq!(place, "rekindle.local.toml:2:11");
    assert!(message.starts_with("use a number"), "{message}");
}

#[test]
fn an_unknown_key_has_a_place_and_a_suggestion() {
    let (place, message, hint) = fault("[sessions.web]\ncommand = ['p']\n  adress = 'none'", "");
    assert_eq!(place, "rekindle.toml:3:3");
    assert_eq!(message, "unknown key `adress`");
    assert_eq!(hint, "did you mean `address`?");
    let (place, _, hint) = fault("[session.web]\ncommand = ['p']", "");
    assert_eq!((place.as_str(), hint.as_str()), ("rekindle.toml:1:2", "did you mean `sessions`?"));
    let (_, _, hint) = fault("[sessions.web]\ncommand = ['p']\nzzz = 1", "");
    assert!(hint.starts_with("the keys here are command, address,"), "{hint}");
}

#[test]
fn a_fault_has_line_and_column() {
    let web = |lines: &str| format!("# caf\u{e9}\n[sessions.web]\ncommand = ['p', 'q']\n{lines}");
    let cases = [
        (web("address = 'tcp'"), "rekindle.toml:4:11", "is no address"),
        (web("ready = 'hope'"), "rekindle.toml:4:9", "hope"),
        (web("ready = 'line=('"), "rekindle.toml:4:9", "no regular expression"),
        (web("address = 'none'\nready = 'connect'"), "rekindle.toml:5:9", "does not suit"),
        (web("ready = 'handshake'"), "rekindle.toml:4:9", "--speak"),
        (web("timeout = 30"), "rekindle.toml:4:11", "a text in quotes"),
        (web("log-max = '64x'"), "rekindle.toml:4:11", "64m"),
        (web("env = { A = 1 }"), "rekindle.toml:4:13", "a text in quotes"),
        (web("env = { 'A=B' = '1' }"), "rekindle.toml:4:9", "no variable"),
        (web("after = ['db']"), "rekindle.toml:4:10", "there is no session `db`"),
        (web("after = ['web']"), "rekindle.toml:4:9", "wait for each other: web after web"),
        (web("[sessions.'a b']\ncommand = ['p']"), "rekindle.toml:4:11", "session id"),
        (web("[sessions.b]\nenv = {}"), "rekindle.toml:4:11", "no `command`"),
        (web("[sessions.b]\ncommand = []"), "rekindle.toml:5:11", "needs a program"),
        (web("[sessions.b]\ncommand = 'p'"), "rekindle.toml:5:11", "an array"),
        (web("[sessions.b]\ncommand = ['p', '{port}']"), "rekindle.toml:5:11", "{port} is for"),
        (web("timeout = '1s'\ntimeout = '2s'"), "rekindle.toml:5:1", "duplicate"),
        (web("x ="), "rekindle.toml:4:4", ""),
    ];
    for (text, place, part) in cases {
        let (at, message, _) = fault(&text, "");
        assert!(at == place && message.contains(part), "{text}\n{at}: {message}, and not {place}: {part}");
    }
}

#[test]
fn two_sessions_cannot_have_one_address() {
    let two = |one: &str, other: &str| {
        format!(
            "[sessions.a]\ncommand = ['p']\naddress = '{one}'\n[sessions.b]\ncommand = ['q']\naddress = '{other}'"
        )
    };
    for (one, other) in [("tcp:80", "tcp:80"), ("tcp:80", "tcp:0.0.0.0:80"), ("unix:run/s", "unix:run/s")] {
        let (place, message, _) = fault(&two(one, other), "");
        assert_eq!(place, "rekindle.toml:6:11");
        assert_eq!(message, "`b` and `a` have the same address");
    }
    for (one, other) in [("tcp:0", "tcp:0"), ("tcp:80", "tcp:81"), ("none", "none"), ("unix", "unix")] {
        assert!(project(&two(one, other), "").1.is_ok(), "{one} {other}");
    }
}

#[test]
fn a_file_without_sessions_says_so() {
    for text in ["", "# nothing", "[sessions]"] {
        let (_dir, read) = project(text, "");
        assert!(matches!(read, Err(ProjectError::Empty { .. })), "{text:?}: {read:?}");
    }
    let missing = Project::read(Path::new("/nonexistent-dir/rekindle.toml"));
    assert!(matches!(missing, Err(ProjectError::Read { .. })), "{missing:?}");
}

#[test]
fn the_nearest_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b");
    fs::create_dir_all(&inner).unwrap();
    fs::write(dir.path().join(PROJECT_FILE), "").unwrap();
    // A directory of the name is no file.
    fs::create_dir(inner.join(PROJECT_FILE)).unwrap();
    assert_eq!(Project::find(&inner), Some(dir.path().join(PROJECT_FILE)));
    fs::write(dir.path().join("a").join(PROJECT_FILE), "").unwrap();
    assert_eq!(Project::find(&inner), Some(dir.path().join("a").join(PROJECT_FILE)));
}

/// Every explained key is a valid key.
#[test]
fn the_example_is_a_project_and_stays_one_with_every_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(PROJECT_FILE);
    Project::init(&file).unwrap();
    assert_eq!(Project::read(&file).unwrap().sequence(), [id("hello")]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().next().unwrap().contains("rekindle schema config"), "{text}");
    let is_key = |line: &&str| line.starts_with("# ") && line.contains(" = ");
    assert_eq!(text.lines().filter(is_key).count(), 11, "all keys but `command`, which is in use");
    let whole: Vec<&str> =
        text.lines().map(|it| it.strip_prefix("# ").filter(|_| is_key(&it)).unwrap_or(it)).collect();
    fs::write(&file, whole.join("\n")).unwrap();
    Project::read(&file).unwrap();
    assert!(matches!(Project::init(&file), Err(ProjectError::Exists { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), whole.join("\n"), "the file was left alone");
}
