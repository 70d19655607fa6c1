//! Custom collectors: files in sql_exporter's collector format in `collectors-dir`.
//!
//! The directory is usually a ConfigMap. The kubelet changes one by swapping the symlink `..data`,
//! through which each visible file is a link. Every few seconds the runner compares the files'
//! attributes (device, inode, size, times), links followed, with those of the last reading: that
//! notices a swap as well as an edited file, and also a directory that is made later or mounted
//! over, where an inotify watch would have to be set up again without a gap. It costs one `stat`
//! for each file.
//!
//! A file with a mistake gives no collector; the other files do. The file's name is then the value
//! of the label `collector`, and the log has every mistake with its line.

mod check;
mod definition;
mod notes;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Collector;
use super::names::Names;
use crate::config::mistake::Mistake;
use crate::config::raw::Origin;

/// The greatest number of files that are read; the first ones by name.
const MAX_FILES: usize = 64;

/// The greatest number of entries of the directory that are looked at: a wrong directory must not
/// be a long walk.
const MAX_ENTRIES: usize = 1000;

/// The greatest size of a file, in bytes.
const MAX_FILE_BYTES: u64 = 128 * 1024;

/// The name in the place of a file's for a directory that can't be read.
const DIRECTORY: &str = "collectors-dir";

/// A file that was read, and the collector that it defines.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The file's name.
    pub(super) file: String,
    /// The collector, or the mistakes because of which there is none.
    pub(super) collector: Result<Box<dyn Collector>, Vec<Mistake>>,
}

/// A directory of files, with what was last read of it.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// The entries at the last reading, or the kind of the error.
    seen: Option<Result<Vec<Entry>, io::ErrorKind>>,
}

/// The attributes of a file by which a change is noticed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    name: String,
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Directory {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            seen: None,
        }
    }

    /// Reads all files, if anything has changed since they were read last. The names of good
    /// collectors are entered in what `names` returns.
    pub(super) fn load_if_changed(&mut self, names: impl FnOnce() -> Names) -> Option<Vec<Loaded>> {
        let listed = list(&self.path);
        let now = listed.as_ref().map(Clone::clone).map_err(io::Error::kind);
        if self.seen.as_ref() == Some(&now) {
            return None;
        }
        self.seen = Some(now);
        Some(load(&self.path, listed, &mut names()))
    }
}

/// Returns the files of the directory, sorted by name.
fn list(path: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)?.take(MAX_ENTRIES) {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| is_collector_file(name)) else {
            continue;
        };
        // A link that leads nowhere is a file that is about to come, or gone.
        let Ok(meta) = fs::metadata(path.join(name)) else {
            continue;
        };
        if meta.is_file() {
            found.push(Entry {
                name: name.to_owned(),
                device: meta.dev(),
                inode: meta.ino(),
                size: meta.size(),
                modified: (meta.mtime(), meta.mtime_nsec()),
                changed: (meta.ctime(), meta.ctime_nsec()),
            });
        }
    }
    found.sort();
    Ok(found)
}

/// Whether `name` is that of a collector's file. Hidden files are the kubelet's, or an editor's.
fn is_collector_file(name: &str) -> bool {
    !name.starts_with('.') && (name.ends_with(".yml") || name.ends_with(".yaml"))
}

fn load(path: &Path, listed: io::Result<Vec<Entry>>, names: &mut Names) -> Vec<Loaded> {
    let refuse = |file: &str, at: PathBuf, what: String, advice: &str| Loaded {
        file: file.to_owned(),
        collector: Err(vec![Mistake {
            setting: DIRECTORY.to_owned(),
            value: None,
            origin: Origin::File { path: at, line: 0 },
            what,
            advice: advice.to_owned(),
        }]),
    };
    let entries = match listed {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("can't be read: {error}");
            let advice =
                "mount a directory there that the user that the supervisor runs as may read";
            return vec![refuse(DIRECTORY, path.to_owned(), what, advice)];
        }
    };
    let mut loaded = Vec::new();
    for (index, Entry { name, .. }) in entries.iter().enumerate() {
        let at = path.join(name);
        loaded.push(if index >= MAX_FILES {
            let what = format!("is one of more than {MAX_FILES} files");
            refuse(name, at, what, "put several metrics into one file")
        } else {
            match read(&at) {
                Ok(text) => Loaded {
                    file: name.clone(),
                    collector: check(&at, &text, names),
                },
                Err(error) => {
                    let what = format!("can't be read: {error}");
                    refuse(
                        name,
                        at,
                        what,
                        "give a readable text file of at most 128 KiB",
                    )
                }
            }
        });
    }
    loaded
}

/// Makes a collector from the text of the file at `path`.
pub(super) fn check(
    path: &Path,
    text: &str,
    names: &mut Names,
) -> Result<Box<dyn Collector>, Vec<Mistake>> {
    let collector = check::check(path, text, names)?;
    Ok(Box::new(collector))
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return refuse("it is longer than 128 KiB");
    }
    String::from_utf8(bytes).or_else(|_| refuse("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A directory that is removed with the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("collectors-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a directory for the test");
            Self(path)
        }

        fn write(&self, file: &str, text: &str) {
            fs::write(self.0.join(file), text).expect("it is writable");
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn collector(name: &str) -> String {
        format!(
            "collector_name: {name}\nmetrics:\n  - metric_name: {name}_x\n    type: gauge\n    \
             help: X.\n    values: [v]\n    query: SELECT 1 AS v\n"
        )
    }

    /// Returns each file with its collector's name, or the number of its mistakes; none where
    /// nothing changed.
    fn load(directory: &mut Directory) -> Option<Vec<(String, Result<String, usize>)>> {
        let loaded = directory.load_if_changed(Names::default)?;
        let results = loaded.into_iter().map(|Loaded { file, collector }| {
            let result = collector.map(|collector| collector.name().to_owned());
            (file, result.map_err(|mistakes| mistakes.len()))
        });
        Some(results.collect())
    }

    #[test]
    fn a_bad_file_disables_itself_and_others_are_ignored() {
        let scratch = Scratch::new();
        scratch.write("b.collector.yml", &collector("b"));
        scratch.write("a.yaml", "nonsense");
        scratch.write("c.yml", &collector("b"));
        scratch.write("README.md", "no collector");
        scratch.write(".hidden.yml", "nonsense");
        scratch.write("d.yml", &"#".repeat(200 * 1024));
        fs::create_dir(scratch.0.join("e.yml")).expect("a directory");
        let mut directory = Directory::new(&scratch.0);
        let loaded = load(&mut directory).expect("it is new");
        let of = |file: &str, result| (file.to_owned(), result);
        assert_eq!(
            loaded,
            [
                of("a.yaml", Err(1)),
                of("b.collector.yml", Ok("b".to_owned())),
                // Its collector, and its metric, are there already.
                of("c.yml", Err(2)),
                of("d.yml", Err(1)),
            ]
        );
        assert_eq!(load(&mut directory), None, "nothing has changed");
    }

    #[test]
    fn the_swap_of_a_config_map_is_seen() {
        let scratch = Scratch::new();
        for (version, name) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(scratch.0.join(version)).expect("a directory");
            scratch.write(&format!("{version}/x.yml"), &collector(name));
        }
        symlink("..1", scratch.0.join("..data")).expect("a link");
        symlink("..data/x.yml", scratch.0.join("x.yml")).expect("a link");
        let mut directory = Directory::new(&scratch.0);
        let of = |name: &str| Some(vec![("x.yml".to_owned(), Ok(name.to_owned()))]);
        assert_eq!(load(&mut directory), of("one"));
        // As the kubelet does it: a link of another name, renamed over the one in use.
        symlink("..2", scratch.0.join("..data_tmp")).expect("a link");
        let (from, to) = (scratch.0.join("..data_tmp"), scratch.0.join("..data"));
        fs::rename(from, to).expect("it replaces the link");
        assert_eq!(load(&mut directory), of("two"));
        assert_eq!(load(&mut directory), None);
    }

    #[test]
    fn a_directory_may_come_later() {
        let scratch = Scratch::new();
        let path = scratch.0.join("later");
        let mut directory = Directory::new(&path);
        let missing = vec![(DIRECTORY.to_owned(), Err(1))];
        assert_eq!(load(&mut directory), Some(missing));
        assert_eq!(load(&mut directory), None);
        fs::create_dir(&path).expect("a directory");
        assert_eq!(load(&mut directory), Some(vec![]));
    }
}
