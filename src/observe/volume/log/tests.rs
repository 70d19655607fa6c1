use std::fs;
use std::io::Write;
use std::path::Path;

use super::*;
use crate::decide::reason::Reason;
use crate::observe::testing::TempDir;

const BANNER: &str =
    "2026-11-23 04:51:00.12 Server      Microsoft Azure SQL Edge (RTM) - 15.0.2000.1574 (X64)\n";
const ERROR: &str = "2026-11-23 04:51:01.00 spid9s      Error: 9002, Severity: 17, State: 2.\n";

fn log(dir: &TempDir) -> (PathBuf, Log) {
    let path = dir.path().join("errorlog");
    (path.clone(), Log::at(path))
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn count(log: Option<EngineLog>) -> u32 {
    log.unwrap().errors.first().map_or(0, |error| error.count)
}

#[test]
fn each_look_reads_what_is_new() {
    let dir = TempDir::new();
    let (path, mut log) = log(&dir);
    append(&path, BANNER);
    append(&path, ERROR);
    assert_eq!(count(log.read()), 1);
    assert_eq!(count(log.read()), 1, "nothing is new");
    append(&path, &ERROR[..40]);
    assert_eq!(count(log.read()), 1, "a line without its end");
    append(&path, &ERROR[40..]);
    let read = log.read().unwrap();
    assert_eq!(read.errors[0].count, 2);
    assert!(read.engine.is_some_and(|engine| engine.edge));
    assert_eq!(read.bytes, fs::metadata(&path).unwrap().len());
}

#[test]
fn utf_16_byte_by_byte() {
    let dir = TempDir::new();
    let (path, mut log) = log(&dir);
    let text = format!("\u{feff}{BANNER}{ERROR}");
    let mut file = File::create(&path).unwrap();
    for byte in text.encode_utf16().flat_map(u16::to_le_bytes) {
        file.write_all(&[byte]).unwrap();
        assert!(log.read().is_some());
    }
    let read = log.read().unwrap();
    assert!(read.engine.is_some_and(|engine| engine.edge));
    assert_eq!(read.errors.len(), 1);
}

#[test]
fn a_new_file_forgets_the_old_one() {
    let dir = TempDir::new();
    let (path, mut log) = log(&dir);
    append(&path, BANNER);
    append(&path, ERROR);
    assert_eq!(count(log.read()), 1);
    fs::rename(&path, dir.path().join("errorlog.1")).unwrap();
    assert_eq!(log.read(), None, "between the two");
    append(&path, &BANNER.replace("04:51", "04:52"));
    assert_eq!(count(log.read()), 0);
}

#[test]
fn an_emptied_file_is_a_new_one_also_when_it_has_grown_beyond_the_old() {
    let dir = TempDir::new();
    let (path, mut log) = log(&dir);
    append(&path, BANNER);
    append(&path, ERROR);
    assert_eq!(count(log.read()), 1);
    fs::write(&path, "").unwrap();
    assert_eq!(log.read(), Some(EngineLog::default()));
    append(&path, BANNER);
    append(&path, ERROR);
    assert_eq!(count(log.read()), 1);
    let later = format!("{}{ERROR}{ERROR}{ERROR}", BANNER.replace("04:51", "04:59"));
    fs::write(&path, later).unwrap();
    assert_eq!(count(log.read()), 3);
}

#[test]
fn a_long_log_is_read_at_both_ends_and_no_more() {
    let dir = TempDir::new();
    let (path, mut log) = log(&dir);
    let error = |number| {
        format!("2026-11-23 04:51:01.00 spid9s      Error: {number}, Severity: 17, State: 2.\n")
    };
    let filler = "x".repeat(99) + "\n";
    let mut text = BANNER.to_owned() + &error(1);
    text += &filler.repeat(5_000);
    text += &error(2);
    text += &filler.repeat(5_000);
    text += &error(3);
    fs::write(&path, &text).unwrap();
    let numbers = |log: Option<EngineLog>| -> Vec<u32> {
        log.unwrap().errors.iter().map(|e| e.number).collect()
    };
    let read = log.read();
    assert!(
        read.as_ref()
            .unwrap()
            .engine
            .is_some_and(|engine| engine.edge)
    );
    assert_eq!(numbers(read), [1, 3]);
    append(&path, &(error(4) + &filler.repeat(5_000) + &error(5)));
    assert_eq!(numbers(log.read()), [1, 3, 5]);
}

#[test]
fn why_a_start_failed_is_kept_until_the_next_one() {
    let dir = TempDir::new();
    let (path, mut log) = log(&dir);
    append(&path, BANNER);
    append(&path, &ERROR.replace("9002", "17113"));
    append(
        &path,
        "2026-11-23 04:51:01.00 spid9s      Error 5(Access is denied.) occurred\n",
    );
    let read = log.read().unwrap();
    let fault = read.messages.first().and_then(|message| message.fault);
    assert_eq!(
        fault.map(|fault| fault.reason),
        Some(Reason::MasterFileDenied)
    );
    append(&path, BANNER);
    assert_eq!(log.read().unwrap().messages, []);
}

#[test]
fn what_is_no_file_is_absent_and_holds_nobody() {
    let dir = TempDir::new();
    assert_eq!(log(&dir).1.read(), None);
    assert_eq!(Log::at(dir.path().to_owned()).read(), None);
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(Log::at(fifo).read(), None);
}
