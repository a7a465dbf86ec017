//! The manual pages, as man and groff read them.

use rekindle_smoke::{Reply, TestEnv, programs, tests};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

tests![
    every_page_is_rendered_without_a_warning,
    a_page_says_what_the_help_says,
    pages_are_written_again_and_other_files_stay,
    a_verb_that_is_not_there_is_a_usage_error,
];

/// `rekindle`, for people.
fn rekindle(env: &TestEnv, args: &[&str]) -> Reply {
    let output = env.command(env.binary()).args(args).output();
    Reply::of(None, &output.expect("the command can be run"))
}

/// A directory with all pages.
fn written(env: &TestEnv) -> Vec<std::path::PathBuf> {
    let reply = rekindle(env, &["man", "--dir", "man/man1"]);
    assert_eq!(reply.code, Some(0), "{reply}");
    let entries = fs::read_dir(env.path("man/man1")).expect("the directory was made");
    entries.map(|entry| entry.expect("a directory can be listed").path()).collect()
}

/// What a program makes of a page; a word on stderr is a failure.
#[track_caller]
fn made_of(command: &mut Command, page: &Path) -> String {
    let reply = Reply::of(None, &command.arg(page).output().expect("the program can be started"));
    assert_eq!((reply.code, reply.stderr.as_str()), (Some(0), ""), "{}: {reply}", page.display());
    reply.stdout
}

fn every_page_is_rendered_without_a_warning() {
    let env = TestEnv::new();
    let pages = written(&env);
    for page in &pages {
        made_of(
            env.command(programs::find("groff", "groff-base")).args(["-man", "-ww", "-Tutf8", "-z"]),
            page,
        );
        let mut man = env.command(programs::find("man", "man-db"));
        let text =
            made_of(man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8").args(["--warnings", "-l"]), page);
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"] {
            assert!(text.lines().any(|line| line == heading), "{}: {heading}\n{text}", page.display());
        }
    }
    // Each page that another page names is there.
    let names: BTreeSet<&str> = pages.iter().filter_map(|page| page.file_stem()?.to_str()).collect();
    for page in &pages {
        let text = fs::read_to_string(page)
            .expect("a page is text")
            .replace("\\-", "-")
            .replace("\\fB", "")
            .replace("\\fR", "");
        for word in text
            .split_whitespace()
            .filter_map(|word| word.strip_suffix(',').unwrap_or(word).strip_suffix("(1)"))
        {
            assert!(!word.starts_with("rekindle") || names.contains(word), "{}: {word}", page.display());
        }
    }
}

fn a_page_says_what_the_help_says() {
    let env = TestEnv::new();
    let page = rekindle(&env, &["man", "supervise"]).stdout;
    for part in [".SH EXAMPLES", ".SH NOTES", "\\fB\\-\\-leave\\-detached\\fR", ".SH PROCESS"] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let top = rekindle(&env, &["man"]).stdout;
    assert!(top.contains("\n.TH rekindle 1 \" \" \"rekindle "), "the version is no date: {top}");
    assert!(top.contains("\n.SH \"EXIT STATUS\"\n") && top.contains("rekindle\\-up(1)"), "{top}");
    let json = env.rekindle(["man", "pool", "run"]);
    let pages = &json.json["pages"];
    assert_eq!(pages[0]["name"], "rekindle-pool-run.1", "{json}");
    assert!(pages[0]["path"].is_string(), "`--dir` of every test is where the page goes: {json}");
}

fn pages_are_written_again_and_other_files_stay() {
    let env = TestEnv::new();
    let pages = written(&env);
    assert_eq!(written(&env).len(), pages.len(), "and nothing else is left in the directory");
    let place = env.path("man/man1/rekindle-up.1");
    fs::write(&place, "notes").expect("a file of ours can be written");
    let reply = rekindle(&env, &["man", "--dir", "man/man1"]);
    assert_eq!(reply.code, Some(1), "{reply}");
    assert!(reply.stderr.contains("man/man1/rekindle-up.1`: another file is there"), "{reply}");
    assert_eq!(fs::read_to_string(&place).expect("it is there"), "notes");
    fs::remove_file(&place).expect("it is there");
    let target = env.file("target", fs::read(&pages[0]).expect("a page can be read"));
    symlink(&target, &place).expect("a link can be made");
    assert_eq!(rekindle(&env, &["man", "--dir", "man/man1"]).code, Some(1), "a link is not followed");
}

fn a_verb_that_is_not_there_is_a_usage_error() {
    let reply = rekindle(&TestEnv::new(), &["man", "pool", "jump"]);
    assert_eq!(reply.code, Some(2), "{reply}");
    assert!(reply.stderr.starts_with("rekindle: there is no verb `pool jump`\n"), "{reply}");
}
