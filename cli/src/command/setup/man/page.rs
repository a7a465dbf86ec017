//! A manual page of each verb.
//!
//! The options come from clap_mangen. The end of a help becomes sections by its labels: `Examples:` is EXAMPLES, `Exit
//! codes:` is EXIT STATUS, and the rest is NOTES.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io;

/// The section of the manual.
const SECTION: &str = "1";

/// The beginning of the title line of every page.
pub(super) const MARK: &str = ".TH rekindle";

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    /// The name of the file.
    pub(super) name: String,
    pub(super) text: String,
}

/// The name of the file of a verb's page; without words, of the command's own page.
pub(super) fn file_name(verb: &[String]) -> String {
    let words = std::iter::once("rekindle").chain(verb.iter().map(String::as_str));
    format!("{}.{SECTION}", words.collect::<Vec<_>>().join("-"))
}

/// The pages of a command and of all its verbs.
pub(super) fn all(mut command: Command) -> Vec<Page> {
    command.build();
    let command = without_help_verbs(command);
    let mut pages = Vec::new();
    let mut open = vec![&command];
    while let Some(verb) = open.pop() {
        open.extend(shown(verb));
        pages.push(page(&command, verb));
    }
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    pages
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

/// The built grammar, with `help` hidden: the manual is the help.
fn without_help_verbs(command: Command) -> Command {
    command.mut_subcommands(|verb| {
        without_help_verbs(if verb.get_name() == "help" { verb.hide(true) } else { verb })
    })
}

fn title(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(root: &Command, verb: &Command) -> Page {
    let text = text(root, verb).expect("memory takes every write");
    let name = format!("{}.{SECTION}", title(verb));
    Page { name, text: String::from_utf8_lossy(&text).into_owned() }
}

fn text(root: &Command, verb: &Command) -> io::Result<Vec<u8>> {
    let version = root.get_version().unwrap_or_default();
    // An empty date would be no argument at all, and the version would take its place.
    let man = Man::new(verb.clone()).date(" ").source(format!("rekindle {version}")).manual("rekindle");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if verb.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if shown(verb).next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    ends(root, verb).to_writer(&mut page)?;
    Ok(page)
}

/// The sections after the options.
fn ends(root: &Command, verb: &Command) -> Roff {
    let help = verb.get_after_long_help().or_else(|| verb.get_after_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let (mut notes, mut status, mut examples) = (Vec::new(), Vec::new(), Vec::new());
    for paragraph in help.split("\n\n") {
        let after = |labels: [&str; 2]| labels.iter().find_map(|label| paragraph.strip_prefix(label));
        match (after(["Examples:", "Example:"]), after(["Exit codes:", "Exit status:"])) {
            (Some(rest), _) => examples.push(rest),
            (None, Some(rest)) => status.push(rest),
            (None, None) => notes.push(paragraph),
        }
    }
    let mut roff = Roff::new();
    section(&mut roff, "NOTES", &notes);
    section(&mut roff, "EXIT STATUS", &status);
    if status.is_empty() {
        roff.control("SH", ["EXIT STATUS"]);
        roff.text([roman("As described in "), bold(title(root)), roman(format!("({SECTION})."))]);
    }
    section(&mut roff, "EXAMPLES", &examples);
    let others: Vec<&Command> =
        [root].into_iter().chain(shown(root)).filter(|it| title(it) != title(verb)).collect();
    roff.control("SH", ["SEE ALSO"]);
    for (index, other) in others.iter().enumerate() {
        let comma = if index + 1 < others.len() { "," } else { "" };
        roff.text([bold(title(other)), roman(format!("({SECTION}){comma}"))]);
    }
    roff
}

fn section(roff: &mut Roff, heading: &str, paragraphs: &[&str]) {
    if paragraphs.iter().all(|paragraph| paragraph.trim().is_empty()) {
        return;
    }
    roff.control("SH", [heading]);
    for paragraph in paragraphs {
        roff.control("PP", []);
        lines(roff, paragraph, heading == "EXAMPLES");
    }
}

/// The lines of a paragraph. Indented lines, and every line of an example, keep their layout.
fn lines(roff: &mut Roff, paragraph: &str, is_example: bool) {
    let mut is_kept = false;
    for line in paragraph.lines().filter(|line| !line.trim().is_empty()) {
        let keeps = is_example || line.starts_with("  ");
        if keeps != is_kept {
            roff.control(if keeps { "EX" } else { "EE" }, []);
            is_kept = keeps;
        }
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line.trim_start()).trim_end())]);
    }
    if is_kept {
        roff.control("EE", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::pages;

    #[test]
    fn every_verb_has_a_page_and_no_page_is_hidden() {
        let pages = all(pages::command());
        let has = |name: &str| pages.iter().any(|page| page.name == name);
        for name in ["rekindle.1", "rekindle-up.1", "rekindle-pool-run.1", "rekindle-lifecycle-acquire.1"] {
            assert!(has(name), "{name}");
        }
        assert!(!pages.iter().any(|page| page.name.contains("help")));
        assert!(pages.iter().all(|page| page.text.contains(MARK)));
    }

    #[test]
    fn the_end_of_a_help_becomes_sections() {
        let verb = Command::new("v").after_help(
            "A note.\n\nKinds:\n  one  two\n\nExit codes: 0 done.\n\nExamples:\n  v --a 'b'\n  v .c\n\nExample: v d",
        );
        let text = ends(&Command::new("rekindle"), &verb).to_roff();
        let (notes, rest) = text.split_once(".SH \"EXIT STATUS\"\n").unwrap();
        assert_eq!(notes, ".SH NOTES\n.PP\nA note.\n.PP\nKinds:\n.EX\none  two\n.EE\n");
        let (status, rest) = rest.split_once(".SH EXAMPLES\n").unwrap();
        assert_eq!(status, ".PP\n0 done.\n");
        let examples = ".PP\n.EX\nv \\-\\-a 'b'\nv .c\n.EE\n.PP\n.EX\nv d\n.EE\n";
        assert!(rest.starts_with(examples), "{rest}");
    }

    #[test]
    fn a_page_is_named_by_its_verb() {
        assert_eq!(file_name(&[]), "rekindle.1");
        assert_eq!(file_name(&["pool".to_owned(), "run".to_owned()]), "rekindle-pool-run.1");
    }
}
