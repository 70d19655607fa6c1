//! `setup-sql`: prints the T-SQL for a login that may do nothing but look.

use std::io::{self, Write};

use super::Exit;
use crate::config::kind::Kind;
use crate::config::raw::{Given, Origin, Raw};
use crate::config::text::SYSNAME;
use crate::tds::permissions::setup_script;

/// Prints the T-SQL for the login.
///
/// # Errors
/// When the output can't be written.
pub fn execute(login: &str, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
    let given = Given {
        raw: Raw::Text(login.to_owned()),
        origin: Origin::Flag("login".to_owned()),
    };
    match SYSNAME.parse(&given) {
        Ok(login) => {
            write!(out, "{}", setup_script(&login))?;
            Ok(Exit::Done)
        }
        Err(problem) => {
            let value = given.raw.excerpt();
            let allowed = SYSNAME.describe();
            let _ = writeln!(err, "--login {value} {}; give {allowed}", problem.what);
            Ok(Exit::Usage)
        }
    }
}
