//! `check-config`: the effective configuration, or everything that is wrong with it.

use std::io::{self, Write};

use super::{Exit, load};
use crate::config::{Environment, Flags, effective_yaml, reference};

/// Prints it.
///
/// # Errors
/// When it can't be written.
pub fn execute(
    flags: Flags,
    environment: Environment,
    only_reference: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    if only_reference {
        write!(out, "{}", reference())?;
        return Ok(Exit::Done);
    }
    match load(flags, environment) {
        Ok(effective) => {
            write!(out, "{}", effective_yaml(&effective))?;
            Ok(Exit::Done)
        }
        Err(errors) => {
            let _ = writeln!(err, "{errors}");
            Ok(Exit::Usage)
        }
    }
}
