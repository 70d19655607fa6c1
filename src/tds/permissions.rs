//! The least-privileged login for the supervisor: as T-SQL for an administrator to run once, and as the
//! statements that the supervisor runs itself where it is given an administrator's login.

use crate::config::secret::Password;

/// The longest name of a login in UTF-16 code units: `sysname` is `nvarchar(128)`.
const MAX_LOGIN_UNITS: usize = 128;

/// The name of the login where the given one has no usable character.
const DEFAULT_LOGIN: &str = "sql_edge_supervisor";

/// Returns the script that makes `login`. It can be run again without harm, and fails as long as
/// the password in it is the placeholder, because the password policy refuses that.
///
/// Control characters of `login` are left out, and what is longer than a `sysname` is cut off; what
/// is left is quoted, so that no name can be anything else than a name.
#[must_use]
pub fn setup_script(login: &str) -> String {
    let login = usable(login);
    let (name, text) = (bracketed(&login), quoted(&login));
    format!(
        "\
-- The login of sql-edge-supervisor. Run it once as an administrator of the instance.
-- It makes no sysadmin on purpose: a sysadmin may log in while upgrade scripts run (18401) and in
-- single-user mode, and would call an engine ready that turns everyone else away.
USE [master];
GO

-- Replace the placeholder. Left as it is, the password policy refuses it (15118).
-- The password must not expire: an expired one would look like a failing engine to nobody but us.
IF SUSER_ID({text}) IS NULL
    CREATE LOGIN {name} WITH PASSWORD = N'<password>',
        DEFAULT_DATABASE = [master], CHECK_POLICY = ON, CHECK_EXPIRATION = OFF;
GO

-- sp_server_diagnostics: the states of the engine's components, which tell a busy engine from a
-- hung one. sys.dm_exec_requests: how far the recovery of a database has come. Most of the metrics:
-- counters, waits, memory, input and output. Without it they are absent and everything else works.
GRANT VIEW SERVER STATE TO {name};
GO

-- sys.databases: the state of every database, also where VIEW ANY DATABASE was revoked from public.
-- It shows names and definitions, and no row of any table.
GRANT VIEW ANY DEFINITION TO {name};
GO

-- Optional: each of these is for metrics that are missing without it, and sql_edge_collector_failure
-- says so. Take away the two dashes in front of what is wanted.

-- The age and size of each database's last backup (sql_edge_backup_*): one table of msdb, which holds
-- names of databases and of backup files. sql_edge_agent_job_*: the Agent's jobs, without their steps.
-- USE [msdb];
-- CREATE USER {name} FOR LOGIN {name};
-- GRANT SELECT ON dbo.backupset TO {name};
-- GRANT SELECT ON dbo.sysjobs TO {name};
-- GRANT SELECT ON dbo.sysjobservers TO {name};
-- GO

-- Azure SQL Edge alone: tables with data retention and streaming jobs (sql_edge_data_retention_tables,
-- sql_edge_streaming_jobs) are listed inside each database. It may enter all of them, and read no row.
-- USE [master];
-- GRANT CONNECT ANY DATABASE TO {name};
-- GO
"
    )
}

/// A batch, and its text for logs: the same without the password.
pub(crate) struct Statement {
    pub(crate) batch: String,
    pub(crate) said: String,
}

/// Returns the statements that make `login`, in their order: the login, and the two permissions
/// that [`setup_script`] grants. The optional ones are an administrator's to give.
pub(crate) fn statements(login: &str, password: &Password) -> [Statement; 3] {
    let name = bracketed(&usable(login));
    let create = |password: &str| {
        format!(
            "CREATE LOGIN {name} WITH PASSWORD = {password}, DEFAULT_DATABASE = [master], \
             CHECK_POLICY = ON, CHECK_EXPIRATION = OFF"
        )
    };
    let grant = |permission: &str| {
        let batch = format!("GRANT {permission} TO {name}");
        Statement {
            said: batch.clone(),
            batch,
        }
    };
    [
        Statement {
            batch: create(&quoted(password.expose())),
            said: create("***"),
        },
        grant("VIEW SERVER STATE"),
        grant("VIEW ANY DEFINITION"),
    ]
}

/// Returns the statement that drops `login`.
pub(crate) fn drop_login(login: &str) -> Statement {
    let batch = format!("DROP LOGIN {}", bracketed(&usable(login)));
    Statement {
        said: batch.clone(),
        batch,
    }
}

/// Returns the batch that asks whether there is a login of this name: one row, whose one column is
/// null where there is none.
pub(crate) fn is_there(login: &str) -> String {
    format!("SELECT SUSER_ID({}) AS id", quoted(&usable(login)))
}

/// Returns `name` as an identifier in brackets, whatever characters are in it (QUOTENAME).
pub(crate) fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

fn quoted(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

fn usable(login: &str) -> String {
    let mut units = 0;
    let kept: String = login
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}'))
        .take_while(|c| {
            units += c.len_utf16();
            units <= MAX_LOGIN_UNITS
        })
        .collect();
    match kept.trim() {
        "" => DEFAULT_LOGIN.to_owned(),
        kept => kept.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_grants_two_permissions_and_nothing_else() {
        let script = setup_script("monitor");
        let granted: Vec<_> = script
            .lines()
            .filter(|line| line.starts_with("GRANT"))
            .collect();
        assert_eq!(
            granted,
            [
                "GRANT VIEW SERVER STATE TO [monitor];",
                "GRANT VIEW ANY DEFINITION TO [monitor];"
            ]
        );
        assert!(!script.contains("ALTER"));
    }

    #[test]
    fn what_is_optional_is_commented_out() {
        let script = setup_script("monitor");
        let optional: Vec<_> = script
            .lines()
            .filter(|line| line.starts_with("-- GRANT"))
            .collect();
        assert_eq!(optional.len(), 4);
        for permission in [
            "dbo.backupset",
            "dbo.sysjobs ",
            "dbo.sysjobservers",
            "CONNECT ANY DATABASE",
        ] {
            let is_this =
                |line: &&&str| line.contains(permission) && line.ends_with("TO [monitor];");
            assert_eq!(optional.iter().filter(is_this).count(), 1, "{permission}");
        }
    }

    #[test]
    fn what_is_run_is_what_is_printed_and_is_said_without_the_password() {
        let password = crate::config::secret::tests::password("it's a 'secret'");
        let statements = statements("a]b", &password);
        let [create, first, second] = &statements;
        let escaped = "PASSWORD = N'it''s a ''secret''', ";
        assert!(create.batch.contains(escaped), "{}", create.batch);
        assert!(!create.said.contains("secret") && create.said.contains("[a]]b]"));
        let script = setup_script("a]b");
        for grant in [first, second] {
            assert!(
                script.contains(&format!("\n{};\n", grant.batch)),
                "{}",
                grant.batch
            );
            assert_eq!(grant.batch, grant.said);
        }
        let policy = "CHECK_POLICY = ON, CHECK_EXPIRATION = OFF";
        assert!(create.batch.ends_with(policy) && script.contains(policy));
        assert_eq!(is_there("o'x"), "SELECT SUSER_ID(N'o''x') AS id");
    }

    #[test]
    fn a_name_can_only_be_a_name() {
        let script = setup_script("a]; DROP LOGIN [sa];--'\r\nGO\nx");
        assert!(script.contains("TO [a]]; DROP LOGIN [sa]];--'GOx];"));
        assert!(script.contains("SUSER_ID(N'a]; DROP LOGIN [sa];--''GOx')"));
        assert!(!script.contains("\nGO\nx"));
    }

    #[test]
    fn names_are_bounded_and_never_empty() {
        let long = "😀".repeat(MAX_LOGIN_UNITS);
        let kept = usable(&long);
        assert_eq!(kept.encode_utf16().count(), MAX_LOGIN_UNITS);
        assert_eq!(usable("\r\n \t"), DEFAULT_LOGIN);
    }
}
