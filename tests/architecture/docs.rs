//! The README and the pages below `docs/`: the generated tables are what the code says, links lead
//! somewhere, prose has short lines, the README is short.
//!
//! `UPDATE_GOLDEN=1 cargo test --test architecture docs` writes the tables anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sql_edge_supervisor::{collect, command, config, publish};

/// The size of the README in bytes that a person still reads from top to bottom.
const README_MAX_BYTES: usize = 12 * 1024;
/// The length of a line of prose, in characters.
const LINE_MAX_CHARS: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Every page, with the README first.
fn pages() -> Vec<String> {
    let mut pages: Vec<_> = std::fs::read_dir(root().join("docs"))
        .expect("docs is a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| format!("docs/{}", name.to_string_lossy()))
        .filter(|name| name.ends_with(".md"))
        .collect();
    pages.sort();
    pages.insert(0, "README.md".to_owned());
    pages
}

/// The page, the name between its markers, and the text of each generated table.
fn tables() -> [(&'static str, &'static str, String); 5] {
    [
        ("docs/configuration.md", "settings", config::reference()),
        (
            "docs/probes-and-reasons.md",
            "reasons",
            command::reasons::markdown(),
        ),
        ("docs/metrics.md", "metrics", publish::metrics::reference()),
        ("docs/metrics.md", "collectors", collect::reference()),
        ("docs/metrics.md", "differences", collect::differences()),
    ]
}

#[test]
fn the_tables_of_the_readme_and_docs_are_what_the_code_says() {
    for (page, name, table) in tables() {
        let text = read(page);
        let (begin, end) = (
            format!("<!-- {name}:begin -->"),
            format!("<!-- {name}:end -->"),
        );
        let (before, rest) = text.split_once(&begin).expect("its begin is marked");
        let (is, after) = rest.split_once(&end).expect("its end is marked");
        let wanted = format!("\n{}\n", table.trim());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let text = format!("{before}{begin}{wanted}{end}{after}");
            std::fs::write(root().join(page), text).expect("the page is writable");
        } else {
            assert_eq!(is, wanted, "the table of {name}; see the head of docs.rs");
        }
    }
}

#[test]
fn the_readme_is_short() {
    let bytes = read("README.md").len();
    assert!(bytes <= README_MAX_BYTES, "{bytes} bytes");
}

/// The lines of `text` outside of fenced code.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number + 1, line));
        }
    }
    lines
}

#[test]
fn lines_of_prose_in_docs_are_short() {
    let mut long = Vec::new();
    for page in pages() {
        let text = read(&page);
        let mut generated = false;
        for (number, line) in prose(&text) {
            if line.starts_with("<!--") {
                generated = line.ends_with(":begin -->");
            }
            let table = line.starts_with('|') || generated;
            // A link or a picture can't be broken.
            let unbroken = line.trim().split(' ').count() == 1 || line.contains("](");
            if !table && !unbroken && line.chars().count() > LINE_MAX_CHARS {
                long.push(format!("{page}:{number}"));
            }
        }
    }
    assert!(long.is_empty(), "{long:?}");
}

/// The anchors of a page: its headings as GitHub names them, and those that are written.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.insert(kept.collect::<String>().replace(' ', "-"));
        }
        for part in line.split("<a id=\"").skip(1) {
            found.extend(part.split('"').next().map(str::to_owned));
        }
    }
    found
}

/// The targets of the links of `text`.
fn links(text: &str) -> Vec<&str> {
    let parts = text.split("](").skip(1);
    parts.filter_map(|part| part.split(')').next()).collect()
}

#[test]
fn the_links_of_the_docs_lead_somewhere() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        let prose: Vec<_> = prose(&text).into_iter().map(|(_, line)| line).collect();
        let prose = prose.join("\n");
        for link in links(&prose) {
            if link.starts_with("http") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = root().join(&page);
            let folder = folder.parent().expect("a page lies in a folder");
            let target: PathBuf = match file {
                "" => root().join(&page),
                file => folder.join(file),
            };
            let found = match anchor {
                "" => target.exists(),
                anchor => std::fs::read_to_string(&target)
                    .is_ok_and(|text| anchors(&text).contains(anchor)),
            };
            if !found {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(seen > 20, "the links were not found");
    assert!(broken.is_empty(), "{broken:#?}");
}
