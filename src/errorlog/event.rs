//! The messages about a start, a recovery and a stop. They are of severity 10 and so have no number
//! in the log: their fixed English beginnings have to do. (With `MSSQL_LCID` other than 1033 most
//! of them are translated, and then none is recognized; what the engine answers counts anyway.)

use core::net::IpAddr;
use std::time::Duration;

use super::plain::one_line;
use crate::decide::observation::{
    EngineBuild, ListenAddress, LoggedDac, LoggedRecovery, LoggedStop, LoggedUpgrade,
};

/// The longest name of a database in characters; `sysname` has no more.
const MAX_NAME_CHARS: usize = 128;

/// The event that a message reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A start of this engine begins.
    Begins(EngineBuild),
    /// 17104: a log begins. Where this message is in English, 17126 will be so too.
    Begun,
    /// 17126: the engine takes logins.
    Ready,
    /// 3408: the start is over. `sp_cycle_errorlog` writes such a message as well, in an engine
    /// that has long started.
    Complete,
    /// A database is being started, or a file made.
    Step,
    /// A database is upgraded.
    Upgrade(LoggedUpgrade),
    /// 3450: a recovery advances.
    Recovery(LoggedRecovery),
    /// 3421: the recovery of this database is over.
    Recovered(String),
    /// The system databases are about to be rebuilt for another collation.
    CollationBegins,
    /// The rebuild for another collation is over.
    CollationChanged,
    /// The engine listens on this address.
    Listening(ListenAddress),
    /// The dedicated administrator connection was established, or is disabled.
    Dac(LoggedDac),
    /// A stop on purpose begins.
    Stops(LoggedStop),
    /// The engine ends, whoever wanted it to.
    Ends,
}

/// Beginnings of messages that by themselves show which event is reported.
const FIXED: &[(&str, Event)] = &[
    ("Server process ID is ", Event::Begun),
    (
        "SQL Server is now ready for client connections",
        Event::Ready,
    ),
    ("Recovery is complete.", Event::Complete),
    ("The error log has been reinitialized", Event::Complete),
    ("Starting up database '", Event::Step),
    ("Clearing tempdb database", Event::Step),
    ("The tempdb database has ", Event::Step),
    ("Setup step is ", Event::Step),
    ("index restored for ", Event::Step),
    (
        "Attempting to change default collation to ",
        Event::CollationBegins,
    ),
    (
        "SQL Server is terminating in response to a 'stop' request",
        Event::Stops(LoggedStop::StopRequest),
    ),
    (
        "SQL Server is terminating because of a system shutdown",
        Event::Stops(LoggedStop::SystemShutdown),
    ),
    (
        "Server shut down by request from login",
        Event::Stops(LoggedStop::Statement),
    ),
    (
        "Always On: The availability replica manager is going offline because SQL Server is shutting down",
        Event::Stops(LoggedStop::AvailabilityManager),
    ),
    ("SQL Server shutdown has been initiated", Event::Ends),
    ("SQL Trace was stopped due to server shutdown", Event::Ends),
    (
        "SQL Server shutdown due to an unrecoverable error",
        Event::Ends,
    ),
    (
        "SQL Server is terminating because of fatal exception",
        Event::Ends,
    ),
];

/// Returns the event that `text` reports, if it is one of these messages.
#[must_use]
pub fn event(text: &str) -> Option<Event> {
    let fixed = FIXED
        .iter()
        .find(|(beginning, _)| text.starts_with(beginning));
    if let Some((_, event)) = fixed {
        return Some(event.clone());
    }
    if text.contains("The default collation was successfully changed") {
        return Some(Event::CollationChanged);
    }
    begins(text)
        .map(Event::Begins)
        .or_else(|| recovery(text).map(Event::Recovery))
        .or_else(|| recovered(text).map(Event::Recovered))
        .or_else(|| upgrade(text).map(Event::Upgrade))
        .or_else(|| listening(text).map(Event::Listening))
        .or_else(|| dac(text).map(Event::Dac))
}

/// Reads the banner, `Microsoft Azure SQL Database Edge Developer (CTP) - 15.0.2000.1331 (X64)`
/// (MicrosoftDocs/azure-docs, issue 53146) or
/// `Microsoft SQL Server 2017 (RTM-CU12) (KB4464082) - 14.0.3045.24 (X64)` (bitwarden/server, issue 476).
/// Before it, on standard output only, `Azure SQL Edge will run as non-root by default.` (orbstack, issue
/// 1071).
fn begins(text: &str) -> Option<EngineBuild> {
    let banner = text.starts_with("Microsoft ") && text.contains("SQL ") && text.contains(" - ");
    let script = text.ends_with("will run as non-root by default.")
        && (text.contains("SQL Edge") || text.contains("SQL Server"));
    if !(banner || script) {
        return None;
    }
    let version = text
        .rsplit_once(" - ")
        .and_then(|(_, after)| version(after));
    if banner && version.is_none() {
        return None;
    }
    let edge = text.contains("Azure SQL");
    let year = text.split_once("SQL Server ").and_then(|(_, after)| {
        let year = after.get(..4)?;
        year.parse().ok().filter(|year| (2000..2100).contains(year))
    });
    Some(EngineBuild {
        edge,
        year: year.filter(|_| !edge),
        version: version.filter(|_| banner),
    })
}

/// Reads a version, `16.0.4085.2 (X64)`.
fn version(text: &str) -> Option<[u16; 4]> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let mut numbers = text.get(..end.unwrap_or(text.len()))?.split('.');
    let mut next = || numbers.next().map_or(Some(0), |number| number.parse().ok());
    Some([next()?, next()?, next()?, next()?]).filter(|version| version[0] > 0)
}

/// Reads 3450:
/// `Recovery of database 'sales' (9) is 12% complete (approximately 42 seconds remain). Phase 2 of 3. ...`
/// (am2.co, 2019-10, "Recovery of database is 0% complete"); phase 1 begins with `Analysis of database`.
/// A name may hold anything, so it is what is left when the rest has been taken off from the end.
fn recovery(text: &str) -> Option<LoggedRecovery> {
    let analysis = text.strip_prefix("Analysis of database '");
    let text = analysis.or_else(|| text.strip_prefix("Recovery of database '"))?;
    let (before, after) = text.rsplit_once("% complete (approximately ")?;
    let (name, percent) = before.rsplit_once(" is ")?;
    let (name, _) = name.rsplit_once("' (")?;
    let (seconds, phase) = after.split_once(" second")?;
    let phase = phase.split_once("Phase ").map(|(_, phase)| phase);
    let phase = phase.and_then(|phase| phase.get(..1)?.parse().ok());
    Some(LoggedRecovery {
        database: bounded(name),
        percent: percent.parse::<u8>().ok()?.min(100),
        remaining: seconds.parse().ok().map(Duration::from_secs),
        phase: phase.or_else(|| analysis.map(|_| 1)),
    })
}

/// Reads 3421: `Recovery completed for database sales (database ID 9) in 3 second(s) (analysis ...`
fn recovered(text: &str) -> Option<String> {
    let text = text.strip_prefix("Recovery completed for database ")?;
    let (name, _) = text.rsplit_once(" (database ID ")?;
    Some(bounded(name))
}

/// Reads 951 and 917: `Database 'model' running the upgrade step from version 937 to version 938.`,
/// `Database 'master' is upgrading script 'msdb110_upgrade.sql' from level ...`,
/// `Converting database 'master' from version 927 to the current version 957.`
fn upgrade(text: &str) -> Option<LoggedUpgrade> {
    let (database, step) = if let Some(rest) = text.strip_prefix("Converting database '") {
        let (database, rest) = rest.split_once("' from version ")?;
        let (_, to) = rest.split_once(" to the current version ")?;
        (database, format!("to version {}", to.trim_end_matches('.')))
    } else {
        let rest = text.strip_prefix("Database '")?;
        if let Some((database, rest)) = rest.split_once("' running the upgrade step from version ")
        {
            let (_, to) = rest.split_once(" to version ")?;
            (database, format!("to version {}", to.trim_end_matches('.')))
        } else {
            let (database, rest) = rest.split_once("' is upgrading script '")?;
            let (script, _) = rest.split_once('\'')?;
            (database, script.to_owned())
        }
    };
    Some(LoggedUpgrade {
        database: bounded(database),
        step: bounded(&step),
    })
}

/// Reads 26022: `Server is listening on [ 'any' <ipv4> 1433] accept sockets 1.`; before 2022
/// without the last words.
fn listening(text: &str) -> Option<ListenAddress> {
    let rest = text.strip_prefix("Server is listening on [")?;
    let (inside, _) = rest.split_once(']')?;
    let mut fields = inside.split_whitespace();
    let (address, family, port) = (fields.next()?, fields.next()?, fields.next()?);
    let ipv6 = family == "<ipv6>";
    let address = match address {
        "'any'" => None,
        address => Some(address.parse::<IpAddr>().ok()?),
    };
    (ipv6 || family == "<ipv4>").then_some(ListenAddress {
        address,
        ipv6,
        port: port.parse().ok()?,
    })
}

/// Reads `Dedicated admin connection support was established for listening locally on port 1434.`,
/// or of an edition without it
/// `Dedicated administrator connection support was not started because it is disabled ...`.
fn dac(text: &str) -> Option<LoggedDac> {
    let rest = text.strip_prefix("Dedicated admin")?;
    if rest.contains("connection support was not started") {
        return Some(LoggedDac::Disabled);
    }
    let (_, port) = rest.rsplit_once(" on port ")?;
    let port = port.trim_end_matches(|c: char| !c.is_ascii_digit());
    Some(LoggedDac::Port(port.parse().ok()?))
}

/// Returns a name that is safe to show: no longer than a name is, and without control characters.
fn bounded(name: &str) -> String {
    one_line(name, MAX_NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_and_the_administrator() {
        let address = |text| match event(text) {
            Some(Event::Listening(address)) => Some(address),
            _ => None,
        };
        let any = ListenAddress {
            address: None,
            ipv6: true,
            port: 1433,
        };
        assert_eq!(
            address("Server is listening on [ 'any' <ipv6> 1433] accept sockets 1."),
            Some(any)
        );
        let local = ListenAddress {
            address: "127.0.0.1".parse().ok(),
            ipv6: false,
            port: 1434,
        };
        assert_eq!(
            address("Server is listening on [ 127.0.0.1 <ipv4> 1434]."),
            Some(local)
        );
        for text in [
            "Server is listening on [",
            "Server is listening on [ 'any' <tcp> 1]",
            "Server is listening on [ 'any' <ipv4> 99999]",
            "Server is listening on [ nowhere <ipv4> 1433]",
        ] {
            assert_eq!(event(text), None, "{text}");
        }
        for (text, expected) in [
            (
                "Dedicated admin connection support was established for listening locally on port 1434.",
                LoggedDac::Port(1434),
            ),
            (
                "Dedicated administrator connection support was not started because it is disabled on this edition of SQL Server.",
                LoggedDac::Disabled,
            ),
        ] {
            assert_eq!(event(text), Some(Event::Dac(expected)));
        }
    }

    #[test]
    fn banners() {
        let build = |text| match event(text) {
            Some(Event::Begins(build)) => Some((build.edge, build.year, build.version)),
            _ => None,
        };
        for (text, expected) in [
            (
                "Microsoft SQL Server 2022 (RTM-CU9) (KB5030731) - 16.0.4085.2 (X64) ",
                (false, Some(2022), Some([16, 0, 4085, 2])),
            ),
            (
                "Microsoft Azure SQL Edge Developer (RTM) - 15.0.2000.1574 (ARM64)",
                (true, None, Some([15, 0, 2000, 1574])),
            ),
            (
                "Microsoft Azure SQL Database Edge Developer (CTP) - 15.0.2000.1331 (X64)",
                (true, None, Some([15, 0, 2000, 1331])),
            ),
            (
                "SQL Server 2022 will run as non-root by default.",
                (false, Some(2022), None),
            ),
            (
                "Azure SQL Edge will run as non-root by default.",
                (true, None, None),
            ),
        ] {
            assert_eq!(build(text), Some(expected), "{text}");
        }
        for text in [
            "Microsoft SQL Server",
            "Microsoft ODBC SQL - driver",
            "SQL Server 2022",
        ] {
            assert_eq!(build(text), None, "{text}");
        }
    }
}
