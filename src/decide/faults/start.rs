//! Faults of a start: licence, password, configuration, upgrade, recovery, tempdb, listening.

use super::{Fault, ROW, Rank, number, text};
use crate::decide::reason::Reason;

/// The advice to make room, whatever step of the start found none.
const ROOM: &str = "Enlarge the volume or free space (dumps and old errorlogs under log/), then start again: the upgrade begins anew. Do not restore or rebuild master: it is not lost.";

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "evaluation",
        reason: Reason::EvaluationExpired,
        meaning: "the evaluation period has expired",
        help: "Set MSSQL_PID to an edition that you may use; the data is kept.",
        signs: &[number(&[17_051]), text(&["evaluation period has expired"])],
        ..ROW
    },
    Fault {
        name: "eula",
        reason: Reason::EulaNotAccepted,
        meaning: "the licence terms were not accepted",
        help: "Set ACCEPT_EULA=Y in the SQL container's environment.",
        signs: &[
            text(&["(EULA) must be accepted"]),
            text(&["ACCEPT_EULA"]),
            text(&["accept the", "license", "terms"]),
        ],
        ..ROW
    },
    Fault {
        name: "sa-password",
        reason: Reason::SaPasswordRejected,
        meaning: "the password for sa is too weak, or was not given",
        help: "Give MSSQL_SA_PASSWORD at least 8 characters of three kinds: upper case, lower case, digits, symbols.",
        signs: &[
            text(&["Unable to set system administrator password"]),
            text(&["Password validation failed. The"]),
            text(&["An error occurred while setting the server administrator (SA) password"]),
            text(&["does not meet", "password policy"]),
            text(&["SA_PASSWORD", "must be"]),
            text(&["SA_PASSWORD", "not set"]),
        ],
        ..ROW
    },
    Fault {
        name: "configuration",
        reason: Reason::ConfigurationInvalid,
        meaning: "mssql.conf can't be read",
        help: "Correct /var/opt/mssql/mssql.conf: sections in brackets, one `key = value` a line, readable for uid 10001; or remove the file, where variables are enough.",
        signs: &[
            text(&["mssql.conf", "pars"]),
            text(&["mssql.conf", "invalid"]),
            text(&["mssql.conf", "malformed"]),
            text(&["mssql.conf", "corrupt"]),
            text(&["mssql.conf", "Permission denied"]),
            text(&["mssql.conf", "delimiter"]),
            text(&["mssql.conf", "syntax"]),
            text(&["mssql.conf", "Error:"]).without(&["no such file"]),
            text(&["MissingSectionHeaderError"]),
        ],
        ..ROW
    },
    Fault {
        name: "licence-key",
        reason: Reason::ConfigurationInvalid,
        meaning: "MSSQL_PID is no edition or key of this engine",
        help: "Set MSSQL_PID to an edition of this product: Developer or Premium for SQL Edge; Developer, Express, Standard, Enterprise, EnterpriseCore, Web, Evaluation or a key for SQL Server.",
        signs: &[
            text(&["MSSQL_PID", "invalid"]),
            text(&["MSSQL_PID", "not valid"]),
            text(&["The provided PID", "invalid"]),
            text(&["licensing PID", "not"]),
            text(&["product key", "valid"]),
        ],
        ..ROW
    },
    Fault {
        name: "variable",
        reason: Reason::ConfigurationInvalid,
        meaning: "a variable of the container's environment has a value that the engine can't use",
        help: "Correct the variable that the message names; what stands in a variable counts more than what stands in mssql.conf.",
        signs: &[
            text(&["MSSQL_", "invalid"]),
            text(&["MSSQL_", "not valid"]),
            text(&["environment variable", "invalid"]),
            text(&["LCID", "invalid"]),
            text(&["LCID", "not supported"]),
        ],
        ..ROW
    },
    Fault {
        name: "collation-failed",
        reason: Reason::ConfigurationInvalid,
        meaning: "the system databases could not be rebuilt for another collation",
        help: "After a deadlock (1205, beside it) start again. Else take MSSQL_COLLATION back to the one that the volume was set up with, or set it on an empty volume; see that its name is a collation of this engine.",
        signs: &[
            number(&[3434]),
            text(&["Cannot change sort order or locale"]),
            text(&["collation", "invalid"]),
            text(&["collation", "not valid"]),
            text(&["collation", "not supported"]),
        ],
        ..ROW
    },
    Fault {
        name: "downgrade-system",
        reason: Reason::DowngradeRefused,
        meaning: "the system databases were written by a newer engine than this one",
        help: "Run the image that wrote the volume last, or a newer one; pin its tag. There is no way back but a backup from before the upgrade.",
        signs: &[
            number(&[946, 948]).parts(&["'master'"]),
            number(&[946, 948]).parts(&["'mssqlsystemresource'"]),
            text(&["'master'", "cannot be opened because it is version"]),
        ],
        ..ROW
    },
    Fault {
        name: "downgrade",
        reason: Reason::DowngradeRefused,
        meaning: "a database was written by a newer engine than this one",
        help: "Run the image that wrote the database last, or a newer one: there is no way back but a backup from before the upgrade.",
        rank: Rank::Contributing,
        signs: &[
            number(&[946, 948]),
            text(&["cannot be opened because it is version"]),
            text(&["downgrade path is not supported"]),
        ],
        ..ROW
    },
    Fault {
        name: "upgrade-no-room",
        reason: Reason::DiskFull,
        meaning: "an upgrade script failed because there was no room",
        help: ROOM,
        signs: &[
            number(&[912]).parts(&["1105"]),
            number(&[912]).parts(&["1101"]),
            number(&[912]).parts(&["5149"]),
            text(&["Script level upgrade", "error 1105"]),
            text(&["Script level upgrade", "error 1101"]),
        ],
        ..ROW
    },
    Fault {
        name: "upgrade-log-full",
        reason: Reason::LogFull,
        meaning: "an upgrade script failed because a transaction log is full",
        help: ROOM,
        signs: &[
            number(&[912]).parts(&["9002"]),
            text(&["Script level upgrade", "error 9002"]),
        ],
        ..ROW
    },
    Fault {
        name: "upgrade-script",
        reason: Reason::UpgradeFailed,
        meaning: "an upgrade script failed; the error that it names is the cause, and master is not lost",
        help: "Mend that error (an object that is there already, a database that is offline, a full disk), then start again: the upgrade begins anew. Start with trace flag 902 to get in without the scripts. Do not restore or rebuild master.",
        signs: &[
            number(&[912]),
            text(&["Script level upgrade for database", "failed"]),
        ],
        ..ROW
    },
    Fault {
        name: "tempdb",
        reason: Reason::TempdbUnavailable,
        meaning: "tempdb can't be made",
        help: "See that the directory of tempdb's files is there, belongs to uid 10001 and has room. tempdb holds nothing that has to be kept.",
        rank: Rank::Final,
        number: Some(1814),
        signs: &[
            number(&[1814, 1619]),
            text(&["Could not create tempdb"]),
            text(&["Could not open tempdb"]),
        ],
        ..ROW
    },
    Fault {
        name: "port-taken",
        reason: Reason::ListenFailed,
        meaning: "the port is taken by another process",
        help: "Free the port or choose another (MSSQL_TCP_PORT, network.tcpport). With hostNetwork each engine of a node needs its own.",
        signs: &[
            number(&[26_023]).without(&["<ipv6>"]),
            text(&["Tcp port is already in use"]).without(&["<ipv6>"]),
            number(&[17_182, 26_024]).parts(&["0x2740"]),
            text(&["TDSSNIClient", "0x2740"]),
        ],
        ..ROW
    },
    Fault {
        name: "ipv6",
        reason: Reason::ListenFailed,
        meaning: "the engine can't listen on IPv6: it is off in the pod, or the port is taken there",
        help: "Allow IPv6 in the pod (net.ipv6.conf.all.disable_ipv6=0), or let it listen on IPv4 alone: network.ipaddress = 0.0.0.0 in mssql.conf, or MSSQL_IP_ADDRESS=0.0.0.0. If IPv6 is on, free the port.",
        signs: &[
            number(&[26_023, 26_024]).parts(&["ipv6"]),
            text(&["already in use", "<ipv6>"]),
            text(&["failed to listen on", "<ipv6>"]),
            number(&[17_182]).parts(&["0x273f"]),
            text(&["TDSSNIClient", "0x273f"]),
        ],
        ..ROW
    },
    Fault {
        name: "address",
        reason: Reason::ListenFailed,
        meaning: "the address that the engine is to listen on is none of the pod's",
        help: "Correct MSSQL_IP_ADDRESS (network.ipaddress): 0.0.0.0, or an address that the pod has at each start. If none is set, IPv6 is off in the pod: set it to 0.0.0.0.",
        signs: &[
            number(&[17_182, 26_024]).parts(&["0x2741"]),
            text(&["TDSSNIClient", "0x2741"]),
        ],
        ..ROW
    },
    Fault {
        name: "port-denied",
        reason: Reason::ListenFailed,
        meaning: "the engine may not listen on its port",
        help: "A port below 1024 needs the capability NET_BIND_SERVICE.",
        signs: &[
            number(&[17_182, 26_024]).parts(&["0x271d"]),
            text(&["TDSSNIClient", "0x271d"]),
        ],
        ..ROW
    },
    Fault {
        name: "certificate",
        reason: Reason::ListenFailed,
        meaning: "the engine can't load its certificate or its key",
        help: "Correct network.tlscert and network.tlskey in mssql.conf: PEM, matching, readable for uid 10001 (mode 0400, or 0440 with its group), not expired.",
        signs: &[
            number(&[17_182]).parts(&["certificate"]),
            number(&[17_182]).parts(&["SSL support"]),
            number(&[17_182]).parts(&["0x8009"]),
            number(&[17_190, 17_194, 26_011, 26_014, 26_015, 49_940]),
            text(&["Unable to load user-specified certificate"]),
            text(&["tlscert", "fail"]),
            text(&["tlskey", "fail"]),
            text(&["certificate", "could not be", "loaded"]),
            text(&[".pem", "denied"]),
            text(&["/tls", "denied"]),
        ],
        ..ROW
    },
    Fault {
        name: "listen",
        reason: Reason::ListenFailed,
        meaning: "the engine can't listen",
        help: "Look at the error beside it: the port, the address (MSSQL_IP_ADDRESS), the certificate.",
        rank: Rank::Final,
        signs: &[
            number(&[17_120, 17_182, 17_826, 26_024]),
            text(&["Could not start the network library"]),
            text(&["TDSSNIClient initialization failed"]),
        ],
        ..ROW
    },
    Fault {
        name: "recovery-model",
        reason: Reason::SystemDatabaseUnreadable,
        meaning: "model or msdb is damaged or can't be opened",
        help: "Read the error beside it. model and msdb can be restored from a backup; without one, take model's or msdb's files from an empty volume that the same build has set up (jobs and history of msdb are lost then). master and the users' databases are not affected.",
        rank: Rank::Contributing,
        signs: &[
            number(&[3414, 926, 927, 945, 9003, 9004, 913]).parts(&["'model'"]),
            number(&[3414, 926, 927, 945, 9003, 9004]).parts(&["'msdb'"]),
            text(&["recovery", "preventing the database 'model'"]),
        ],
        ..ROW
    },
    Fault {
        name: "encryption-certificate",
        reason: Reason::DatabaseRecoveryPending,
        meaning: "the certificate or key by which a database is encrypted is not in master",
        help: "Restore the certificate with its private key into master (CREATE CERTIFICATE ... FROM FILE), then ALTER DATABASE ... SET ONLINE. Do not drop the database: without that certificate no backup of it can be read either.",
        rank: Rank::Problem,
        signs: &[number(&[33_111, 33_117, 15_581])],
        ..ROW
    },
    Fault {
        name: "service-master-key",
        reason: Reason::NotOnVolume,
        meaning: "the service master key can't be decrypted: secrets/machine-key is not the one that it was made with",
        help: "Bring back the machine-key of this instance (keep /var/opt/mssql/secrets on the volume), or RESTORE SERVICE MASTER KEY from its backup; do not force a new one before that: what it encrypts would be lost.",
        rank: Rank::Problem,
        signs: &[number(&[33_094, 33_095, 15_466])],
        ..ROW
    },
    Fault {
        name: "setup",
        meaning: "the setup of the first start failed; its cause stands in a file beside the errorlog",
        help: "Read /var/opt/mssql/log/setup-*: a password that is too weak, less memory than is asked for, a file system that is not supported. Move to an image of today, which writes it to its output.",
        rank: Rank::Final,
        signs: &[
            text(&["SQL Server(R) setup failed"]),
            text(&["An error occurred during server setup"]),
        ],
        ..ROW
    },
    Fault {
        name: "master-log-full",
        reason: Reason::LogFull,
        meaning: "the log of a system database is full and can't grow",
        help: "Make room on the volume (dumps and old errorlogs under log/), or move the data to a file system that is supported: an engine that does not start can't back a log up. Do not restore or rebuild master: it is not lost.",
        rank: Rank::Contributing,
        signs: &[
            number(&[9002]).parts(&["'master'"]),
            number(&[9002]).parts(&["'model'"]),
        ],
        ..ROW
    },
    Fault {
        name: "master-recovery",
        reason: Reason::MasterUnrecoverable,
        meaning: "master can't be recovered",
        help: "Read the error before it first: where a file, room or an upgrade script failed, master is not lost. Else restore master from a backup.",
        rank: Rank::Final,
        signs: &[
            number(&[3417]),
            number(&[3414]).parts(&["'master'"]),
            text(&["Cannot recover the master database"]),
        ],
        ..ROW
    },
    Fault {
        name: "first-start-login",
        reason: Reason::Starting,
        meaning: "sa can't log in while the first start sets its password",
        help: "Wait: in the first start this lasts from seconds to minutes.",
        rank: Rank::Problem,
        signs: &[number(&[18_456]).parts(&["evaluating the password"])],
        ..ROW
    },
    Fault {
        name: "platform-assertion",
        reason: Reason::HostUnsupported,
        meaning: "the Linux side of the platform layer failed a check of its own: the node, its sandbox or its processors are not what it expects",
        help: "See that node, kernel and container runtime are supported: no LXC, gVisor or hardened kernel, a layout of memory and a set of processors that are usual, an image of today. Look the text up; a restart ends the same.",
        signs: &[
            text(&["fatal error", "Reason: 0x00000003"]),
            text(&["sqlservr: ", ".cpp:", "Assertion `"]),
        ],
        ..ROW
    },
    Fault {
        name: "platform-check",
        meaning: "the platform layer stopped itself, as it does on a volume that it can't use",
        help: "See whether the data is on ext4 or XFS: NFS with an image of 2017, and host paths of a desktop, end so (use a named volume there); see what else is mounted below /var/opt/mssql, and that it belongs to uid 10001. Else update the image and keep the dump under log/ for support.",
        rank: Rank::Contributing,
        signs: &[text(&["fatal error", "Kernel bug check"])],
        ..ROW
    },
    Fault {
        name: "assertion",
        meaning: "an assertion of the platform layer or a launcher failed",
        help: "Look the text up; see that the image's tag, the node's kernel and the volume's file system are supported.",
        rank: Rank::Contributing,
        signs: &[
            text(&["Assertion `"]),
            text(&["fatal error", "ASSERT: Expression"]),
            text(&["assertion failed"]).without(&["SQL Server Assertion"]),
            text(&["terminate called"]),
        ],
        ..ROW
    },
];
