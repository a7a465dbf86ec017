//! The names of markers are bytes. U8. Those of sessions' files are tried in `bytes.rs`.

use rekindle::LifecycleLock;
use rekindle::lifecycle::Acquired;
use rekindle_core::byte_text::{ByteText, from_value};
use rekindle_smoke::{Launcher, TestEnv, cli, tests, wait};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

tests![a_name_that_is_no_text_is_a_name,];

/// A path in JSON spelling.
fn byte_text(path: &Path) -> Value {
    json!(ByteText(path.as_os_str()))
}

/// U8.
fn a_name_that_is_no_text_is_a_name() {
    let env = TestEnv::new();
    let name = OsStr::from_bytes(b"caf\xe9");
    let path = env.dir().join(name);
    let run = |verb: &str, more: &[&str]| {
        let mut command = env.command(cli::binary());
        command.args(["--json", "lifecycle", verb, "--path"]).arg(&path).args(more);
        Launcher::start(command).finish()
    };
    let spelled = byte_text(&path);
    for (verb, outcome) in [("acquire", "acquired"), ("release", "released"), ("acquire", "acquired")] {
        let reply = run(verb, &[]).expect(0, outcome);
        assert_eq!(reply.json["path"], spelled, "{reply}");
    }
    assert!(path.exists() && !env.path("caf\u{fffd}").exists(), "nothing of the name is lost");
    assert_eq!(run("status", &[]).json["status"], "held");
    let us = std::process::id().to_string();
    assert!(run("acquire", &["--pid", &us]).expect_error(3, "conflict").text("message").contains("caf\\xe9"));
    run("force-unlock", &[]).expect(0, "unlocked");
    assert_eq!(run("acquire", &["--", "sh", "-c", "exit 7"]).code, Some(7));
    fs::write(&path, "not a marker").expect("it can be written");
    let kept = run("acquire", &[]).expect(0, "acquired").json["taken_over"]["kept_aside"].clone();
    let kept = from_value(&kept).expect("it is a path");
    assert!(kept.as_bytes().starts_with(&[path.as_os_str().as_bytes(), b".aside-"].concat()), "{kept:?}");
    let other = OsStr::from_bytes(b"caf\xe8");
    let lock = LifecycleLock::new(env.dir().join(other));
    assert!(
        matches!(wait::run(lock.acquire()).expect("it can be asked for"), Acquired::Ours { .. }),
        "another name"
    );
    let mut probe = env.command(cli::binary());
    probe.args(["--json", "probe"]).arg(env.dir().join(name).join("sock"));
    let reply = Launcher::start(probe).finish();
    assert_eq!((reply.code, reply.text("verdict")), (Some(1), "dead"), "{reply}");
    assert_eq!(from_value(&reply.json["path"]), Some(path.join("sock").into()), "{reply}");
}
