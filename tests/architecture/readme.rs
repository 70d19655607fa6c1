//! The README's tables are what the code says.
//!
//! `UPDATE_GOLDEN=1 cargo test --test architecture readme` writes them anew.

use std::path::Path;

use sql_edge_supervisor::{collect, command, config, publish};

/// A table between its markers, and where it comes from.
fn tables() -> [(&'static str, String); 5] {
    [
        ("settings", config::reference()),
        ("reasons", command::reasons::markdown()),
        ("metrics", publish::metrics::reference()),
        ("collectors", collect::reference()),
        ("differences", collect::differences()),
    ]
}

#[test]
fn the_tables_are_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let mut readme = std::fs::read_to_string(&path).expect("the README is there");
    for (name, table) in tables() {
        let (begin, end) = (
            format!("<!-- {name}:begin -->"),
            format!("<!-- {name}:end -->"),
        );
        let (before, rest) = readme.split_once(&begin).expect("its begin is marked");
        let (is, after) = rest.split_once(&end).expect("its end is marked");
        let wanted = format!("\n{}\n", table.trim());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            readme = format!("{before}{begin}{wanted}{end}{after}");
        } else {
            assert_eq!(is, wanted, "the table of {name}; see the head of readme.rs");
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, readme).expect("the README is writable");
    }
}
