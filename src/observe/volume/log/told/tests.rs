use super::*;
use crate::decide::observation::LoggedStart;

/// As the errorlog has it.
fn dated(text: &str) -> String {
    format!("2026-11-23 04:51:00.12 spid9s      {text}\r\n")
}

fn told(lines: &[&str]) -> EngineLog {
    let mut told = Told::default();
    for line in lines {
        told.line(line);
    }
    told.log(7)
}

/// The same, each line with date and source.
fn told_dated(lines: &[&str]) -> EngineLog {
    let lines: Vec<String> = lines.iter().map(|line| dated(line)).collect();
    told(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

const MASTER_MISSING: [&str; 2] = [
    "Error: 17113, Severity: 16, State: 1.",
    "Error 2(The system cannot find the file specified.) occurred while opening file '/var/opt/mssql/data/master.mdf' to obtain configuration information at startup.",
];

fn unreadable(fault: FileFault) -> Option<StartFault> {
    Some(StartFault::SystemDatabaseUnreadable(fault))
}

#[test]
fn the_banner_tells_the_product_and_begins_anew() {
    for (banner, edge) in [
        (
            "Microsoft Azure SQL Edge Developer (RTM) - 15.0.2000.1574 (X64)",
            true,
        ),
        (
            "Microsoft Azure SQL Database Edge Developer (CTP) - 15.0.2000.1331 (X64)",
            true,
        ),
        (
            "Microsoft SQL Server 2022 (RTM-CU11) (KB5032679) - 16.0.4105.2 (X64)",
            false,
        ),
    ] {
        let log = told_dated(&[MASTER_MISSING[0], MASTER_MISSING[1], banner]);
        assert_eq!(log.edge, Some(edge), "{banner}");
        assert_eq!(log.start_fault, None);
        assert_eq!(log.errors, []);
    }
    let script = "Azure SQL Edge will run as non-root by default.";
    assert_eq!(told(&[script]).edge, Some(true));
    let script = "SQL Server 2019 will run as non-root by default.";
    assert_eq!(told(&[script]).edge, Some(false));
    assert_eq!(told_dated(&["Server process ID is 32."]).edge, None);
    assert_eq!(told(&[]).bytes, 7);
}

#[test]
fn errors_are_counted_by_number() {
    let log = told_dated(&[
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
    let mut told = Told::default();
    for number in 1..=1000 {
        told.line(&dated(&format!("Error: {number}, Severity: 16, State: 1.")));
    }
    assert_eq!(told.log(0).errors.len(), MAX_NUMBERS);
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
    assert_eq!(told_dated(&[progress]).recovery, Some(expected.clone()));
    let of_another = "Recovery completed for database model (database ID 3) in 1 second(s) (analysis 0 ms, redo 0 ms, undo 0 ms.)";
    assert_eq!(
        told_dated(&[progress, of_another]).recovery,
        Some(expected),
        "another database"
    );
    for end in [
        "Recovery is complete. This is an informational message only. No user action is required.",
        "Recovery completed for database sales (database ID 9) in 3 second(s) (analysis 1 ms, redo 2 ms, undo 0 ms.)",
    ] {
        assert_eq!(told_dated(&[progress, end]).recovery, None, "{end}");
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
    assert_eq!(told_dated(&[&line]).recovery.unwrap().percent, 100);
    assert_eq!(told_dated(&[&line.replace("250%", "300%")]).recovery, None);
    let recovery = told_dated(&[&line.replace("250%", "25%")])
        .recovery
        .unwrap();
    assert_eq!(recovery.percent, 25);
    assert_eq!(recovery.database.chars().count(), MAX_NAME_CHARS);
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
        assert_eq!(told_dated(&[line]).recovery, None, "{line}");
    }
    let line = "Recovery of database 'a' (9) is 5% complete (approximately 1 second";
    let recovery = told_dated(&[line]).recovery.unwrap();
    assert_eq!((recovery.percent, recovery.phase), (5, None));
}

const NUMBERED: [(u32, &str, StartFault); 10] = [
    (
        17051,
        "SQL Server evaluation period has expired.",
        StartFault::EvaluationExpired,
    ),
    (
        17058,
        "initerrlog: Could not open error log file ''. Operating system error = 5(Access is denied.).",
        StartFault::DataDirectoryDenied,
    ),
    (
        17182,
        "TDSSNIClient initialization failed with error 0x2740, status code 0xa.",
        StartFault::ListenFailed,
    ),
    (
        17826,
        "Could not start the network library.",
        StartFault::ListenFailed,
    ),
    (
        17120,
        "SQL Server could not spawn FRunCommunicationsManager thread.",
        StartFault::ListenFailed,
    ),
    (
        3417,
        "Cannot recover the master database.",
        StartFault::MasterUnrecoverable,
    ),
    (
        5120,
        "Unable to open the physical file \"/var/opt/mssql/data/model.mdf\". Operating system error 2: \"2(The system cannot find the file specified.)\".",
        StartFault::SystemDatabaseUnreadable(FileFault::Missing),
    ),
    (
        5123,
        "CREATE FILE encountered operating system error 5(Access is denied.) while attempting to open or create the physical file '/var/opt/mssql/data/tempdb.mdf'.",
        StartFault::SystemDatabaseUnreadable(FileFault::Denied),
    ),
    (
        5149,
        "MODIFY FILE encountered operating system error 112(There is not enough space on the disk.) while attempting to expand the physical file.",
        StartFault::SystemDatabaseUnreadable(FileFault::NoSpace),
    ),
    (
        17204,
        "FCB::Open failed: Could not open file /var/opt/mssql/data/model.mdf for file number 1.  OS error: 31(A device is not functioning.).",
        StartFault::SystemDatabaseUnreadable(FileFault::Other),
    ),
];

#[test]
fn faults_by_number_with_their_os_error() {
    assert_eq!(
        told_dated(&MASTER_MISSING).start_fault,
        unreadable(FileFault::Missing)
    );
    let denied = MASTER_MISSING[1].replace("2(The system cannot find", "5(Access is denied");
    assert_eq!(
        told_dated(&[MASTER_MISSING[0], &denied]).start_fault,
        unreadable(FileFault::Denied)
    );
    assert_eq!(
        told_dated(&MASTER_MISSING[..1]).start_fault,
        unreadable(FileFault::Other),
        "the message has not come yet"
    );
    for (number, text, fault) in NUMBERED {
        let header = format!("Error: {number}, Severity: 16, State: 1.");
        assert_eq!(
            told_dated(&[&header, text]).start_fault,
            Some(fault),
            "{number}"
        );
    }
}

#[test]
fn faults_by_the_images_own_words() {
    for (text, fault) in [
        (
            "Error: The evaluation period has expired.",
            StartFault::EvaluationExpired,
        ),
        (
            "The SQL Server End-User License Agreement (EULA) must be accepted before SQL",
            StartFault::EulaNotAccepted,
        ),
        (
            "sqlservr: This program requires a machine with at least 2000 megabytes of memory.",
            StartFault::MemoryTooSmall,
        ),
        (
            "/opt/mssql/bin/sqlservr: Error: The system directory [/.system] could not be created. File: LinuxDirectory.cpp:420 [Status: 0xC0000022 Access Denied errno = 0xD(13) Permission denied]",
            StartFault::DataDirectoryDenied,
        ),
        (
            "/opt/mssql/bin/sqlservr: Error: Directory [/var/opt/mssql/.system/system] could not be created. File: LinuxDirectory.cpp:420 [Status: 0xC000007F Disk Full errno = 0x1C(28) No space left on device]",
            StartFault::SystemDatabaseUnreadable(FileFault::NoSpace),
        ),
        (
            "sqlservr: Unable to open /var/opt/mssql/.system/instance_id: Permission denied (13)",
            StartFault::DataDirectoryDenied,
        ),
        (
            "ERROR: BootstrapSystemDataDirectories() failure (HRESULT 0x80070005)",
            StartFault::SystemDatabaseUnreadable(FileFault::Denied),
        ),
        (
            "ERROR: BootstrapSystemDataDirectories() failure (HRESULT 0x80070001)",
            StartFault::SystemDatabaseUnreadable(FileFault::Other),
        ),
    ] {
        assert_eq!(told(&[text]).start_fault, Some(fault), "{text}");
    }
    for (text, fault) in [
        (
            "ERROR: Unable to set system administrator password: Password validation failed. The password does not meet SQL Server password policy requirements because it is too short.",
            StartFault::PasswordRejected,
        ),
        (
            "ERROR: Setup FAILED copying system data file 'C:\\templatedata\\master.mdf' to '/var/opt/mssql/data/master.mdf':  5(Access is denied.)",
            StartFault::SystemDatabaseUnreadable(FileFault::Denied),
        ),
    ] {
        assert_eq!(told_dated(&[text]).start_fault, Some(fault), "{text}");
    }
}

#[test]
fn the_cause_counts_and_not_its_consequences() {
    let file = "Error: 17204, Severity: 16, State: 1.";
    let opened = "FCB::Open failed: Could not open file x for file number 1.  OS error: 5(Access is denied.).";
    let master = "Error: 3417, Severity: 21, State: 3.";
    assert_eq!(
        told_dated(&[file, opened, master]).start_fault,
        unreadable(FileFault::Denied)
    );
    let listen = "Error: 17826, Severity: 18, State: 3.";
    assert_eq!(
        told_dated(&[file, opened, listen]).start_fault,
        Some(StartFault::ListenFailed)
    );
    assert_eq!(
        told_dated(&[listen, file, opened]).start_fault,
        Some(StartFault::ListenFailed)
    );
}

#[test]
fn an_engine_that_is_ready_has_started() {
    let ready = "SQL Server is now ready for client connections. This is an informational message; no user action is required.";
    let log = told_dated(&[MASTER_MISSING[0], MASTER_MISSING[1], ready]);
    assert_eq!(log.start_fault, None);
    assert_eq!(log.errors.len(), 1, "it happened all the same");
    let log = told_dated(&[ready, MASTER_MISSING[0], MASTER_MISSING[1]]);
    assert_eq!(log.start_fault, None);
    let cycled = "The error log has been reinitialized. See the previous log for older entries.";
    let log = told_dated(&[cycled, "Error: 3417, Severity: 21, State: 3."]);
    assert_eq!(log.start_fault, None);
}

#[test]
fn what_was_skipped_may_have_ended_it() {
    let mut told = Told::default();
    for line in MASTER_MISSING {
        told.line(&dated(line));
    }
    told.gap();
    let log = told.log(0);
    assert_eq!((log.start_fault, log.errors.len()), (None, 1));
}

#[test]
fn garbage_says_nothing() {
    for line in [
        "",
        "\0\0\0",
        "2026-11-23",
        "2026-",
        "\u{fffd}Error: ",
        "é026-Error: 1",
    ] {
        assert_eq!(told(&[line]), told(&[]), "{line:?}");
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
        (&[begun, reinitialized], [true, true, false], false, None),
    ] {
        let log = told_dated(lines);
        let LoggedStart {
            begun,
            ready,
            complete,
        } = log.start;
        let seen = ([begun, ready, complete], log.upgrading, log.stop);
        assert_eq!(seen, (stage, upgrading, stop), "{lines:?}");
    }
    let mut skipped = Told::default();
    skipped.line(begun);
    skipped.gap();
    assert!(!skipped.log(7).start.begun);
}
