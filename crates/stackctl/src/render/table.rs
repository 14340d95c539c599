//! Columns, laid out as Go's tabwriter does, so that tables look as docker's.

use unicode_width::UnicodeWidthStr;

/// How columns are laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The least width of a column, space after it included.
    pub(crate) least: usize,
    /// The space after the widest cell of a column.
    pub(crate) space: usize,
}

/// As docker lays out what has a `--format`.
pub(crate) const FORMATTED: Layout = Layout { least: 10, space: 3 };
/// As docker compose lays out `ls` and `images`.
pub(crate) const WIDE: Layout = Layout { least: 20, space: 3 };
/// As docker compose lays out `top`.
pub(crate) const NARROW: Layout = Layout { least: 4, space: 2 };

/// The narrowest that a column is made to fit a terminal.
const NARROWEST: usize = 8;

/// Lines with their cells parted by tabs. A cell ends with a tab: what comes after the
/// last one is no cell of a column, and is not filled up.
pub(crate) fn lay_out(text: &str, layout: Layout) -> String {
    let lines: Vec<Vec<&str>> = text.split_terminator('\n').map(|line| line.split('\t').collect()).collect();
    let mut out = String::with_capacity(text.len() * 2);
    block(&lines, &mut Vec::new(), layout, &mut out);
    out
}

/// Lays out lines whose first columns have these widths. A column reaches over the lines
/// next to each other that have a cell in it.
fn block(lines: &[Vec<&str>], widths: &mut Vec<usize>, layout: Layout, out: &mut String) {
    let column = widths.len();
    let has_cell = |line: &Vec<&str>| line.len() > column + 1;
    let mut rest = lines;
    while let Some(first) = rest.iter().position(has_cell) {
        write(&rest[..first], widths, out);
        rest = &rest[first..];
        let count = rest.iter().position(|line| !has_cell(line)).unwrap_or(rest.len());
        let widest = rest[..count].iter().map(|line| line[column].width()).max().unwrap_or(0);
        widths.push((widest + layout.space).max(layout.least));
        block(&rest[..count], widths, layout, out);
        widths.pop();
        rest = &rest[count..];
    }
    write(rest, widths, out);
}

fn write(lines: &[Vec<&str>], widths: &[usize], out: &mut String) {
    for line in lines {
        for (index, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if let (Some(width), true) = (widths.get(index), index + 1 < line.len()) {
                out.push_str(&" ".repeat(width.saturating_sub(cell.width())));
            }
        }
        out.push('\n');
    }
}

/// Cuts cells until the lines fit a terminal of this width, the widest columns first. No column
/// gets narrower than its head, which is the first line.
pub(crate) fn fit(rows: &mut [Vec<String>], width: usize, layout: Layout) {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |rows: &[Vec<String>], column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..count).map(|column| widest(rows, column)).collect();
    let least: Vec<usize> = (0..count)
        .map(|column| {
            let head = rows.first().and_then(|row| row.get(column)).map_or(0, |cell| cell.width());
            head.max(NARROWEST)
        })
        .collect();
    let taken = |widths: &[usize]| {
        let columns = widths.iter().enumerate();
        columns
            .map(|(index, &width)| match index + 1 == count {
                true => width,
                false => (width + layout.space).max(layout.least),
            })
            .sum::<usize>()
    };
    while taken(&widths) > width {
        let widest =
            (0..count).filter(|&column| widths[column] > least[column]).max_by_key(|&column| widths[column]);
        let Some(column) = widest else { break };
        widths[column] -= 1;
    }
    for row in rows {
        for (cell, &width) in row.iter_mut().zip(&widths) {
            if cell.width() > width {
                *cell = shorten(cell, width);
            }
        }
    }
}

/// A text of at most this many columns, with `…` where it was cut.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) >= width {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_tabwriter() {
        assert_eq!(
            lay_out("NAME\tSTATUS\nlooky-web-1\tUp\n", FORMATTED),
            "NAME          STATUS\nlooky-web-1   Up\n"
        );
        assert_eq!(lay_out("NAME\tPORTS\tX\n", FORMATTED), "NAME      PORTS     X\n");
        assert_eq!(
            lay_out("SERVICE\t#\tUID\nweb\t1\troot\n", NARROW),
            "SERVICE  #   UID\nweb      1   root\n"
        );
        assert_eq!(
            lay_out("a\tb\nno cell\nlonger than ten\tb\n", FORMATTED),
            "a         b\nno cell\nlonger than ten   b\n"
        );
        assert_eq!(lay_out("état…\tb\n", FORMATTED), "état…     b\n");
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_cells() {
        let mut rows = vec![
            vec!["NAME".to_owned(), "COMMAND".to_owned(), "PORTS".to_owned()],
            vec![
                "shop-web-1".to_owned(),
                "a-very-long-command-line".to_owned(),
                "80/tcp, 443/tcp, 8080/tcp".to_owned(),
            ],
        ];
        fit(&mut rows, 50, FORMATTED);
        let text: String = rows.iter().map(|row| format!("{}\n", row.join("\t"))).collect();
        let shown = lay_out(&text, FORMATTED);
        assert!(shown.lines().all(|line| line.width() <= 50), "{shown}");
        assert!(shown.contains("shop-web-1 ") && shown.contains('…'), "{shown}");
        let whole = rows.clone();
        fit(&mut rows, 500, FORMATTED);
        assert_eq!(rows, whole);
    }
}
