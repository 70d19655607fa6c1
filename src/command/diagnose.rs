//! `diagnose`: reads an errorlog or a container's output offline, and prints the supervisor's findings from
//! it.
//!
//! It ends with 0 where nothing was found that needs anybody, also where something is under way that passes
//! by itself; with 1 where something was found; with 66 where a file can't be read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Exit;
use super::table::safe;
use crate::decide::diagnosis::{Diagnosis, LogStage, diagnose};
use crate::decide::faults::cause::Facts;
use crate::decide::observation::{EngineBuild, EngineLog, KernelVersion, LoggedError};
use crate::decide::reason::Outcome;
use crate::decide::sql_error::classify;
use crate::errorlog::{Lines, Reader};

/// The bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The bytes at the begin of a file by which its encoding is recognized.
const HEAD_BYTES: usize = 4;

/// The file name that stands for standard input.
const STDIN: &str = "-";

/// The arguments of `diagnose`.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The files to read.
    pub files: Vec<PathBuf>,
    /// Whether the output is JSON, for programs.
    pub json: bool,
    /// The kernel of the node that the log comes from, where it is known.
    pub kernel: Option<KernelVersion>,
}

/// The result for one file, as it is printed for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    file: String,
    kind: Kind,
    engine: Option<String>,
    #[serde(flatten)]
    diagnosis: Diagnosis,
    errors: Vec<LoggedError>,
}

/// The kind of a file, by its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    /// An errorlog: every line is the engine's own.
    Errorlog,
    /// A container's output: launchers or the platform layer wrote into it as well.
    ContainerOutput,
    /// A file in which nothing was found that the engine or its launchers write.
    Unknown,
}

/// Reads the files and prints the findings in each.
///
/// # Errors
/// When the output can't be written.
pub fn execute(
    arguments: &Arguments,
    stdin: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let facts = Facts {
        kernel: arguments.kernel,
        ..Facts::default()
    };
    let mut exit = Exit::Done;
    for path in &arguments.files {
        match read(path, stdin) {
            Ok(log) => {
                let document = document(path, &log, &facts);
                if document.diagnosis.is_trouble() && exit == Exit::Done {
                    exit = Exit::Failed;
                }
                match arguments.json {
                    true => {
                        serde_json::to_writer(&mut *out, &document)?;
                        writeln!(out)?;
                    }
                    false => print(&document, out)?,
                }
            }
            Err(error) => {
                let name = safe(&path.display().to_string());
                let _ = writeln!(err, "diagnose: {name}: {error}");
                exit = Exit::NoInput;
            }
        }
    }
    Ok(exit)
}

fn read(path: &Path, stdin: &mut dyn Read) -> io::Result<EngineLog> {
    match path.as_os_str() == STDIN {
        true => fold(stdin),
        false => fold(&mut File::open(path)?),
    }
}

/// Reads a log to its end; however long it is, no more than a line of it is kept at a time.
fn fold(input: &mut dyn Read) -> io::Result<EngineLog> {
    let mut reader = Reader::default();
    let mut head = Vec::new();
    input.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let mut lines = Lines::begin(&head);
    let mut each = |line: &str| match unwrapped(line) {
        Some(line) => reader.line(&line),
        None => reader.line(line),
    };
    lines.feed(&head, &mut each);
    let mut bytes = head.len() as u64;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        bytes += count as u64;
        lines.feed(&chunk[..count], &mut each);
    }
    lines.finish(&mut each);
    Ok(reader.log(bytes))
}

/// Returns the line within a JSON object, as Docker's files and most collectors of logs keep it.
fn unwrapped(line: &str) -> Option<String> {
    let text = line.trim();
    if !text.starts_with('{') {
        return None;
    }
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    ["log", "message", "MESSAGE", "msg", "line"]
        .into_iter()
        .find_map(|key| match object.remove(key) {
            Some(serde_json::Value::String(line)) => Some(line),
            _ => None,
        })
}

fn document(path: &Path, log: &EngineLog, facts: &Facts) -> Document {
    Document {
        file: safe(&path.display().to_string()),
        kind: kind(log),
        engine: log.engine.map(name),
        diagnosis: diagnose(log, facts),
        errors: log.errors.clone(),
    }
}

fn kind(log: &EngineLog) -> Kind {
    let known = log.engine.is_some()
        || log.crash.is_some()
        || log.recovery.is_some()
        || log.stop.is_some()
        || log.start != Default::default()
        || !log.errors.is_empty()
        || log.messages.iter().any(|message| message.fault.is_some());
    match (known || log.lines.dated > 0, log.lines.undated) {
        (false, _) => Kind::Unknown,
        (true, 0) => Kind::Errorlog,
        (true, _) => Kind::ContainerOutput,
    }
}

/// Returns the product and the version of a build.
fn name(build: EngineBuild) -> String {
    let product = match (build.edge, build.year) {
        (true, _) => "Azure SQL Edge".to_owned(),
        (false, Some(year)) => format!("SQL Server {year}"),
        (false, None) => "SQL Server".to_owned(),
    };
    match build.version {
        Some([major, minor, build, revision]) => {
            format!("{product} ({major}.{minor}.{build}.{revision})")
        }
        None => product,
    }
}

fn print(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let kind = match document.kind {
        Kind::Errorlog => "errorlog",
        Kind::ContainerOutput => "container output",
        Kind::Unknown => {
            "not recognized as an errorlog or a container's output; give the errorlog, or `kubectl logs` of the SQL container"
        }
    };
    let of = document
        .engine
        .as_deref()
        .unwrap_or("an engine whose banner is not in it");
    let file = &document.file;
    match document.kind {
        Kind::Unknown => writeln!(out, "{file}: {kind}")?,
        _ => writeln!(
            out,
            "{file}: {kind} of {of}; {}",
            stage(document.diagnosis.stage)
        )?,
    }
    for found in &document.diagnosis.findings {
        let code = found.reason.code();
        writeln!(out, "  {code}")?;
        writeln!(out, "    evidence: {}", safe(&found.evidence))?;
        writeln!(out, "    advice:   {}", found.advice)?;
        writeln!(
            out,
            "    restart:  {}",
            restart(found.restart_helps, found.outcome)
        )?;
        writeln!(out, "    runbook:  sql-edge-supervisor reasons {code}")?;
    }
    if document.diagnosis.findings.is_empty() && document.kind != Kind::Unknown {
        writeln!(out, "  nothing is wrong by this log")?;
    }
    for error in &document.errors {
        let name = classify(error.number).map_or("not in the table", |row| row.name);
        writeln!(
            out,
            "  error {} ({name}), severity {}, state {}: {}",
            error.number,
            error.class,
            error.state,
            match error.count {
                1 => "once".to_owned(),
                count => format!("{count} times"),
            }
        )?;
    }
    Ok(())
}

fn stage(stage: LogStage) -> &'static str {
    match stage {
        LogStage::Unknown => "the log does not show how far the start came",
        LogStage::Starting => "it is starting",
        LogStage::Started => "it has started",
        LogStage::Stopping => "it is being stopped on purpose",
        LogStage::Stopped => "it was stopped on purpose",
        LogStage::FailedStart => "its start failed",
        LogStage::EndedAfterReady => {
            "it ended after \"ready\" (17126) and before \"Recovery is complete\" (3408)"
        }
        LogStage::Ended => "it ended by itself",
    }
}

fn restart(helps: bool, outcome: Outcome) -> &'static str {
    match (helps, outcome) {
        (true, _) => "can help once the cause is gone",
        (false, Outcome::Wait) => "does not help: wait",
        (false, _) => "does not help",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(files: &[&str], json: bool, input: &[u8]) -> (Exit, String, String) {
        let arguments = Arguments {
            files: files.iter().map(PathBuf::from).collect(),
            json,
            kernel: None,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = execute(&arguments, &mut &input[..], &mut out, &mut err).unwrap();
        (
            exit,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn the_exit_code_says_whether_anything_was_found() {
        let healthy = b"2026-11-23 04:51:00.12 spid9s      Recovery is complete. x\n";
        let (exit, out, _) = run(&["-"], false, healthy);
        assert_eq!(exit, Exit::Done);
        assert!(out.contains("nothing is wrong"), "{out}");
        let (exit, out, _) = run(&["-"], false, b"Error: 9002, Severity: 17, State: 2.");
        assert_eq!(exit, Exit::Failed);
        assert!(out.contains("LogFull"), "{out}");
        let (exit, _, err) = run(&["/nowhere/\x1b", "-"], false, b"");
        assert_eq!(exit, Exit::NoInput);
        assert!(err.contains("/nowhere/?"), "{err}");
    }

    #[test]
    fn for_programs_each_file_is_an_object_of_its_own_line() {
        let (exit, out, _) = run(&["-", "-"], true, b"Error: 9002, Severity: 17, State: 2.");
        assert_eq!((exit, out.lines().count()), (Exit::Failed, 2));
        let first = out.lines().next().unwrap();
        let object: serde_json::Value = serde_json::from_str(first).unwrap();
        assert_eq!(object["findings"][0]["reason"], "LogFull");
        assert_eq!(object["findings"][0]["restartHelps"], false);
        assert_eq!(object["errors"][0]["number"], 9002);
        assert_eq!(object["kind"], "containerOutput");
    }

    #[test]
    fn lines_within_json_are_read() {
        let line = br#"{"log":"2026-11-23 04:51:00.12 spid9s      Error: 9002, Severity: 17, State: 2.\n","stream":"stdout"}"#;
        let (_, out, _) = run(&["-"], false, line);
        assert!(out.contains("LogFull"), "{out}");
        let (_, out, _) = run(&["-"], false, b"{\"log\": 7}\n{");
        assert!(out.contains("not recognized as an errorlog"), "{out}");
    }

    #[test]
    fn a_file_that_is_no_log_is_called_so() {
        let mut binary: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        binary.extend(b"x".repeat(300_000));
        let (exit, out, _) = run(&["-"], false, &binary);
        assert_eq!(exit, Exit::Done, "{out}");
        assert!(out.contains("not recognized as an errorlog"), "{out}");
    }
}
