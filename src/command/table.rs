//! Tables of text with aligned columns.

use std::io::{self, Write};

/// Writes rows with their columns aligned. Control characters, which could steer a terminal, are
/// replaced: some cells hold text from elsewhere.
///
/// # Errors
/// When the output can't be written.
pub fn write<const N: usize>(
    out: &mut dyn Write,
    head: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let head = head.map(str::to_owned);
    let mut widths = [0; N];
    for row in std::iter::once(&head).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line += &format!("{:width$}  ", safe(cell));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Returns a text with its control characters, which could steer a terminal, replaced.
#[must_use]
pub fn safe(text: &str) -> String {
    text.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_harmless() {
        let mut out = Vec::new();
        let rows = [["a".to_owned(), "\x1b[2J".to_owned()]];
        write(&mut out, ["FIRST", "B"], &rows).expect("a Vec takes all");
        assert_eq!(String::from_utf8_lossy(&out), "FIRST  B\na      ?[2J\n");
    }
}
