use std::time::Duration;

use super::*;
use crate::decide::observation::LoggedRecovery;

/// Returns a line as the errorlog has it.
fn dated(text: &str) -> String {
    format!("2026-11-23 04:51:00.12 spid9s      {text}\r\n")
}

fn read(lines: &[&str]) -> EngineLog {
    let mut reader = Reader::default();
    for line in lines {
        reader.line(line);
    }
    reader.log(7)
}

/// Reads lines as [`read`] does, each with date and source.
fn read_dated(lines: &[&str]) -> EngineLog {
    let lines: Vec<String> = lines.iter().map(|line| dated(line)).collect();
    read(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

const READY: &str = "SQL Server is now ready for client connections. This is an informational message; no user action is required.";

const COMPLETE: &str =
    "Recovery is complete. This is an informational message only. No user action is required.";

const MASTER_MISSING: [&str; 2] = [
    "Error: 17113, Severity: 16, State: 1.",
    "Error 2(The system cannot find the file specified.) occurred while opening file '/var/opt/mssql/data/master.mdf' to obtain configuration information at startup.",
];

fn rows(log: &EngineLog) -> Vec<&'static str> {
    let rows = log.messages.iter().map(|message| message.fault);
    rows.map(|fault| fault.map_or("-", |fault| fault.name))
        .collect()
}

#[test]
fn the_banner_begins_anew() {
    let banner = "Microsoft SQL Server 2022 (RTM-CU11) (KB5032679) - 16.0.4105.2 (X64)";
    let log = read_dated(&[MASTER_MISSING[0], MASTER_MISSING[1], banner]);
    assert_eq!(log.engine.and_then(|engine| engine.year), Some(2022));
    assert_eq!((log.messages, log.errors), (vec![], vec![]));
    // What the image's own script prints comes before the banner of the same start.
    let script = "SQL Server 2022 will run as non-root by default.";
    let trouble = "<jemalloc>: Unsupported system page size";
    assert_eq!(rows(&read(&[script, trouble, banner])), ["page-size"]);
    assert_eq!(rows(&read(&[banner, trouble, script])), [""; 0]);
    assert_eq!(read(&[]).bytes, 7);
}

#[test]
fn what_each_start_writes_is_no_error() {
    let log = read_dated(&[
        "Microsoft SQL Server 2022 (RTM-CU11) (KB5032679) - 16.0.4105.2 (X64)",
        "Logging SQL Server messages in file '/var/opt/mssql/log/errorlog'.",
        "Error searching first file in /var/opt/mssql/security/ca-certificates: 2",
    ]);
    assert_eq!(log.messages, vec![]);
}

#[test]
fn errors_are_counted_by_number() {
    let log = read_dated(&[
        "Error: 18456, Severity: 14, State: 8.",
        "Login failed for user 'sa'. Reason: Password did not match. [CLIENT: 10.0.0.1]",
        "Error: 9002, Severity: 17, State: 2.",
        "Error: 18456, Severity: 14, State: 38.",
        "Error: 17300, Severity: 16, State: 1. (Params:). The error is printed in terse mode",
        "Error: 18456",
        "Error: many, Severity: 14, State: 8.",
        "Error: 5, Severity: 14, State: .",
    ]);
    let found: Vec<_> = log
        .errors
        .iter()
        .map(|error| (error.number, error.class, error.state, error.count))
        .collect();
    assert_eq!(
        found,
        [(18456, 14, 38, 2), (9002, 17, 2, 1), (17300, 16, 1, 1)]
    );
}

#[test]
fn no_more_numbers_are_kept_than_the_limit() {
    let mut reader = Reader::default();
    for number in 1..=1000 {
        reader.line(&dated(&format!("Error: {number}, Severity: 16, State: 1.")));
    }
    assert_eq!(reader.log(0).errors.len(), MAX_NUMBERS);
}

#[test]
fn a_recovery_is_followed_until_it_is_complete() {
    let progress = "Recovery of database 'sales' (9) is 12% complete (approximately 100 seconds remain). Phase 2 of 3. This is an informational message only. No user action is required.";
    let expected = LoggedRecovery {
        database: "sales".to_owned(),
        percent: 12,
        remaining: Some(Duration::from_secs(100)),
        phase: Some(2),
    };
    assert_eq!(read_dated(&[progress]).recovery, Some(expected.clone()));
    let of_another = "Recovery completed for database model (database ID 3) in 1 second(s) (analysis 0 ms, redo 0 ms, undo 0 ms.)";
    assert_eq!(
        read_dated(&[progress, of_another]).recovery,
        Some(expected),
        "another database"
    );
    for end in [
        "Recovery is complete. This is an informational message only. No user action is required.",
        "Recovery completed for database sales (database ID 9) in 3 second(s) (analysis 1 ms, redo 2 ms, undo 0 ms.)",
    ] {
        assert_eq!(read_dated(&[progress, end]).recovery, None, "{end}");
    }
}

#[test]
fn a_hostile_name_is_bounded_and_plain() {
    let name = format!(
        "a' (5) is 7% complete (approximately \u{1b}{}",
        "x".repeat(500)
    );
    let line = format!(
        "Recovery of database '{name}' (9) is 250% complete (approximately 1 seconds remain). Phase 3 of 3."
    );
    assert_eq!(read_dated(&[&line]).recovery.unwrap().percent, 100);
    assert_eq!(read_dated(&[&line.replace("250%", "300%")]).recovery, None);
    let recovery = read_dated(&[&line.replace("250%", "25%")])
        .recovery
        .unwrap();
    assert_eq!(recovery.percent, 25);
    assert_eq!(recovery.database.chars().count(), 128);
    assert!(recovery.database.starts_with("a' (5) is 7% complete"));
    assert!(!recovery.database.contains(char::is_control));
}

#[test]
fn what_is_no_progress_is_ignored() {
    for line in [
        "Recovery of database 'sales' (9) is",
        "Recovery of database 'sales' (9) is x% complete (approximately 1 seconds remain).",
        "Recovery of database sales is 5% complete (approximately 1 seconds remain).",
        "Recovery is writing a checkpoint in database 'msdb' (4).",
    ] {
        assert_eq!(read_dated(&[line]).recovery, None, "{line}");
    }
    let line = "Recovery of database 'a' (9) is 5% complete (approximately 1 second";
    let recovery = read_dated(&[line]).recovery.unwrap();
    assert_eq!((recovery.percent, recovery.phase), (5, None));
}

#[test]
fn analysis_is_the_first_phase() {
    let line = "Analysis of database 'lot_of_vlfs' (16) is 0% complete (approximately 0 seconds remain). Phase 1 of 3.";
    let recovery = read_dated(&[line]).recovery.unwrap();
    assert_eq!(
        (recovery.database.as_str(), recovery.phase),
        ("lot_of_vlfs", Some(1))
    );
}

#[test]
fn ready_is_not_the_end_of_a_start() {
    let log = read_dated(&[READY]);
    assert!(log.start.ready && !log.start.complete);
    let log = read_dated(&[READY, COMPLETE]);
    assert!(log.start.ready && log.start.complete);
    let cycled = "The error log has been reinitialized. See the previous log for older entries.";
    assert!(read_dated(&[cycled]).start.complete);
}

#[test]
fn a_collation_is_being_changed_until_the_log_says_so() {
    let begins = "Attempting to change default collation to Latin1_General_CI_AS.";
    let ends = "The default collation was successfully changed.";
    assert!(read_dated(&[READY, begins]).start.collation_rebuild);
    assert!(!read_dated(&[READY, begins, ends]).start.collation_rebuild);
}

#[test]
fn who_wanted_a_stop_is_kept() {
    let request = "SQL Server is terminating in response to a 'stop' request from Service Control Manager. This is an informational message only.";
    let manager = "Always On: The availability replica manager is going offline because SQL Server is shutting down. This is an informational message only.";
    for (lines, stop) in [
        (&[READY, request][..], LoggedStop::StopRequest),
        (&[manager, request], LoggedStop::StopRequest),
        (&[manager], LoggedStop::AvailabilityManager),
        (
            &["SQL Server is terminating because of a system shutdown. x"],
            LoggedStop::SystemShutdown,
        ),
        (
            &["Server shut down by request from login sa."],
            LoggedStop::Statement,
        ),
    ] {
        assert_eq!(read_dated(lines).stop, Some(stop));
    }
    let ends = read_dated(&["SQL Server shutdown has been initiated"]);
    assert_eq!((ends.stop, ends.ending), (None, true));
}

#[test]
fn what_is_told_without_a_number_is_counted_under_it() {
    let log = read_dated(&[
        "SQL Server has encountered 1 occurrence(s) of I/O requests taking longer than 15 seconds to complete on file [x] in database id 12.",
        "Process 0:0:0 (0x1b54) Worker 0x0000021718116160 appears to be non-yielding on Scheduler 12.",
        "SQL Server has encountered 2 occurrence(s) of I/O requests taking longer than 15 seconds to complete on file [y] in database id 12.",
    ]);
    let found: Vec<_> = log
        .errors
        .iter()
        .map(|e| (e.number, e.class, e.count))
        .collect();
    assert_eq!(found, [(833, 10, 2), (17883, 10, 1)]);
}

#[test]
fn the_text_belongs_to_its_number_though_others_write_between() {
    let line = |source: &str, text: &str| format!("2026-11-23 04:51:00.12 {source:<12}{text}");
    let lines = [
        line("spid7s", "Error: 17113, Severity: 16, State: 1."),
        line("spid8s", "Error: 9002, Severity: 17, State: 2."),
        line("spid9s", "Starting up database 'x'."),
        line(
            "spid8s",
            "The transaction log for database 'x' is full due to 'LOG_BACKUP'.",
        ),
    ];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let log = read(&lines);
    assert_eq!(rows(&log), ["master-unreadable", "log-full"]);
    assert!(
        log.messages[1].text.ends_with("'LOG_BACKUP'."),
        "{:?}",
        log.messages
    );
}

#[test]
fn a_number_without_its_text_counts_at_once() {
    let log = read_dated(&MASTER_MISSING[..1]);
    assert_eq!(rows(&log), ["master-unreadable"]);
    let log = read_dated(&MASTER_MISSING);
    assert_eq!(
        rows(&log),
        ["master-missing"],
        "and gives way to what the text tells"
    );
}

#[test]
fn messages_are_bounded_and_the_last_error_is_kept() {
    let mut reader = Reader::default();
    for number in 1000..1100 {
        reader.line(&dated(&format!("Error: {number}, Severity: 16, State: 1.")));
        reader.line(&dated(&format!(
            "\u{1b}text of {number} {}",
            "x".repeat(3000)
        )));
    }
    let log = reader.log(0);
    assert_eq!(log.messages.len(), MAX_MESSAGES);
    assert_eq!(log.messages.last().unwrap().number, Some(1099));
    for message in &log.messages {
        assert!(message.text.chars().count() <= MAX_TEXT_CHARS);
        assert!(!message.text.contains(char::is_control));
    }
}

#[test]
fn a_crash_is_one_line_and_its_handler_is_not_read() {
    let log = read(&[
        "This program has encountered a fatal error and cannot continue running at Tue",
        "         Reason: 0x00000001",
        "         Signal: SIGABRT - Aborted (6)",
        "     Last errno: 13",
        "/bin/cat: /proc/10/maps: Permission denied",
        "cp: No space left on device: /var/opt/mssql/log: Permission denied",
    ]);
    assert_eq!(
        log.crash.as_deref(),
        Some("fatal error: Reason: 0x00000001, Signal: SIGABRT - Aborted (6)")
    );
    assert_eq!(log.messages, []);
    assert!(log.ending);
}

#[test]
fn what_was_skipped_may_have_ended_it() {
    let mut reader = Reader::default();
    for line in MASTER_MISSING {
        reader.line(&dated(line));
    }
    reader.gap();
    let log = reader.log(0);
    assert_eq!((log.messages.len(), log.errors.len()), (0, 1));
}

#[test]
fn garbage_says_nothing() {
    for line in ["", "\0\0\0", "2026-11-23", "2026-", "2026-é"] {
        let log = read(&[line]);
        assert_eq!((log.messages.len(), log.errors.len()), (0, 0), "{line:?}");
        assert_eq!(log.engine, None);
    }
}

#[test]
fn how_far_the_start_is_and_that_it_ends() {
    const SHUTDOWN: &str = "SQL Server is terminating in response to a 'stop' request from Service Control Manager. This is an informational message only. No user action is required.";
    let banner = "Microsoft SQL Server 2019 (RTM-CU25) (KB5033688) - 15.0.4355.3 (X64) ";
    let begun = "Server process ID is 32.";
    let ready = "SQL Server is now ready for client connections. This is an informational message; no user action is required.";
    let script = "Database 'master' is upgrading script 'msdb110_upgrade.sql' from level 234884100 to level 234884281.";
    let complete =
        "Recovery is complete. This is an informational message only. No user action is required.";
    let reinitialized =
        "The error log has been reinitialized. See the previous log for older entries.";
    let statement = "Server shut down by request from login sa.";
    for (lines, stage, upgrading, stop) in [
        (&[][..], [false, false, false], false, None),
        (&[banner], [false, false, false], false, None),
        (&[banner, begun], [true, false, false], false, None),
        (&[banner, begun, ready], [true, true, false], false, None),
        (&[begun, ready, script], [true, true, false], true, None),
        (
            &[begun, ready, script, complete],
            [true, true, true],
            false,
            None,
        ),
        (
            &[begun, complete, SHUTDOWN],
            [true, true, true],
            false,
            Some(LoggedStop::StopRequest),
        ),
        (
            &[begun, statement],
            [true, false, false],
            false,
            Some(LoggedStop::Statement),
        ),
        (
            &[SHUTDOWN, banner, begun],
            [true, false, false],
            false,
            None,
        ),
        (&[begun, reinitialized], [true, true, true], false, None),
    ] {
        let log = read_dated(lines);
        let LoggedStart {
            begun,
            ready,
            complete,
            ..
        } = log.start;
        let seen = ([begun, ready, complete], log.upgrading, log.stop);
        assert_eq!(seen, (stage, upgrading, stop), "{lines:?}");
    }
    let mut skipped = Reader::default();
    skipped.line(begun);
    skipped.gap();
    assert!(!skipped.log(7).start.begun);
}

mod any_input {
    use proptest::prelude::*;

    use super::*;
    use crate::errorlog::Lines;

    proptest! {
        /// Nothing that a file can hold makes the reader panic, and what it keeps is bounded.
        #[test]
        fn is_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000), piece in 1_usize..64) {
            read(&bytes, piece)?;
        }

        /// Pieces of real lines, in any order and cut anywhere, do not make it panic either.
        #[test]
        fn of_real_words_is_read(
            words in proptest::collection::vec(prop::sample::select(WORDS), 0..60),
            piece in 1_usize..64,
            wide in any::<bool>(),
        ) {
            let text = words.concat();
            let bytes: Vec<u8> = match wide {
                true => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                false => text.into_bytes(),
            };
            read(&bytes, piece)?;
        }
    }

    const WORDS: &[&str] = &[
        "2026-11-23 04:51:00.12 ",
        "spid9s      ",
        "Error: ",
        "9002",
        ", Severity: ",
        "17",
        ", State: ",
        "2.",
        "\n",
        "\r\n",
        "'",
        "(",
        ")",
        "é",
        "\u{fffd}",
        "\0",
        "エラー: ",
        "、",
        "。",
        ":",
        "：",
        "Recovery of database '",
        "' (9) is ",
        "12% complete (approximately ",
        " seconds remain). Phase ",
        "Server is listening on [",
        "]",
        "1433",
        "<ipv6>",
        "Microsoft SQL Server 2022 ",
        " - ",
        "16.0.1",
        "Database '",
        "' is upgrading script '",
        "' running the upgrade step from version ",
        "Converting database '",
        "This program has encountered a fatal error",
        "Reason: ",
        "0x",
        "Dedicated admin",
        " on port ",
        "HRESULT 0x8007",
        "\u{1b}[",
        "|",
        "[pod/",
        "stdout F ",
        "2025-03-04T05:06:07Z ",
        "-",
        "00:00:00.00 ",
        " ",
    ];

    fn read(bytes: &[u8], piece: usize) -> Result<(), TestCaseError> {
        let mut reader = Reader::default();
        let mut lines = Lines::begin(bytes);
        for piece in bytes.chunks(piece) {
            lines.feed(piece, &mut |line| reader.line(line));
        }
        lines.finish(&mut |line| reader.line(line));
        let log = reader.log(0);
        prop_assert!(log.messages.len() <= MAX_MESSAGES && log.errors.len() <= MAX_NUMBERS);
        for message in &log.messages {
            prop_assert!(message.text.chars().count() <= MAX_TEXT_CHARS);
        }
        let facts = faults::cause::Facts::default();
        let _ = faults::cause::cause(&log, &facts);
        Ok(())
    }
}

#[test]
fn the_name_of_the_log_is_no_error() {
    let text = "Logging SQL Server messages in file '/var/opt/mssql/log/errorlog'.";
    assert!(!is_error(text));
    assert!(is_error("Error: 17058, Severity: 16, State: 1."));
}
