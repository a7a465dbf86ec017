//! The sessions that an argument may name.

use crate::command::sessions;
use rekindle::SessionState;
use std::env;
use std::path::{Path, PathBuf};

/// The names, each with its state; none if the state directory cannot be read.
pub(super) fn named(words: &[String]) -> Vec<(String, SessionState)> {
    let dir = state_dir(words);
    let listed = sessions(dir.as_deref()).and_then(|sessions| sessions.list());
    let listed = listed.map(|listing| listing.sessions).unwrap_or_default();
    listed.into_iter().map(|it| (it.session.to_string(), it.state)).collect()
}

/// The value of `--dir`, in the words before the one under the cursor. A shell expands `~` only when the line is run.
fn state_dir(words: &[String]) -> Option<PathBuf> {
    let (_, before) = words.split_last()?;
    let separate = before.windows(2).filter(|pair| pair[0] == "--dir").map(|pair| pair[1].as_str());
    let joined = before.iter().filter_map(|word| word.strip_prefix("--dir="));
    let typed = joined.chain(separate).last()?;
    Some(match (typed.strip_prefix("~/"), env::home_dir()) {
        (Some(below), Some(home)) => home.join(below),
        (Some(_) | None, _) => Path::new(typed).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(words: &[&str]) -> Option<PathBuf> {
        state_dir(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_directory_is_the_one_that_was_typed_before() {
        assert_eq!(dir(&["r", "--dir", "/d", "show", ""]), Some("/d".into()));
        assert_eq!(dir(&["r", "show", "--dir=/d", ""]), Some("/d".into()));
        assert_eq!(dir(&["r", "show", "--dir", "/d"]), None, "it is being typed");
        assert_eq!(dir(&["r", "--dir", "~/d", ""]), env::home_dir().map(|home| home.join("d")));
    }
}
