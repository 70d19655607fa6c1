//! No file is needed by one that it needs itself, however long the way back. A module and those below it are one
//! matter: the ways between them do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, assert_none, sources};

/// The modules that each module names, by their paths: `decide::rules`.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn graph(sources: &[Source]) -> Graph {
    let modules: BTreeSet<String> = sources.iter().map(module).collect();
    sources
        .iter()
        .map(|source| {
            let own = module(source);
            let code: Vec<_> = source.code().map(|(_, line)| line).collect();
            let named = named(&code.join("\n"), &own);
            let named = named.iter().filter_map(|path| file_of(path, &modules));
            let others = named.filter(|other| !within(other, &own) && !within(&own, other));
            (own.clone(), others.collect())
        })
        .collect()
}

fn module(source: &Source) -> String {
    source.name.trim_end_matches(".rs").replace('/', "::")
}

fn within(inner: &str, outer: &str) -> bool {
    inner == outer || inner.starts_with(&format!("{outer}::"))
}

/// The longest beginning of a path that is a file.
fn file_of(path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut path = path;
    loop {
        if modules.contains(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// The paths that code names, from the crate's root on.
fn named(code: &str, own: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for part in code.split("use ").skip(1) {
        let tree: String = part
            .split(';')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        expand("", &tree, &mut paths);
    }
    for word in code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        if word.starts_with("crate::") || word.starts_with("super::") {
            paths.push(word.to_owned());
        }
    }
    paths.iter().map(|path| absolute(path, own)).collect()
}

/// The paths of a use tree without spaces: `a::{b,c::{d,e}}`.
fn expand(before: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        paths.push(format!("{before}{tree}"));
        return;
    };
    let before = format!("{before}{head}");
    let (mut depth, mut branch) = (0, String::new());
    for c in rest.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&before, &std::mem::take(&mut branch), paths);
                continue;
            }
            _ => {}
        }
        branch.push(c);
    }
    expand(&before, &branch, paths);
}

fn absolute(path: &str, own: &str) -> String {
    if let Some(path) = path.strip_prefix("crate::") {
        return path.to_owned();
    }
    let (mut base, mut path) = (own, path);
    while let Some(rest) = path.strip_prefix("super::") {
        base = base.rsplit_once("::").map_or("", |(above, _)| above);
        path = rest;
    }
    match base {
        "" => path.to_owned(),
        base => format!("{base}::{path}"),
    }
}

/// A way from a module back to it, where there is one.
fn circle(graph: &Graph, from: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in graph.get(way.last()?).into_iter().flatten() {
            if next == from {
                return Some(way);
            }
            if seen.insert(next) {
                let mut longer = way.clone();
                longer.push(next.clone());
                ways.push(longer);
            }
        }
    }
    None
}

#[test]
fn no_file_needs_one_that_needs_it() {
    let graph = graph(&sources());
    let edges: usize = graph.values().map(BTreeSet::len).sum();
    assert!(edges > 500, "the imports were not read: {edges}");
    let circles = graph.keys().filter_map(|from| circle(&graph, from));
    let circles: Vec<_> = circles.map(|way| way.join(" -> ")).collect();
    assert_none(&circles);
}

#[test]
fn a_circle_is_found() {
    let source = |name: &str, text: &str| Source {
        path: name.into(),
        name: name.to_owned(),
        lines: text.lines().map(str::to_owned).collect(),
    };
    let graph = graph(&[
        source("a.rs", "mod one;\nuse crate::b::{x::Y, Z};"),
        source("a/one.rs", "use super::B;"),
        source("b.rs", "// crate::a::one"),
        source("b/x.rs", "fn f() -> crate::a::one::C {}"),
    ]);
    assert_eq!(graph["a"].iter().collect::<Vec<_>>(), ["b", "b::x"]);
    assert_eq!(circle(&graph, "a"), None, "below it is another matter");
    let round = self::graph(&[
        source("a.rs", "use crate::b::Z;"),
        source("b.rs", "use super::c::D;"),
        source("c.rs", "use crate::{a::E, d};"),
    ]);
    assert_eq!(circle(&round, "a").expect("a circle"), ["a", "b", "c"]);
}
