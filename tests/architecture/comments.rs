//! A doc comment makes sense to somebody who reads only it: its subject is in it.

use super::{assert_none, sources};

/// Openings that stand for something that was named elsewhere, if anywhere. "Whether" opens what is yes or no.
const BARE: &[&str] = &[
    "Another", "As", "For", "How", "In", "It", "Its", "None", "Of", "One", "Same", "So", "Some",
    "That", "The same", "Them", "There", "These", "They", "This", "Those", "What", "Where",
    "Which", "Who", "Whom", "Whose",
];

/// Whether a doc comment that begins with `text` begins with one of them.
fn is_bare(text: &str) -> bool {
    BARE.iter().any(|word| {
        let rest = text.strip_prefix(word);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

#[test]
fn doc_comments_name_their_subject() {
    let mut broken = Vec::new();
    for source in sources() {
        let mut before = "";
        for (index, line) in source.lines.iter().enumerate() {
            let line = line.trim_start();
            let begins = !before.starts_with("///");
            if let Some(text) = line
                .strip_prefix("/// ")
                .filter(|text| begins && is_bare(text))
            {
                broken.push(format!("src/{}:{}: {text}", source.name, index + 1));
            }
            before = line;
        }
    }
    assert_none(&broken);
}

#[test]
fn an_opening_is_bare_as_a_whole_word_only() {
    for text in [
        "Which volume.",
        "It is there.",
        "The same as JSON.",
        "One",
        "None.",
    ] {
        assert!(is_bare(text), "{text}");
    }
    for text in [
        "Items of it.",
        "The key.",
        "Whether it runs.",
        "Oneshot.",
        "Into.",
    ] {
        assert!(!is_bare(text), "{text}");
    }
}
