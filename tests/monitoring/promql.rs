//! Which series an expression of PromQL reads: names, matchers, and the labels that it groups by.
//!
//! Not a parser: whether an expression is valid is for promtool to say. This one only tells names from
//! functions and keywords.

/// What an expression reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reads {
    pub series: Vec<Series>,
    /// Labels in `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`.
    pub grouping: Vec<String>,
}

/// One selector.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Series {
    pub name: String,
    /// Label and pattern, as they stand there.
    pub matchers: Vec<(String, String)>,
}

const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Words that are neither a function before a parenthesis nor a metric.
const WORDS: [&str; 20] = [
    "and",
    "or",
    "unless",
    "offset",
    "bool",
    "inf",
    "nan",
    "atan2",
    "sum",
    "min",
    "max",
    "avg",
    "group",
    "count",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
];

struct Scanner<'a> {
    rest: &'a str,
}

/// Reads `expression`.
pub fn reads(expression: &str) -> Reads {
    let mut scanner = Scanner { rest: expression };
    let mut found = Reads::default();
    while let Some(first) = scanner.rest.chars().next() {
        match first {
            '"' | '\'' | '`' => {
                scanner.text(first);
            }
            '[' => scanner.past(']'),
            '{' => panic!("a selector without a name in {expression}"),
            _ if first.is_ascii_digit() => {
                scanner.take(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
            }
            _ if first.is_ascii_alphabetic() || first == '_' || first == ':' => {
                let word = scanner.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
                scanner.word(word, &mut found);
            }
            _ => scanner.skip(first.len_utf8()),
        }
    }
    found
}

impl<'a> Scanner<'a> {
    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn past(&mut self, end: char) {
        let at = self.rest.find(end).expect("what is opened is closed");
        self.skip(at + end.len_utf8());
    }

    /// A quoted text without its quotes, escapes left as they are.
    fn text(&mut self, quote: char) -> &'a str {
        self.skip(1);
        let mut escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (text, rest) = self.rest.split_at(end.expect("a text ends"));
        self.rest = &rest[1..];
        text
    }

    fn word(&mut self, word: &str, found: &mut Reads) {
        self.take(char::is_whitespace);
        if GROUPING.contains(&word) {
            if self.rest.starts_with('(') {
                self.skip(1);
                let end = self.rest.find(')').expect("a list of labels ends");
                let labels = self.rest[..end].split(',').map(str::trim);
                found
                    .grouping
                    .extend(labels.filter(|l| !l.is_empty()).map(str::to_owned));
                self.skip(end + 1);
            }
        } else if !WORDS.contains(&word) && !self.rest.starts_with('(') {
            let mut series = Series {
                name: word.to_owned(),
                matchers: Vec::new(),
            };
            if self.rest.starts_with('{') {
                self.skip(1);
                self.matchers(&mut series);
            }
            found.series.push(series);
        }
    }

    fn matchers(&mut self, series: &mut Series) {
        loop {
            self.take(|c| c.is_whitespace() || c == ',');
            if self.rest.starts_with('}') {
                return self.skip(1);
            }
            let label = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
            assert!(
                !label.is_empty(),
                "a label is expected before {}",
                self.rest
            );
            self.take(|c| "=~! ".contains(c));
            let quote = self.rest.chars().next().expect("a pattern");
            let pattern = self.text(quote);
            series.matchers.push((label.to_owned(), pattern.to_owned()));
        }
    }
}

#[test]
fn names_are_told_from_functions_keywords_and_labels() {
    let found = reads(
        "sum by (job, le) (rate(a_total{x=~\"y|\\\"}(\", z!='1'}[5m:1m] offset 1h)) / on (job) \
         group_left (v) b unless ignoring (q) histogram_quantile(0.99, c:d_bucket) > 4 * 1e9",
    );
    let names: Vec<_> = found.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a_total", "b", "c:d_bucket"]);
    assert_eq!(found.grouping, ["job", "le", "job", "v", "q"]);
    let matchers = [("x", "y|\\\"}("), ("z", "1")].map(|(l, p)| (l.to_owned(), p.to_owned()));
    assert_eq!(found.series[0].matchers, matchers);
}
