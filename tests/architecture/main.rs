//! The laws that STYLE sets: who may import whom, how large files and functions may grow, and what
//! must not be in shipped code at all.
//!
//! The checks read the sources as text, formatted by rustfmt; what stands under `#[cfg(test)]` at
//! the end of a file does not count.

#![allow(clippy::expect_used, clippy::panic)] // a test fails by panicking

mod circles;
mod comments;
mod docker;
mod docs;
mod glossary;
mod iot_edge;

use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;

/// Which modules of the crate each folder may name. `app` and `cli` see all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    (
        "act",
        &[
            "act", "config", "decide", "link", "parts", "pidfd", "records", "tds",
        ],
    ),
    (
        "collect",
        &[
            "collect",
            "config",
            "decide",
            "exposition",
            "parts",
            "tds",
            "yaml",
        ],
    ),
    ("decide", &["decide"]),
    // The text format: whoever collects writes it, whoever publishes serves it.
    ("exposition", &[]),
    ("config", &["config", "decide", "yaml"]),
    // What people write: configuration files, and the collectors' definitions.
    ("yaml", &[]),
    // The reader of the engine's log: observed while it grows, or read offline by `diagnose`.
    ("errorlog", &["errorlog", "decide"]),
    (
        "observe",
        &[
            "observe", "config", "decide", "errorlog", "parts", "pidfd", "records", "tds",
        ],
    ),
    // What observing and acting share: neither may know of the other.
    ("pidfd", &[]),
    // A name for each part, by which a test has it panic.
    ("parts", &[]),
    ("tds", &["tds", "config", "decide"]),
    // What stands on the volume: several look at it, one thread writes it.
    ("records", &["records", "decide"]),
    // What the supervisor and launch say to each other.
    ("link", &["decide"]),
    (
        "launch",
        &[
            "launch", "act", "config", "decide", "link", "memory", "observe", "pidfd", "publish",
            "records",
        ],
    ),
    (
        "publish",
        &[
            "publish",
            "config",
            "decide",
            "exposition",
            "parts",
            "summary",
        ],
    ),
    // The status document as people read it: the page and `status` lay the same one out.
    ("summary", &["summary", "decide"]),
    // A manifest in, a manifest out: no more of the crate than how a setting's variable is called.
    ("inject", &["inject", "config"]),
    ("telemetry", &["config"]),
];

/// What the pure engine must not know of, each with the reason.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "it would wait"),
    ("hyper", "it would talk"),
    ("tiberius", "it would talk"),
    ("nix", "it would act"),
    ("rustix", "it would act"),
    ("procfs", "it would look"),
    ("tracing", "it would log"),
    ("std::fs", "it would do I/O"),
    ("std::io", "it would do I/O"),
    ("std::net", "it would do I/O"),
    ("std::env", "it would depend on where it runs"),
    ("std::process", "it would act"),
    ("std::thread", "it would depend on the order of things"),
    ("Instant", "time is passed in"),
    ("SystemTime", "time is passed in"),
    ("Result<", "it is total"),
];

/// What must not be in shipped code at all, each with the reason.
const BANNED: &[(&str, &str)] = &[
    (
        ".unwrap()",
        "say in an expect why it can't fail, or handle it",
    ),
    ("panic!(", "the supervisor aborts on it"),
    ("unreachable!(", "make it unrepresentable"),
    ("todo!(", "not done is said in an issue"),
    ("unimplemented!(", "not done is said in an issue"),
    ("println!(", "it panics when the reader is gone"),
    ("dbg!(", "left over"),
];

struct Source {
    path: PathBuf,
    name: String,
    lines: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut tests = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("a source is readable");
                let name = path.strip_prefix(&root).expect("below src");
                let name = name.display().to_string();
                let (lines, test_modules) = shipped(&text);
                let folder = name.trim_end_matches(".rs");
                tests.extend(test_modules.iter().map(|m| format!("{folder}/{m}.rs")));
                found.push(Source { path, name, lines });
            }
        }
    }
    found.retain(|source| !tests.contains(&source.name));
    assert!(found.len() > 20, "the sources were not found");
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The lines of a file that are shipped, and the modules below it that are not: those declared
/// under `#[cfg(test)]`. A block of tests ends a file.
fn shipped(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut tests) = (Vec::new(), Vec::new());
    let mut rest = text.lines();
    while let Some(line) = rest.next() {
        if line != "#[cfg(test)]" {
            lines.push(line.to_owned());
            continue;
        }
        let next = rest.next().unwrap_or_default();
        let module = next.trim_start_matches("pub(crate) ").strip_prefix("mod ");
        match module.and_then(|name| name.strip_suffix(';')) {
            Some(name) => tests.push(name.to_owned()),
            None if next.ends_with(';') => {}
            None => break,
        }
    }
    (lines, tests)
}

impl Source {
    /// The module of the crate root that it belongs to.
    fn module(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap_or_default()
    }

    /// Its lines of code with their numbers, comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.lines.iter().enumerate();
        numbered
            .map(|(index, line)| (index + 1, line.trim_start()))
            .filter(|(_, line)| !line.starts_with("//"))
    }
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn modules_import_only_what_they_may() {
    let mut broken = Vec::new();
    for source in sources() {
        let law = MAY_IMPORT
            .iter()
            .find(|(module, _)| *module == source.module());
        let Some((_, allowed)) = law else { continue };
        for (number, line) in source.code() {
            for after in line.split("crate::").skip(1) {
                let named: String = after
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if !allowed.contains(&named.as_str()) {
                    broken.push(format!("src/{}:{number} may not name {named}", source.name));
                }
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn the_engine_is_pure() {
    assert_none(&impurities("decide", |_| true));
}

#[test]
fn the_reader_of_the_errorlog_is_pure() {
    assert_none(&impurities("errorlog", |_| true));
}

#[test]
fn inject_does_no_io() {
    // It may refuse.
    assert_none(&impurities("inject", |word| word != "Result<"));
}

/// Where a module names what a pure one must not know of.
fn impurities(module: &str, counts: impl Fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| s.module() == module) {
        for (number, line) in source.code() {
            for (word, why) in IMPURE.iter().filter(|(word, _)| counts(word)) {
                if contains_word(line, word) {
                    broken.push(format!("src/{}:{number} {word}: {why}", source.name));
                }
            }
        }
    }
    broken
}

fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        edge(line[..at].chars().next_back())
            && (word.ends_with('<') || edge(line[at + word.len()..].chars().next()))
    })
}

#[test]
fn files_stay_small() {
    let broken: Vec<_> = sources()
        .iter()
        .filter(|source| source.lines.len() > MAX_FILE_LINES)
        .map(|source| format!("src/{}: {} lines", source.name, source.lines.len()))
        .collect();
    assert_none(&broken);
}

#[test]
fn functions_stay_small() {
    let mut broken = Vec::new();
    for source in sources() {
        let mut open: Vec<(usize, usize)> = Vec::new();
        for (index, line) in source.lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            if is_function(line.trim_start()) && !line.trim_end().ends_with(';') {
                open.push((indent, index));
            }
            let closes = line.trim_start().starts_with('}');
            if closes && open.last().is_some_and(|(depth, _)| *depth == indent) {
                let (_, began) = open.pop().expect("just seen");
                let length = index - began + 1;
                if length > MAX_FUNCTION_LINES {
                    broken.push(format!("src/{}:{}: {length} lines", source.name, began + 1));
                }
            }
        }
    }
    assert_none(&broken);
}

fn is_function(line: &str) -> bool {
    let mut rest = line;
    for word in [
        "pub ",
        "pub(crate) ",
        "pub(super) ",
        "const ",
        "async ",
        "unsafe ",
    ] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.starts_with("fn ")
}

#[test]
fn shipped_code_is_free_of_what_is_banned() {
    let mut broken = Vec::new();
    for source in sources() {
        // It has a part panic where a test asks for that, and is no part of a release build.
        let panics = source.name == "parts.rs";
        for (number, line) in source.code() {
            for (word, why) in BANNED {
                if line.contains(word) && !(panics && *word == "panic!(") {
                    broken.push(format!("src/{}:{number} {word}: {why}", source.name));
                }
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn each_expect_argues_why_it_cannot_fail() {
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in source.code().filter(|(_, line)| line.contains(".expect(")) {
            let argument = line.split(".expect(\"").nth(1).unwrap_or_default();
            let words = argument.split('"').next().unwrap_or_default();
            if words.split_whitespace().count() < 3 {
                broken.push(format!(
                    "src/{}:{number} expect without an argument",
                    source.name
                ));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn only_main_ends_the_process() {
    let places: Vec<_> = sources()
        .iter()
        .flat_map(|source| {
            let exits = source
                .code()
                .filter(|(_, line)| line.contains("process::exit"));
            exits
                .map(|(number, _)| format!("{}:{number}", source.name))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(places.len() <= 1, "{places:?}");
    assert!(
        places.iter().all(|place| place.starts_with("main.rs")),
        "{places:?}"
    );
}

#[test]
fn there_are_no_mod_rs_files() {
    let broken: Vec<_> = sources()
        .iter()
        .filter(|source| source.path.ends_with("mod.rs"))
        .map(|source| source.name.clone())
        .collect();
    assert_none(&broken);
}
