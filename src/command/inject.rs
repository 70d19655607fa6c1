//! `inject`: reads a manifest, prints it with the supervisor added, and prints notes for its owner on
//! standard error.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::Exit;
use super::table::safe;
use crate::inject::login::ADMINISTRATOR;
use crate::inject::refusal::Why;
use crate::inject::{MAX_BYTES, Request, inject};

/// The manifest that is read, and the options of the command line.
#[derive(Clone, Debug)]
pub struct Invoked {
    /// The path of the manifest; `-` is standard input.
    pub file: PathBuf,
    /// The options of `inject`.
    pub request: Request,
}

/// Reads the manifest, adds the supervisor and prints the result.
///
/// # Errors
/// When the output can't be written.
pub fn execute(invoked: Invoked, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
    let refused = |err: &mut dyn Write, refusal: &dyn std::fmt::Display| {
        // Nobody is left to read it where it can't be written.
        let _ = writeln!(err, "inject: {}", safe(&refusal.to_string()));
        Ok(Exit::Usage)
    };
    let request = match check_options(&invoked.request) {
        Ok(request) => request,
        Err(why) => return refused(err, &format!("{why}; {}", why.advice())),
    };
    let bytes = match read(&invoked) {
        Ok(bytes) => bytes,
        Err(error) => return refused(err, &format!("{}: {error}", invoked.file.display())),
    };
    if bytes.len() > MAX_BYTES {
        let why = Why::TooLong(MAX_BYTES);
        return refused(err, &format!("{why}; {}", why.advice()));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return refused(err, &format!("{}; {}", Why::NotText, Why::NotText.advice()));
    };
    match inject(&text, request) {
        Ok(injected) => {
            for note in &injected.notes {
                let _ = writeln!(err, "inject: {}", safe(note));
            }
            out.write_all(injected.text.as_bytes())?;
            out.flush()?;
            Ok(Exit::Done)
        }
        Err(refusal) => refused(err, &refusal),
    }
}

/// Checks the options: the password of a login has to be given, and in one place.
fn check_options(request: &Request) -> Result<&Request, Why> {
    match (&request.user, &request.secret, &request.password_file) {
        (_, Some(_), Some(_)) => Err(Why::TwoPasswords),
        (Some(_), None, None) => Err(Why::UserWithoutSecret),
        (None, None, None) if request.bootstrap => Err(Why::BootstrapWithoutSecret),
        (Some(user), ..) if request.bootstrap && user == ADMINISTRATOR => {
            Err(Why::BootstrapOfAdministrator)
        }
        _ => Ok(request),
    }
}

/// Reads the whole manifest, but no more than a byte above the limit.
fn read(invoked: &Invoked) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    match invoked.file.as_os_str() == "-" {
        true => io::stdin().take(limit).read_to_end(&mut bytes)?,
        false => File::open(&invoked.file)?
            .take(limit)
            .read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}
