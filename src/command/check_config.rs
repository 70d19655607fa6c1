//! `check-config`: prints the effective configuration, or all mistakes in it and in the files of custom
//! collectors.

use std::io::{self, Write};

use super::{Exit, load};
use crate::config::{ConfigErrors, Environment, Flags, effective_yaml, reference};
use crate::{collect, publish};

/// Prints the effective configuration, the reference of all settings, or the mistakes.
///
/// # Errors
/// When the output can't be written.
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
            let taken = publish::metrics::names();
            let mistakes = collect::mistakes(&effective, &taken);
            if let Err(errors) = ConfigErrors::unless_empty(mistakes, ()) {
                let _ = writeln!(err, "{errors}");
                return Ok(Exit::Usage);
            }
            write!(out, "{}", effective_yaml(&effective))?;
            Ok(Exit::Done)
        }
        Err(errors) => {
            let _ = writeln!(err, "{errors}");
            Ok(Exit::Usage)
        }
    }
}
