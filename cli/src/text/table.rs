//! A table that fits a width.

use super::line::{BOLD, Cut, Line, Page};

/// The spaces between two columns.
const GAP: usize = 2;

/// The least width of the last column before another column gives way.
const LAST_MIN: usize = 12;

/// The least width of the first column.
const FIRST_MIN: usize = 8;

/// The rows below a header. If `width` is too small, the last column is cut, then the first; the columns between stay
/// whole. `None` cuts nothing.
pub(super) fn table<const N: usize>(header: [&str; N], rows: Vec<[Line; N]>, width: Option<usize>) -> Page {
    let rows: Vec<[Line; N]> =
        std::iter::once(header.map(|title| Line::styled(BOLD, title).cut_at(Cut::End))).chain(rows).collect();
    let natural: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0));
    let widths = width.map_or(natural, |width| fitted(natural, width));
    let line = |row: [Line; N]| {
        let cells = row.into_iter().zip(widths).map(|(cell, width)| cell.cut(width).padded(width));
        cells.reduce(|line, cell| line.and(anstyle::Style::new(), " ".repeat(GAP)).followed_by(cell))
    };
    rows.into_iter().filter_map(line).collect()
}

/// The width that a table needs.
pub(super) fn natural_width<const N: usize>(header: [&str; N], rows: &[[Line; N]]) -> usize {
    let of = |column: usize| {
        let cells = rows.iter().map(|row| row[column].width());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    (0..N).map(of).sum::<usize>() + GAP * N.saturating_sub(1)
}

/// The widths of the columns, in at most `width` columns together.
fn fitted<const N: usize>(mut widths: [usize; N], width: usize) -> [usize; N] {
    let mut over = (widths.iter().sum::<usize>() + GAP * N.saturating_sub(1)).saturating_sub(width);
    for (column, least) in [(N - 1, LAST_MIN), (0, FIRST_MIN), (N - 1, 0), (0, 0)] {
        let given = over.min(widths[column].saturating_sub(least));
        widths[column] -= given;
        over -= given;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_give_way_in_order() {
        assert_eq!(fitted([10, 4, 41], 100), [10, 4, 41]);
        assert_eq!(fitted([10, 4, 41], 50), [10, 4, 32]);
        assert_eq!(fitted([64, 4, 41], 50), [30, 4, 12]);
        assert_eq!(fitted([64, 4, 41], 20), [8, 4, 4]);
        assert_eq!(fitted([64, 4, 41], 3), [0, 4, 0], "a column between stays whole");
    }
}
