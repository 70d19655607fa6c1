//! PID 1's log: lines on standard error, without an allocation, and without a wait for the reader of them.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::time::SystemTime;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use tracing::Level;

use crate::config::{LogConfig, LogFormat};

/// Bytes of a line at most; what is longer is cut. A pipe takes as much as this whole (PIPE_BUF).
const MAX_BYTES: usize = 1024;

/// The log, with the level and the format of its lines.
#[derive(Clone, Copy, Debug)]
pub struct Log(pub LogConfig);

/// A value in a line.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A number.
    Number(i64),
    /// A text of the program's own or of the system's, which is quoted and escaped.
    Text(&'a dyn fmt::Display),
}

/// A line that is being made.
struct Line {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..MAX_BYTES - 1];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.length += count;
        Ok(())
    }
}

/// Text within quotation marks, escaped as in JSON; control characters become blanks.
struct Quoted<'a>(&'a mut Line);

impl fmt::Write for Quoted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                self.0.write_char('\\')?;
            }
            self.0.write_char(if c.is_control() { ' ' } else { c })?;
        }
        Ok(())
    }
}

impl Log {
    /// Logs something that is worth knowing.
    pub fn info(self, message: &str, fields: &[(&str, Value<'_>)]) {
        self.line(Level::INFO, message, fields);
    }

    /// Logs something that should not be.
    pub fn warn(self, message: &str, fields: &[(&str, Value<'_>)]) {
        self.line(Level::WARN, message, fields);
    }

    fn line(self, level: Level, message: &str, fields: &[(&str, Value<'_>)]) {
        // DEBUG is greater than INFO, and INFO greater than WARN.
        if level > self.0.level {
            return;
        }
        let mut line = Line {
            bytes: [0; MAX_BYTES],
            length: 0,
        };
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        // Writing to a Line can't fail: it cuts what is too long.
        let _ = match self.0.format {
            LogFormat::Text => text(&mut line, format_args!("{now} {level:>5}"), message, fields),
            LogFormat::Json => {
                let head = format_args!("{{\"timestamp\":\"{now}\",\"level\":\"{level}\"");
                json(&mut line, head, message, fields)
            }
        };
        line.bytes[line.length] = b'\n';
        emit(&line.bytes[..=line.length]);
    }
}

/// Writes a line as a person reads it.
fn text(
    line: &mut Line,
    head: fmt::Arguments<'_>,
    message: &str,
    fields: &[(&str, Value<'_>)],
) -> fmt::Result {
    write!(line, "{head} {}: {message}", module_path!())?;
    each(line, fields, |line, name| write!(line, " {name}="))
}

/// Writes a line as a JSON object, of which `head` is the beginning.
fn json(
    line: &mut Line,
    head: fmt::Arguments<'_>,
    message: &str,
    fields: &[(&str, Value<'_>)],
) -> fmt::Result {
    write!(line, "{head},\"message\":\"{message}\"")?;
    each(line, fields, |line, name| write!(line, ",\"{name}\":"))?;
    write!(line, ",\"target\":\"{}\"}}", module_path!())
}

/// Writes each field: what `name` makes of its name, and its value.
fn each(
    line: &mut Line,
    fields: &[(&str, Value<'_>)],
    name: impl Fn(&mut Line, &str) -> fmt::Result,
) -> fmt::Result {
    for (known, value) in fields {
        name(line, known)?;
        match value {
            Value::Number(number) => write!(line, "{number}")?,
            Value::Text(text) => {
                line.write_char('"')?;
                write!(Quoted(line), "{text}")?;
                line.write_char('"')?;
            }
        }
    }
    Ok(())
}

/// Writes a line, unless that would have to wait: the process that collects the log may be stuck.
fn emit(line: &[u8]) {
    let stderr = io::stderr();
    if is_writable(stderr.as_fd()) {
        // Where it is closed nobody reads it.
        let _ = stderr.lock().write_all(line);
    }
}

/// Whether a line can be written without a wait: a pipe that is writable has room for PIPE_BUF bytes.
#[must_use]
pub fn is_writable(file: std::os::fd::BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(file, PollFlags::POLLOUT)];
    let ready = poll(&mut polled, PollTimeout::ZERO);
    ready.is_ok_and(|count| count > 0)
}
