//! The times that were taken, as a table.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cluster::root;
use crate::scenarios;

struct Row {
    scenario: &'static str,
    what: String,
    figure: String,
}

const BEGIN: &str = "<!-- cluster:begin -->";
const END: &str = "<!-- cluster:end -->";

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// Notes how long something took.
pub fn time(scenario: &'static str, what: &str, took: Duration) {
    note(scenario, what, &format!("{:.1} s", took.as_secs_f64()));
}

/// Notes something else.
pub fn note(scenario: &'static str, what: &str, figure: &str) {
    eprintln!("{scenario}: {what}: {figure}");
    ROWS.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Row {
            scenario,
            what: what.to_owned(),
            figure: figure.to_owned(),
        });
}

/// The table, in the scenarios' order.
pub fn text() -> String {
    let rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::from("| scenario | what | |\n| --- | --- | --- |\n");
    for scenario in scenarios::ALL {
        for row in rows.iter().filter(|row| row.scenario == scenario.name) {
            let _ = writeln!(text, "| {} | {} | {} |", row.scenario, row.what, row.figure);
        }
    }
    text
}

/// Writes it into the documentation, between its markers.
pub fn write() {
    let path = root().join("docs/evidence.md");
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("its begin is marked");
    let (_, after) = rest.split_once(END).expect("its end is marked");
    let page = format!("{before}{BEGIN}\n{}{END}{after}", text());
    std::fs::write(path, page).expect("the documentation is writable");
}
