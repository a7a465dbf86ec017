//! Completions in the real shells: what TAB offers, and what it writes.

use nix::sys::signal::Signal;
use rekindle_smoke::{Reply, TestEnv, cli, programs, tests, wait};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

tests![
    bash_offers_what_there_is,
    bash_writes_what_is_meant,
    zsh_offers_what_there_is,
    zsh_writes_what_is_meant,
    fish_offers_what_there_is,
    a_question_never_fails_and_creates_nothing,
    a_program_that_asks_for_json_gets_the_script_as_a_field,
];

/// The shells' prompt, as the typist waits for it.
const PROMPT: &str = "type> ";

/// A line, and the words that may stand at its end. The session `old` has lost its worker; `other` is in a state
/// directory of its own.
const OFFERED: [(&str, &[&str]); 11] = [
    ("rekindle show ", &["db", "old", "web"]),
    ("rekindle describe d", &["db"]),
    ("rekindle stop ", &["db", "web"]),
    ("rekindle stop web ", &["db"]),
    ("rekindle --dir 'my dir' show ", &["other"]),
    ("rekindle show --dir=my\\ dir o", &["other"]),
    ("rekindle up new --intent re", &["restart", "resume"]),
    ("rekindle supervise --term", &["--term-grace"]),
    ("rekindle sup", &["supervise"]),
    ("rekindle up new ", &["--"]),
    ("rekindle pool con", &["continue"]),
];

/// A line, and what one TAB makes of its last word. A word without its value gets no space behind it.
const WRITTEN: [(&str, &str); 7] = [
    ("rekindle show w", "web"),
    ("rekindle up new --address tc", "tcp:0"),
    ("rekindle up new --address tcp:", "tcp:0"),
    ("rekindle up new --ready=ht", "--ready=http="),
    ("rekindle up new --address tcp:0 --socket some-f", "some-file"),
    ("rekindle --dir=some-d", "--dir=some-dir/"),
    ("rekindle up new -- scripted-progr", "scripted-program"),
];

/// A test environment with sessions, and with files whose names can be completed.
fn environment() -> TestEnv {
    let env = TestEnv::new();
    let up = ["up", "--address", "none", "--settle", "1ms"];
    for session in ["db", "old", "web"] {
        env.rekindle([&up[..], &[session, "--", "sleep", "1000"]].concat()).expect(0, "started");
    }
    let mut elsewhere = env.command(env.binary());
    elsewhere.args(["--dir", "my dir"]).args(up).args(["other", "--", "sleep", "1000"]);
    let output = elsewhere.output().expect("the command can be run");
    assert!(output.status.success(), "{}", Reply::of(None, &output));
    rekindle_smoke::procs::send(env.worker_pid("old"), Signal::SIGKILL);
    wait::until("the worker of `old` is gone", || {
        env.rekindle(["ls"]).stdout.contains(r#""state":"exited""#)
    });
    env.file("some-file", "");
    fs::create_dir(env.path("some-dir")).expect("the directory can be made");
    env.file("scripted-program", "#!/bin/sh\n");
    let program = env.path("scripted-program");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(program, mode).expect("a file of ours can be made executable");
    env
}

/// A command with the command under test and the environment's own directory in PATH, and nothing of the user's.
fn command(env: &TestEnv, program: &str) -> Command {
    let mut path = cli::path_with(&env.binary());
    path.push(":");
    path.push(env.dir());
    let mut command = env.command(program);
    command.env("PATH", path).env("REKINDLE_DIR", env.state()).env("HOME", env.dir());
    command.env("TERM", "dumb").env("PS1", PROMPT);
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
    command
}

/// The script for a shell, as a file.
fn script(env: &TestEnv, shell: &str, name: &str) {
    let output = command(env, "rekindle").args(["completions", shell]).output();
    let output = output.expect("the command can be run");
    assert!(output.status.success());
    env.file(name, output.stdout);
}

/// Types lines into a shell, to the shell's end.
fn type_into(env: &TestEnv, shell: &[&str], lines: &[String]) -> String {
    let typist = include_str!("../../../programs/typist.py");
    let mut typist = {
        let mut it = command(env, &programs::python());
        it.args(["-c", typist, PROMPT]).args(shell).stdin(Stdio::piped()).stdout(Stdio::piped());
        it.stderr(Stdio::inherit()).spawn().expect("Python can be started")
    };
    let mut stdin = typist.stdin.take().expect("it is a pipe");
    write!(stdin, "{}", json!(lines)).expect("the typist reads");
    drop(stdin);
    let output = typist.wait_with_output().expect("a child can be waited for");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The keys that make a command of the line as it stands after a completion: the line's words go to a file.
fn written_down(keys: &str, file: &str) -> String {
    format!("{keys}\u{1}printf '<%s>' \u{5} >{file}\n")
}

/// The words in a file of [`written_down`].
fn words(env: &TestEnv, file: &str, shown: &str) -> Vec<String> {
    let text = fs::read_to_string(env.path(file)).unwrap_or_else(|error| panic!("{file}: {error}\n{shown}"));
    text.split('>').filter_map(|word| word.strip_prefix('<')).map(str::to_owned).collect()
}

fn set(words: &[impl AsRef<str>]) -> BTreeSet<String> {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

/// The lines that prepare a shell.
fn prepared(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Types each line of [`WRITTEN`] with one TAB, and compares the last word.
fn writes_what_is_meant(env: &TestEnv, shell: &[&str], before: &[&str]) {
    let mut lines = prepared(before);
    lines.push(written_down("rekindle up new --ready=ht\t/x", "unfinished"));
    for (index, (line, _)) in WRITTEN.iter().enumerate() {
        lines.push(written_down(&format!("{line}\t"), &format!("written.{index}")));
    }
    lines.push("exit\n".to_owned());
    let shown = type_into(env, shell, &lines);
    let continued = words(env, "unfinished", &shown);
    assert_eq!(continued.last().map(String::as_str), Some("--ready=http=/x"), "{shown}");
    for (index, (line, expected)) in WRITTEN.iter().enumerate() {
        let words = words(env, &format!("written.{index}"), &shown);
        let last = words.last().map(String::as_str).unwrap_or_default();
        // zsh takes its slash back once the next key is no letter.
        let is_meant = last == *expected || Some(last) == expected.strip_suffix('/');
        assert!(is_meant, "{line}: {words:?}\n{shown}");
    }
}

const BASH: [&str; 4] = ["bash", "--norc", "--noprofile", "-i"];
const BASH_SETUP: [&str; 1] = ["source ./script.bash"];

/// `M-*` inserts every completion in place of the last word.
fn bash_offers_what_there_is() {
    let env = environment();
    script(&env, "bash", "script.bash");
    let mut lines = prepared(&BASH_SETUP);
    for (index, (line, _)) in OFFERED.iter().enumerate() {
        lines.push(written_down(&format!("{line}\u{1b}*"), &format!("offered.{index}")));
    }
    lines.push("exit\n".to_owned());
    let shown = type_into(&env, &BASH, &lines);
    for (index, (line, expected)) in OFFERED.iter().enumerate() {
        let words = words(&env, &format!("offered.{index}"), &shown);
        // The words of the line stay, but for the last one if it was begun.
        let stayed = line.replace("'my dir'", "mydir").replace("my\\ dir", "mydir");
        let stayed = stayed.split(' ').count() - 1;
        assert_eq!(set(&words[stayed..]), set(expected), "{line}: {words:?}\n{shown}");
    }
}

fn bash_writes_what_is_meant() {
    let env = environment();
    script(&env, "bash", "script.bash");
    writes_what_is_meant(&env, &BASH, &BASH_SETUP);
}

const ZSH: [&str; 3] = ["zsh", "-f", "-i"];
const ZSH_SETUP: [&str; 2] =
    ["unsetopt auto_menu list_beep", "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D"];

/// `compadd` takes every word that is offered; here the words are noted on the way.
fn zsh_offers_what_there_is() {
    let env = environment();
    script(&env, "zsh", "_rekindle");
    let mut lines = prepared(&ZSH_SETUP);
    let note = "compadd() { local -a m; builtin compadd -O m \"$@\"; print -rl -- $m >>$told; builtin compadd \"$@\" }";
    lines.extend(prepared(&[note]));
    for (index, (line, _)) in OFFERED.iter().enumerate() {
        lines.push(format!("told=offered.{index}\n"));
        // The line itself is not run.
        lines.push(format!("{line}\t\u{1}: \n"));
    }
    lines.push("exit\n".to_owned());
    let shown = type_into(&env, &ZSH, &lines);
    for (index, (line, expected)) in OFFERED.iter().enumerate() {
        let told = fs::read_to_string(env.path(&format!("offered.{index}"))).unwrap_or_default();
        let offered: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(set(&offered), set(expected), "{line}\n{shown}");
    }
}

fn zsh_writes_what_is_meant() {
    let env = environment();
    script(&env, "zsh", "_rekindle");
    writes_what_is_meant(&env, &ZSH, &ZSH_SETUP);
}

/// fish answers `complete -C` as it answers TAB.
fn fish_offers_what_there_is() {
    let env = environment();
    script(&env, "fish", "script.fish");
    let asked = |line: &str| {
        let mut fish = command(&env, "fish");
        fish.args(["--no-config", "-c", "source script.fish; complete -C $argv[1]", line]);
        let reply = Reply::of(None, &fish.output().expect("fish can be started"));
        let words = reply.stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned());
        words.collect::<Vec<_>>()
    };
    for (line, expected) in OFFERED {
        assert_eq!(set(&asked(line)), set(expected), "{line}");
    }
    for (line, expected) in WRITTEN {
        assert_eq!(asked(line), [expected], "{line}");
    }
}

/// Invariants 1 and 2 of the verb: no failure, no word on stderr, no state directory.
fn a_question_never_fails_and_creates_nothing() {
    let env = TestEnv::new();
    let unreadable = env.file("a file", "");
    let unreadable = unreadable.to_str().expect("it is UTF-8");
    for dir in ["absent", "a file/below", unreadable, "", "/proc"] {
        let mut ask = command(&env, "rekindle");
        ask.args(["completions", "fish", "--", "rekindle", "--dir", dir, "show", ""]);
        let reply = Reply::of(None, &ask.output().expect("the command can be run"));
        let said = (reply.code, reply.stdout.as_str(), reply.stderr.as_str());
        assert_eq!(said, (Some(0), "words\n", ""), "{dir}");
    }
    assert!(!env.state().exists() && !env.path("absent").exists());
}

fn a_program_that_asks_for_json_gets_the_script_as_a_field() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish"] {
        let reply = env.rekindle(["completions", shell]);
        let plain = command(&env, "rekindle").args(["completions", shell]).output();
        let plain = Reply::of(None, &plain.expect("the command can be run"));
        assert_eq!((reply.code, reply.text("shell")), (Some(0), shell), "{reply}");
        assert_eq!(reply.text("script").trim_end(), plain.stdout.trim_end());
    }
    assert!(!env.state().exists(), "an installation needs no state directory");
}
