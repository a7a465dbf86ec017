//! The command of a launch: program, arguments, environment and working directory.

use rekindle_adapters::program;
use rekindle_core::again::EnvironmentChange;
use rekindle_core::plan::{Environment, EnvironmentBase};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// A program with its arguments, environment and working directory.
///
/// [`Launch`](crate::Launch) and [`StdioLaunch`](crate::StdioLaunch) have the same setters, and can be made from a
/// command:
///
/// ```
/// use rekindle::{Command, Launch, StdioLaunch};
///
/// let command = Command::new("my-server").arg("--verbose").env("LANG", "C").env_remove("EDITOR").cwd("/srv");
/// let in_background = Launch::from(command.clone());
/// let over_stdio = StdioLaunch::from(command);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program, then its arguments; empty if there is nothing to start.
    words: Vec<OsString>,
    environment: Environment,
    /// Whether the caller named the base of the environment.
    is_base_named: bool,
    cwd: Option<PathBuf>,
}

impl Command {
    /// A command that runs `program`: looked up in PATH, or relative to the working directory if `program` contains a
    /// slash.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { words: vec![program.into()], ..Self::nothing() }
    }

    /// A command without a program.
    pub(crate) fn nothing() -> Self {
        Self { words: Vec::new(), environment: Environment::default(), is_base_named: false, cwd: None }
    }

    /// Adds an argument. Nothing in an argument is split or expanded.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.words.push(arg.into());
        self
    }

    /// Adds arguments; see [`Self::arg`].
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.words.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable. The value replaces an inherited value. `name` must not contain `=`.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.environment.remove.remove(&name);
        self.environment.set.insert(name, value.into());
        self
    }

    /// Sets variables; see [`Self::env`].
    #[must_use]
    pub fn envs<N: Into<String>, V: Into<OsString>>(
        self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        variables.into_iter().fold(self, |command, (name, value)| command.env(name, value))
    }

    /// Removes a variable, set or inherited.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.environment.set.remove(&name);
        // Without inherited variables, nothing else has to be removed.
        if self.environment.base != EnvironmentBase::Clear {
            self.environment.remove.insert(name);
        }
        self
    }

    /// Removes all variables, set or inherited.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.environment = Environment { base: EnvironmentBase::Clear, ..Environment::default() };
        self.is_base_named = true;
        self
    }

    /// Passes on only these variables of the caller, as far as they are set. Variables that were set stay.
    #[must_use]
    pub fn env_only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.environment.base = EnvironmentBase::Only(names.into_iter().map(Into::into).collect());
        self.is_base_named = true;
        self
    }

    /// Replaces the whole environment. The default is the caller's environment.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self.is_base_named = true;
        self
    }

    /// The working directory. The default is the caller's working directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// The program, then its arguments.
    pub(crate) fn words(&self) -> &[OsString] {
        &self.words
    }

    /// The words with an absolute program. A program that is not found stays as given: only a start needs the program.
    pub(crate) fn resolved_words(&self) -> Vec<OsString> {
        let mut words = self.words.clone();
        if let Some(program) = words.first_mut()
            && let Ok(path) = program::resolve(program)
        {
            *program = path.into_os_string();
        }
        words
    }

    pub(crate) fn environment_ref(&self) -> &Environment {
        &self.environment
    }

    /// The base of the environment, if named.
    pub(crate) fn named_base(&self) -> Option<&EnvironmentBase> {
        self.is_base_named.then_some(&self.environment.base)
    }

    /// The working directory, if named.
    pub(crate) fn named_cwd(&self) -> Option<&PathBuf> {
        self.cwd.as_ref()
    }

    /// The recorded command, with the named parts of this one.
    pub(crate) fn over(&self, words: &[OsString], environment: &Environment, cwd: &Path) -> Self {
        let Environment { set, remove, .. } = self.environment.clone();
        let change = EnvironmentChange { base: self.named_base().cloned(), set, remove };
        Self {
            words: words.to_vec(),
            environment: change.of(environment.clone()),
            is_base_named: true,
            cwd: Some(self.cwd.clone().unwrap_or_else(|| cwd.to_owned())),
        }
    }

    /// The absolute working directory.
    ///
    /// # Errors
    /// If the caller's working directory is needed and was removed.
    pub(crate) fn absolute_cwd(&self) -> io::Result<PathBuf> {
        match &self.cwd {
            Some(dir) => std::path::absolute(dir),
            None => std::env::current_dir(),
        }
    }

    /// Whether the program's name or an argument contains `part`.
    pub(crate) fn mentions(&self, part: &OsStr) -> bool {
        self.words.iter().any(|word| holds(word, part))
    }
}

/// Whether `word` contains `part`.
pub(crate) fn holds(word: &OsStr, part: &OsStr) -> bool {
    let part = part.as_encoded_bytes();
    part.is_empty() || word.as_encoded_bytes().windows(part.len()).any(|bytes| bytes == part)
}

/// The setters of [`Command`], for a launch with a field `command`.
macro_rules! command_setters {
    () => {
        /// Adds an argument. Nothing in an argument is split or expanded.
        #[must_use]
        pub fn arg(mut self, arg: impl Into<std::ffi::OsString>) -> Self {
            self.command = self.command.arg(arg);
            self
        }

        /// Adds arguments; see [`Self::arg`].
        #[must_use]
        pub fn args<S: Into<std::ffi::OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
            self.command = self.command.args(args);
            self
        }

        /// Sets a variable. The value replaces an inherited value. `name` must not contain `=`.
        #[must_use]
        pub fn env(mut self, name: impl Into<String>, value: impl Into<std::ffi::OsString>) -> Self {
            self.command = self.command.env(name, value);
            self
        }

        /// Sets variables; see [`Self::env`].
        #[must_use]
        pub fn envs<N: Into<String>, V: Into<std::ffi::OsString>>(
            mut self,
            variables: impl IntoIterator<Item = (N, V)>,
        ) -> Self {
            self.command = self.command.envs(variables);
            self
        }

        /// Removes a variable, set or inherited.
        #[must_use]
        pub fn env_remove(mut self, name: impl Into<String>) -> Self {
            self.command = self.command.env_remove(name);
            self
        }

        /// Removes all variables, set or inherited.
        #[must_use]
        pub fn env_clear(mut self) -> Self {
            self.command = self.command.env_clear();
            self
        }

        /// Passes on only these variables of the caller, as far as they are set. Variables that were set stay.
        #[must_use]
        pub fn env_only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            self.command = self.command.env_only(names);
            self
        }

        /// Replaces the whole environment. The default is the caller's environment.
        #[must_use]
        pub fn environment(mut self, environment: rekindle_core::Environment) -> Self {
            self.command = self.command.environment(environment);
            self
        }

        /// The working directory. The default is the caller's working directory.
        #[must_use]
        pub fn cwd(mut self, dir: impl Into<std::path::PathBuf>) -> Self {
            self.command = self.command.cwd(dir);
            self
        }
    };
}

pub(crate) use command_setters;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_about_a_variable_counts() {
        let command = Command::new("p").env("A", "1").env_remove("A").env_remove("B").env("B", "2");
        let Environment { base, set, remove } = command.environment;
        assert_eq!(base, EnvironmentBase::Inherit);
        assert_eq!(set, [("B".to_owned(), "2".into())].into());
        assert_eq!(remove, ["A".to_owned()].into());
    }

    #[test]
    fn what_is_cleared_has_nothing_to_remove() {
        let command =
            Command::new("p").env("A", "1").env_remove("B").env_clear().env_remove("C").env("D", "4");
        let Environment { base, set, remove } = command.environment;
        assert_eq!((base, remove.len()), (EnvironmentBase::Clear, 0));
        assert_eq!(set, [("D".to_owned(), "4".into())].into());
    }
}
