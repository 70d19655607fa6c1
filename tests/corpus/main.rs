//! Recorded reality, and what the product makes of it: each log of `recorded` (INDEX.md names the sources)
//! and each failed start of `starts`, read by `diagnose`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

mod kin;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sql_edge_supervisor::command::Exit;
use sql_edge_supervisor::command::diagnose::{Arguments, execute};

/// What a file has to say.
struct Expected {
    file: &'static str,
    kind: &'static str,
    engine: Option<&'static str>,
    stage: &'static str,
    exit: Exit,
    findings: &'static [Finding],
}

/// A finding: its reason, parts of its evidence and of its advice, and whether a restart can help.
struct Finding(&'static str, &'static [&'static str], &'static str, bool);

const fn row(
    file: &'static str,
    kind: &'static str,
    engine: Option<&'static str>,
    stage: &'static str,
    findings: &'static [Finding],
) -> Expected {
    Expected {
        file,
        kind,
        engine,
        stage,
        exit: Exit::Failed,
        findings,
    }
}

impl Expected {
    /// Nobody is needed.
    const fn passes(self) -> Self {
        Self {
            exit: Exit::Done,
            ..self
        }
    }
}

const LOG: &str = "errorlog";
const OUTPUT: &str = "containerOutput";
const V2017: Option<&str> = Some("SQL Server 2017 (14.0.3022.28)");
const CU9: Option<&str> = Some("SQL Server 2022 (16.0.4085.2)");
const CU18: Option<&str> = Some("SQL Server 2022 (16.0.4185.3)");

const STARTS: &[Expected] = &[
    row(
        "starts/08-openshift-not-permitted.log",
        OUTPUT,
        Some("SQL Server 2022"),
        "failedStart",
        &[Finding(
            "NotExecutable",
            &["sqlservr: Operation not permitted"],
            "NET_BIND_SERVICE",
            false,
        )],
    ),
    row(
        "starts/31-error-87-no-direct-io.log",
        LOG,
        V2017,
        "failedStart",
        &[Finding(
            "StorageUnsupported",
            &["error 17113", "Error 87", "O_DIRECT"],
            "ext4 or XFS",
            false,
        )],
    ),
    row(
        "starts/32-upgrade-script-failed.log",
        LOG,
        V2017,
        "failedStart",
        &[Finding(
            "DiskFull",
            &[
                "error 912",
                "msdb110_upgrade.sql",
                "error 1105",
                "first: error 17053",
            ],
            "Do not restore or rebuild master",
            false,
        )],
    ),
    row(
        "starts/33-downgrade.log",
        LOG,
        V2017,
        "failedStart",
        &[Finding(
            "DowngradeRefused",
            &["error 948", "version 904", "version 869"],
            "Run the image that wrote the volume last",
            false,
        )],
    ),
    row(
        "starts/34-nfs-write-1117.log",
        LOG,
        CU18,
        "endedAfterReady",
        &[Finding(
            "VolumeIoError",
            &["error 17053", "error 1117"],
            "NFS",
            true,
        )],
    ),
    row(
        "starts/35-pal-no-memory.log",
        OUTPUT,
        Some("SQL Server 2022"),
        "failedStart",
        &[Finding(
            "MemoryTooSmall",
            &["0xffffffffc0000017"],
            "memory limit",
            true,
        )],
    ),
    row(
        "starts/35c-pal-kernel-6.7.log",
        OUTPUT,
        Some("SQL Server 2022"),
        "failedStart",
        &[Finding(
            "KernelUnsupported",
            &["SIGABRT", "Linux 6.7"],
            "2022 CU11",
            false,
        )],
    ),
    row(
        "starts/36-invalid-mapping.log",
        OUTPUT,
        Some("SQL Server 2022"),
        "failedStart",
        &[Finding(
            "HostUnsupported",
            &["Invalid mapping of address"],
            "stack limit",
            false,
        )],
    ),
    row(
        "starts/38-page-size.log",
        OUTPUT,
        Some("Azure SQL Edge"),
        "failedStart",
        &[Finding(
            "HostUnsupported",
            &["Unsupported system page size"],
            "4 KiB",
            false,
        )],
    ),
    row(
        "starts/41-master-locked-by-the-old-pod.log",
        LOG,
        V2017,
        "failedStart",
        &[Finding(
            "MasterFileDenied",
            &["error 17113", "Error 5", "another engine has it open"],
            "See first whether another pod",
            true,
        )],
    ),
    row("starts/43-german.log", LOG, CU18, "unknown", GERMAN),
    row("starts/43b-german-utf16.log", LOG, CU18, "unknown", GERMAN),
];

const GERMAN: &[Finding] = &[
    Finding(
        "LogFull",
        &["error 9002, state 2", "'LOG_BACKUP' voll"],
        "log_reuse_wait_desc",
        false,
    ),
    Finding(
        "LoginFailed",
        &["error 18456, state 8", "'sa'"],
        "State 8 is a wrong password",
        false,
    ),
];

const RECORDED: &[Expected] = &[
    row(
        "recorded/errorlog/01-server-2022-cu9-first-start.log",
        LOG,
        CU9,
        "started",
        &[],
    )
    .passes(),
    row(
        "recorded/errorlog/02-tempdb-fails-after-ready.log",
        LOG,
        CU9,
        "endedAfterReady",
        &[Finding(
            "TempdbUnavailable",
            &["error 5123", "error 5(", "tempdb.mdf"],
            "uid 10001",
            false,
        )],
    ),
    row(
        "recorded/errorlog/03-recovery-phase-1.log",
        LOG,
        Some("SQL Server 2019 (15.0.4223.1)"),
        "starting",
        &[Finding(
            "Recovering",
            &["lot_of_vlfs, 0 % of phase 1"],
            "Wait",
            false,
        )],
    )
    .passes(),
    row(
        "recorded/errorlog/04-severity-10-without-a-number.log",
        LOG,
        CU9,
        "starting",
        &[
            Finding("SchedulersDeadlocked", &["17884"], "blocking chain", true),
            Finding("DataCorruption", &["825"], "DBCC CHECKDB", false),
            Finding("OutOfMemory", &["error 701, state 123"], "memory", true),
            Finding("IoSlow", &["833", "is: 16699"], "latency", false),
            Finding(
                "EngineFault",
                &["17883", "Scheduler 12"],
                "System Idle",
                false,
            ),
            Finding("MemoryPagedOut", &["17890"], "MSSQL_MEMORY_LIMIT_MB", false),
        ],
    ),
    row(
        "recorded/errorlog/05-shutdown-by-sigterm-2019.log",
        LOG,
        None,
        "stopping",
        &[Finding(
            "Stopping",
            &["17148"],
            "liveness never kills",
            false,
        )],
    )
    .passes(),
    row(
        "recorded/errorlog/06-shutdown-complete-2017.log",
        LOG,
        None,
        "stopped",
        &[Finding(
            "Stopping",
            &["17148"],
            "liveness never kills",
            false,
        )],
    )
    .passes(),
    row(
        "recorded/errorlog/07-script-upgrade-2017.log",
        LOG,
        None,
        "starting",
        &[Finding(
            "ScriptUpgrade",
            &["msdb110_upgrade.sql"],
            "Wait",
            false,
        )],
    )
    .passes(),
    row(
        "recorded/errorlog/08-recovery-phase-2.log",
        LOG,
        None,
        "starting",
        &[Finding(
            "Recovering",
            &["RecoveryTesting, 18 % of phase 2", "228 s"],
            "Wait",
            false,
        )],
    )
    .passes(),
    row(
        "recorded/errorlog/09-recovery-completed-2022.log",
        LOG,
        None,
        "starting",
        &[Finding("Starting", &["17126"], "Wait", false)],
    )
    .passes(),
    row(
        "recorded/errorlog/10-two-writers-in-one-line.txt",
        OUTPUT,
        None,
        "ended",
        &[Finding(
            "SystemDatabaseUnreadable",
            &["0x80070002"],
            "Attach the volume",
            false,
        )],
    ),
    row(
        "recorded/errorlog/11-line-without-a-break-2022.txt",
        OUTPUT,
        None,
        "unknown",
        &[],
    )
    .passes(),
    row(
        "recorded/errorlog/12-first-start-sa-not-yet-2017.log",
        OUTPUT,
        None,
        "unknown",
        &[Finding(
            "Starting",
            &["error 18456, state 7"],
            "Wait",
            false,
        )],
    )
    .passes(),
    row(
        "recorded/errorlog/13-collation-2017-2022.log",
        OUTPUT,
        None,
        "starting",
        &[Finding("Starting", &["17126"], "Wait", false)],
    )
    .passes(),
    row(
        "recorded/errorlog/15-script-upgrade-failed.log",
        LOG,
        None,
        "ended",
        &[Finding(
            "UpgradeFailed",
            &[
                "error 912",
                "error 2714, state 6: There is already an object",
            ],
            "Do not restore or rebuild master",
            false,
        )],
    ),
    row(
        "recorded/errorlog/16-evaluation-expired-2022.txt",
        OUTPUT,
        None,
        "ended",
        &[Finding(
            "EvaluationExpired",
            &["The evaluation period has expired"],
            "MSSQL_PID",
            false,
        )],
    ),
    row(
        "recorded/errorlog/17-eula-2019.txt",
        OUTPUT,
        Some("SQL Server 2019"),
        "failedStart",
        &[Finding(
            "EulaNotAccepted",
            &["must be accepted before SQL"],
            "ACCEPT_EULA=Y",
            false,
        )],
    ),
    row(
        "recorded/errorlog/18-sa-password-2019.log",
        LOG,
        None,
        "ended",
        &[Finding(
            "SaPasswordRejected",
            &["it is too short"],
            "MSSQL_SA_PASSWORD",
            false,
        )],
    ),
    row(
        "recorded/errorlog/19-system-directory-denied-2019.txt",
        OUTPUT,
        Some("SQL Server 2019"),
        "failedStart",
        &[Finding(
            "DataDirectoryDenied",
            &["[/.system] could not be created"],
            "fsGroup 10001",
            false,
        )],
    ),
    row(
        "recorded/errorlog/27-configuration-empty.txt",
        OUTPUT,
        None,
        "ended",
        &[Finding(
            "ConfigurationInvalid",
            &["File must contain at least one section"],
            "sections in brackets",
            false,
        )],
    ),
    row(
        "recorded/errorlog/28-no-certificate.log",
        LOG,
        None,
        "ended",
        &[Finding(
            "ListenFailed",
            &["error 17182", "0x80092004"],
            "network.tlscert",
            false,
        )],
    ),
    row(
        "recorded/errorlog/29-master-not-recovered.log",
        LOG,
        None,
        "ended",
        &[Finding(
            "MasterUnrecoverable",
            &["error 3417"],
            "restore master from a backup",
            false,
        )],
    ),
    row(
        "recorded/errorlog/30-assertion-preview.txt",
        OUTPUT,
        None,
        "ended",
        &[Finding(
            "HostUnsupported",
            &["vm.cpp:38"],
            "Look the text up",
            false,
        )],
    ),
    row(
        "recorded/memory/01-out-of-memory.txt",
        OUTPUT,
        None,
        "unknown",
        &[
            Finding("OutOfMemory", &["error 701, state 123"], "memory", true),
            Finding("IoSlow", &["Long Sync IO"], "latency", false),
        ],
    ),
    row(
        "recorded/memory/02-crash-summary-2019.txt",
        OUTPUT,
        None,
        "ended",
        &[Finding(
            "EngineFault",
            &["Reason: 0x00000006", "Status: 0xc000012a"],
            "dump",
            false,
        )],
    ),
    row(
        "recorded/process/03-paldumper-2022.log",
        OUTPUT,
        None,
        "unknown",
        &[
            Finding("EngineFault", &["EPERM"], "SYS_PTRACE", false),
            Finding("DumpInProgress", &["PalDumper"], "Wait", false),
        ],
    ),
    row(
        "recorded/process/05-crash-2017-2022.txt",
        OUTPUT,
        None,
        "ended",
        &[Finding("EngineFault", &["crash handler"], "dump", true)],
    ),
    row(
        "recorded/wire/04-dac-taken.txt",
        OUTPUT,
        None,
        "unknown",
        &[Finding(
            "ConnectionsExhausted",
            &["error 17810"],
            "End the session",
            false,
        )],
    )
    .passes(),
];

/// What is no log: answers, images, process lists. `diagnose` says so, and finds nothing in it. The banners
/// of many builds in one file are none either.
const NO_LOGS: &[&str] = &[
    "recorded/INDEX.md",
    "recorded/diagnostics/01-sp_server_diagnostics-clean.xml",
    "recorded/diagnostics/02-query_processing-non-yielding.xml",
    "recorded/diagnostics/03-workers-above-the-maximum.xml",
    "recorded/dmv/01-editions.txt",
    "recorded/process/01-tree-server-2019-from-the-host.txt",
    "recorded/process/02-image-config-edge.json",
    "recorded/process/06-exit-statuses.txt",
    "recorded/tds/01-certificate.txt",
    "recorded/wire/01-shutdown-login.json",
    "recorded/wire/02-shutdown-session.json",
    "recorded/wire/03-use-during-start-2022.json",
];

fn all() -> impl Iterator<Item = &'static Expected> {
    let own = STARTS.iter().chain(RECORDED);
    own.chain(kin::STARTS).chain(kin::RECORDED)
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn diagnose(file: &str, input: &[u8]) -> (Exit, Value) {
    let path = match file {
        "-" => PathBuf::from(file),
        _ => corpus().join(file),
    };
    let arguments = Arguments {
        files: vec![path],
        json: true,
        kernel: None,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = execute(&arguments, &mut &input[..], &mut out, &mut err).expect("a Vec takes all");
    assert!(err.is_empty(), "{}", String::from_utf8_lossy(&err));
    (exit, serde_json::from_slice(&out).expect("it is JSON"))
}

fn check(expected: &Expected) {
    let (exit, found) = diagnose(expected.file, b"");
    let file = expected.file;
    assert_eq!(exit, expected.exit, "{file}: {found:#}");
    assert_eq!(found["kind"], expected.kind, "{file}");
    assert_eq!(found["engine"].as_str(), expected.engine, "{file}");
    assert_eq!(found["stage"], expected.stage, "{file}");
    let findings = found["findings"].as_array().expect("a list");
    let reasons: Vec<_> = findings
        .iter()
        .map(|f| f["reason"].as_str().unwrap())
        .collect();
    let wanted: Vec<_> = expected.findings.iter().map(|f| f.0).collect();
    assert_eq!(reasons, wanted, "{file}: {found:#}");
    for (finding, Finding(_, evidence, advice, restart)) in findings.iter().zip(expected.findings) {
        let says = finding["evidence"].as_str().unwrap();
        for part in *evidence {
            assert!(says.contains(part), "{file}: {part:?} in {says:?}");
        }
        assert!(
            !says.contains('\n') && says.chars().count() < 1000,
            "{file}: {says:?}"
        );
        let advises = finding["advice"].as_str().unwrap();
        assert!(
            advises.contains(advice),
            "{file}: {advice:?} in {advises:?}"
        );
        assert_eq!(finding["restartHelps"], *restart, "{file}: {says}");
    }
}

#[test]
fn each_failed_start_has_its_reason() {
    STARTS.iter().chain(kin::STARTS).for_each(check);
}

#[test]
fn each_recorded_log_has_what_it_says() {
    RECORDED.iter().chain(kin::RECORDED).for_each(check);
}

#[test]
fn what_is_no_log_is_no_trouble() {
    for file in NO_LOGS {
        let (exit, found) = diagnose(file, b"");
        assert_eq!(exit, Exit::Done, "{file}: {found:#}");
        assert_eq!(found["findings"], serde_json::json!([]), "{file}");
    }
}

#[test]
fn no_file_is_left_out() {
    let tables = all().map(|row| row.file);
    let named: BTreeSet<_> = tables.chain(NO_LOGS.iter().copied()).collect();
    let mut folders = vec![corpus().join("recorded"), corpus().join("starts")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(corpus())
                .expect("below it")
                .display()
                .to_string();
            assert!(named.contains(name.as_str()), "{name}");
        }
    }
}

/// As `kubectl logs --timestamps`, compose and the container runtime keep it, and with other line ends.
#[test]
fn a_log_says_the_same_however_it_was_collected() {
    for expected in all() {
        let bytes = fs::read(corpus().join(expected.file)).expect("readable");
        let Ok(text) = String::from_utf8(bytes) else {
            continue; // UTF-16 is not what a collector writes
        };
        let (_, plain) = diagnose("-", text.as_bytes());
        let prefixed = |prefix: &str| -> String {
            text.lines()
                .map(|line| format!("{prefix}{line}\r\n"))
                .collect()
        };
        for prefix in [
            "2025-03-04T05:06:07.123456789Z ",
            "2025-03-04T05:06:07.123456789Z stdout F ",
            "sql-1  | ",
            "[pod/sql-0/mssql] ",
        ] {
            let (_, found) = diagnose("-", prefixed(prefix).as_bytes());
            let reasons = |found: &Value| -> Vec<String> {
                let list = found["findings"].as_array().expect("a list");
                list.iter().map(|f| f["reason"].to_string()).collect()
            };
            assert_eq!(
                reasons(&found),
                reasons(&plain),
                "{} {prefix:?}",
                expected.file
            );
            assert_eq!(
                found["stage"], plain["stage"],
                "{} {prefix:?}",
                expected.file
            );
        }
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (_, found) = diagnose("-", &wide);
        assert_eq!(
            found["findings"], plain["findings"],
            "{} in UTF-16",
            expected.file
        );
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let (_, found) = diagnose("-", &wide);
        assert_eq!(
            found["findings"], plain["findings"],
            "{} in UTF-16BE",
            expected.file
        );
    }
}

/// Cut anywhere, and any byte changed: it is read, and what is found is bounded.
#[test]
fn damaged_logs_are_read() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).expect("below a usize")
    };
    for expected in all() {
        let bytes = fs::read(corpus().join(expected.file)).expect("readable");
        for _ in 0..20 {
            let mut damaged = bytes[random(bytes.len())..].to_vec();
            damaged.truncate(random(damaged.len()) + 1);
            for _ in 0..random(20) {
                let at = random(damaged.len());
                damaged[at] = u8::try_from(random(256)).expect("a byte");
            }
            let (_, found) = diagnose("-", &damaged);
            assert!(found.to_string().len() < 40_000, "{}", expected.file);
        }
    }
}
