//! A stream cut into lines: nothing is lost, nothing grows (P5).

use proptest::prelude::*;
use rekindle_core::lines::{LineLimits, Lines};
use rekindle_gates::property;

/// All lines of a stream that arrives in these pieces, and the retained lines.
fn lines(limits: LineLimits, pieces: &[&[u8]]) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut seen) = (Lines::new(limits), vec![]);
    for piece in pieces {
        lines.push(piece, &mut |line| seen.push(line.to_owned()));
    }
    lines.finish(&mut |line| seen.push(line.to_owned()));
    (seen, lines.kept().map(str::to_owned).collect())
}

fn arb_limits() -> impl Strategy<Value = LineLimits> {
    (0_usize..6, 0_usize..4).prop_map(|(line_len_max, lines_max)| LineLimits { line_len_max, lines_max })
}

/// Few different bytes, so newlines and broken UTF-8 are frequent.
fn arb_stream() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop::sample::select(&[b'a', b'b', b'\n', 0xC3, 0xA4, 0][..]);
    prop::collection::vec(prop::collection::vec(byte, 0..8), 0..8)
}

#[test]
fn the_default_limits_are_the_documented_ones() {
    assert_eq!(LineLimits::default(), LineLimits { line_len_max: 4096, lines_max: 100 });
}

/// Invariant 1.
#[test]
fn the_pieces_of_a_stream_do_not_matter() {
    property!("lines", the_pieces_of_a_stream_do_not_matter).check(
        &(arb_limits(), arb_stream()),
        |(limits, pieces)| {
            let whole = pieces.concat();
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(lines(limits, &pieces), lines(limits, &[&whole]));
            Ok(())
        },
    );
}

/// Invariant 2: the bounds hold after every piece, and the retained lines are the last lines of the stream, as many as allowed.
#[test]
fn the_bounds_hold() {
    property!("lines", the_bounds_hold).check(&(arb_limits(), arb_stream()), |(limits, pieces)| {
        let (mut lines, mut seen) = (Lines::new(limits), vec![]);
        for piece in &pieces {
            lines.push(piece, &mut |line| seen.push(line.to_owned()));
            let kept: Vec<&str> = lines.kept().collect();
            prop_assert_eq!(kept.len(), limits.lines_max.min(seen.len()));
            prop_assert_eq!(&kept[..], &seen[seen.len() - kept.len()..]);
        }
        for line in &seen {
            let text = line.split(" [").next().unwrap_or_default();
            // An invalid byte becomes a character of three bytes.
            prop_assert!(text.len() <= 3 * limits.line_len_max, "{line:?}");
        }
        Ok(())
    });
}

/// If no line is too long, the lines are the stream's lines; the last may lack a newline.
#[test]
fn lines_are_the_lines_of_the_stream() {
    property!("lines", lines_are_the_lines_of_the_stream).check(&arb_stream(), |pieces| {
        let whole = pieces.concat();
        let mut expected: Vec<String> = whole
            .split(|byte| *byte == b'\n')
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        if whole.is_empty() || whole.ends_with(b"\n") {
            expected.pop();
        }
        prop_assert_eq!(lines(LineLimits::default(), &[&whole]).0, expected);
        Ok(())
    });
}

/// Omitted bytes are counted and reported.
#[test]
fn a_line_that_is_too_long_says_so() {
    let limits = LineLimits { line_len_max: 3, lines_max: 9 };
    let (seen, _) = lines(limits, &[b"abc\nabcd\n", b"abcde", b"fgh\n\nx"]);
    assert_eq!(seen, ["abc", "abc [1 more bytes]", "abc [5 more bytes]", "", "x"]);
    let none = LineLimits { line_len_max: 0, lines_max: 9 };
    assert_eq!(lines(none, &[b"ab\n\nc"]).0, [" [2 more bytes]", "", " [1 more bytes]"]);
}
