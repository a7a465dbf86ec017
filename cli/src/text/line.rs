//! Lines with styles.

use anstyle::{AnsiColor, Style};
use rekindle::frontend::Shown;
use unicode_width::UnicodeWidthStr;

/// A heading, or a word to find first.
pub(crate) const BOLD: Style = Style::new().bold();
/// A name in front of a value.
pub(crate) const DIM: Style = Style::new().dimmed();
/// All is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// A passing state, or a state worth a look.
pub(crate) const NOTE: Style = AnsiColor::Yellow.on_default();
/// A failure.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();

/// Several lines.
pub(crate) type Page = Vec<Line>;

/// A line of parts, each with a style. Characters that a terminal obeys are escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    parts: Vec<(Style, String)>,
    cut: Cut,
}

/// The part to leave out if a line has too little room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its middle: both ends of a path tell something.
    #[default]
    Middle,
    /// Its end: a sentence begins with what matters.
    End,
}

impl Line {
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::styled(Style::new(), text)
    }

    pub(crate) fn styled(style: Style, text: impl AsRef<str>) -> Self {
        Self::default().and(style, text)
    }

    /// The same line, with more text.
    #[must_use]
    pub(crate) fn and(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.parts.push((style, Shown(text.as_ref()).to_string()));
        self
    }

    /// The same line, with the parts of another.
    #[must_use]
    pub(crate) fn followed_by(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// The same line, to be cut in this way.
    #[must_use]
    pub(crate) fn cut_at(self, cut: Cut) -> Self {
        Self { cut, ..self }
    }

    /// The number of columns on a terminal.
    pub(crate) fn width(&self) -> usize {
        self.parts.iter().map(|(_, text)| text.width()).sum()
    }

    /// The line with spaces up to a width.
    #[must_use]
    pub(crate) fn padded(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        if missing == 0 { self } else { self.and(Style::new(), " ".repeat(missing)) }
    }

    /// The line in at most `width` columns: `...` stands for the text left out. A shortened line has the style of its
    /// first part.
    #[must_use]
    pub(crate) fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let style = self.parts.first().map(|(style, _)| *style).unwrap_or_default();
        let whole: String = self.parts.into_iter().map(|(_, text)| text).collect();
        Self { parts: vec![(style, shortened(&whole, width, self.cut))], cut: self.cut }
    }

    /// The text without styles, and without spaces at the end.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        let whole: String = self.parts.iter().map(|(_, text)| text.as_str()).collect();
        whole.trim_end().to_owned()
    }

    /// The text with the terminal's codes for its styles, and without spaces at the end.
    pub(crate) fn to_ansi(&self) -> String {
        let parts = self.parts.iter().map(|(style, text)| match *style == Style::new() {
            true => text.clone(),
            false => format!("{style}{text}{style:#}"),
        });
        parts.collect::<String>().trim_end().to_owned()
    }
}

const ELLIPSIS: &str = "...";

/// The text in at most `width` columns. Of a path the end has the larger half, since a path ends with its most telling
/// name.
fn shortened(text: &str, width: usize, cut: Cut) -> String {
    let Some(room) = width.checked_sub(ELLIPSIS.len()) else { return ELLIPSIS[..width].to_owned() };
    let of_head = match cut {
        Cut::Middle => room / 2,
        Cut::End => room,
    };
    let head = fitting(text.chars(), of_head);
    let tail: Vec<char> = fitting(text.chars().rev(), room - of_head).chars().collect();
    head + ELLIPSIS + &tail.into_iter().rev().collect::<String>()
}

/// The first characters that fit into `width` columns.
fn fitting(text: impl Iterator<Item = char>, width: usize) -> String {
    let mut taken = String::new();
    for letter in text {
        taken.push(letter);
        if taken.width() > width {
            taken.pop();
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_wide_as_a_terminal_shows_it() {
        assert_eq!(Line::plain("abc").width(), 3);
        assert_eq!(Line::plain("日本").width(), 4, "two columns each");
        assert_eq!(Line::plain("e\u{301}").width(), 1, "an accent takes no column");
    }

    #[test]
    fn a_cut_keeps_both_ends_and_the_width() {
        let path = Line::plain("/home/me/.local/state/rekindle/cache/sock");
        assert_eq!(path.clone().cut(20).text(), "/home/me...ache/sock");
        for width in 0..45 {
            assert!(path.clone().cut(width).width() <= width, "{width}");
            assert!(Line::plain("日本語日本語日本語").cut(width).width() <= width, "{width}");
        }
        assert_eq!(path.clone().cut(41), path);
        assert_eq!(
            Line::plain("killed by SIGSEGV, 1 h ago").cut_at(Cut::End).cut(20).text(),
            "killed by SIGSEGV..."
        );
    }

    #[test]
    fn foreign_text_steers_no_terminal() {
        let hostile = Line::styled(BAD, "x\u{1b}[2J\ny\u{9b}31m");
        assert_eq!(hostile.text(), "x\\u{1b}[2J\\ny\\u{9b}31m");
        let ansi = hostile.to_ansi();
        assert_eq!(ansi.matches('\u{1b}').count(), 2, "our own style and its end: {ansi:?}");
    }
}
