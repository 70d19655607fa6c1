//! The search in a log for the cause of an end, and the diagnosis of a log by itself.

use sql_edge_supervisor::decide::diagnosis::diagnose;
use sql_edge_supervisor::decide::faults::Engines;
use sql_edge_supervisor::decide::faults::cause::{Cause, Facts, cause, quote};
use sql_edge_supervisor::decide::observation::*;
use sql_edge_supervisor::decide::reason::Reason;
use sql_edge_supervisor::errorlog::Reader;

/// A line of the engine itself.
macro_rules! dated {
    ($text:literal) => {
        concat!("2026-11-23 04:51:00.12 spid9s      ", $text)
    };
}

/// An error that no row of the table fits.
const UNKNOWN: [&str; 2] = [
    dated!("Error: 4711, Severity: 16, State: 1."),
    dated!("nobody knows it"),
];

/// An error that troubles a running engine, severe enough to be the engine's own.
const SEVERE: [&str; 2] = [
    dated!("Error: 701, Severity: 17, State: 123."),
    dated!("There is too little memory."),
];

/// An error that troubles a running engine, less severe.
const MILD: [&str; 2] = [
    dated!("Error: 802, Severity: 16, State: 1."),
    dated!("There are too few buffers."),
];

/// A launcher's words that no row of the table fits.
const LAUNCHER: [&str; 1] = ["the launcher has failed"];

/// A trouble of a running engine that has no number.
const UNNUMBERED: [&str; 1] = ["Long Sync IO: Scheduler 1 had 1 of them"];

/// An error after which an engine can't go on.
const EXPIRED: [&str; 2] = [
    dated!("Error: 17051, Severity: 16, State: 1."),
    dated!("The period is over."),
];

const COMPLETE: [&str; 1] = [dated!("Recovery is complete.")];

const CRASH: [&str; 3] = [
    "This program has encountered a fatal error and cannot continue running",
    "Reason: 0x00000001",
    "Signal: SIGABRT - Aborted (6)",
];

const OLD: EngineBuild = EngineBuild {
    edge: false,
    year: Some(2019),
    version: Some([15, 0, 4223, 1]),
};

const NEW: EngineBuild = EngineBuild {
    edge: false,
    year: Some(2022),
    version: Some([16, 0, 4105, 2]),
};

const EDGE: EngineBuild = EngineBuild {
    edge: true,
    year: None,
    version: None,
};

/// What the product's own reader makes of these lines.
fn read(parts: &[&[&str]]) -> EngineLog {
    let mut reader = Reader::default();
    for line in parts.iter().copied().flatten() {
        reader.line(line);
    }
    reader.log(1000)
}

fn found(parts: &[&[&str]], facts: &Facts) -> Cause {
    cause(&read(parts), facts).expect("a cause")
}

fn kernel(major: u32, minor: u32) -> Option<KernelVersion> {
    Some(KernelVersion { major, minor })
}

fn pages(page_bytes: Option<u64>) -> Option<HostFacts> {
    Some(HostFacts {
        page_bytes,
        ..HostFacts::default()
    })
}

#[test]
fn a_start_without_a_known_cause_has_the_last_error_that_says_most() {
    let unknown = "its last error is error 4711, state 1: nobody knows it";
    let severe = "its last error is error 701, state 123: There is too little memory.";
    let launcher = "its last error is the launcher has failed";
    let cases: [(&[&[&str]], &str); 8] = [
        (&[&UNKNOWN, &LAUNCHER], unknown),
        (&[&UNKNOWN, &MILD], unknown),
        (&[&UNKNOWN, &SEVERE], severe),
        (&[&SEVERE, &UNKNOWN], unknown),
        (&[&SEVERE, &LAUNCHER], severe),
        (&[&LAUNCHER, &UNNUMBERED], launcher),
        (&[&LAUNCHER, &MILD], launcher),
        (&[&MILD], "its last line is: There are too few buffers."),
    ];
    for (parts, evidence) in cases {
        let found = found(parts, &Facts::default());
        assert_eq!(found.reason, Reason::StartFailed, "{parts:?}");
        assert_eq!(found.evidence, evidence, "{parts:?}");
        assert_eq!(found.rank, None);
    }
    assert_eq!(cause(&read(&[]), &Facts::default()), None);
}

#[test]
fn an_error_that_its_text_did_not_follow_is_quoted_by_its_number() {
    let log = read(&[&UNKNOWN[..1]]);
    assert_eq!(quote(&log.messages[0]), "error 4711, state 1");
    let log = read(&[&UNKNOWN]);
    assert_eq!(
        quote(&log.messages[0]),
        "error 4711, state 1: nobody knows it"
    );
}

#[test]
fn a_cause_quotes_the_first_error_before_it_in_the_same_start() {
    let cause = "the evaluation period has expired: error 17051, state 1: The period is over.";
    let with_first = format!("{cause}; first: error 4711, state 1: nobody knows it");
    let cases: [(&[&[&str]], &str); 4] = [
        (&[&UNKNOWN, &EXPIRED], &with_first),
        (&[&EXPIRED, &UNKNOWN], cause),
        (&[&LAUNCHER, &EXPIRED], cause),
        (&[&UNKNOWN, &COMPLETE, &EXPIRED], cause),
    ];
    for (parts, evidence) in cases {
        let found = found(parts, &Facts::default());
        assert_eq!(found.evidence, evidence, "{parts:?}");
    }
}

#[test]
fn a_crash_is_the_kernels_where_neither_the_kernel_nor_the_build_speaks_against_it() {
    let cases = [
        (Some(OLD), kernel(6, 8), Reason::KernelUnsupported),
        (Some(OLD), None, Reason::KernelUnsupported),
        (None, kernel(6, 7), Reason::KernelUnsupported),
        (Some(OLD), kernel(6, 6), Reason::EngineFault),
        (Some(NEW), kernel(6, 8), Reason::EngineFault),
        (Some(NEW), None, Reason::EngineFault),
    ];
    for (engine, kernel, reason) in cases {
        let facts = Facts {
            engine,
            kernel,
            ..Facts::default()
        };
        let found = found(&[&CRASH], &facts);
        assert_eq!(found.reason, reason, "{engine:?} {kernel:?}");
    }
}

#[test]
fn a_crash_that_is_known_to_fit_the_host_explains_more_than_an_error_before_it() {
    let stale = ["sqlservr: Stale file handle"];
    for (kernel, reason) in [
        (kernel(6, 8), Reason::KernelUnsupported),
        (None, Reason::VolumeDisconnected),
        (kernel(6, 6), Reason::VolumeDisconnected),
    ] {
        let facts = Facts {
            engine: Some(OLD),
            kernel,
            ..Facts::default()
        };
        let found = found(&[&stale, &CRASH], &facts);
        assert_eq!(found.reason, reason, "{kernel:?}");
    }
}

#[test]
fn an_unknown_crash_fails_a_start_only_where_the_log_shows_that_it_was_one() {
    let banner = [dated!(
        "Microsoft SQL Server 2022 (RTM-CU18) (KB5050771) - 16.0.4185.3 (X64)"
    )];
    let crash = [CRASH[0], "Reason: 0x00000006"];
    let cases: [(&[&[&str]], Reason); 3] = [
        (&[&banner, &crash], Reason::StartFailed),
        (&[&banner, &COMPLETE, &crash], Reason::EngineFault),
        (&[&crash], Reason::EngineFault),
    ];
    for (parts, reason) in cases {
        let found = found(parts, &Facts::default());
        assert_eq!(found.reason, reason, "{parts:?}");
        assert_eq!(
            found.evidence,
            "the platform layer crashed: fatal error: Reason: 0x00000006"
        );
    }
}

#[test]
fn the_size_of_the_pages_is_told_where_it_is_known() {
    let meaning = "the node's memory pages are not of 4 KiB";
    let crash = [CRASH[0], "Message: Unsupported system page size"];
    let quoted = "fatal error: Message: Unsupported system page size";
    for (page_bytes, evidence) in [
        (
            Some(65_536),
            format!("{meaning}; they are of 65536 bytes: {quoted}"),
        ),
        (None, format!("{meaning}: {quoted}")),
    ] {
        let facts = Facts {
            host: pages(page_bytes),
            ..Facts::default()
        };
        assert_eq!(found(&[&crash], &facts).evidence, evidence);
    }
}

#[test]
fn a_build_is_compared_by_its_version_and_else_by_its_year() {
    let year = |year| EngineBuild {
        year: Some(year),
        ..EngineBuild::default()
    };
    let version = |version| EngineBuild {
        version: Some(version),
        ..EngineBuild::default()
    };
    let cases = [
        (EDGE, Some(true), Some(false)),
        (OLD, Some(true), Some(false)),
        (NEW, Some(false), Some(false)),
        (version([16, 0, 4105, 1]), Some(true), Some(false)),
        (version([16, 9, 0, 0]), Some(false), Some(false)),
        (version([17, 0, 0, 0]), Some(false), Some(true)),
        (year(2022), Some(true), Some(false)),
        (year(2025), Some(false), Some(true)),
        (EngineBuild::default(), None, None),
    ];
    for (engine, old, new) in cases {
        let engine = Some(engine);
        assert_eq!(Engines::BeforeNewKernels.include(engine), old, "{engine:?}");
        assert_eq!(Engines::Since2025.include(engine), new, "{engine:?}");
        assert_eq!(Engines::All.include(engine), Some(true));
    }
    assert_eq!(Engines::BeforeNewKernels.include(None), None);
    assert_eq!(Engines::Since2025.include(None), None);
}

#[test]
fn beside_a_cause_only_a_trouble_is_diagnosed_that_does_not_pass_by_itself() {
    let slow = [dated!(
        "SQL Server has encountered 1 occurrence(s) of I/O requests taking longer than 15 seconds"
    )];
    let connections = [
        dated!("Error: 17810, Severity: 20, State: 2."),
        dated!("The one connection is taken."),
    ];
    let stopped = [dated!(
        "SQL Server is terminating in response to a 'stop' request from Service Control Manager."
    )];
    let administrators = [
        dated!("Error: 18461, Severity: 14, State: 1."),
        dated!("Login failed for user 'sa'."),
    ];
    let cases: [(&[&[&str]], &[Reason]); 5] = [
        (
            &[&slow, &connections, &EXPIRED],
            &[Reason::EvaluationExpired, Reason::IoSlow],
        ),
        (
            &[&connections, &slow],
            &[Reason::IoSlow, Reason::ConnectionsExhausted],
        ),
        (&[&administrators], &[Reason::AdministratorsOnly]),
        // Each stop lets nobody else in.
        (&[&stopped, &administrators], &[Reason::Stopping]),
        (&[&slow, &stopped], &[Reason::IoSlow, Reason::Stopping]),
    ];
    for (parts, reasons) in cases {
        let diagnosis = diagnose(&read(parts), &Facts::default());
        let found: Vec<_> = diagnosis.findings.iter().map(|one| one.reason).collect();
        assert_eq!(found, reasons, "{parts:?}");
    }
}
