use std::collections::BTreeSet;

use super::*;
use crate::decide::reason::Outcome;

fn row(number: u32, os_error: Option<u32>, text: &str) -> &'static str {
    let message = Message {
        number: Some(number).filter(|number| *number > 0),
        os_error,
        text,
    };
    find(&message).map_or("-", |fault| fault.name)
}

#[test]
fn rows_are_told_apart_by_name_and_say_what_helps() {
    let names: BTreeSet<_> = all().map(|fault| fault.name).collect();
    assert_eq!(names.len(), all().count());
    for fault in all() {
        assert!(!fault.signs.is_empty(), "{}", fault.name);
        assert!(!fault.meaning.ends_with('.'), "{}", fault.name);
        assert!(fault.help.ends_with('.'), "{}", fault.name);
        assert!(!fault.help.contains('\n'), "{}", fault.name);
        let ends = fault.rank >= Rank::Final;
        // After these two the runtime starts the engine anew.
        let killed = [Reason::OomKilled, Reason::ProcessKilled].contains(&fault.reason);
        let passes = fault.reason.info().outcome == Outcome::Wait && !killed;
        assert!(
            !(ends && passes),
            "{}: an end does not pass by itself",
            fault.name
        );
    }
}

/// What is called how, is what reason, and ends what: a row that loses one of its fields is noticed.
#[test]
fn the_table_is_the_golden_one() {
    let mut table = String::new();
    for fault in all() {
        table += &format!(
            "{} | {:?} | {} | {:?} | {:?} | {} | {:?}\n    {}\n    {}\n",
            fault.name,
            fault.rank,
            fault.reason.code(),
            fault.engines,
            fault.host,
            if fault.restart_helps { "restart" } else { "-" },
            fault.number,
            fault.meaning,
            fault.help,
        );
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/decide/faults/golden.txt");
        std::fs::write(path, &table).expect("it can be written");
    } else {
        assert_eq!(table, include_str!("golden.txt"));
    }
}

/// A row that stands behind a wider one is never found.
#[test]
fn each_row_is_found_by_one_of_its_own_signs() {
    for fault in all() {
        let found = fault.signs.iter().any(|sign| {
            let text = sign.parts.join(" ");
            let message = Message {
                number: sign.numbers.first().copied(),
                os_error: sign.os_errors.first().copied(),
                text: &text,
            };
            find(&message).is_some_and(|found| found.name == fault.name)
        });
        assert!(found, "{}", fault.name);
    }
}

#[test]
fn a_user_may_write_what_he_likes_beside_a_number_of_his_own() {
    assert_eq!(
        row(50_000, None, "Illegal instruction; (EULA) must be accepted"),
        "-"
    );
    assert_eq!(row(0, None, "The (EULA) must be accepted"), "eula");
}

#[test]
fn the_error_of_the_operating_system_tells_rows_apart() {
    for (os_error, expected) in [
        (2, "master-missing"),
        (3, "master-missing"),
        (5, "master-denied"),
        (32, "master-in-use"),
        (87, "direct-io"),
        (112, "master-no-room"),
        (1117, "master-io"),
        (4711, "master-unreadable"),
    ] {
        assert_eq!(row(17_113, Some(os_error), ""), expected, "{os_error}");
    }
}

#[test]
fn every_number_of_a_file_and_every_os_error_is_some_row() {
    for number in [5120, 5123, 5149, 17_053, 17_113, 17_204, 17_207] {
        for os_error in 0..2000 {
            assert_ne!(row(number, Some(os_error), ""), "-", "{number} {os_error}");
        }
    }
}

#[test]
fn parts_are_compared_without_case_and_never_beyond_the_end() {
    assert!(contains("exec FORMAT error", "Exec format ERROR"));
    assert!(contains("x", ""));
    assert!(!contains("", "x"));
    assert!(!contains("abc", "abcd"));
    assert!(contains("aab", "ab"));
    assert!(contains("éab", "AB"));
}
