//! The engine's numbered messages that the stand-in sends by itself or fills in for a script.

use serde::{Deserialize, Serialize};

/// Severity above which the engine closes the connection after the message.
pub const FATAL_CLASS: u8 = 19;

/// An error (or, up to class 10, an information) as a script or the engine gives it. What is left out comes
/// from the catalogue below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlError {
    pub number: i32,
    #[serde(default = "one")]
    pub state: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn one() -> u8 {
    1
}

impl SqlError {
    pub fn new(number: i32) -> Self {
        Self {
            number,
            state: 1,
            class: None,
            message: None,
        }
    }

    pub fn with_message(number: i32, message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::new(number)
        }
    }

    pub fn invalid_object(name: &str) -> Self {
        Self::with_message(208, format!("Invalid object name '{name}'."))
    }

    pub fn undeclared(name: &str) -> Self {
        Self::with_message(137, format!("Must declare the scalar variable \"{name}\"."))
    }

    pub fn class(&self) -> u8 {
        self.class
            .or_else(|| known(self.number).map(|(_, class, _)| *class))
            .unwrap_or(16)
    }

    pub fn message(&self) -> String {
        self.message
            .clone()
            .or_else(|| known(self.number).map(|(_, _, text)| (*text).to_owned()))
            .unwrap_or_else(|| format!("Error {}.", self.number))
    }
}

fn known(number: i32) -> Option<&'static (i32, u8, &'static str)> {
    CATALOGUE.iter().find(|(known, _, _)| *known == number)
}

/// Number, severity and text, from sys.messages of the 15.0 engine (Microsoft's "Database Engine errors"
/// pages). 6005 is severity 10 there, but 14 on the wire when it refuses a login.
#[rustfmt::skip]
const CATALOGUE: &[(i32, u8, &str)] = &[
    (102, 15, "Incorrect syntax."),
    (208, 16, "Invalid object name."),
    (229, 14, "The SELECT permission was denied on the object."),
    (297, 16, "The user does not have permission to perform this action."),
    (300, 14, "VIEW SERVER STATE permission was denied on object 'server', database 'master'."),
    (596, 21, "Cannot continue the execution because the session is in the kill state."),
    (701, 17, "There is insufficient system memory in resource pool 'default' to run this query."),
    (802, 17, "There is insufficient memory available in the buffer pool."),
    (823, 24, "The operating system returned error 5 to SQL Server during a write in file '/var/opt/mssql/data/master.mdf'."),
    (824, 24, "SQL Server detected a logical consistency-based I/O error: incorrect checksum."),
    (916, 14, "The server principal is not able to access the database under the current security context."),
    (921, 14, "Database has not been recovered yet. Wait and try again."),
    (922, 14, "Database is being recovered. Waiting until recovery is finished."),
    (926, 14, "Database cannot be opened. It has been marked SUSPECT by recovery."),
    (927, 14, "Database cannot be opened. It is in the middle of a restore."),
    (942, 14, "Database cannot be opened because it is offline."),
    (945, 16, "Database cannot be opened due to inaccessible files or insufficient memory or disk space."),
    (1105, 17, "Could not allocate space for object 'dbo.journal' in database 'master' because the 'PRIMARY' filegroup is full."),
    (1205, 13, "Transaction was deadlocked on lock resources with another process and has been chosen as the deadlock victim."),
    (1222, 16, "Lock request time out period exceeded."),
    (2714, 16, "There is already an object named 'journal' in the database."),
    (2812, 16, "Could not find stored procedure."),
    (3906, 16, "Failed to update database \"master\" because the database is read-only."),
    (4060, 11, "Cannot open database requested by the login. The login failed."),
    (5701, 10, "Changed database context."),
    (5703, 10, "Changed language setting to us_english."),
    (6005, 14, "SHUTDOWN is in progress."),
    (8180, 16, "Statement(s) could not be prepared."),
    (9002, 17, "The transaction log for database 'master' is full due to 'LOG_BACKUP'."),
    (10928, 16, "Resource ID : 1. The request limit for the database has been reached."),
    (10929, 16, "Resource ID : 1. The server is currently too busy to support requests."),
    (15025, 16, "The server principal already exists."),
    (15247, 16, "User does not have permission to perform this action."),
    (17142, 16, "SQL Server service has been paused. No new connections will be allowed. To resume the service, use SQL Computer Manager or the Services application in Control Panel."),
    (17187, 16, "SQL Server is not ready to accept new client connections. Wait a few minutes before trying again. If you have access to the error log, look for the informational message that indicates that SQL Server is ready before trying to connect again."),
    (17188, 16, "SQL Server cannot accept new connections, because it is shutting down. The connection has been closed."),
    (17189, 16, "SQL Server failed with error code 0xc0000000 to spawn a thread to process a new login or connection."),
    (17197, 16, "Login failed due to timeout; the connection has been closed. This error may indicate heavy server load."),
    (17300, 16, "SQL Server was unable to run a new system task, either because there is insufficient memory or the number of configured sessions exceeds the maximum allowed in the server."),
    (17803, 20, "There was a memory allocation failure during connection establishment."),
    (17809, 20, "Could not connect because the maximum number of '100' user connections has already been reached."),
    (18401, 14, "Login failed for user. Reason: Server is in script upgrade mode. Only administrator can connect at this time."),
    (18451, 14, "Login failed for user. Only administrators may connect at this time."),
    (18452, 14, "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."),
    (18456, 14, "Login failed for user."),
    (18461, 14, "Login failed for user. Reason: Server is in single user mode. Only one administrator can connect at this time."),
    (18470, 14, "Login failed for user. Reason: The account is disabled."),
    (18486, 14, "Login failed for user because the account is currently locked out."),
    (18487, 14, "Login failed for user. Reason: The password of the account has expired."),
    (18488, 14, "Login failed for user. Reason: The password of the account must be changed."),
];
