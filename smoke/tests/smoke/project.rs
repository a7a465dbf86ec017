//! Projects: the sessions of a file, their order, and their state roots.

pub(crate) mod roots;
pub(crate) mod up;

use rekindle_smoke::{Reply, TestEnv};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

rekindle_smoke::rooms![up, roots];

/// A project: a directory with a file.
struct Project<'e> {
    env: &'e TestEnv,
    dir: PathBuf,
}

impl<'e> Project<'e> {
    /// A directory `name` with the project file `text`.
    fn new(env: &'e TestEnv, name: &str, text: &str) -> Self {
        let dir = env.path(name);
        fs::create_dir(&dir).expect("the name is free");
        fs::write(dir.join("rekindle.toml"), text).expect("the file can be written");
        Self { env, dir }
    }

    /// `rekindle ARGS` in the project's directory, with a home of the test environment.
    fn command(&self, args: &[&str]) -> Command {
        here(self.env, &self.dir, args)
    }

    /// Runs `rekindle --json ARGS`.
    fn rekindle(&self, args: &[&str]) -> Reply {
        Reply::to(self.command(&[&["--json"], args].concat()))
    }

    /// The state root.
    fn root(&self) -> PathBuf {
        let dirs = fs::read_dir(self.env.path("xdg/rekindle-projects")).expect("there are roots");
        let name = self.dir.file_name().expect("a project has a name").to_str().expect("the name is text");
        let is_ours =
            |path: &PathBuf| path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(name));
        dirs.flatten().map(|entry| entry.path()).find(is_ours).expect("the project has a root")
    }
}

/// `rekindle ARGS` in a directory, with a home of the test environment.
fn here(env: &TestEnv, dir: &Path, args: &[&str]) -> Command {
    let mut command = env.command(env.binary());
    command.env("XDG_STATE_HOME", env.path("xdg")).current_dir(dir).args(args);
    command
}

/// The objects on stdout.
fn objects(reply: &Reply) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    reply.stdout.lines().map(object).collect()
}

/// The object of a session; the sessions of a project have one each.
fn of<'o>(objects: &'o [Value], session: &str) -> &'o Value {
    let mut found = objects.iter().filter(|it| it["session"] == session);
    match (found.next(), found.next()) {
        (Some(only), None) => only,
        _ => panic!("{session} has not one object: {objects:?}"),
    }
}
