//! Crash dumps below the engine's `log` directory.
//!
//! A crash of the process leaves `core.sqlservr.10_23_2026_09_30_59.32.gdmp` with a `.txt` and a `.d`
//! beside it, and while it is being written a directory `core.sqlservr.32.temp`
//! (microsoft/mssql-docker, issues 56 and 798). A fault within the engine leaves `SQLDump0001.mdmp`
//! with a `.log` and a `.txt`.

use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, statat};

use crate::decide::observation::Dumps;
use crate::records::beneath::Root;

/// The number of entries that are looked at in one check, those of directories included: of a volume full of
/// dumps the first ones suffice.
const MAX_ENTRIES: usize = 4096;

/// The depth below the directory of a dump that is looked at: `core.sqlservr.32.temp/log/debug.log`.
const MAX_DEPTH: usize = 3;

const CORE: &str = "core.sqlservr.";
const UNFINISHED: &str = ".temp";
const SMALL: &str = "SQLDump";

/// Counts the dumps in the directory `log`; absent where it can't be read. No link in it is followed, nor is
/// it itself one.
pub(super) fn count(log: &Path) -> Option<Dumps> {
    let name = log.file_name()?.to_str()?;
    count_in(&Root::open(log.parent()?).ok()?.directory(name).ok()??)
}

fn count_in(log: &Root) -> Option<Dumps> {
    let mut budget = MAX_ENTRIES;
    let mut dumps = Dumps::default();
    let mut names = Vec::new();
    for entry in Dir::read_from(log).ok()?.flatten() {
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if budget == 0 {
            break;
        }
        budget -= 1;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        let Some(dump) = dump_of(name) else { continue };
        let bytes = size(log, name, MAX_DEPTH, &mut budget);
        dumps.bytes += bytes;
        if dump.ends_with(UNFINISHED) {
            *dumps.writing_bytes.get_or_insert(0) += bytes;
        }
        names.push(dump.to_owned());
    }
    names.sort_unstable();
    names.dedup();
    dumps.count = u32::try_from(names.len()).unwrap_or(u32::MAX);
    Some(dumps)
}

/// Returns the dump that a file or directory belongs to: its name without what distinguishes the files of a
/// dump.
#[must_use]
pub fn dump_of(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_prefix(CORE) {
        let whole = rest.ends_with(UNFINISHED);
        // A pid at the end is no extension.
        let extension = name
            .rsplit_once('.')
            .filter(|(_, last)| !whole && last.starts_with(|c: char| !c.is_ascii_digit()));
        return Some(extension.map_or(name, |(stem, _)| stem));
    }
    let stem = name.split('.').next().unwrap_or(name);
    let number = stem.strip_prefix(SMALL)?;
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    numbered.then_some(stem)
}

/// Returns the bytes of a file, or of the files in a directory; a link has none.
fn size(directory: &Root, name: &str, depth: usize, budget: &mut usize) -> u64 {
    let Ok(found) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return 0;
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => u64::try_from(found.st_size).unwrap_or(0),
        FileType::Directory if depth > 0 => size_below(directory, name, depth, budget),
        _ => 0,
    }
}

fn size_below(directory: &Root, name: &str, depth: usize, budget: &mut usize) -> u64 {
    let Ok(Some(inner)) = directory.directory(name) else {
        return 0;
    };
    let Ok(entries) = Dir::read_from(&inner) else {
        return 0;
    };
    let mut bytes = 0;
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if matches!(name, "." | "..") {
            continue;
        }
        if *budget == 0 {
            break;
        }
        *budget -= 1;
        bytes += size(&inner, name, depth - 1, budget);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::testing::TempDir;

    fn count(log: &Path) -> Option<Dumps> {
        count_in(&Root::open(log).ok()?.directory(".").ok()??)
    }

    #[test]
    fn a_core_and_its_companions_are_one_dump() {
        let dir = TempDir::new();
        let core = "core.sqlservr.10_23_2026_09_30_59.32";
        dir.write("errorlog", "not a dump");
        dir.write("SQLDUMPER_ERRORLOG.log", "nor this");
        dir.write("core.other.1", "nor this");
        dir.write(format!("{core}.gdmp"), "12345");
        dir.write(format!("{core}.txt"), "12");
        dir.write(format!("{core}.d/crash.json"), "123");
        dir.write("SQLDump0001.mdmp", "1");
        dir.write("SQLDump0001.log", "1");
        dir.write("SQLDump0002.txt", "1");
        dir.write("core.sqlservr.33", "1234567");
        let expected = Dumps {
            count: 4,
            bytes: 20,
            writing_bytes: None,
        };
        assert_eq!(count(dir.path()), Some(expected));
    }

    #[test]
    fn a_core_that_is_being_written_is_told_apart() {
        let dir = TempDir::new();
        dir.write("core.sqlservr.32.temp/core", "1234");
        dir.write("core.sqlservr.32.temp/log/debug.log", "12");
        dir.write("core.sqlservr.33.temp", "1");
        dir.write("core.sqlservr.1.2.gdmp", "12345");
        let expected = Dumps {
            count: 3,
            bytes: 12,
            writing_bytes: Some(7),
        };
        assert_eq!(count(dir.path()), Some(expected));
    }

    #[test]
    fn links_are_not_followed() {
        let (dir, elsewhere) = (TempDir::new(), TempDir::new());
        elsewhere.write("core", "123456789");
        let link = dir.path().join("core.sqlservr.32.temp");
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let found = count(dir.path()).unwrap();
        assert_eq!((found.count, found.bytes), (1, 0));
        let log = elsewhere.path().join("log");
        std::os::unix::fs::symlink(dir.path(), &log).unwrap();
        assert_eq!(super::count(&elsewhere.path().join("log")), None);
    }

    #[test]
    fn no_directory_is_no_observation_and_an_empty_one_has_none() {
        let dir = TempDir::new();
        assert_eq!(count(&dir.path().join("log")), None);
        assert_eq!(count(dir.path()), Some(Dumps::default()));
    }

    #[test]
    fn no_more_entries_are_looked_at_than_the_limit() {
        let dir = TempDir::new();
        for number in 0..MAX_ENTRIES + 100 {
            dir.write(format!("core.sqlservr.{number}"), "1");
        }
        assert_eq!(count(dir.path()).unwrap().count, MAX_ENTRIES as u32);
    }
}
