//! Turns a line into its entries: what a log's collector put before it is removed, and what two
//! writers joined is separated.

use std::borrow::Cow;

/// The greatest number of entries of one line; what follows is dropped. Writers that share a line
/// are two or three.
const MAX_ENTRIES: usize = 8;

/// The columns of an entry's source: `spid18s     `, `Server      `, `Logon       `.
const SOURCE_COLUMNS: usize = 12;

/// Sources that are recognized even where no time stands before them.
const SOURCES: [&str; 3] = ["Server", "Logon", "Backup"];

/// The shapes of times in Docker Desktop's view of a log. The engine's own has hundredths of a
/// second.
const DESKTOP_TIMES: [&str; 2] = ["dddd-dd-dd dd:dd:dd ", "dddd-dd-dd dd:dd:dd.ddd | "];

/// The greatest number of words of syslog's tag: month, day, time, host and program.
const TAG_WORDS: usize = 5;

/// Months as syslog writes them.
const MONTHS: [&str; 12] = [
    "Jan ", "Feb ", "Mar ", "Apr ", "May ", "Jun ", "Jul ", "Aug ", "Sep ", "Oct ", "Nov ", "Dec ",
];

/// An entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Whether date and time stand before it: then the engine wrote it, not a launcher or the
    /// platform layer.
    pub dated: bool,
    /// The part of the engine that wrote it; empty where none is given.
    pub source: &'a str,
    /// The message.
    pub text: &'a str,
}

/// Calls `each` with the entries of a line, in their order.
pub fn entries(line: &str, mut each: impl FnMut(Entry<'_>)) {
    let line = plain(line);
    let mut rest = undecorated(line.as_ref());
    for _ in 0..MAX_ENTRIES {
        // Whatever stands before a date is an entry of its own: a collector's prefix, or another writer's.
        let Some((at, length)) = find_date(rest) else {
            break;
        };
        let before = undecorated(&rest[..at]);
        if !before.is_empty() {
            each(undated(before));
        }
        let after = &rest[at + length..];
        let end = find_date(after).map_or(after.len(), |(at, _)| at);
        each(dated(&after[..end]));
        rest = &after[end..];
    }
    let rest = undecorated(rest);
    if !rest.is_empty() && find_date(rest).is_none() {
        each(undated(rest));
    }
}

fn blank(c: char) -> bool {
    c.is_whitespace() || c == '\0' || c == '\u{feff}'
}

/// Returns the line without the colours of a terminal, and with no other control character than the
/// tab.
fn plain(line: &str) -> Cow<'_, str> {
    let control = |c: char| c.is_control() && c != '\t';
    if !line.trim_matches(blank).contains(control) {
        return Cow::Borrowed(line);
    }
    let mut text = String::with_capacity(line.len());
    let mut chars = line.trim_matches(blank).chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            // Up to the letter that ends the sequence.
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if control(c) {
            text.push(' ');
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// Returns where the engine's date and time stand, and their length: `2023-11-16 00:42:50.70 `, or
/// the time alone at the beginning of a line. A word and a second column have to follow, or the
/// text after two blanks: a date within a message is none.
fn find_date(text: &str) -> Option<(usize, usize)> {
    const DATE: &str = "dddd-dd-dd dd:dd:dd.dd ";
    const TIME: &str = "dd:dd:dd.dd ";
    if shaped(text, TIME) {
        return Some((0, TIME.len()));
    }
    let bytes = text.as_bytes();
    let dashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'-');
    for (dash, _) in dashes {
        let Some(at) = dash.checked_sub(4).filter(|at| text.is_char_boundary(*at)) else {
            continue;
        };
        if shaped(&text[at..], DATE) && (at == 0 || has_source(&text[at + DATE.len()..])) {
            return Some((at, DATE.len()));
        }
    }
    None
}

fn shaped(text: &str, shape: &str) -> bool {
    let mut bytes = text.bytes();
    shape.bytes().all(|wanted| match (wanted, bytes.next()) {
        (b'd', Some(byte)) => byte.is_ascii_digit(),
        (wanted, byte) => byte == Some(wanted),
    })
}

/// Whether `text` begins with a padded source.
fn has_source(text: &str) -> bool {
    let mut columns = text.chars();
    let first = columns.next();
    first.is_some_and(|c| !c.is_whitespace()) && columns.nth(SOURCE_COLUMNS - 2) == Some(' ')
}

fn dated(text: &str) -> Entry<'_> {
    // Two blanks after the time: no source was written.
    if text.starts_with(' ') {
        return Entry {
            dated: true,
            source: "",
            text: text.trim_matches(blank),
        };
    }
    // By its columns, where they are kept: a translated source may consist of several words.
    let end = text
        .char_indices()
        .nth(SOURCE_COLUMNS)
        .map(|(at, _)| at)
        .filter(|_| has_source(text));
    let (source, message) = match end {
        Some(end) => text.split_at(end),
        None => text.split_once(' ').unwrap_or((text, "")),
    };
    Entry {
        dated: true,
        source: source.trim_matches(blank),
        text: message.trim_matches(blank),
    }
}

fn undated(text: &str) -> Entry<'_> {
    let (source, text) = match text.split_once(' ') {
        Some((word, rest)) if rest.starts_with(' ') && is_source(word) => {
            (word, rest.trim_matches(blank))
        }
        _ => ("", text),
    };
    Entry {
        dated: false,
        source,
        text,
    }
}

fn is_source(word: &str) -> bool {
    let spid = word
        .strip_prefix("spid")
        .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    spid || SOURCES.contains(&word)
}

/// Returns the text without what collectors of logs put before it: `sql-0  | ` of compose,
/// `[pod/sql-0/mssql] ` and a time of `kubectl logs`, `stdout F ` of the container runtime, the
/// time of Docker Desktop, and what journald and syslog write.
fn undecorated(text: &str) -> &str {
    let mut text = text.trim_matches(blank);
    if let Some((name, rest)) = text.split_once('|')
        && !name.trim().is_empty()
        && !name.trim_end().contains(char::is_whitespace)
        && name.ends_with(' ')
    {
        text = rest.trim_matches(blank);
    }
    if let Some(rest) = text.strip_prefix("[pod/")
        && let Some((_, rest)) = rest.split_once("] ")
    {
        text = rest.trim_matches(blank);
    }
    if shaped(text, "dddd-dd-ddTdd:dd:dd") {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        text = text[end..].trim_matches(blank);
    }
    for stream in ["stdout F", "stderr F", "stdout P", "stderr P"] {
        if let Some(rest) = text.strip_prefix(stream) {
            text = rest.trim_matches(blank);
        }
    }
    for shape in DESKTOP_TIMES {
        // Nothing may follow it: its lines may be two.
        let bare = shape.trim_end();
        if shaped(text, shape) || (shaped(text, bare) && text.len() == bare.len()) {
            text = text[bare.len()..].trim_matches(blank);
        }
    }
    without_tag(text).unwrap_or(text)
}

/// Returns the text after `May  6 07:08:09 node1 sqlservr[14312]: `, or after such a tag alone.
fn without_tag(text: &str) -> Option<&str> {
    let (tag, rest) = text.split_once("]: ")?;
    let (words, process) = tag.rsplit_once('[')?;
    let count = words.split_whitespace().count();
    let month = MONTHS.iter().any(|month| words.starts_with(month));
    let known = count <= TAG_WORDS && (month || count == 2);
    let number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    (known && number).then(|| rest.trim_matches(blank))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &str) -> Vec<(bool, String, String)> {
        let mut found = Vec::new();
        entries(line, |entry| {
            found.push((entry.dated, entry.source.to_owned(), entry.text.to_owned()));
        });
        found
    }

    fn entry(dated: bool, source: &str, text: &str) -> (bool, String, String) {
        (dated, source.to_owned(), text.to_owned())
    }

    #[test]
    fn date_source_and_message() {
        for (line, source) in [
            ("2023-11-16 00:42:50.70 Server      the text\r\n", "Server"),
            (
                "\u{feff}2023-11-16 00:42:50.70 spid29s     the text",
                "spid29s",
            ),
            ("2023-11-16 00:42:50.70 Inicio de   the text", "Inicio de"),
            (
                "2023-11-16 00:42:50.70 ログオン        the text",
                "ログオン",
            ),
            ("00:42:50.70  the text", ""),
            (
                "sql-1  | 2023-11-16 00:42:50.70 Server      the text",
                "Server",
            ),
            (
                "2025-03-04T05:06:07.123456789Z stdout F 2023-11-16 00:42:50.70 Server      the text",
                "Server",
            ),
            (
                "\u{1b}[31m2023-11-16 00:42:50.70 Server      the text\u{1b}[0m",
                "Server",
            ),
            (
                "2023-11-16 00:42:50 2023-11-16 00:42:50.70 Server      the text",
                "Server",
            ),
            (
                "2023-11-16 00:42:50.700 | 00:42:50.70 Server      the text",
                "Server",
            ),
            (
                "Nov 16 00:42:50 node1 sqlservr[14312]: 2023-11-16 00:42:50.70 Server      the text",
                "Server",
            ),
        ] {
            assert_eq!(all(line), [entry(true, source, "the text")], "{line:?}");
        }
    }

    #[test]
    fn what_has_no_date() {
        assert_eq!(
            all("Logon       Error: 1"),
            [entry(false, "Logon", "Error: 1")]
        );
        assert_eq!(all("[pod/sql-0/mssql] text"), [entry(false, "", "text")]);
        assert_eq!(all("name | text"), [entry(false, "", "text")]);
        for line in [
            "2023-11-16 00:42:50 text",
            "Nov  6 00:42:50 node1 sqlservr[14312]: text",
            "2023-11-16T00:42:50+0000 node1 sqlservr[14312]: text",
        ] {
            assert_eq!(all(line), [entry(false, "", "text")], "{line}");
        }
        for line in ["a [5]: text", "Oct 18 2018 23:11:05", "[3]: text"] {
            assert_eq!(all(line), [entry(false, "", line)], "{line}");
        }
        assert_eq!(
            all("two words | text"),
            [entry(false, "", "two words | text")]
        );
        assert_eq!(all(" \0\r\n"), []);
        assert_eq!(all("2023-11-16 00:42:50 "), []);
    }

    #[test]
    fn joined_lines_are_parted() {
        assert_eq!(
            all("IsOnline: 02025-01-21 22:38:09.93 spid69      [5]. Feature Status"),
            [
                entry(false, "", "IsOnline: 0"),
                entry(true, "spid69", "[5]. Feature Status")
            ]
        );
        assert_eq!(
            all("2025-01-21 22:38:09.93 spid6       one2025-01-21 22:38:09.94 spid7s      two"),
            [entry(true, "spid6", "one"), entry(true, "spid7s", "two")]
        );
    }

    #[test]
    fn a_date_within_a_message_parts_nothing() {
        let line = "2025-01-21 22:38:09.93 Backup      since 2025-01-20 22:38:09.93 (id 7)";
        assert_eq!(all(line).len(), 1);
    }
}
