//! The pages of the help: the grouped list of verbs, and for each verb examples and exit codes below its options.
//!
//! The pages are no part of the plain grammar, which every call builds: texts would only delay an `up`. [`command`] adds
//! the pages where help is asked for.
//!
//! # Invariants
//! 1. Every verb is in the list of [`LONG`], under one heading, with the words of the grammar.
//! 2. [`SHORT`] has a line for each verb of every day, and names all others.
//!
//! Checked below; `cli/src/args/snapshots` has the pages as users get them in 80 columns.

use super::Args;
use clap::{Arg, ArgAction, Command, CommandFactory};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The layout of the page of the whole command.
const TEMPLATE: &str = "\
{about-with-newline}
{usage-heading} {usage}

{before-help}Options:
{options}{after-help}";

/// The list of verbs for `-h`, which has to fit a terminal of 24 lines together with the options.
const SHORT: &str = include_str!("pages/short.txt");

/// The list of verbs for `--help`.
const LONG: &str = include_str!("pages/long.txt");

/// The page of each verb, by the words of the verb.
const PAGES: [(&[&str], &str); 27] = [
    (&["up"], include_str!("pages/up.txt")),
    (&["restart"], include_str!("pages/restart.txt")),
    (&["init"], include_str!("pages/init.txt")),
    (&["signal"], include_str!("pages/signal.txt")),
    (&["ls"], include_str!("pages/ls.txt")),
    (&["show"], include_str!("pages/show.txt")),
    (&["logs"], include_str!("pages/logs.txt")),
    (&["status"], include_str!("pages/status.txt")),
    (&["wait"], include_str!("pages/wait.txt")),
    (&["events"], include_str!("pages/events.txt")),
    (&["rm"], include_str!("pages/rm.txt")),
    (&["completions"], include_str!("pages/completions.txt")),
    (&["man"], include_str!("pages/man.txt")),
    (&["schema"], include_str!("pages/schema.txt")),
    (&["stop"], include_str!("pages/stop.txt")),
    (&["call"], include_str!("pages/call.txt")),
    (&["probe"], include_str!("pages/probe.txt")),
    (&["unlock"], include_str!("pages/unlock.txt")),
    (&["gc"], include_str!("pages/gc.txt")),
    (&["doctor"], include_str!("pages/doctor.txt")),
    (&["pool"], include_str!("pages/pool.txt")),
    (&["pool", "run"], include_str!("pages/pool_run.txt")),
    (&["pool", "continue"], include_str!("pages/pool_continue.txt")),
    (&["lifecycle", "acquire"], include_str!("pages/lifecycle_acquire.txt")),
    (&["claim"], include_str!("pages/claim.txt")),
    (&["supervise"], include_str!("pages/supervise.txt")),
    (&["worker"], include_str!("pages/worker.txt")),
];

/// Whether a command line may ask for help. Says yes too often rather than too seldom.
pub(crate) fn are_wanted<S: AsRef<OsStr>>(line: &[S]) -> bool {
    let asks = |word: &S| match word.as_ref().as_bytes() {
        b"help" | b"--help" => true,
        [b'-', rest @ ..] => !rest.starts_with(b"-") && rest.contains(&b'h'),
        _ => false,
    };
    line.len() <= 1 || line.iter().take_while(|word| word.as_ref() != "--").any(asks)
}

/// The grammar with its pages: for help, manual pages and completions.
pub(crate) fn command() -> Command {
    let command = Args::command()
        .help_template(TEMPLATE)
        .disable_help_flag(true)
        .arg(help_flag())
        .before_help(SHORT.trim_end())
        .before_long_help(LONG.trim_end())
        .after_help("Start here: rekindle demo. More: rekindle --help, rekindle VERB --help")
        .after_long_help(include_str!("pages/rekindle.txt").trim_end());
    PAGES.into_iter().fold(command, |command, (words, page)| with_page(command, words, page))
}

/// The flag of clap, in our words.
fn help_flag() -> Arg {
    let flag = Arg::new("help").short('h').long("help").action(ArgAction::Help).global(true);
    flag.help("Print help; --help has examples and exit codes")
}

fn with_page(command: Command, words: &[&'static str], page: &'static str) -> Command {
    match words {
        [] => command.after_long_help(page.trim_end()),
        [verb, rest @ ..] => command.mut_subcommand(verb, |command| with_page(command, rest, page)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle::ReadyKind;

    /// The verbs under their headings, in the order of a newcomer's day.
    const GROUPS: [(&str, &[&str]); 5] = [
        ("Start a worker, and use it", &["up", "restart", "init", "call", "signal"]),
        ("Look", &["ls", "show", "logs", "status", "wait", "events", "doctor", "probe"]),
        ("End, and clean up", &["stop", "rm", "gc", "unlock"]),
        ("Run a program", &["supervise", "claim", "lifecycle", "pool", "worker", "demo"]),
        ("Pages", &["completions", "man", "schema", "help"]),
    ];

    /// The page that a user gets for a command line, in 80 columns.
    fn page(line: &[&str]) -> String {
        let command = command().term_width(80).try_get_matches_from(line);
        command.expect_err("help is no match").to_string()
    }

    fn about(command: &Command, verb: &str) -> String {
        match command.find_subcommand(verb) {
            Some(verb) => verb.get_about().expect("each verb says what it does").to_string(),
            None => "Print this page, or the page of a verb".to_owned(),
        }
    }

    /// Invariant 1.
    #[test]
    fn every_verb_is_listed_in_its_group() {
        let command = Args::command();
        let group = |(title, verbs): &(&str, &[&str])| {
            let row = |verb: &&str| format!("  {verb:11}  {}\n", about(&command, verb));
            format!("{title}:\n{}", verbs.iter().map(row).collect::<String>())
        };
        let expected = GROUPS.iter().map(group).collect::<Vec<_>>().join("\n");
        assert_eq!(LONG, expected, "write this into cli/src/args/pages/long.txt:\n{expected}");
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = verb.get_name();
            assert!(GROUPS.iter().any(|(_, verbs)| verbs.contains(&name)), "`{name}` has no group");
        }
    }

    /// Invariant 2.
    #[test]
    fn the_short_page_names_every_verb_and_fits_a_small_terminal() {
        let command = Args::command();
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let (name, about) = (verb.get_name(), about(&command, verb.get_name()));
            let has_line = SHORT.lines().any(|line| line == format!("  {name:6}  {about}"));
            let is_named = SHORT
                .lines()
                .filter(|line| !line.starts_with("  "))
                .any(|line| line.split([' ', ',', ':']).any(|word| word == name));
            assert!(has_line != is_named, "`{name}` has one place in cli/src/args/pages/short.txt");
        }
        let short = page(&["rekindle", "-h"]);
        assert!(short.lines().count() < 24 && short.lines().all(|line| line.len() <= 80), "{short}");
        assert_eq!(page(&["rekindle"]), short, "without arguments");
    }

    /// The table of the core owns the words. Code quotes are for pages.
    #[test]
    fn the_help_of_up_has_the_words_of_the_table() {
        let rows = ReadyKind::ALL.map(ReadyKind::row);
        let width = rows.iter().map(|row| row.spelling().len()).max().unwrap_or(0);
        let lines =
            rows.map(|row| format!("  {:width$}  {}\n", row.spelling(), row.ready_when.replace('`', "")));
        let up = include_str!("pages/up.txt");
        assert!(up.starts_with(&format!("Kinds of --ready:\n{}\n", lines.concat())), "{}", lines.concat());
    }

    #[test]
    fn help_is_noticed_wherever_it_is_asked_for() {
        for line in
            [&["rekindle"][..], &["rekindle", "up", "-h"], &["rekindle", "-vh"], &["rekindle", "help"]]
        {
            assert!(are_wanted(line), "{line:?}");
        }
        for line in [&["rekindle", "up", "s", "--", "p", "-h"][..], &["rekindle", "ls", "--json"]] {
            assert!(!are_wanted(line), "{line:?}");
        }
    }

    /// The short and the long page of each verb, as users get them.
    #[test]
    fn help_teaches() {
        insta::assert_snapshot!("help", page(&["rekindle", "--help"]));
        insta::assert_snapshot!("help_short", page(&["rekindle", "-h"]));
        for verb in [
            "up",
            "restart",
            "init",
            "call",
            "signal",
            "ls",
            "show",
            "logs",
            "status",
            "wait",
            "events",
            "doctor",
            "probe",
            "stop",
            "rm",
            "gc",
            "unlock",
            "supervise",
            "claim",
            "worker",
            "completions",
            "man",
            "schema",
        ] {
            insta::assert_snapshot!(format!("help_{verb}"), page(&["rekindle", verb, "--help"]));
            insta::assert_snapshot!(format!("help_{verb}_short"), page(&["rekindle", verb, "-h"]));
        }
        for (group, verb) in [("pool", "run"), ("pool", "continue"), ("lifecycle", "acquire")] {
            insta::assert_snapshot!(
                format!("help_{group}_{verb}"),
                page(&["rekindle", group, verb, "--help"])
            );
            insta::assert_snapshot!(
                format!("help_{group}_{verb}_short"),
                page(&["rekindle", group, verb, "-h"])
            );
        }
    }

    /// With more than five options a page has a heading for each kind of option.
    #[test]
    fn options_have_headings() {
        let mut command = command();
        command.build();
        let bare = |verb: &Command| {
            let options = verb.get_arguments().filter(|arg| !arg.is_positional()).count();
            let is_bare = |arg: &&clap::Arg| {
                !arg.is_positional() && !arg.is_global_set() && arg.get_help_heading().is_none()
            };
            let without = verb.get_arguments().filter(is_bare);
            let without: Vec<_> = without.map(|arg| arg.get_id().to_string()).collect();
            (options > 5 && !without.is_empty()).then(|| format!("{}: {without:?}", verb.get_name()))
        };
        let verbs =
            command.get_subcommands().flat_map(|verb| std::iter::once(verb).chain(verb.get_subcommands()));
        assert_eq!(verbs.filter_map(bare).collect::<Vec<_>>(), [] as [String; 0]);
    }
}
