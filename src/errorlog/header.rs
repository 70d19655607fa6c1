//! Recognizes `Error: 9002, Severity: 17, State: 2.` in the language of the engine.
//!
//! With `MSSQL_LCID` other than 1033 the line is translated: "Fehler: 9002, Schweregrad: 17,
//! Status: 2.", "エラー: 9002、重大度: 17、状態: 2。". What stays is its shape: three numbers, each after a
//! label and a colon, with a comma between them.

use crate::decide::observation::LoggedError;

/// The longest label in characters; the longest known one has 16.
const MAX_LABEL_CHARS: usize = 32;

/// The greatest number of digits of a number: messages of users go up to 2147483647.
const MAX_DIGITS: usize = 10;

/// The highest severity.
const MAX_SEVERITY: u32 = 25;

/// Returns the error that `text` announces, if it is such a line. What stands before the first
/// label is not looked at: it may be another writer's text.
#[must_use]
pub fn header(text: &str) -> Option<LoggedError> {
    let mut from = 0;
    // Colons are few in a line; each may be the first one's.
    while let Some((at, colon)) = find(&text[from..], is_colon) {
        let after = from + at + colon.len_utf8();
        if ends_with_label(&text[..from + at])
            && let Some(error) = after_label(&text[after..])
        {
            return Some(error);
        }
        from = after;
    }
    None
}

fn after_label(text: &str) -> Option<LoggedError> {
    let (number, rest) = digits(text)?;
    let (class, rest) = labelled(rest)?;
    let (state, rest) = labelled(rest)?;
    let ends = rest.is_empty() || rest.starts_with(is_end);
    let fits = number > 0 && class <= MAX_SEVERITY && ends;
    Some(LoggedError {
        number: Some(number).filter(|_| fits)?,
        class: u8::try_from(class).ok()?,
        state: u8::try_from(state).ok()?,
        count: 1,
    })
}

/// Reads `, label: 17`; returns the number, and what follows.
fn labelled(text: &str) -> Option<(u32, &str)> {
    let (comma, rest) = split_first(text.trim_start())?;
    if !is_comma(comma) {
        return None;
    }
    let (at, colon) = find(rest, is_colon)?;
    let label = rest[..at].trim();
    let count = label.chars().count();
    if count == 0 || count > MAX_LABEL_CHARS || !label.chars().all(in_label) {
        return None;
    }
    digits(&rest[at + colon.len_utf8()..])
}

/// Reads the number that `text` begins with; returns it, and what follows.
fn digits(text: &str) -> Option<(u32, &str)> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number = text
        .get(..end)
        .filter(|digits| digits.len() <= MAX_DIGITS)?;
    Some((number.parse().ok()?, &text[end..]))
}

/// Whether `text` ends with a word of letters.
fn ends_with_label(text: &str) -> bool {
    text.trim_end()
        .chars()
        .next_back()
        .is_some_and(|c| !c.is_ascii_digit() && in_label(c))
}

fn in_label(c: char) -> bool {
    // Beyond ASCII marks belong to their letters.
    c.is_alphabetic() || c == ' ' || (!c.is_ascii() && !is_comma(c) && !is_colon(c) && !is_end(c))
}

fn is_colon(c: char) -> bool {
    matches!(c, ':' | '：' | '\u{fe55}' | '\u{2236}')
}

fn is_comma(c: char) -> bool {
    matches!(c, ',' | '，' | '、' | '､' | '،' | ';' | '；')
}

fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '.' | '。' | '．' | '｡' | '।' | '۔' | '\0')
}

fn find(text: &str, wanted: fn(char) -> bool) -> Option<(usize, char)> {
    text.char_indices().find(|(_, c)| wanted(*c))
}

fn split_first(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    Some((chars.next()?, chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(u32, u8, u8)> {
        header(text).map(|error| (error.number, error.class, error.state))
    }

    #[test]
    fn in_any_language() {
        for text in [
            "Error: 9002, Severity: 17, State: 2.",
            "Fehler: 9002, Schweregrad: 17, Status: 2.",
            "Erreur : 9002, Gravité : 17, État : 2.",
            "Erreur\u{a0}: 9002, Gravité\u{a0}: 17, État\u{a0}: 2.",
            "Error: 9002, gravedad: 17, estado: 2.",
            "Errore: 9002, gravità: 17, stato: 2.",
            "Erro: 9002, Gravidade: 17, Estado: 2.",
            "Ошибка: 9002, серьезность: 17, состояние: 2.",
            "エラー: 9002、重大度: 17、状態: 2。",
            "错误: 9002，严重性: 17，状态: 2。",
            "错误：9002，严重性：17，状态：2。",
            "錯誤: 9002，嚴重性: 17，狀態: 2。",
            "오류: 9002, 심각도: 17, 상태: 2.",
            "Błąd: 9002, ważność: 17, stan: 2.",
            "Hata: 9002, Önem Derecesi: 17, Durum: 2.",
            "Chyba: 9002, závažnost: 17, stav: 2",
            "שגיאה: 9002, חומרה: 17, מצב: 2.",
            "خطأ: 9002، الخطورة: 17، الحالة: 2.",
            "ข้อผิดพลาด: 9002, ความรุนแรง: 17, สถานะ: 2.",
            "ERROERROR: x Error: 9002, Severity: 17, State: 2.",
            "Error: 9002, Severity: 17, State: 2. (Params:). The error is printed in terse mode",
        ] {
            assert_eq!(found(text), Some((9002, 17, 2)), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_it() {
        for text in [
            "",
            ":",
            "Error: 18456",
            "Error: many, Severity: 14, State: 8.",
            "Error: 5, Severity: 14, State: .",
            "Error: 5, Severity: 99, State: 1.",
            "Error: 5, Severity: 14, State: 300.",
            "Error: 99999999999, Severity: 14, State: 1.",
            "Working set (KB): 294132, committed (KB): 764160, memory utilization: 38%.",
            "SQL Process Utilization: 0%. System Idle: 99%.",
            "PVS: 0. CTR: 0. ConcurrentPFSUpdate: 1.",
            "(analysis: 1 ms, redo: 2 ms, undo: 3 ms)",
            "12: 5, a: 1, b: 2.",
            "Process 0:0:0 (0x1b54) Worker",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
