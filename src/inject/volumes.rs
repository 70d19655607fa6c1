//! The engine's volumes: the mounts of them that the supervisor's container is given, whether the databases
//! outlive the pod, and who else can write them.
//!
//! | files | default place | volume |
//! | --- | --- | --- |
//! | `master.mdf` | `/var/opt/mssql/data` | must outlive the pod (or `--dev`) and be writable |
//! | data and log files of databases | `/var/opt/mssql/data` | decides whether the lease has to be strict |
//! | errorlog, backups, dumps, secrets, tempdb | below `/var/opt/mssql` | the supervisor gets it as it is |
//! | anything else that can hold database files | elsewhere | the supervisor gets it, and a note names it |
//!
//! The lease lies on the volume of `master.mdf`. The supervisor's container has each volume at the engine's
//! own path, so that it checks the same files that the engine has.

mod reach;

use super::conf::Conf;
use super::environment::{Copied, Known};
use super::names::DATA_DIR;
use super::node::Node;
use super::refusal::Why;
use super::value::{Value, map, text};
use super::workload::{Controller, Objection, Workload};
use crate::config::mssql_conf::NAME as CONF;

/// The kinds of volumes that go with the pod.
pub const EPHEMERAL: [&str; 2] = ["emptyDir", "ephemeral"];
/// The kinds of volumes whose files the cluster provides and which hold no databases.
pub const GIVEN: [&str; 6] = [
    "configMap",
    "secret",
    "projected",
    "downwardAPI",
    "gitRepo",
    "image",
];
/// The directories of a container's own system, where nobody keeps databases.
const SYSTEM: [&str; 16] = [
    "/bin",
    "/dev",
    "/docker-entrypoint-initdb.d",
    "/etc",
    "/home",
    "/lib",
    "/mssql-server-setup-scripts.d",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/tmp",
    "/usr",
    "/var/log",
    "/var/run",
];
/// The facts about the engine's volumes.
#[derive(Debug)]
pub struct Volumes<'a> {
    /// The mount that holds the system databases.
    pub master: &'a Node,
    /// The path of the system databases' directory.
    pub master_dir: String,
    /// The mounts that the supervisor's container gets.
    pub mounts: Vec<&'a Node>,
    /// The reason for which several nodes can reach a volume with databases, with the name of the volume or
    /// its claim.
    pub shared: Option<String>,
    /// The claims of volumes with databases that do not stand in the input.
    pub unseen_claims: Vec<&'a str>,
    /// The directories of databases that do not outlive the pod or the container, or can't be written, with
    /// the reason.
    pub warnings: Vec<String>,
    /// Whether the system databases go with the pod.
    pub goes_with_the_pod: bool,
    /// The paths of volumes on which databases may lie, though nothing in the manifest names them.
    pub beside: Vec<String>,
}

/// The directories of the engine's files, as far as the manifest gives them.
struct Places {
    master: String,
    databases: Vec<String>,
    others: Vec<String>,
}

fn parent(file: &str) -> String {
    let parent = file.rsplit_once('/').map_or("", |(parent, _)| parent);
    match parent {
        "" => "/".to_owned(),
        parent => parent.to_owned(),
    }
}

fn places(conf: &Conf, known: &Known<'_>) -> Places {
    let said = |variable: &str, setting: &str| {
        let said = known
            .said(variable)
            .or_else(|| conf.get("filelocation", setting));
        said.map(|path| path.trim_end_matches('/').to_owned())
    };
    let file = |variable, setting| said(variable, setting).map(|file| parent(&file));
    let default = format!("{DATA_DIR}/data");
    let master = file("MSSQL_MASTER_DATA_FILE", "masterdatafile").unwrap_or(default);
    let databases = [
        Some(master.clone()),
        file("MSSQL_MASTER_LOG_FILE", "masterlogfile"),
        said("MSSQL_DATA_DIR", "defaultdatadir"),
        said("MSSQL_LOG_DIR", "defaultlogdir"),
    ];
    let others = [
        Some(DATA_DIR.to_owned()),
        said("MSSQL_BACKUP_DIR", "defaultbackupdir"),
        said("MSSQL_DUMP_DIR", "defaultdumpdir"),
        file("MSSQL_ERROR_LOG_FILE", "errorlogfile"),
    ];
    Places {
        master,
        databases: databases.into_iter().flatten().collect(),
        others: others.into_iter().flatten().collect(),
    }
}

/// Returns the path of a mount.
#[must_use]
pub fn path_of(mount: &Node) -> &str {
    let path = mount.text_of("mountPath").unwrap_or_default();
    match path.trim_end_matches('/') {
        "" => path,
        path => path,
    }
}

/// Whether `path` is `dir` or lies below it.
#[must_use]
pub fn is_within(path: &str, dir: &str) -> bool {
    let rest = path.strip_prefix(dir.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the mount of the SQL container that a path lies on.
#[must_use]
pub fn covering<'a>(workload: &Workload<'a>, path: &str) -> Option<&'a Node> {
    let mounts = workload.mounts().iter();
    let over = mounts.filter(|mount| {
        let at = path_of(mount);
        at.starts_with('/') && is_within(path, at)
    });
    over.max_by_key(|mount| path_of(mount).len())
}

/// Finds the engine's volumes. `objects` are all objects of the input, where claims may stand.
///
/// # Errors
/// When the system databases lie on no volume, on one that goes with the pod, or on one that can't be
/// written.
pub fn take<'a>(
    workload: &Workload<'a>,
    objects: &[&'a Node],
    (conf, known): (&Conf, &Known<'_>),
    dev: bool,
) -> Result<Volumes<'a>, Objection> {
    let places = places(conf, known);
    let master = master_mount(workload, &places.master)?;
    let goes_with_the_pod = goes_with_the_pod(workload, master);
    if goes_with_the_pod && !dev {
        return Err(Objection::new(
            Why::Ephemeral(path_of(master).to_owned()),
            master,
        ));
    }
    let given = |mount: &&Node| {
        let path = path_of(mount);
        let is_file = is_of(workload, mount, &GIVEN)
            && mount.get("subPath").is_some()
            && !path.ends_with(CONF);
        let below = |dir: &String| is_within(path, dir);
        let holds =
            |dir: &String| covering(workload, dir).is_some_and(|over| std::ptr::eq(over, *mount));
        let mut dirs = places.databases.iter().chain(&places.others);
        !is_file && dirs.any(|dir| below(dir) || holds(dir))
    };
    let (mounts, rest): (Vec<_>, Vec<_>) = workload.mounts().iter().partition(given);
    let beside = rest
        .into_iter()
        .filter(|mount| may_hold_databases(workload, mount));
    let beside: Vec<_> = beside.collect();
    let mut volumes = Volumes {
        master,
        master_dir: places.master.clone(),
        mounts: mounts.into_iter().chain(beside.iter().copied()).collect(),
        shared: None,
        unseen_claims: Vec::new(),
        warnings: Vec::new(),
        goes_with_the_pod,
        beside: beside.into_iter().map(path_of).map(str::to_owned).collect(),
    };
    for dir in &places.databases {
        volumes.databases(workload, objects, dir)?;
    }
    Ok(volumes)
}

/// Returns the mount with the system databases.
fn master_mount<'a>(workload: &Workload<'a>, dir: &str) -> Result<&'a Node, Objection> {
    let Some(mount) = covering(workload, dir) else {
        let found: Vec<_> = workload.mounts().iter().map(path_of).collect();
        let found = match found.is_empty() {
            true => "no volume is mounted at all".to_owned(),
            false => format!("there are volumes at {}", found.join(", ")),
        };
        return Err(Objection::new(
            Why::NoVolume(dir.to_owned(), found),
            workload.sql(),
        ));
    };
    if let Some(kind) = kind_of(workload, mount).filter(|kind| GIVEN.contains(kind)) {
        let why = Why::NotWritable(path_of(mount).to_owned(), kind.to_owned());
        return Err(Objection::new(why, mount));
    }
    if is_read_only(workload, mount) {
        return Err(Objection::new(
            Why::ReadOnly(path_of(mount).to_owned()),
            mount,
        ));
    }
    let name = mount.text_of("name").unwrap_or_default();
    if workload.volume(name).is_none() && workload.template(name).is_none() {
        return Err(Objection::new(
            Why::Shape(
                format!("the volume {name} of the mount"),
                "one of the pod's volumes",
            ),
            mount,
        ));
    }
    Ok(mount)
}

/// Returns the volume of a mount, with its source; none where a claim template takes its place.
fn source<'a>(workload: &Workload<'a>, mount: &Node) -> Option<&'a Node> {
    let name = mount.text_of("name").unwrap_or_default();
    match workload.template(name) {
        Some(_) => None,
        None => workload.volume(name),
    }
}

/// Returns the kind of a mount's volume. A volume without a kind is an emptyDir to Kubernetes.
fn kind_of<'a>(workload: &Workload<'a>, mount: &Node) -> Option<&'a str> {
    let volume = source(workload, mount)?;
    Some(kinds(volume).next().unwrap_or("emptyDir"))
}

/// Returns the kinds that a volume names: one key, as a rule.
fn kinds(volume: &Node) -> impl Iterator<Item = &str> {
    let keys = volume.entries().iter().filter_map(|entry| entry.key.text());
    keys.filter(|key| *key != "name")
}

fn is_of(workload: &Workload<'_>, mount: &Node, kinds: &[&str]) -> bool {
    kind_of(workload, mount).is_some_and(|kind| kinds.contains(&kind))
}

fn goes_with_the_pod(workload: &Workload<'_>, mount: &Node) -> bool {
    is_of(workload, mount, &EPHEMERAL)
}

/// Whether the mount, or its volume as a whole, is read-only.
fn is_read_only(workload: &Workload<'_>, mount: &Node) -> bool {
    let said = |node: &Node| node.get("readOnly").is_some_and(Node::is_true);
    let volume = source(workload, mount).map(Node::entries);
    said(mount)
        || volume
            .unwrap_or_default()
            .iter()
            .any(|entry| said(&entry.value))
}

/// Whether database files may lie on a mount that nothing names as one of the engine's places.
fn may_hold_databases(workload: &Workload<'_>, mount: &Node) -> bool {
    let path = path_of(mount);
    let volume = source(workload, mount);
    let is_file = volume
        .and_then(|volume| volume.at(&["hostPath", "type"]))
        .and_then(Node::text)
        .is_some_and(|kind| !kind.is_empty() && !kind.starts_with("Directory"));
    let secrets = volume
        .and_then(|volume| volume.at(&["csi", "driver"]))
        .and_then(Node::text)
        .is_some_and(|driver| driver.contains("secret") || driver.contains("cert"));
    path.starts_with('/')
        && path != "/"
        && !SYSTEM.iter().any(|dir| is_within(path, dir))
        && !is_of(workload, mount, &[&EPHEMERAL[..], &GIVEN[..]].concat())
        && !is_read_only(workload, mount)
        && !is_file
        && !secrets
}

impl<'a> Volumes<'a> {
    /// Checks the volume of a directory with databases, and who else can reach it.
    fn databases(
        &mut self,
        workload: &Workload<'a>,
        objects: &[&'a Node],
        dir: &str,
    ) -> Result<(), Objection> {
        let Some(mount) = covering(workload, dir) else {
            self.warnings.push(format!(
                "{dir} is on no volume: databases there go with the container"
            ));
            return Ok(());
        };
        let name = mount.text_of("name").unwrap_or_default();
        if is_read_only(workload, mount) || is_of(workload, mount, &GIVEN) {
            self.warnings.push(format!(
                "{dir} is on a volume that can't be written: the gate stays shut for that"
            ));
        }
        if goes_with_the_pod(workload, mount) && !std::ptr::eq(mount, self.master) {
            self.warnings.push(format!(
                "{dir} is on a volume that goes with the pod, and so do the databases there"
            ));
        }
        if workload.replicas() > 1 && workload.template(name).is_none() {
            let why = Why::SharedByReplicas(workload.replicas().to_string(), name.to_owned());
            return Err(Objection::new(why, mount));
        }
        if let Some(why) = self.reached_by_many(workload, objects, name) {
            self.shared.get_or_insert(why);
        }
        Ok(())
    }

    /// Returns the mounts for the supervisor's container, and takes the variables that they need.
    #[must_use]
    pub fn copies(&self, copied: &mut Copied<'_>) -> Vec<Value> {
        let mounts = self.mounts.iter();
        mounts.map(|mount| copy(mount, copied)).collect()
    }
}

/// Returns a mount for another container, at the same place.
#[must_use]
pub fn copy(mount: &Node, copied: &mut Copied<'_>) -> Value {
    let name = mount.text_of("name").unwrap_or_default();
    let mut copy = map([("name", text(name)), ("mountPath", text(path_of(mount)))]);
    for key in ["subPath", "subPathExpr"] {
        if let Some(path) = mount.text_of(key) {
            if key == "subPathExpr" {
                copied.take_for(path);
            }
            copy.set(key, text(path));
        }
    }
    if let Some(read_only) = mount
        .get("readOnly")
        .filter(|read_only| read_only.is_true())
    {
        copy.set("readOnly", Value::of(read_only));
    }
    copy
}

/// Whether the pod is one of a StatefulSet whose pods have claims of their own.
#[must_use]
pub fn has_claims_of_its_own(workload: &Workload<'_>) -> bool {
    workload.controller == Controller::StatefulSet
        && workload.spec.get("volumeClaimTemplates").is_some()
}
