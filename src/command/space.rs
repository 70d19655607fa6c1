//! `space`: prints what takes the room of the volume, and removes what is known to be safe to remove.
//!
//! Everything is opened below the data directory without following links, and nothing on another file
//! system is counted. Only finished crash dumps are ever removed: the engine writes them once and reads
//! none of them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, fstat, fstatvfs, statat, unlinkat};

use super::{Exit, table};
use crate::cli::SpaceTarget;
use crate::config::parse::parse_data_dir;
use crate::config::{Environment, Sources};
use crate::observe::volume::dump_of;
use crate::records::FOLDER;
use crate::records::beneath::Root;
use crate::summary::units;

/// The limit of files that are looked at.
const MAX_FILES: usize = 200_000;

/// The limit of directories that lie in one another. A dump's own directory has three below `log`.
const MAX_DEPTH: usize = 8;

/// The time since its last write within which a dump may still be written.
const SETTLED: Duration = Duration::from_secs(10 * 60);

/// The name of the engine's folder of logs, traces and dumps.
const LOG: &str = "log";

/// The bytes of a block as stat(2) counts them.
const BLOCK_BYTES: u64 = 512;

/// The purpose of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Data,
    Log,
    Backups,
    Dumps,
    Errorlogs,
    Traces,
    Supervisor,
    Other,
}

impl Kind {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Data, "data"),
        (Self::Log, "log"),
        (Self::Backups, "backups"),
        (Self::Dumps, "dumps"),
        (Self::Errorlogs, "errorlogs"),
        (Self::Traces, "traces"),
        (Self::Supervisor, "supervisor"),
        (Self::Other, "other"),
    ];

    /// Returns the purpose of the file at `path`, relative to the data directory: by its place and by the
    /// ends of the names that SQL Server gives.
    fn of(path: &str) -> Self {
        let (first, rest) = path.split_once('/').unwrap_or(("", path));
        let name = path.rsplit('/').next().unwrap_or(path);
        let top = rest.split('/').next().unwrap_or(rest);
        let end = name.rsplit_once('.').map_or("", |(_, end)| end);
        match (first, end.to_ascii_lowercase().as_str()) {
            (FOLDER, _) => Self::Supervisor,
            (LOG, _) if dump_of(top).is_some() => Self::Dumps,
            (LOG, "trc" | "xel") => Self::Traces,
            (LOG, _) if name.starts_with("errorlog") || name.starts_with("sqlagent") => {
                Self::Errorlogs
            }
            (_, "mdf" | "ndf") => Self::Data,
            (_, "ldf") => Self::Log,
            (_, "bak" | "trn" | "dif") | ("backup", _) => Self::Backups,
            _ => Self::Other,
        }
    }
}

/// The number and the size of the files of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Use {
    files: u64,
    bytes: u64,
}

/// A crash dump: all files and folders that have its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Dump {
    name: String,
    /// The names of the dump's files and folders in the folder of logs.
    parts: Vec<String>,
    bytes: u64,
    /// The time at which the dump was last written to, in seconds since 1970.
    written: u64,
}

/// The files that were found, by their purpose.
#[derive(Debug, Default)]
struct Found {
    kinds: BTreeMap<Kind, Use>,
    dumps: BTreeMap<String, Dump>,
    /// Whether there are more files than were looked at.
    cut: bool,
}

/// Prints what takes the room, or names the dumps that can be removed, and removes them where that is asked
/// for.
///
/// # Errors
/// When the output can't be written.
pub fn execute(
    target: &SpaceTarget,
    environment: Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let sources = Sources::load(target.flags.clone(), environment);
    let data_dir = match parse_data_dir(&sources) {
        Ok(data_dir) => data_dir,
        Err(mistake) => {
            let _ = writeln!(err, "{mistake}");
            return Ok(Exit::Usage);
        }
    };
    let looked = Root::open(&data_dir).and_then(|root| Ok((look(&root)?, root)));
    let (found, root) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            let path = table::safe(&data_dir.display().to_string());
            let _ = writeln!(err, "space: {path}: {error}");
            return Ok(Exit::Failed);
        }
    };
    match target.prune {
        None => print(&found, &data_dir, &root, out).map(|()| Exit::Done),
        Some(keep) => prune(&found, &root, keep, target.yes, out, err),
    }
}

/// Looks at all files of the data directory.
fn look(root: &Root) -> io::Result<Found> {
    let mut found = Found::default();
    let directory = root.directory(".")?.ok_or(io::ErrorKind::NotFound)?;
    let device = fstat(&directory)?.st_dev;
    let mut left = MAX_FILES;
    walk(&directory, "", MAX_DEPTH, device, &mut left, &mut found)?;
    Ok(found)
}

fn walk(
    directory: &Root,
    path: &str,
    depth: usize,
    device: u64,
    left: &mut usize,
    found: &mut Found,
) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if matches!(name, "." | "..") {
            continue;
        }
        if *left == 0 {
            found.cut = true;
            return Ok(());
        }
        *left -= 1;
        // One that was removed meanwhile takes no room.
        let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        if stat.st_dev != device {
            continue;
        }
        let inner_path = match path {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            match directory.directory(name) {
                Ok(Some(inner)) if depth > 0 => {
                    walk(&inner, &inner_path, depth - 1, device, left, found)?;
                }
                _ => found.cut = true,
            }
            continue;
        }
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
        // A link's time is not the time at which the dump was written.
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let written = u64::try_from(stat.st_mtime).ok().filter(|_| is_file);
        let written = written.unwrap_or(0);
        found.add(&inner_path, blocks * BLOCK_BYTES, written);
    }
    Ok(())
}

impl Found {
    fn add(&mut self, path: &str, bytes: u64, written: u64) {
        let kind = Kind::of(path);
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.files += 1;
        of_kind.bytes += bytes;
        let below_log = path.strip_prefix("log/").filter(|_| kind == Kind::Dumps);
        let Some(part) = below_log.and_then(|below| below.split('/').next()) else {
            return;
        };
        let Some(name) = dump_of(part) else { return };
        let dump = self.dumps.entry(name.to_owned()).or_default();
        name.clone_into(&mut dump.name);
        if !dump.parts.iter().any(|known| known == part) {
            dump.parts.push(part.to_owned());
        }
        dump.bytes += bytes;
        dump.written = dump.written.max(written);
    }

    /// Returns the finished dumps except the newest `keep`, the oldest first, as of `now`.
    fn removable(&self, keep: usize, now: SystemTime) -> Vec<&Dump> {
        let settled = now.checked_sub(SETTLED).unwrap_or(UNIX_EPOCH);
        let settled = settled.duration_since(UNIX_EPOCH);
        let settled = settled.map_or(0, |settled| settled.as_secs());
        let mut dumps: Vec<&Dump> = self.dumps.values().collect();
        dumps.sort_by_key(|dump| (dump.written, &dump.name));
        let count = dumps.len().saturating_sub(keep);
        let finished = |dump: &&Dump| {
            let unfinished = dump.parts.iter().any(|part| part.ends_with(".temp"));
            dump.written < settled && !unfinished
        };
        dumps.into_iter().take(count).filter(finished).collect()
    }
}

fn print(found: &Found, data_dir: &Path, root: &Root, out: &mut dyn Write) -> io::Result<()> {
    let row = |(kind, name): (Kind, &str)| {
        let of_kind = found.kinds.get(&kind).copied().unwrap_or_default();
        [
            name.to_owned(),
            of_kind.files.to_string(),
            units::bytes(of_kind.bytes),
        ]
    };
    table::write(out, ["KIND", "FILES", "SIZE"], &Kind::ALL.map(row))?;
    if let Ok(room) = fstatvfs(root) {
        let of_blocks = |blocks: u64| units::bytes(blocks.saturating_mul(room.f_frsize));
        let (free, total) = (of_blocks(room.f_bavail), of_blocks(room.f_blocks));
        let path = table::safe(&data_dir.display().to_string());
        writeln!(out, "\n{free} of {total} are free at {path}")?;
    }
    if found.cut {
        writeln!(
            out,
            "Not everything could be looked at, so that the sizes are too small; `du` shows the rest."
        )?;
    }
    Ok(())
}

fn prune(
    found: &Found,
    root: &Root,
    keep: usize,
    yes: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let dumps = found.removable(keep, SystemTime::now());
    if dumps.is_empty() {
        writeln!(
            out,
            "No dump can be removed: the newest {keep} are kept, and those that may still be written."
        )?;
        return Ok(Exit::Done);
    }
    let mut exit = Exit::Done;
    let mut freed = 0;
    for dump in &dumps {
        let name = table::safe(&dump.name);
        if yes && let Err(error) = remove(root, dump) {
            let _ = writeln!(err, "space: {name}: {error}");
            exit = Exit::Failed;
            continue;
        }
        freed += dump.bytes;
        let what = if yes { "removed" } else { "would remove" };
        writeln!(out, "{what} {name}, {}", units::bytes(dump.bytes))?;
    }
    match yes {
        true => writeln!(out, "{} freed", units::bytes(freed))?,
        false => writeln!(
            out,
            "{} would be freed; add --yes to remove them",
            units::bytes(freed)
        )?,
    }
    Ok(exit)
}

/// Removes all parts of a dump; a link among them is removed itself.
fn remove(root: &Root, dump: &Dump) -> io::Result<()> {
    let log = root.directory(LOG)?.ok_or(io::ErrorKind::NotFound)?;
    for part in &dump.parts {
        remove_below(&log, part, MAX_DEPTH)?;
    }
    Ok(())
}

fn remove_below(directory: &Root, name: &str, depth: usize) -> io::Result<()> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(unlinkat(directory, name, AtFlags::empty())?);
    }
    if depth == 0 {
        return Err(io::Error::other(
            "its directories lie too deep in one another",
        ));
    }
    let inner = directory.directory(name)?.ok_or(io::ErrorKind::NotFound)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&inner)?.take(MAX_FILES) {
        if let Ok(name) = entry?.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    for name in names {
        remove_below(&inner, &name, depth - 1)?;
    }
    Ok(unlinkat(directory, name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::records::atomic::tests::Scratch;

    const CORE: &str = "core.sqlservr.10_23_2026_09_30_59.32";

    fn write(root: &Path, path: &str, bytes: usize) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![7; bytes]).unwrap();
    }

    /// Makes the dump `days` old.
    fn age(root: &Path, path: &str, days: u64) {
        let file = fs::File::options()
            .append(true)
            .open(root.join(path))
            .unwrap();
        let then = SystemTime::now() - Duration::from_secs(days * 86_400);
        file.set_modified(then).unwrap();
    }

    fn run(root: &Path, prune: Option<usize>, yes: bool) -> (Exit, String) {
        let mut flags = crate::config::Flags::default();
        let data_dir = crate::config::raw::Raw::Text(root.display().to_string());
        flags.values.insert("data-dir", data_dir);
        let target = SpaceTarget { flags, prune, yes };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let environment = Environment::default();
        let exit = execute(&target, environment, &mut out, &mut err).unwrap();
        out.extend(err);
        (exit, String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_file_has_its_kind() {
        for (path, kind) in [
            ("data/master.mdf", Kind::Data),
            ("data/orders_2.NDF", Kind::Data),
            ("orders.ldf", Kind::Log),
            ("data/orders.bak", Kind::Backups),
            ("backup/anything", Kind::Backups),
            ("log/errorlog", Kind::Errorlogs),
            ("log/errorlog.3", Kind::Errorlogs),
            ("log/sqlagentstartup.log", Kind::Errorlogs),
            ("log/system_health_0_1.xel", Kind::Traces),
            ("log/log_12.trc", Kind::Traces),
            ("log/SQLDump0001.mdmp", Kind::Dumps),
            ("log/core.sqlservr.32.temp/log/debug.log", Kind::Dumps),
            ("data/SQLDump0001.mdmp", Kind::Other),
            (".sql-edge-supervisor/lease.0000000001", Kind::Supervisor),
            ("mssql.conf", Kind::Other),
        ] {
            assert_eq!(Kind::of(path), kind, "{path}");
        }
    }

    #[test]
    fn the_table_has_every_kind_and_the_room() {
        let scratch = Scratch::new();
        write(&scratch.0, "data/master.mdf", 2 << 20);
        write(&scratch.0, "log/errorlog", 10);
        symlink("/", scratch.0.join("log/all")).unwrap();
        let (exit, text) = run(&scratch.0, None, false);
        assert_eq!(exit, Exit::Done);
        assert!(text.contains("data        1      2.0 MiB"), "{text}");
        for (_, name) in Kind::ALL {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert!(text.contains("are free at"), "{text}");
        let (exit, text) = run(&scratch.0.join("absent"), None, false);
        assert_eq!(exit, Exit::Failed, "{text}");
    }

    #[test]
    fn the_oldest_finished_dumps_go_and_nothing_else() {
        let scratch = Scratch::new();
        let root = &scratch.0;
        let elsewhere = Scratch::new();
        write(&elsewhere.0, "precious", 10);
        for (path, days) in [
            (format!("log/{CORE}.gdmp"), 9),
            (format!("log/{CORE}.txt"), 9),
            (format!("log/{CORE}.d/crash.json"), 9),
            ("log/SQLDump0001.mdmp".to_owned(), 8),
            ("log/SQLDump0002.mdmp".to_owned(), 7),
            ("log/SQLDump0003.mdmp".to_owned(), 6),
            ("log/core.sqlservr.32.temp/core".to_owned(), 30),
            ("log/errorlog.6".to_owned(), 90),
            ("data/old.mdf".to_owned(), 90),
            ("data/SQLDump0009.mdmp".to_owned(), 90),
        ] {
            write(root, &path, 4096);
            age(root, &path, days);
        }
        // Inside a dump somebody has put a link: it goes, and what it leads to stays.
        symlink(&elsewhere.0, root.join(format!("log/{CORE}.d/link"))).unwrap();
        let (exit, text) = run(root, Some(2), false);
        assert_eq!(exit, Exit::Done);
        assert!(
            text.contains(CORE) && text.contains("SQLDump0001"),
            "{text}"
        );
        assert!(
            !text.contains("SQLDump0002") && text.contains("--yes"),
            "{text}"
        );
        assert!(root.join(format!("log/{CORE}.gdmp")).exists(), "a dry run");

        let (exit, text) = run(root, Some(2), true);
        assert_eq!(exit, Exit::Done, "{text}");
        let mut left: Vec<String> = fs::read_dir(root.join("log"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let expected = [
            "SQLDump0002.mdmp",
            "SQLDump0003.mdmp",
            "core.sqlservr.32.temp",
            "errorlog.6",
        ];
        assert_eq!(left, expected);
        assert!(root.join("data/SQLDump0009.mdmp").exists());
        assert!(elsewhere.0.join("precious").exists());
        let (_, text) = run(root, Some(2), true);
        assert!(text.starts_with("No dump can be removed"), "{text}");
    }

    #[test]
    fn a_dump_that_may_still_be_written_stays() {
        let scratch = Scratch::new();
        write(&scratch.0, "log/SQLDump0001.mdmp", 10);
        let (_, text) = run(&scratch.0, Some(0), true);
        assert!(text.starts_with("No dump can be removed"), "{text}");
        assert!(scratch.0.join("log/SQLDump0001.mdmp").exists());
    }
}
