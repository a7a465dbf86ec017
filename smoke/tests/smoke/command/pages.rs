//! The examples on the pages are typed unchanged, and answer as the pages say.
//!
//! A line `#   TEXT` in an example is an answer: some line of the output has to match. Numbers, names of the pool's
//! sessions and the state directory may differ, and `...` matches anything.

use rekindle_smoke::{TestEnv, cli, programs, tests};
use std::process::{Command, Stdio};

tests![
    every_example_runs,
    every_example_in_a_container_runs needs Namespaces,
    an_answer_that_is_not_given_is_noticed,
];

/// The pages with examples for a shell; `gates/tests/books.rs` checks that the list is complete.
const PAGES: [(&str, &str); 17] = [
    ("README.md", include_str!("../../../../README.md")),
    ("docs/logs.md", include_str!("../../../../docs/logs.md")),
    ("docs/ci.md", include_str!("../../../../docs/ci.md")),
    ("docs/install.md", include_str!("../../../../docs/install.md")),
    ("docs/one-daemon.md", include_str!("../../../../docs/one-daemon.md")),
    ("docs/output.md", include_str!("../../../../docs/output.md")),
    ("docs/projects.md", include_str!("../../../../docs/projects.md")),
    ("docs/readiness.md", include_str!("../../../../docs/readiness.md")),
    ("docs/ssh.md", include_str!("../../../../docs/ssh.md")),
    ("docs/homes.md", include_str!("../../../../docs/homes.md")),
    ("docs/send.md", include_str!("../../../../docs/send.md")),
    ("docs/start-a-worker.md", include_str!("../../../../docs/start-a-worker.md")),
    ("docs/supervise.md", include_str!("../../../../docs/supervise.md")),
    ("docs/watch.md", include_str!("../../../../docs/watch.md")),
    ("docs/when-something-is-wrong.md", include_str!("../../../../docs/when-something-is-wrong.md")),
    ("docs/why-did-it-die.md", include_str!("../../../../docs/why-did-it-die.md")),
    ("docs/worker-pool.md", include_str!("../../../../docs/worker-pool.md")),
];

/// The page whose examples make a namespace for processes.
const CONTAINERS: (&str, &str) = ("docs/containers.md", include_str!("../../../../docs/containers.md"));

/// A reader's state directory, as written on the pages.
const READERS_STATE: &str = "/home/me/.local/state/rekindle";
const READERS_HOME: &str = "/home/me";

fn every_example_runs() {
    PAGES.iter().for_each(|(page, text)| run_all(page, text));
}

fn every_example_in_a_container_runs() {
    let (page, text) = CONTAINERS;
    run_all(page, text);
}

fn run_all(page: &str, text: &str) {
    let examples: Vec<&str> = examples(text).collect();
    assert!(!examples.is_empty(), "{page} has an example");
    examples.iter().for_each(|example| run(page, example));
}

fn an_answer_that_is_not_given_is_noticed() {
    assert!(is_like("{\"pid\":4711,...}", "{\"pid\":12,\"x\":1}"));
    assert!(!is_like("{\"pid\":4711,...}", "{\"gid\":12,\"x\":1}"));
    assert!(is_like("p-18ea-f continued", "p-1-2 continued"));
    assert!(!is_like("started", "not started"));
    assert!(!is_like("started", "started twice"));
}

/// The examples between the fences of a page.
fn examples(text: &str) -> impl Iterator<Item = &str> {
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(example, _)| example)
}

fn run(page: &str, example: &str) {
    let env = TestEnv::new();
    let mut command: Command = env.command(programs::find("bash", "bash"));
    // A reader's shell, except that the shell stops at the first failing command.
    command.args(["-e", "-o", "pipefail", "-c", &format!("exec 2>&1\n{example}")]);
    command.env("REKINDLE_DIR", env.state()).env("PATH", cli::path_with(&env.binary())).stdin(Stdio::null());
    let output = command.output().expect("a shell can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{page}: {}: {example}\n{said}", output.status);
    let state = env.state().display().to_string();
    let home = env.dir().display().to_string();
    let lines: Vec<String> =
        said.lines().map(|line| line.replace(&state, READERS_STATE).replace(&home, READERS_HOME)).collect();
    for answer in example.lines().filter_map(|line| line.strip_prefix("#   ")) {
        let answer = answer.trim();
        assert!(
            lines.iter().any(|line| is_like(answer, line.trim())),
            "{page}: no line is like\n{answer}\nin\n{said}"
        );
    }
}

/// Whether a line of output matches a line of a page.
fn is_like(page: &str, line: &str) -> bool {
    let (page, line) = (without_numbers(page), without_numbers(line));
    let parts: Vec<&str> = page.split("...").collect();
    let [first, between @ .., last] = parts.as_slice() else { return page == line };
    let Some(rest) = line.strip_prefix(first) else { return false };
    let after = |rest: &str, part: &&str| rest.split_once(part).map(|(_, after)| after.to_owned());
    let rest = between.iter().try_fold(rest.to_owned(), |rest, part| after(&rest, part));
    rest.is_some_and(|rest| rest.ends_with(last))
}

/// The text with `0` for every number, and for every name of a pool session.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for word in text.split_inclusive([' ', '"']) {
        let end = if word.starts_with("p-") { word.trim_end_matches([' ', '"']).len() } else { 0 };
        let (name, rest) = word.split_at(end);
        plain.extend(name.chars().next().map(|_| '0'));
        for letter in rest.chars() {
            match letter {
                '0'..='9' if plain.ends_with('0') => {}
                '0'..='9' => plain.push('0'),
                _ => plain.push(letter),
            }
        }
    }
    plain
}
