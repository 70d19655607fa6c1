//! The volumes that the engine's directories lie on: which there are, the uses of each, and how much
//! depends on it.
//!
//! A volume here is one mount. Where several of the engine's directories lie on the same mount they are
//! one volume; where `data`, `log` and `backup` are claims of their own they are three. The volume with
//! `master.mdf` is the *main* one: the lease lies on it, and its id names the set of all of them.
//!
//! [`plan`] is a pure function of the directories and of the mounts, which [`crate::observe`] reads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::mount::Mount;

/// The use of a directory by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Use {
    /// The file `master.mdf`, and with it the instance.
    Master,
    /// The data files of databases.
    Data,
    /// The transaction logs.
    Log,
    /// The folders `.system`, with the id of the instance, and `secrets`, with the machine key.
    System,
    /// The errorlog.
    ErrorLog,
    /// The files of tempdb, on a volume of their own.
    TempDb,
    /// The backups.
    Backup,
    /// The crash dumps.
    Dump,
    /// A mount below the data directory that no setting names.
    Other,
}

impl Use {
    /// Returns the name for people and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Data => "data",
            Self::Log => "log",
            Self::System => "system",
            Self::ErrorLog => "errorlog",
            Self::TempDb => "tempdb",
            Self::Backup => "backup",
            Self::Dump => "dump",
            Self::Other => "other",
        }
    }

    /// Whether the gate requires such a volume: it holds databases, or what the instance is known by.
    #[must_use]
    pub const fn binds(self) -> bool {
        matches!(self, Self::Master | Self::Data | Self::Log | Self::System)
    }

    /// Whether a directory of this use holds databases, which must not go with a pod.
    #[must_use]
    pub const fn holds_databases(self) -> bool {
        matches!(self, Self::Master | Self::Data | Self::Log)
    }
}

/// A volume of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// The name in evidence, labels and identities: the path below the data directory, the data
    /// directory's own name for the volume that it lies on, and the whole path elsewhere.
    pub name: String,
    /// The directory in which the supervisor's folder lies, as the supervisor sees it.
    pub path: PathBuf,
    /// The directory of [`Self::path`], as the engine's container names it.
    pub engine_path: PathBuf,
    /// The uses of the engine's directories on the volume.
    pub uses: BTreeSet<Use>,
}

impl Volume {
    /// Creates the one volume of an engine that keeps everything below `data_dir`.
    #[must_use]
    pub fn whole(data_dir: &Path, engine_data_dir: &Path) -> Self {
        Self {
            name: file_name(engine_data_dir),
            path: data_dir.to_owned(),
            engine_path: engine_data_dir.to_owned(),
            uses: EngineFiles::USES.into(),
        }
    }

    /// Whether `master.mdf` lies on the volume.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.uses.contains(&Use::Master)
    }

    /// Whether a fault of the volume keeps the gate shut.
    #[must_use]
    pub fn binds(&self) -> bool {
        self.uses.iter().any(|used| used.binds())
    }

    /// Whether the volume holds databases.
    #[must_use]
    pub fn holds_databases(&self) -> bool {
        self.uses.iter().any(|used| used.holds_databases())
    }
}

/// A directory of the engine that lies on no volume.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outside {
    /// The use of the directory.
    #[serde(rename = "use")]
    pub used: Use,
    /// The directory, as the engine's container names it.
    pub directory: PathBuf,
}

/// All volumes, the main one first, and the directories that lie on none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The volumes.
    pub volumes: Vec<Arc<Volume>>,
    /// The directories on no mount, while `master.mdf` lies on one.
    pub outside: Vec<Outside>,
}

impl Layout {
    /// Returns the volume with `master.mdf`.
    #[must_use]
    pub fn main(&self) -> Option<&Arc<Volume>> {
        self.volumes.iter().find(|volume| volume.is_main())
    }
}

/// The paths of the engine's files, as its container names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFiles {
    /// The file `master.mdf`.
    pub master: PathBuf,
    /// The file `mastlog.ldf`.
    pub master_log: PathBuf,
    /// The directory of new data files.
    pub data: PathBuf,
    /// The directory of new transaction logs.
    pub log: PathBuf,
    /// The directory of backups.
    pub backup: PathBuf,
    /// The directory of crash dumps.
    pub dump: PathBuf,
    /// The file of the errorlog.
    pub errorlog: PathBuf,
    /// The directory of `.system` and `secrets`, the engine's data directory itself.
    pub system: PathBuf,
}

impl EngineFiles {
    /// The uses of a volume that everything lies on.
    const USES: [Use; 7] = [
        Use::Master,
        Use::Data,
        Use::Log,
        Use::System,
        Use::ErrorLog,
        Use::Backup,
        Use::Dump,
    ];

    /// Returns the image's defaults below `data_dir`: without a directory of their own, backups go to
    /// `data` and dumps beside the errorlog.
    #[must_use]
    pub fn below(data_dir: &Path) -> Self {
        let data = data_dir.join("data");
        Self {
            master: data.join("master.mdf"),
            master_log: data.join("mastlog.ldf"),
            log: data.clone(),
            backup: data.clone(),
            data,
            dump: data_dir.join("log"),
            errorlog: data_dir.join("log/errorlog"),
            system: data_dir.to_owned(),
        }
    }

    /// Returns the paths of these files for a process that sees the engine's data directory at `data_dir`.
    #[must_use]
    pub fn seen_at(&self, data_dir: &Path) -> Self {
        let names = Names {
            data_dir,
            engine_data_dir: &self.system,
            at_data_dir: None,
        };
        let ours = |path: &PathBuf| names.ours(path);
        Self {
            master: ours(&self.master),
            master_log: ours(&self.master_log),
            data: ours(&self.data),
            log: ours(&self.log),
            backup: ours(&self.backup),
            dump: ours(&self.dump),
            errorlog: ours(&self.errorlog),
            system: ours(&self.system),
        }
    }

    /// Returns each directory with its use.
    fn directories(&self) -> [(Use, &Path); 8] {
        [
            (Use::Master, directory_of(&self.master)),
            (Use::Log, directory_of(&self.master_log)),
            (Use::Data, &self.data),
            (Use::Log, &self.log),
            (Use::System, &self.system),
            (Use::ErrorLog, directory_of(&self.errorlog)),
            (Use::Backup, &self.backup),
            (Use::Dump, &self.dump),
        ]
    }
}

fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}

/// A mount with its mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedAt {
    /// The mount point.
    pub point: PathBuf,
    /// The mount.
    pub mount: Mount,
}

/// Returns the volumes that there are. `holding` gives the mount that holds a directory, none where that is
/// the root; `below` are the mount points below the data directory. Both are in the supervisor's own
/// namespace, in which the engine's data directory, `files.system`, is called `data_dir`.
#[must_use]
pub fn plan(
    files: &EngineFiles,
    data_dir: &Path,
    holding: impl Fn(&Path) -> Option<MountedAt>,
    below: &[PathBuf],
) -> Layout {
    let engine_data_dir = &files.system;
    let names = Names {
        data_dir,
        engine_data_dir,
        at_data_dir: holding(data_dir).map(|at| at.point),
    };
    let mut found: Vec<(MountedAt, Volume)> = Vec::new();
    let mut outside = Vec::new();
    let others = below.iter().map(|point| (Use::Other, names.theirs(point)));
    let directories = files.directories();
    let named = directories.map(|(used, directory)| (used, directory.to_owned()));
    for (used, directory) in named.into_iter().chain(others) {
        let Some(at) = holding(&names.ours(&directory)) else {
            outside.push(Outside { used, directory });
            continue;
        };
        match found
            .iter_mut()
            .find(|(known, _)| known.mount.same(&at.mount))
        {
            Some((_, volume)) => {
                volume.uses.insert(used);
            }
            None => {
                let volume = names.volume(&at.point, used);
                found.push((at, volume));
            }
        }
    }
    let mut volumes: Vec<Volume> = found.into_iter().map(|(_, volume)| volume).collect();
    volumes.iter_mut().for_each(settle);
    if !volumes.iter().any(Volume::is_main) {
        volumes.push(unmounted(&names, directory_of(&files.master), &mut outside));
    }
    outside.sort();
    outside.dedup();
    distinct(&mut volumes);
    volumes.sort_by(|a, b| (!a.is_main(), &a.name).cmp(&(!b.is_main(), &b.name)));
    Layout {
        volumes: volumes.into_iter().map(Arc::new).collect(),
        outside,
    }
}

/// Returns the main volume where `master.mdf`'s directory lies on no mount: the data directory if it is
/// below that, with all else there that is not mounted. That it is no mount is for the rules to judge.
fn unmounted(names: &Names<'_>, master: &Path, outside: &mut Vec<Outside>) -> Volume {
    let top = match master.starts_with(names.engine_data_dir) {
        true => names.engine_data_dir,
        false => master,
    };
    let mut volume = names.volume(&names.ours(top), Use::Master);
    let (here, elsewhere): (Vec<_>, _) = std::mem::take(outside)
        .into_iter()
        .partition(|outside| outside.directory.starts_with(top));
    volume
        .uses
        .extend(here.into_iter().map(|outside| outside.used));
    *outside = elsewhere;
    volume
}

/// Settles the uses of a volume: those that settings name, or tempdb where only the volume's name shows it.
fn settle(volume: &mut Volume) {
    if volume.uses.len() > 1 {
        volume.uses.remove(&Use::Other);
    } else if volume.uses.contains(&Use::Other) && volume.name.contains("tempdb") {
        volume.uses = [Use::TempDb].into();
    }
}

/// Names two volumes of one name, which takes a directory called as its own data directory, by their whole
/// paths.
fn distinct(volumes: &mut [Volume]) {
    let names: Vec<String> = volumes.iter().map(|volume| volume.name.clone()).collect();
    for volume in volumes {
        if names.iter().filter(|name| **name == volume.name).count() > 1 {
            volume.name = volume.engine_path.display().to_string();
        }
    }
}

/// The names of the same directory in the two namespaces, the supervisor's and the engine's.
struct Names<'a> {
    data_dir: &'a Path,
    engine_data_dir: &'a Path,
    /// The mount point that holds the data directory.
    at_data_dir: Option<PathBuf>,
}

impl Names<'_> {
    fn ours(&self, directory: &Path) -> PathBuf {
        match directory.strip_prefix(self.engine_data_dir) {
            Ok(rest) => join(self.data_dir, rest),
            Err(_) => directory.to_owned(),
        }
    }

    fn theirs(&self, directory: &Path) -> PathBuf {
        match directory.strip_prefix(self.data_dir) {
            Ok(rest) => join(self.engine_data_dir, rest),
            Err(_) => directory.to_owned(),
        }
    }

    fn volume(&self, point: &Path, used: Use) -> Volume {
        // A volume that is mounted further up keeps the supervisor's folder where it always was.
        let path = match self.at_data_dir.as_deref() == Some(point) {
            true => self.data_dir.to_owned(),
            false => point.to_owned(),
        };
        let engine_path = self.theirs(&path);
        let name = match engine_path.strip_prefix(self.engine_data_dir) {
            Ok(rest) if rest.as_os_str().is_empty() => file_name(self.engine_data_dir),
            Ok(rest) => rest.display().to_string(),
            Err(_) => engine_path.display().to_string(),
        };
        Volume {
            name,
            path,
            engine_path,
            uses: [used].into(),
        }
    }
}

/// Returns `rest` below `directory`, without the slash that an empty one would leave behind.
fn join(directory: &Path, rest: &Path) -> PathBuf {
    match rest.as_os_str().is_empty() {
        true => directory.to_owned(),
        false => directory.join(rest),
    }
}

fn file_name(directory: &Path) -> String {
    directory.file_name().map_or_else(
        || directory.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSSQL: &str = "/var/opt/mssql";

    /// Returns the layout where these are mount points, each a volume of its own.
    fn planned(change: impl FnOnce(&mut EngineFiles), points: &[&str]) -> Layout {
        let mut files = EngineFiles::below(Path::new(MSSQL));
        change(&mut files);
        let holding = |directory: &Path| {
            let points = points.iter().map(Path::new);
            let held = points.filter(|point| directory.starts_with(point));
            let point = held.max_by_key(|point| point.components().count())?;
            Some(MountedAt {
                point: point.to_owned(),
                mount: Mount {
                    device: point.display().to_string(),
                    root: "/".to_owned(),
                    fs_type: "ext4".to_owned(),
                    read_only: false,
                },
            })
        };
        let below: Vec<PathBuf> = points
            .iter()
            .map(PathBuf::from)
            .filter(|point| point.starts_with(MSSQL) && point != Path::new(MSSQL))
            .collect();
        plan(&files, Path::new(MSSQL), holding, &below)
    }

    /// Returns each volume as `name path: uses`.
    fn shown(layout: &Layout) -> Vec<String> {
        let show = |volume: &Arc<Volume>| {
            let uses: Vec<_> = volume.uses.iter().map(|used| used.name()).collect();
            format!(
                "{} {}: {}",
                volume.name,
                volume.path.display(),
                uses.join(" ")
            )
        };
        layout.volumes.iter().map(show).collect()
    }

    #[test]
    fn one_claim_at_the_top_holds_everything() {
        for point in [MSSQL, "/var/opt"] {
            let layout = planned(|_| {}, &[point]);
            let all = "mssql /var/opt/mssql: master data log system errorlog backup dump";
            assert_eq!(shown(&layout), [all]);
            assert_eq!(layout.outside, []);
        }
        let whole = Volume::whole(Path::new(MSSQL), Path::new(MSSQL));
        assert_eq!(*planned(|_| {}, &[MSSQL]).volumes[0], whole);
    }

    #[test]
    fn split_volumes_are_one_each_and_master_comes_first() {
        let points = [
            MSSQL,
            "/var/opt/mssql/data",
            "/var/opt/mssql/log",
            "/var/opt/mssql/translog",
            "/var/opt/mssql/tempdb",
            "/mnt/backup",
        ];
        let layout = planned(
            |files| {
                files.log = "/var/opt/mssql/translog".into();
                files.backup = "/mnt/backup/sql".into();
            },
            &points,
        );
        assert_eq!(
            shown(&layout),
            [
                "data /var/opt/mssql/data: master data log",
                "/mnt/backup /mnt/backup: backup",
                "log /var/opt/mssql/log: errorlog dump",
                "mssql /var/opt/mssql: system",
                "tempdb /var/opt/mssql/tempdb: tempdb",
                "translog /var/opt/mssql/translog: log",
            ]
        );
        let binds: Vec<_> = layout.volumes.iter().map(|volume| volume.binds()).collect();
        assert_eq!(binds, [true, false, false, true, false, true]);
    }

    #[test]
    fn a_volume_is_tempdbs_by_its_name_where_no_setting_names_it() {
        let layout = planned(
            |files| files.backup = "/mnt/tempdb".into(),
            &[MSSQL, "/mnt/tempdb", "/var/opt/mssql/spare"],
        );
        assert_eq!(
            shown(&layout)[1..],
            [
                "/mnt/tempdb /mnt/tempdb: backup",
                "spare /var/opt/mssql/spare: other",
            ]
        );
    }

    #[test]
    fn two_volumes_of_one_name_are_told_apart_by_their_paths() {
        let layout = planned(|_| {}, &[MSSQL, "/var/opt/mssql/mssql", "/var/opt/mssql/a"]);
        let names: Vec<_> = layout.volumes.iter().map(|at| at.name.as_str()).collect();
        assert_eq!(names, [MSSQL, "/var/opt/mssql/mssql", "a"]);
    }

    #[test]
    fn a_claim_for_data_alone_leaves_the_rest_outside() {
        let layout = planned(|_| {}, &["/var/opt/mssql/data"]);
        assert_eq!(
            shown(&layout),
            ["data /var/opt/mssql/data: master data log backup"]
        );
        let outside: Vec<_> = layout.outside.iter().map(|at| at.used.name()).collect();
        assert_eq!(outside, ["system", "errorlog", "dump"]);
    }

    #[test]
    fn without_a_mount_the_data_directory_is_the_volume() {
        let layout = planned(|_| {}, &[]);
        let whole = Volume::whole(Path::new(MSSQL), Path::new(MSSQL));
        assert_eq!(*layout.volumes[0], whole);
        assert_eq!((layout.volumes.len(), layout.outside.len()), (1, 0));
        // Nor does a mount for backups make it another one.
        let layout = planned(
            |files| files.backup = "/mnt/backup".into(),
            &["/mnt/backup"],
        );
        assert_eq!(layout.main().unwrap().name, "mssql");
        assert_eq!(layout.volumes.len(), 2);
    }

    #[test]
    fn master_elsewhere_is_the_main_volume() {
        let layout = planned(
            |files| files.master = "/mnt/fast/sql/master.mdf".into(),
            &[MSSQL, "/mnt/fast"],
        );
        assert_eq!(
            shown(&layout),
            [
                "/mnt/fast /mnt/fast: master",
                "mssql /var/opt/mssql: data log system errorlog backup dump",
            ]
        );
    }

    #[test]
    fn one_directory_mounted_twice_is_one_volume() {
        let files = EngineFiles::below(Path::new(MSSQL));
        let same = |directory: &Path| {
            let twice = directory.starts_with("/var/opt/mssql/data");
            Some(MountedAt {
                point: if twice { "/var/opt/mssql/data" } else { MSSQL }.into(),
                mount: Mount {
                    device: "8:1".to_owned(),
                    root: "/".to_owned(),
                    fs_type: "ext4".to_owned(),
                    read_only: false,
                },
            })
        };
        let layout = plan(&files, Path::new(MSSQL), same, &[]);
        assert_eq!(layout.volumes.len(), 1);
        let other_root = |directory: &Path| {
            let mut at = same(directory)?;
            at.mount.root = at.point.display().to_string();
            Some(at)
        };
        let layout = plan(&files, Path::new(MSSQL), other_root, &[]);
        assert_eq!(layout.volumes.len(), 2, "two directories of one claim");
    }

    #[test]
    fn the_engines_container_may_call_it_otherwise() {
        let files = EngineFiles::below(Path::new(MSSQL));
        let holding = |directory: &Path| {
            directory.starts_with("/srv/sql").then(|| MountedAt {
                point: "/srv/sql".into(),
                mount: Mount {
                    device: "8:1".to_owned(),
                    root: "/".to_owned(),
                    fs_type: "ext4".to_owned(),
                    read_only: false,
                },
            })
        };
        let layout = plan(&files, Path::new("/srv/sql"), holding, &[]);
        let main = layout.main().unwrap();
        assert_eq!(
            (main.name.as_str(), &*main.path),
            ("mssql", Path::new("/srv/sql"))
        );
        assert_eq!(main.engine_path, Path::new(MSSQL));
    }
}
