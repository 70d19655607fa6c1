//! Words, literals and symbols of T-SQL; comments and white space are dropped.

use super::super::messages::SqlError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// An identifier, keyword or variable, as written.
    Word(String),
    /// `[name]` or `"name"`: never a keyword.
    Quoted(String),
    Text(String),
    Number(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 17] = [
    "<>", "!=", ">=", "<=", "=", "<", ">", "(", ")", ",", ";", ".", "*", "-", "+", "/", "%",
];

/// The greatest depth of parentheses; the queries that are understood need three.
const MAX_DEPTH: usize = 32;

pub fn syntax_error(near: &str) -> SqlError {
    SqlError::with_message(102, format!("Incorrect syntax near '{near}'."))
}

pub fn tokenize(text: &str) -> Result<Vec<Token>, SqlError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(blank);
    while let Some(first) = rest.chars().next() {
        let (token, tail) = if let Some(tail) = skip_comment(rest) {
            (None, tail)
        } else {
            let (token, tail) = next(rest, first)?;
            (Some(token), tail)
        };
        tokens.extend(token);
        rest = tail.trim_start_matches(blank);
    }
    Ok(tokens)
}

fn blank(char: char) -> bool {
    char.is_whitespace() || char == '\u{feff}'
}

fn skip_comment(rest: &str) -> Option<&str> {
    if let Some(comment) = rest.strip_prefix("--") {
        return Some(comment.split_once('\n').map_or("", |(_, tail)| tail));
    }
    let comment = rest.strip_prefix("/*")?;
    Some(comment.split_once("*/").map_or("", |(_, tail)| tail))
}

fn next(rest: &str, first: char) -> Result<(Token, &str), SqlError> {
    if first == '\'' {
        let (text, tail) = quoted(&rest[1..], '\'')?;
        return Ok((Token::Text(text), tail));
    }
    if (first == 'N' || first == 'n') && rest[1..].starts_with('\'') {
        let (text, tail) = quoted(&rest[2..], '\'')?;
        return Ok((Token::Text(text), tail));
    }
    if first == '[' || first == '"' {
        let (name, tail) = quoted(&rest[1..], if first == '[' { ']' } else { '"' })?;
        return Ok((Token::Quoted(name), tail));
    }
    if first.is_ascii_digit() {
        let (number, tail) = split_while(rest, |c| c.is_ascii_alphanumeric() || c == '.');
        return Ok((Token::Number(number.to_owned()), tail));
    }
    if first.is_alphabetic() || matches!(first, '_' | '@' | '#') {
        let (word, tail) = split_while(rest, |c| {
            c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')
        });
        return Ok((Token::Word(word.to_owned()), tail));
    }
    SYMBOLS
        .iter()
        .find_map(|symbol| Some((Token::Symbol(symbol), rest.strip_prefix(symbol)?)))
        .ok_or_else(|| syntax_error(&first.to_string()))
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// Text up to the closing quote; a doubled quote stands for itself.
fn quoted(text: &str, close: char) -> Result<(String, &str), SqlError> {
    let mut content = String::new();
    let mut rest = text;
    loop {
        let (part, tail) = rest.split_once(close).ok_or_else(|| {
            SqlError::with_message(
                105,
                "Unclosed quotation mark after the character string.".to_owned(),
            )
        })?;
        content.push_str(part);
        match tail.strip_prefix(close) {
            Some(tail) => {
                content.push(close);
                rest = tail;
            }
            None => return Ok((content, tail)),
        }
    }
}

/// A reader over tokens with one token of look-ahead.
#[derive(Debug)]
pub struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(tokens: &'a [Token]) -> Self {
        Self {
            tokens,
            at: 0,
            depth: 0,
        }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    /// Counts a level of nesting: the parser is recursive, and its stack is not endless.
    pub fn enter(&mut self) -> Result<(), SqlError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.unexpected());
        }
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    pub fn take(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at);
        self.at += usize::from(token.is_some());
        token
    }

    pub fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    pub fn at_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.at_word(word))
    }

    pub fn at_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol)
    }

    /// Whether a word has a parenthesis behind it: `LEFT(...)` is a function, `LEFT JOIN` is not.
    pub fn at_call(&self) -> bool {
        matches!(self.tokens.get(self.at + 1), Some(Token::Symbol("(")))
            && matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case("LEFT") || word.eq_ignore_ascii_case("RIGHT"))
    }

    /// Returns the place where the reader stands, to come back to.
    pub fn mark(&self) -> (usize, usize) {
        (self.at, self.depth)
    }

    pub fn back_to(&mut self, mark: (usize, usize)) {
        (self.at, self.depth) = mark;
    }

    pub fn accept_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        self.at += usize::from(found);
        found
    }

    pub fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found = self.at_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub fn expect_word(&mut self, word: &str) -> Result<(), SqlError> {
        if self.accept_word(word) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    pub fn expect_symbol(&mut self, symbol: &str) -> Result<(), SqlError> {
        if self.accept_symbol(symbol) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// An identifier, plain or quoted.
    pub fn identifier(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Some(Token::Word(name) | Token::Quoted(name)) => {
                self.at += 1;
                Ok(name.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A name in parts, `master.sys.databases`; lower case, joined with dots.
    pub fn dotted_name(&mut self) -> Result<String, SqlError> {
        let mut name = self.identifier()?;
        while self.accept_symbol(".") {
            // `master..sysdatabases` leaves the schema out.
            name.push('.');
            if !self.at_symbol(".") {
                name.push_str(&self.identifier()?);
            }
        }
        Ok(name.to_ascii_lowercase())
    }

    /// An integer literal, with an optional minus.
    pub fn integer(&mut self) -> Result<i64, SqlError> {
        let sign = if self.accept_symbol("-") { -1 } else { 1 };
        match self.peek() {
            Some(Token::Number(digits)) => {
                let number: i64 = digits.parse().map_err(|_| self.unexpected())?;
                self.at += 1;
                Ok(sign * number)
            }
            _ => Err(self.unexpected()),
        }
    }

    pub fn unexpected(&self) -> SqlError {
        syntax_error(&match self.peek() {
            Some(Token::Word(text) | Token::Quoted(text) | Token::Text(text)) => text.clone(),
            Some(Token::Number(text)) => text.clone(),
            Some(Token::Symbol(symbol)) => (*symbol).to_owned(),
            None => "end of batch".to_owned(),
        })
    }
}
