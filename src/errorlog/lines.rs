//! Turns the bytes of a log into its lines, in each of the encodings that engines and editors
//! write.

/// The number of bytes of a line that are kept; what follows up to its end is dropped. Even, so
/// that no unit of UTF-16 is cut in two. The longest line that is read for its meaning has some 500
/// characters.
const MAX_LINE_BYTES: usize = 4096;

/// The number of bytes beyond the kept ones: the last unit read, in which the line's end is looked
/// for.
const UNIT_BYTES: usize = 2;

/// The encoding of a log's characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Encoding {
    /// UTF-8, what every released build for Linux writes.
    #[default]
    Utf8,
    /// UTF-16LE, as previews of 2017 and engines on Windows write it.
    Utf16Le,
    /// UTF-16BE, as an editor may have saved it.
    Utf16Be,
}

/// A splitter of bytes that arrive in pieces. A line is handed on once its newline has come.
#[derive(Debug, Default)]
pub struct Lines {
    encoding: Encoding,
    line: Vec<u8>,
    /// Whether what comes up to the next newline is the rest of a line whose beginning was not
    /// read.
    skipping: bool,
}

impl Lines {
    /// Begins the lines of a file that begins with these bytes: a byte order mark, or a first
    /// character of which one byte is zero, means UTF-16.
    #[must_use]
    pub fn begin(head: &[u8]) -> Self {
        let encoding = match head {
            [0xff, 0xfe, ..] => Encoding::Utf16Le,
            [0xfe, 0xff, ..] => Encoding::Utf16Be,
            [first, 0, ..] if *first != 0 => Encoding::Utf16Le,
            [0, second, ..] if *second != 0 => Encoding::Utf16Be,
            _ => Encoding::Utf8,
        };
        Self {
            encoding,
            ..Self::default()
        }
    }

    /// Marks a gap: the next bytes, which begin at an even offset, are not those that follow the
    /// last ones.
    pub fn jump(&mut self) {
        self.line.clear();
        self.skipping = true;
    }

    /// Takes the next bytes in, and passes each line that they end to `each`.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&str)) {
        for byte in bytes {
            if self.line.len() == MAX_LINE_BYTES + UNIT_BYTES {
                self.line.truncate(MAX_LINE_BYTES);
            }
            self.line.push(*byte);
            if self.ended() {
                if !self.skipping {
                    each(&self.text());
                }
                self.skipping = false;
                self.line.clear();
            }
        }
    }

    /// Hands on the last line, which no newline ends.
    pub fn finish(&mut self, each: &mut dyn FnMut(&str)) {
        if !self.skipping && !self.line.is_empty() {
            each(&self.text());
        }
        self.line.clear();
    }

    fn ended(&self) -> bool {
        let whole = self.line.len().is_multiple_of(UNIT_BYTES);
        match (self.encoding, self.line.as_slice()) {
            (Encoding::Utf8, [.., b'\n']) => true,
            (Encoding::Utf16Le, [.., b'\n', 0]) | (Encoding::Utf16Be, [.., 0, b'\n']) => whole,
            _ => false,
        }
    }

    /// Returns the line as text. What is no character becomes U+FFFD.
    fn text(&self) -> String {
        let unit: fn([u8; 2]) -> u16 = match self.encoding {
            Encoding::Utf8 => return String::from_utf8_lossy(&self.line).into_owned(),
            Encoding::Utf16Le => u16::from_le_bytes,
            Encoding::Utf16Be => u16::from_be_bytes,
        };
        let units = self.line.chunks_exact(UNIT_BYTES);
        let units = units.map(|bytes| unit([bytes[0], bytes[1]]));
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one\ntwö 𝄞\r\n\nunfinished";

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn lines(bytes: &[u8], piece: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::begin(bytes);
        for piece in bytes.chunks(piece) {
            lines.feed(piece, &mut |line| found.push(line.trim_end().to_owned()));
        }
        found
    }

    #[test]
    fn both_encodings_in_pieces_of_any_size() {
        for piece in [1, 2, 3, 5, 1000] {
            let expected = ["one", "twö 𝄞", ""];
            assert_eq!(lines(TEXT.as_bytes(), piece), expected, "{piece}");
            assert_eq!(lines(&wide(TEXT), piece), expected, "wide, {piece}");
        }
        let marked = wide("\u{feff}one\n");
        assert_eq!(lines(&marked, 3), ["\u{feff}one"]);
    }

    #[test]
    fn a_newline_across_two_units_is_none() {
        // U+0A00 beside U+000A: the bytes 00 0a 0a 00.
        let text = "a\u{0a00}\n";
        assert_eq!(lines(&wide(text), 1), ["a\u{0a00}"]);
    }

    #[test]
    fn an_overlong_line_is_cut_and_the_next_one_is_whole() {
        let text = format!("{}\nnext\n", "x".repeat(3 * MAX_LINE_BYTES));
        let found = lines(text.as_bytes(), 1000);
        assert!(found[0].len() <= MAX_LINE_BYTES + UNIT_BYTES);
        assert_eq!(found[1], "next");
        let found = lines(&wide(&text), 999);
        assert!(found[0].len() <= MAX_LINE_BYTES);
        assert_eq!(found[1], "next");
    }

    #[test]
    fn garbage_is_a_line_like_any_other() {
        assert_eq!(lines(b"\xff\xc3\0\n", 1).len(), 1);
        assert_eq!(lines(b"\0\0\0\nx\n", 1)[1], "x");
    }

    #[test]
    fn after_a_jump_the_rest_of_a_line_is_left_out() {
        let mut found = Vec::new();
        let mut lines = Lines::begin(b"be");
        lines.feed(b"begin", &mut |line| found.push(line.to_owned()));
        lines.jump();
        lines.feed(b"end\nwhole\n", &mut |line| found.push(line.to_owned()));
        assert_eq!(found, ["whole\n"]);
    }
}
