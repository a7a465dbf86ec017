//! Names are bytes: what is no text is passed on as it is, or refused by name. U8.

use rekindle::LifecycleLock;
use rekindle::lifecycle::Acquired;
use rekindle_smoke::{Launcher, Scene, cli, trials, wait};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

trials![
    a_name_that_is_no_text_is_a_name,
    what_a_record_cannot_hold_is_refused_by_name,
    a_directory_that_is_no_text_is_no_place_to_start_in,
];

/// U8.
fn a_name_that_is_no_text_is_a_name() {
    let scene = Scene::new();
    let name = OsStr::from_bytes(b"caf\xe9");
    let path = scene.dir().join(name);
    let run = |verb: &str, more: &[&str]| {
        let mut command = scene.command(cli::binary());
        command.args(["--json", "lifecycle", verb, "--path"]).arg(&path).args(more);
        Launcher::start(command).finish()
    };
    let shown = format!("{}/caf\\xe9", scene.dir().display());
    for (verb, outcome) in [("acquire", "acquired"), ("release", "released"), ("acquire", "acquired")] {
        let reply = run(verb, &[]).expect(0, outcome);
        assert_eq!(reply.json["path"], shown, "{reply}");
    }
    assert!(path.exists() && !scene.path("caf\u{fffd}").exists(), "nothing of the name is lost");
    assert_eq!(run("status", &[]).json["status"], "held");
    let us = std::process::id().to_string();
    assert!(run("acquire", &["--pid", &us]).expect_error(3, "conflict").text("message").contains("caf\\xe9"));
    run("force-unlock", &[]).expect(0, "unlocked");
    assert_eq!(run("acquire", &["--", "sh", "-c", "exit 7"]).code, Some(7));
    fs::write(&path, "not a marker").expect("it can be written");
    let kept = run("acquire", &[]).expect(0, "acquired").json["taken_over"]["kept_aside"].clone();
    assert!(kept.as_str().is_some_and(|kept| kept.contains("caf\\xe9.aside-")), "{kept}");
    let other = OsStr::from_bytes(b"caf\xe8");
    let lock = LifecycleLock::new(scene.dir().join(other));
    assert!(
        matches!(wait::run(lock.acquire()).expect("it can be asked for"), Acquired::Ours { .. }),
        "another name"
    );
    let mut probe = scene.command(cli::binary());
    probe.args(["--json", "probe"]).arg(scene.dir().join(name).join("sock"));
    let reply = Launcher::start(probe).finish();
    assert_eq!((reply.code, reply.text("verdict")), (Some(0), "dead"), "{reply}");
    assert!(reply.text("path").contains("caf\\xe9"), "{reply}");
}

/// U8.
fn what_a_record_cannot_hold_is_refused_by_name() {
    let scene = Scene::new();
    let path = scene.dir().join(OsStr::from_bytes(b"caf\xe9"));
    let before = fs::read_dir(scene.dir()).expect("it is there").count();
    for option in ["--dir", "--socket", "--cwd"] {
        let mut command = scene.command(cli::binary());
        command.args(["--json", "up", "s", option]).arg(&path).args(["--", "true"]);
        let reply = Launcher::start(command).finish().expect_error(2, "usage");
        assert!(reply.text("message").contains("caf\\xe9"), "{option}: {reply}");
    }
    for variable in ["REKINDLE_DIR", "XDG_STATE_HOME", "HOME"] {
        for verb in [&["ls"][..], &["up", "s", "--", "true"]] {
            let mut command = scene.command(cli::binary());
            command.env(variable, &path).arg("--json").args(verb);
            let reply = Launcher::start(command).finish().expect_error(1, "state-dir-unusable");
            assert!(reply.text("message").contains("caf\\xe9"), "{variable}: {reply}");
            assert!(reply.text("hint").contains("--dir"), "{variable}: {reply}");
        }
    }
    let mut command = scene.command(cli::binary());
    command.args(["--json", "worker", "--protocol", "pool", "--socket"]).arg(&path);
    let reply = Launcher::start(command).finish().expect_error(1, "worker");
    assert!(reply.text("message").contains("caf\\xe9"), "{reply}");
    assert_eq!(fs::read_dir(scene.dir()).expect("it is there").count(), before, "nothing was made");
}

/// U8: not a panic, and nothing that an attach minds.
fn a_directory_that_is_no_text_is_no_place_to_start_in() {
    let scene = Scene::new();
    let dir = scene.dir().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&dir).expect("a scene can hold a directory");
    let up = |more: &[&str]| {
        let mut command = scene.rekindle_command(["up"]);
        command.current_dir(&dir).args(more).args(["s", "--", &cli::binary_arg(), "worker"]);
        Launcher::start(command).finish()
    };
    for more in [&[][..], &["--dry-run"]] {
        let reply = up(more);
        assert_eq!((reply.code, reply.json["outcome"] == Value::Null), (Some(4), false), "{reply}");
        assert!(reply.text("message").contains("caf\\xe9"), "{reply}");
    }
    assert!(!scene.of("s", "session.json").exists(), "nothing was started");
    scene.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    up(&[]).expect_running("attached");
}
