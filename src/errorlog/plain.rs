//! Text of a log that is safe to show.

/// Returns the text on one line: no control characters, no more than `limit` characters.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let plain = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().take(limit).map(plain).collect()
}
