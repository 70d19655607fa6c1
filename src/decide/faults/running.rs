//! Faults of a running engine: those that only trouble it, and those that end it.

use super::{Fault, ROW, Rank, number, text};
use crate::decide::reason::Reason;

/// The values that most rows here share.
const PROBLEM: Fault = Fault {
    rank: Rank::Problem,
    ..ROW
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "io-slow",
        reason: Reason::IoSlow,
        meaning: "reads or writes took longer than 15 seconds",
        help: "Look at the volume's latency and at the node's log: storage, throttling, a neighbour. A restart makes it worse.",
        number: Some(833),
        signs: &[number(&[833]), text(&["I/O requests taking longer than"])],
        ..PROBLEM
    },
    Fault {
        name: "read-retried",
        reason: Reason::DataCorruption,
        meaning: "a read succeeded only when it was repeated",
        help: "The storage is failing: check it, run DBCC CHECKDB, have a backup.",
        number: Some(825),
        signs: &[
            number(&[825]),
            text(&["A read of the file", "succeeded after failing"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "corruption",
        reason: Reason::DataCorruption,
        meaning: "what was read from the storage is wrong",
        help: "Stop writing, check the storage, run DBCC CHECKDB, restore. A restart mends nothing.",
        rank: Rank::Contributing,
        signs: &[number(&[
            605, 823, 824, 829, 832, 3313, 3456, 5180, 9003, 9004,
        ])],
        ..ROW
    },
    Fault {
        name: "undo-failed",
        reason: Reason::VolumeIoError,
        meaning: "a change could not be undone, as a rule because its log can't be read or written",
        help: "Look at the storage and at the node's log; then delete the pod. Run DBCC CHECKDB afterwards; restore where the recovery fails.",
        rank: Rank::Contributing,
        restart_helps: true,
        signs: &[number(&[3314])],
        ..ROW
    },
    Fault {
        name: "log-unavailable-master",
        reason: Reason::VolumeIoError,
        meaning: "the log of a system database can't be written any more, and the engine ends for it",
        help: "Look at the storage and at the node's log; then delete the pod, so that the volume is attached anew. Run DBCC CHECKDB afterwards.",
        rank: Rank::Final,
        restart_helps: true,
        signs: &[
            number(&[9001]).parts(&["'master'"]),
            number(&[9001]).parts(&["'tempdb'"]),
            text(&["shutdown due to an unrecoverable error with database"]),
        ],
        ..ROW
    },
    Fault {
        name: "log-unavailable",
        reason: Reason::VolumeIoError,
        meaning: "the log of a database is not available",
        help: "Look at the storage and at the node's log; then ALTER DATABASE ... SET OFFLINE and ONLINE, or delete the pod.",
        number: Some(9001),
        rank: Rank::Contributing,
        restart_helps: true,
        signs: &[
            number(&[9001]),
            text(&["The log for database", "is not available"]),
        ],
        ..ROW
    },
    Fault {
        name: "log-full",
        reason: Reason::LogFull,
        meaning: "a transaction log is full",
        help: "Look at log_reuse_wait_desc (it stands in the message): back up the log, end the transaction that holds it, or enlarge it.",
        rank: Rank::Contributing,
        signs: &[number(&[9002])],
        ..ROW
    },
    Fault {
        name: "checkpoint-log-full",
        reason: Reason::LogFull,
        meaning: "no checkpoint could be written, because a transaction log is full",
        help: "Back up the log, end the transaction that holds it, or enlarge it.",
        rank: Rank::Contributing,
        number: Some(3619),
        signs: &[
            number(&[3619]),
            text(&["Could not write a checkpoint record"]),
        ],
        ..ROW
    },
    Fault {
        name: "filegroup-full",
        reason: Reason::DiskFull,
        meaning: "a filegroup or its volume is full",
        help: "Enlarge the volume or the files, or free space; set a growth where there is none.",
        rank: Rank::Contributing,
        signs: &[number(&[1101, 1105])],
        ..ROW
    },
    Fault {
        name: "recovery-failed",
        reason: Reason::DatabaseSuspect,
        meaning: "a database could not be recovered",
        help: "Read the error before it (a file, the log, a checksum), mend the storage, then restore, or ALTER DATABASE ... SET ONLINE.",
        rank: Rank::Contributing,
        signs: &[number(&[926, 945, 3414])],
        ..ROW
    },
    Fault {
        name: "out-of-memory",
        reason: Reason::OutOfMemory,
        meaning: "memory ran out",
        help: "Give the engine more memory, or find what takes it; MSSQL_MEMORY_LIMIT_MB below the container's limit.",
        restart_helps: true,
        signs: &[number(&[701, 802, 17_803])],
        ..PROBLEM
    },
    Fault {
        name: "memory-paged-out",
        reason: Reason::MemoryPagedOut,
        meaning: "a large part of the engine's memory was paged out",
        help: "Set MSSQL_MEMORY_LIMIT_MB well below the memory limit, and turn swap off on the node.",
        number: Some(17_890),
        signs: &[
            number(&[17_890]),
            text(&["sql server process memory has been paged out"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "schedulers-stuck",
        reason: Reason::SchedulersDeadlocked,
        meaning: "new requests are not picked up by any worker",
        help: "Look for the head of the blocking chain and for storage that does not answer. If it lasts, a restart is what is left.",
        number: Some(17_884),
        restart_helps: true,
        signs: &[
            number(&[17_884]),
            text(&[
                "New queries assigned to process on Node",
                "not been picked up",
            ]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "schedulers-deadlocked",
        reason: Reason::SchedulersDeadlocked,
        meaning: "all schedulers are deadlocked",
        help: "Look for the head of the blocking chain. If it lasts, a restart is what is left.",
        number: Some(17_888),
        restart_helps: true,
        signs: &[
            number(&[17_888]),
            text(&["All schedulers on Node", "deadlocked"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "listener-non-yielding",
        reason: Reason::EngineFault,
        meaning: "the thread that completes I/O does not yield",
        help: "Keep the dump under log/; look at the storage's latency and at processor limits.",
        number: Some(17_887),
        signs: &[
            number(&[17_887]),
            text(&["IO Completion Listener", "non-yielding"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "resource-monitor-non-yielding",
        reason: Reason::EngineFault,
        meaning: "the memory's monitor does not yield",
        help: "Keep the dump under log/; give the engine more memory.",
        number: Some(17_891),
        signs: &[
            number(&[17_891]),
            text(&["Resource Monitor", "non-yielding"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "dispatcher-non-yielding",
        reason: Reason::EngineFault,
        meaning: "a dispatcher's thread does not yield",
        help: "Keep the dump under log/ for support.",
        number: Some(17_894),
        signs: &[number(&[17_894]), text(&["Dispatcher", "non-yielding"])],
        ..PROBLEM
    },
    Fault {
        name: "worker-non-yielding",
        reason: Reason::EngineFault,
        meaning: "a worker does not yield its scheduler",
        help: "Look at processor limits and at the node's load first (System Idle in the message); keep the dump under log/ for support.",
        number: Some(17_883),
        signs: &[
            number(&[17_883]),
            text(&["non-yielding on Scheduler"]),
            text(&["BEGIN STACK DUMP", "yielding"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "latch-timeout",
        reason: Reason::IoSlow,
        meaning: "a page could not be had for a long time",
        help: "Look at the volume's latency; repeated, keep the dump under log/ for support.",
        number: Some(846),
        signs: &[
            number(&[844, 845, 846, 847]),
            text(&["waiting for buffer latch"]),
            text(&["waiting for latch"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "growth-slow",
        reason: Reason::IoSlow,
        meaning: "a file took long to grow, or its growth was given up",
        help: "Look at the volume's latency; let the file grow in smaller steps, or enlarge it beforehand.",
        number: Some(5144),
        signs: &[number(&[5144, 5145]), text(&["Autogrow of file"])],
        ..PROBLEM
    },
    Fault {
        name: "sync-io-slow",
        reason: Reason::IoSlow,
        meaning: "a synchronous read or write held a scheduler",
        help: "Look at the volume's latency.",
        signs: &[text(&["Long Sync IO"])],
        ..PROBLEM
    },
    Fault {
        name: "fatal-exception",
        reason: Reason::EngineFault,
        meaning: "the engine ends because of a fatal exception",
        help: "Keep the dump under log/ for support; update the image.",
        rank: Rank::Final,
        restart_helps: true,
        signs: &[
            number(&[17_311]),
            text(&["terminating because of fatal exception"]),
        ],
        ..ROW
    },
    Fault {
        name: "engine-fault",
        reason: Reason::EngineFault,
        meaning: "the engine met a fault of its own",
        help: "Keep the dump under log/ for support; update the image. Run DBCC CHECKDB if it names a database.",
        number: Some(3624),
        signs: &[
            number(&[
                1203, 3624, 17_065, 17_066, 17_067, 17_076, 17_077, 17_308, 17_310,
            ]),
            text(&["SQL Server Assertion"]),
            text(&["SqlDumpExceptionHandler"]),
            text(&["EXCEPTION_ACCESS_VIOLATION"]),
            text(&["Stack Dump being sent to"]),
            text(&["BEGIN STACK DUMP"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "dump-denied",
        reason: Reason::EngineFault,
        meaning: "a dump could not be written in full: the kernel refuses to trace the engine",
        help: "Give the SQL container the capability SYS_PTRACE where the policy allows it, if support wants a dump.",
        signs: &[text(&["paldumper", "EPERM"])],
        ..PROBLEM
    },
    Fault {
        name: "crash-handled",
        reason: Reason::EngineFault,
        meaning: "the engine crashed, as the image's crash handler or its shell says",
        help: "Keep the dump under log/ and the lines before it for support; update the image; see that the volume has room for dumps.",
        rank: Rank::Final,
        restart_helps: true,
        signs: &[
            text(&["Capturing a dump of"]),
            text(&["handle-crash.sh with parameters"]),
            text(&["Capturing core dump and information"]),
            text(&["Attempting to capture", "paldumper"]),
            text(&["Segmentation fault"]),
            text(&["Aborted (core dumped)"]),
            text(&["Aborted ", "/opt/mssql/bin/sqlservr"]),
            text(&["exited on signal"]),
        ],
        ..ROW
    },
    Fault {
        name: "dump",
        reason: Reason::DumpInProgress,
        meaning: "a dump of the engine is being written, or was",
        help: "Wait: the engine stands still meanwhile. Keep the dump for support; see that the volume has room for it.",
        signs: &[text(&["Executing PalDumper"])],
        ..PROBLEM
    },
    Fault {
        name: "workers",
        reason: Reason::WorkersExhausted,
        meaning: "there is no worker or thread left",
        help: "Find what holds the workers: blocking, parallelism; check the pids limit of the container.",
        signs: &[number(&[17_189, 17_300])],
        ..PROBLEM
    },
    Fault {
        name: "connections",
        reason: Reason::ConnectionsExhausted,
        meaning: "no more connections are taken",
        help: "Find the client that leaks them, or raise user connections.",
        signs: &[number(&[17_809])],
        ..PROBLEM
    },
    Fault {
        name: "administrator-connection",
        reason: Reason::ConnectionsExhausted,
        meaning: "the one dedicated administrator connection is taken already",
        help: "End the session that has it; everybody else's connections are not concerned.",
        signs: &[number(&[17_810])],
        ..PROBLEM
    },
    Fault {
        name: "paused",
        reason: Reason::Paused,
        meaning: "the engine was paused and takes no new connections",
        help: "Continue it, or find out who paused it.",
        signs: &[
            number(&[17_142]),
            text(&["SQL Server service has been paused"]),
        ],
        ..PROBLEM
    },
    Fault {
        name: "script-upgrade",
        reason: Reason::ScriptUpgrade,
        meaning: "logins are refused while upgrade scripts run",
        help: "Wait: a restart begins them anew.",
        signs: &[number(&[18_401])],
        ..PROBLEM
    },
    Fault {
        name: "administrators-only",
        reason: Reason::AdministratorsOnly,
        meaning: "only administrators may log in",
        help: "Finish the maintenance, then start the engine without -m or -f; in a shutdown it means nothing.",
        signs: &[number(&[18_451, 18_461])],
        ..PROBLEM
    },
    Fault {
        name: "login-disabled",
        reason: Reason::LoginDisabled,
        meaning: "a login is disabled or locked out",
        help: "ALTER LOGIN ... ENABLE or WITH PASSWORD ... UNLOCK; see who tries.",
        signs: &[number(&[18_470, 18_486])],
        ..PROBLEM
    },
    Fault {
        name: "password-expired",
        reason: Reason::PasswordExpired,
        meaning: "a login's password has expired or must be changed",
        help: "Change it, or set CHECK_EXPIRATION = OFF for a program's login.",
        signs: &[number(&[18_487, 18_488])],
        ..PROBLEM
    },
    Fault {
        name: "login-failed",
        reason: Reason::LoginFailed,
        meaning: "a client's login was refused",
        help: "State 8 is a wrong password, 5 an unknown login, 38 and 46 a database that is not there, 7 a disabled login or a first start. MSSQL_SA_PASSWORD counts only when a volume is first set up.",
        signs: &[number(&[18_452, 18_456])],
        ..PROBLEM
    },
];
