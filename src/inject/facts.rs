//! What is taken from the manifest: the engine's volume, user, port, login and start command.

use super::images::Engine;
use super::names::{DATA_DIR, GRACE, READ_BELOW_DATA_DIR, SQL_UID};
use super::node::{Kind, Node};
use super::refusal::Why;
use super::value::{Value, boolean, map, text};
use super::workload::{Objection, Workload};
use super::{Login, Request};

/// What the additions are made from.
#[derive(Debug)]
pub struct Facts {
    /// Mounts of the supervisor's container at the engine's directory.
    pub data_mounts: Vec<Value>,
    /// Several nodes can attach the volume, or several pods write it.
    pub shared_volume: bool,
    /// The engine's user, and its group where the manifest names one.
    pub user: u64,
    /// The group.
    pub group: Option<u64>,
    /// A group of the pod can read what is given to it.
    pub fs_group: bool,
    /// The engine's port.
    pub port: String,
    /// The grace of the pod, seconds.
    pub grace: u64,
    /// The supervisor's login.
    pub login: Login,
    /// The container's quality of service is Guaranteed, as that of the whole pod.
    pub guaranteed: bool,
    /// What `launch` starts.
    pub command: Command,
}

/// What `launch` starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The container's own `command`, with its `args` where it has some.
    Own,
    /// Its `args`: the images hand over to what they are given.
    Arguments,
    /// That of the image.
    Image(&'static [&'static str]),
}

/// Takes them. `documents` are the roots of the whole input, where the volume's claim may stand.
///
/// # Errors
/// When one of them is not there, or not to be had.
pub fn take(
    workload: &Workload<'_>,
    request: &Request,
    documents: &[&Node],
) -> Result<Facts, Objection> {
    let mount = data_mount(workload)?;
    let user = of_context(workload, "runAsUser").unwrap_or(SQL_UID);
    let grace = workload.pod.text_of("terminationGracePeriodSeconds");
    let grace = grace.and_then(|text| text.parse().ok()).unwrap_or(0);
    let port = workload
        .variable("MSSQL_TCP_PORT")
        .and_then(|port| port.text_of("value"));
    Ok(Facts {
        data_mounts: data_mounts(workload, mount),
        shared_volume: is_shared(workload, mount, documents),
        user,
        group: of_context(workload, "runAsGroup"),
        fs_group: workload.pod.at(&["securityContext", "fsGroup"]).is_some(),
        port: port.unwrap_or("1433").to_owned(),
        grace: GRACE.as_secs().max(grace),
        login: login(workload, request)?,
        guaranteed: workload.all_containers().all(is_guaranteed),
        command: command(workload, request)?,
    })
}

/// A number of the container's security context, else of the pod's.
fn of_context(workload: &Workload<'_>, key: &str) -> Option<u64> {
    [workload.sql(), workload.pod].iter().find_map(|node| {
        let text = node.get("securityContext")?.text_of(key)?;
        text.parse().ok()
    })
}

fn path_of(mount: &Node) -> &str {
    let path = mount.text_of("mountPath").unwrap_or_default();
    match path.trim_end_matches('/') {
        "" => path,
        path => path,
    }
}

fn mounts_of<'a>(workload: &Workload<'a>) -> &'a [Node] {
    let mounts = workload.sql().get("volumeMounts").map(Node::items);
    mounts.unwrap_or_default()
}

/// The mount at the engine's directory, of a volume that outlives the pod and can be written.
fn data_mount<'a>(workload: &Workload<'a>) -> Result<&'a Node, Objection> {
    let mounts = mounts_of(workload);
    let Some(mount) = mounts.iter().find(|mount| path_of(mount) == DATA_DIR) else {
        let below: Vec<_> = mounts
            .iter()
            .map(path_of)
            .filter(|path| path.starts_with(DATA_DIR))
            .collect();
        let found = match below.is_empty() {
            true => String::new(),
            false => format!(", only at {}", below.join(", ")),
        };
        return Err(Objection::new(Why::NoVolume(found), workload.sql()));
    };
    if mount.get("readOnly").is_some_and(Node::is_true) {
        return Err(Objection::new(Why::ReadOnly, mount));
    }
    if mount.get("subPathExpr").is_some() {
        return Err(Objection::new(Why::SubPathExpr, mount));
    }
    let name = mount.text_of("name").unwrap_or_default();
    match (volume(workload, name), template(workload, name)) {
        (Some(volume), _) if volume.get("emptyDir").is_some() => {
            Err(Objection::new(Why::Ephemeral, volume))
        }
        (None, None) => Err(Objection::new(
            Why::Shape(
                format!("the volume {name} of the mount"),
                "one of the pod's volumes",
            ),
            mount,
        )),
        _ => Ok(mount),
    }
}

fn volume<'a>(workload: &Workload<'a>, name: &str) -> Option<&'a Node> {
    let volumes = workload.pod.get("volumes")?.items();
    volumes
        .iter()
        .find(|volume| volume.text_of("name") == Some(name))
}

/// The claim template of that name, of a StatefulSet.
fn template<'a>(workload: &Workload<'a>, name: &str) -> Option<&'a Node> {
    let templates = workload.spec.get("volumeClaimTemplates")?.items();
    let named =
        |template: &&Node| template.at(&["metadata", "name"]).and_then(Node::text) == Some(name);
    templates.iter().find(named)
}

/// The supervisor's mounts: the volume itself, and what it reads of it where that lies on volumes of its
/// own.
fn data_mounts(workload: &Workload<'_>, data: &Node) -> Vec<Value> {
    let copy = |mount: &Node, read_only: bool| {
        let name = mount.text_of("name").unwrap_or_default();
        let mut copy = map([("name", text(name)), ("mountPath", text(path_of(mount)))]);
        if let Some(path) = mount.text_of("subPath") {
            copy.set("subPath", text(path));
        }
        if read_only {
            copy.set("readOnly", boolean(true));
        }
        copy
    };
    let below = mounts_of(workload).iter().filter(|mount| {
        let path = path_of(mount).strip_prefix(DATA_DIR);
        let path = path.and_then(|path| path.strip_prefix('/'));
        path.is_some_and(|path| READ_BELOW_DATA_DIR.contains(&path))
            && mount.get("subPathExpr").is_none()
    });
    let below = below.map(|mount| copy(mount, true));
    std::iter::once(copy(data, false)).chain(below).collect()
}

/// Whether more than one node can attach the volume, as far as the input says.
fn is_shared(workload: &Workload<'_>, mount: &Node, documents: &[&Node]) -> bool {
    /// Volumes that are file systems of a server, in the pod's own words.
    const SERVED: [&str; 4] = ["nfs", "azureFile", "cephfs", "glusterfs"];
    let name = mount.text_of("name").unwrap_or_default();
    let many = |claim: &Node| {
        let modes = claim.at(&["spec", "accessModes"]).map(Node::items);
        let mut modes = modes.unwrap_or_default().iter();
        modes.any(|mode| mode.text() == Some("ReadWriteMany"))
    };
    if template(workload, name).is_some_and(many) {
        return true;
    }
    let Some(volume) = volume(workload, name) else {
        return false;
    };
    let claim = volume
        .at(&["persistentVolumeClaim", "claimName"])
        .and_then(Node::text);
    let claims = documents.iter().filter(|root| {
        root.text_of("kind") == Some("PersistentVolumeClaim")
            && root.at(&["metadata", "name"]).and_then(Node::text) == claim
    });
    SERVED.iter().any(|kind| volume.get(kind).is_some())
        || claims.into_iter().any(|root| many(root))
}

/// The login: the one that was named, else `sa` by the Secret that the engine has its password from.
fn login(workload: &Workload<'_>, request: &Request) -> Result<Login, Objection> {
    if let Some(login) = &request.login {
        return Ok(login.clone());
    }
    let variable = ["MSSQL_SA_PASSWORD", "SA_PASSWORD"]
        .iter()
        .find_map(|name| workload.variable(name));
    let Some(variable) = variable else {
        let why = "no MSSQL_SA_PASSWORD or SA_PASSWORD stands in the container's env";
        return Err(Objection::new(Why::Password(why), workload.sql()));
    };
    let reference = variable.at(&["valueFrom", "secretKeyRef"]);
    let part = |key| reference.and_then(|reference| reference.text_of(key));
    match (part("name"), part("key")) {
        (Some(secret), Some(key)) => Ok(Login {
            user: "sa".to_owned(),
            secret: secret.to_owned(),
            key: key.to_owned(),
        }),
        _ => Err(Objection::new(
            Why::Password("it does not come from a Secret's key"),
            variable,
        )),
    }
}

/// Limits on both, and no request that differs from them: Kubernetes then calls the pod Guaranteed.
fn is_guaranteed(container: &Node) -> bool {
    ["cpu", "memory"].iter().all(|resource| {
        let limit = container
            .at(&["resources", "limits", resource])
            .and_then(Node::text);
        let request = container
            .at(&["resources", "requests", resource])
            .and_then(Node::text);
        limit.is_some() && request.is_none_or(|request| limit == Some(request))
    })
}

fn command(workload: &Workload<'_>, request: &Request) -> Result<Command, Objection> {
    let sql = workload.sql();
    let has = |key| sql.get(key).is_some_and(|node| !node.items().is_empty());
    if !request.launch || has("command") {
        return Ok(Command::Own);
    }
    let image = sql.get("image");
    match image.and_then(Node::text).and_then(Engine::of) {
        Some(_) if has("args") => Ok(Command::Arguments),
        Some(engine) => Ok(Command::Image(engine.command())),
        None => Err(Objection::new(
            Why::UnknownCommand(
                image
                    .and_then(Node::text)
                    .unwrap_or("of no name")
                    .to_owned(),
            ),
            image.unwrap_or(sql),
        )),
    }
}

/// The texts of a list.
#[must_use]
pub fn words(node: Option<&Node>) -> Vec<Value> {
    node.map(|node| match &node.kind {
        Kind::List { items, .. } => items.iter().map(Value::of).collect(),
        _ => Vec::new(),
    })
    .unwrap_or_default()
}

/// Where user databases go, if that is on no volume.
#[must_use]
pub fn homeless_data_dir<'a>(workload: &Workload<'a>) -> Option<&'a str> {
    let dir = workload.variable("MSSQL_DATA_DIR")?.text_of("value")?;
    let on_volume = mounts_of(workload).iter().map(path_of).any(|path| {
        dir.strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    (!on_volume).then_some(dir)
}
