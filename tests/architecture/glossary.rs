//! The names in the code are those of the glossary in docs/architecture.md.

use std::fs;
use std::path::Path;

use super::{assert_none, sources};

/// The words that the glossary's second table keeps out of names, each with what stands there instead.
fn banned() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let text = fs::read_to_string(path).expect("the document is readable");
    let (_, table) = text.split_once("| not | but |\n").expect("the table");
    let rows = table.lines().skip(1).take_while(|row| row.starts_with('|'));
    let mut words = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, not, but, _] = cells[..] else {
            panic!("a row of two cells: {row}");
        };
        let names = not.split('`').skip(1).step_by(2);
        words.extend(names.map(|name| (name.to_owned(), but.to_owned())));
    }
    assert!(words.len() > 5, "the table was not read: {words:?}");
    words
}

/// The identifiers of a line of code, in snake case between underscores. What stands in quotes is no name;
/// `quoted` says whether a quote is open where the line begins, and is kept.
fn identifiers(line: &str, quoted: &mut bool) -> Vec<String> {
    let line = line.replace("'\"'", "").replace("\\\"", "");
    let mut code = String::new();
    for part in line.split_inclusive('"') {
        if !*quoted {
            code += part.trim_end_matches('"');
            code.push(' ');
        }
        *quoted ^= part.ends_with('"');
    }
    let code = code.split("//").next().unwrap_or_default();
    let mut found = Vec::new();
    for name in code.split(|c: char| !c.is_alphanumeric() && c != '_') {
        let mut snake = String::from("_");
        for c in name.chars() {
            if c.is_uppercase() {
                snake.push('_');
            }
            snake.extend(c.to_lowercase());
        }
        snake.push('_');
        found.push(snake);
    }
    found
}

#[test]
fn names_follow_the_glossary() {
    let banned = banned();
    let mut broken = Vec::new();
    for source in sources() {
        let file = source.name.trim_end_matches(".rs").replace('/', " ");
        let mut quoted = false;
        let lines = std::iter::once((0, file.as_str())).chain(source.code());
        for (number, line) in lines {
            let names = identifiers(line, &mut quoted);
            for (word, but) in &banned {
                if names.iter().any(|name| name.contains(&format!("_{word}_"))) {
                    broken.push(format!("src/{}:{number} {word}: say {but}", source.name));
                }
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn an_identifier_is_split_where_its_words_end() {
    let mut quoted = false;
    let found = identifiers(
        r#"let toldBoth = ChroniclerOf::new("told"); // heard"#,
        &mut quoted,
    );
    assert_eq!(found.join(" ").matches("_told_").count(), 1, "{found:?}");
    assert!(found.contains(&"__chronicler_of_".to_owned()), "{found:?}");
    assert!(!found.iter().any(|name| name.contains("heard")));
    identifiers("it begins \"here", &mut quoted);
    assert!(quoted);
    let found = identifiers("and is told\" + heard", &mut quoted);
    assert_eq!(found.concat().matches("_heard_").count(), 1, "{found:?}");
    assert!(!quoted && !found.concat().contains("_told_"), "{found:?}");
}
