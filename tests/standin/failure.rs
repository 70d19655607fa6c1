//! Starts that fail, in the words of the image. Who prints them, and what follows, is as in the logs that
//! people published; the table of faults (`src/decide/faults`) knows them.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::errorlog::ErrorLog;

/// The status with which the process ends in each case.
pub const STATUS: u8 = 1;

const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// The reason why a start fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailStart {
    Evaluation,
    Eula,
    Password,
    Memory,
    SystemDir,
    Master,
    Listen,
    Tempdb,
}

impl FailStart {
    pub const NAMES: [&str; 8] = [
        "evaluation",
        "eula",
        "password",
        "memory",
        "system-dir",
        "master",
        "listen",
        "tempdb",
    ];

    pub fn by_name(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    /// Reports the failure: into the errorlog, if the engine has come as far as to have one, else to
    /// standard output alone.
    pub fn tell(self, log: Option<&ErrorLog>, data_dir: &Path) {
        for (source, text) in self.lines(data_dir) {
            match log.filter(|_| !source.is_empty()) {
                Some(log) => log.line(source, &text),
                // Nobody is left to whom a failure could be reported.
                None => drop(writeln!(io::stdout(), "{text}")),
            }
        }
        if let Some(log) = log {
            log.flush(FLUSH_LIMIT);
        }
    }

    /// Returns the source and the text of each line; a line without a source is the platform layer's,
    /// written before there is an errorlog.
    fn lines(self, data_dir: &Path) -> Vec<(&'static str, String)> {
        let said = |source: &'static str, lines: &[&str]| {
            let lines = lines.iter().map(|line| (source, (*line).to_owned()));
            lines.collect()
        };
        match self {
            Self::Evaluation => said("", &EVALUATION),
            Self::Eula => said("", &EULA),
            Self::Password => said("spid30s", &PASSWORD),
            Self::Memory => said("", &MEMORY),
            Self::SystemDir => said("", &SYSTEM_DIR),
            Self::Listen => said("spid19s", &LISTEN),
            Self::Tempdb => said("spid21s", &TEMPDB),
            Self::Master => {
                let file = data_dir.join("data/master.mdf");
                let opened = format!(
                    "Error 5(Access is denied.) occurred while opening file '{}' to obtain configuration information \
                     at startup. An invalid startup option might have caused the error. Verify your startup options, \
                     and correct or remove them if necessary.",
                    file.display()
                );
                said(
                    "Server",
                    &["Error: 17113, Severity: 16, State: 1.", &opened],
                )
            }
        }
    }
}

const EVALUATION: [&str; 2] = [
    "Error: The evaluation period has expired.",
    "/opt/mssql/bin/sqlservr: PAL initialization failed. Error: 104",
];

const EULA: [&str; 3] = [
    "The SQL Server End-User License Agreement (EULA) must be accepted before SQL",
    "Server can start. The license terms for this product can be downloaded from",
    "https://go.microsoft.com/fwlink/?linkid=2139274.",
];

const PASSWORD: [&str; 2] = [
    "ERROR: Unable to set system administrator password: Password validation failed. The password does not meet SQL \
     Server password policy requirements because it is too short. The password must be at least 8 characters..",
    "An error occurred during server setup. See previous errors for more information.",
];

const MEMORY: [&str; 1] =
    ["sqlservr: This program requires a machine with at least 2000 megabytes of memory."];

const SYSTEM_DIR: [&str; 1] = [
    "/opt/mssql/bin/sqlservr: Error: The system directory [/.system] could not be created. File: \
     LinuxDirectory.cpp:420 [Status: 0xC0000022 Access Denied errno = 0xD(13) Permission denied]",
];

/// The lines of a start that fails for tempdb, as in tests/corpus/recorded/errorlog/02, after "ready".
const TEMPDB: [&str; 4] = [
    "Error: 5123, Severity: 16, State: 1.",
    "CREATE FILE encountered operating system error 5(Access is denied.) while attempting to open or create the physical \
     file '/var/opt/mssql/data/tempdb.mdf'.",
    "Could not create tempdb. You may not have enough disk space available. Free additional disk space by deleting other \
     files on the tempdb drive and then restart SQL Server. Check for additional errors in the operating system error log \
     that may indicate why the tempdb files could not be initialized.",
    "SQL Server shutdown has been initiated",
];

const LISTEN: [&str; 6] = [
    "Error: 17182, Severity: 16, State: 1.",
    "TDSSNIClient initialization failed with error 0x80092004, status code 0x80. Reason: Unable to initialize SSL \
     support.",
    "Error: 17826, Severity: 18, State: 3.",
    "Could not start the network library because of an internal error in the network library.",
    "Error: 17120, Severity: 16, State: 1.",
    "SQL Server could not spawn FRunCommunicationsManager thread.",
];
