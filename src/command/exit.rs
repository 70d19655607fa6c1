//! The exit statuses of the program: of sysexits.h, as far as it has one for the case.

use std::process::ExitCode;

/// The exit status of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command did its work, or the probe passed.
    Done,
    /// The command or the probe failed.
    Failed,
    /// The command line or the configuration is wrong: EX_USAGE of sysexits.h.
    Usage,
    /// A file that was to be read can't be: EX_NOINPUT of sysexits.h.
    NoInput,
    /// The program that was launched ended with this status.
    Launched(u8),
}

impl Exit {
    /// Returns the number of the exit status.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 64,
            Self::NoInput => 66,
            Self::Launched(status) => status,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
