//! The facts that are taken from the manifest: the engine's volumes, user, port, login and start command.

use super::Request;
use super::conf::Conf;
use super::environment::{Copied, DIRECTORIES, Known, plain, sources};
use super::hook::{Hook, grace, pre_stop};
use super::images::{self, Engine};
use super::login::{Login, Password, login};
use super::names::SQL_UID;
use super::node::Node;
use super::quantity::are_equal;
use super::refusal::Why;
use super::value::{Value, map, text};
use super::volumes::Volumes;
use super::workload::{Controller, Objection, Workload};

/// The facts that the additions are made from.
#[derive(Debug)]
pub struct Facts {
    /// The mounts of the supervisor's container, at the places where the engine has its volumes.
    pub data_mounts: Vec<Value>,
    /// Whether several nodes can attach the volume, or several pods write it.
    pub shared_volume: bool,
    /// The user of the added containers; none where the cluster assigns it.
    pub user: Option<u64>,
    /// The group of the added containers, where the manifest names one.
    pub group: Option<u64>,
    /// Whether the pod has an `fsGroup`, which can read what is mounted.
    pub fs_group: bool,
    /// The variables of the supervisor for the address at which the engine listens.
    pub network: Vec<Value>,
    /// The grace of the pod, in seconds.
    pub grace: u64,
    /// The supervisor's login.
    pub login: Login,
    /// The variables of the SQL container that the supervisor has as well.
    pub variables: Vec<Value>,
    /// The sources of `envFrom` that the supervisor has as well.
    pub env_from: Vec<Value>,
    /// Whether the containers' quality of service is Guaranteed, as that of the whole pod.
    pub guaranteed: bool,
    /// The command that `launch` starts.
    pub command: Command,
    /// The preStop hook that the SQL container has already.
    pub hook: Option<Hook>,
    /// The places of the engine's files by a copied mssql.conf, as settings of the supervisor and their
    /// values.
    pub places: Vec<(&'static str, String)>,
}

/// The command that `launch` starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The container's own `command`, with its `args` where it has some.
    Own,
    /// The container's `args` alone, as the entrypoints of the images hand over to what they are given.
    Arguments,
    /// The image's own start, which `launch` finds in the image.
    Image,
}

/// The user of the added containers, where the command line gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uid {
    /// The user that the cluster assigns.
    Assigned,
    /// The user of this number.
    Number(u64),
}

/// Takes the facts from the manifest.
///
/// # Errors
/// When a fact is missing from the manifest, or can't be given to the supervisor.
pub fn take(
    workload: &Workload<'_>,
    request: &Request,
    objects: &[&Node],
    volumes: &Volumes<'_>,
    (conf, known): (&Conf, &Known<'_>),
) -> Result<Facts, Objection> {
    let mut copied = Copied::of(workload);
    let hook = pre_stop(workload, request.classic)?;
    let given = workload.pod.text_of("terminationGracePeriodSeconds");
    let login = login(workload, request, known, &mut copied)?;
    let data_mounts = volumes.copies(&mut copied);
    for name in DIRECTORIES {
        copied.take(name, name);
    }
    let network = network(workload, conf, known, &mut copied);
    let secrets = login.password == Password::EnvFrom || copied.names_unknown();
    Ok(Facts {
        data_mounts,
        shared_volume: volumes.shared.is_some(),
        user: user(workload, request, objects),
        group: of_context(workload, "runAsGroup"),
        fs_group: workload.pod.at(&["securityContext", "fsGroup"]).is_some(),
        network,
        grace: grace(given.and_then(|text| text.parse().ok()), hook.is_some()),
        login,
        variables: copied.variables(),
        env_from: sources(workload, secrets),
        guaranteed: workload.all_containers().all(is_guaranteed),
        command: command(workload, request)?,
        hook,
        places: copied_places(conf, known),
    })
}

/// Returns the places that a copied mssql.conf sets: the supervisor looks before it is copied.
fn copied_places(conf: &Conf, known: &Known<'_>) -> Vec<(&'static str, String)> {
    const PLACES: [(&str, &str, &str); 7] = [
        (
            "MSSQL_MASTER_DATA_FILE",
            "masterdatafile",
            "master-data-file",
        ),
        ("MSSQL_MASTER_LOG_FILE", "masterlogfile", "master-log-file"),
        ("MSSQL_DATA_DIR", "defaultdatadir", "default-data-dir"),
        ("MSSQL_LOG_DIR", "defaultlogdir", "default-log-dir"),
        ("MSSQL_BACKUP_DIR", "defaultbackupdir", "default-backup-dir"),
        ("MSSQL_DUMP_DIR", "defaultdumpdir", "default-dump-dir"),
        ("MSSQL_ERROR_LOG_FILE", "errorlogfile", "errorlog-file"),
    ];
    let places = PLACES.iter().filter(|_| conf.copied);
    let said = places.filter(|(variable, ..)| !known.has(variable));
    said.filter_map(|(_, key, setting)| {
        let path = conf.get("filelocation", key)?;
        path.starts_with('/').then(|| (*setting, path.to_owned()))
    })
    .collect()
}

/// Returns a number of the container's security context, else of the pod's.
fn of_context(workload: &Workload<'_>, key: &str) -> Option<u64> {
    [workload.sql(), workload.pod].iter().find_map(|node| {
        let text = node.get("securityContext")?.text_of(key)?;
        text.parse().ok()
    })
}

/// Returns the engine's user, which the supervisor has to have as well; none where the cluster assigns it.
fn user(workload: &Workload<'_>, request: &Request, objects: &[&Node]) -> Option<u64> {
    match request.uid {
        Some(Uid::Assigned) => return None,
        Some(Uid::Number(uid)) => return Some(uid),
        None => {}
    }
    if let Some(user) = of_context(workload, "runAsUser") {
        return Some(user);
    }
    if is_assigned(workload, objects) {
        return None;
    }
    let image = workload.sql().text_of("image").unwrap_or_default();
    Some(match images::runs_as_root(image) {
        true => 0,
        false => SQL_UID,
    })
}

/// Whether OpenShift assigns the pod's uid, as it then refuses any other.
fn is_assigned(workload: &Workload<'_>, objects: &[&Node]) -> bool {
    let constraint = workload.annotation("openshift.io/required-scc");
    let constraint = constraint.or_else(|| workload.annotation("openshift.io/scc"));
    if let Some(constraint) = constraint {
        return constraint.starts_with("restricted");
    }
    let image = workload.sql().text_of("image").unwrap_or_default();
    workload.controller == Controller::DeploymentConfig
        || image.starts_with("image-registry.openshift-image-registry.svc")
        || objects.iter().any(|object| {
            let api = object.text_of("apiVersion").unwrap_or_default();
            api.split('/')
                .next()
                .unwrap_or_default()
                .ends_with(".openshift.io")
        })
}

/// Returns variables for the address at which the engine listens: in plain text, or by a reference that the
/// supervisor gets as well. An address that only the image or a file of the cluster sets is not known here.
fn network(
    workload: &Workload<'_>,
    conf: &Conf,
    known: &Known<'_>,
    copied: &mut Copied<'_>,
) -> Vec<Value> {
    let setting = |name: &str, value: &str| map([("name", text(name)), ("value", text(value))]);
    let mut variables = Vec::new();
    let port = plain(workload, "MSSQL_TCP_PORT");
    if port.is_none() && workload.variable("MSSQL_TCP_PORT").is_some() {
        copied.take("MSSQL_TCP_PORT", PORT);
    } else if port.is_none() && known.has("MSSQL_TCP_PORT") {
        // By `envFrom`, which the supervisor has as well; a Secret's only where it brings the password.
        if let Some(port) = known.said("MSSQL_TCP_PORT") {
            variables.push(setting(PORT, port));
        }
    } else if let Some(port) = port.or_else(|| conf.get("network", "tcpport")) {
        variables.push(setting(PORT, port));
    } else if !known.may_bring_more {
        // Given although it is the default: a Service named `mssql-tcp` makes a variable MSSQL_TCP_PORT.
        variables.push(setting(PORT, "1433"));
    }
    let address = plain(workload, "MSSQL_IP_ADDRESS");
    if address.is_none() && workload.variable("MSSQL_IP_ADDRESS").is_some() {
        copied.take("MSSQL_IP_ADDRESS", HOST);
    } else if let Some(address) = address.or_else(|| conf.get("network", "ipaddress")) {
        let any = address.chars().all(|c| "0.:".contains(c));
        let one = !any
            && address
                .chars()
                .all(|c| c.is_ascii_hexdigit() || ".:".contains(c));
        if one {
            variables.push(setting(HOST, address));
        }
    }
    variables
}

/// The variables of the settings `sql-port` and `sql-host`.
const PORT: &str = "SUPERVISOR_SQL_PORT";
const HOST: &str = "SUPERVISOR_SQL_HOST";

/// Whether the container has limits on processor time and memory, and no request of another amount:
/// Kubernetes then calls the pod Guaranteed.
fn is_guaranteed(container: &Node) -> bool {
    ["cpu", "memory"].iter().all(|resource| {
        let limit = container
            .at(&["resources", "limits", resource])
            .and_then(Node::text);
        let request = container
            .at(&["resources", "requests", resource])
            .and_then(Node::text);
        limit.is_some_and(|limit| request.is_none_or(|request| are_equal(limit, request)))
    })
}

fn command(workload: &Workload<'_>, request: &Request) -> Result<Command, Objection> {
    let sql = workload.sql();
    let has = |key| !sql.items_of(key).is_empty();
    if !request.launch || has("command") {
        return Ok(Command::Own);
    }
    let image = sql.get("image");
    match image.and_then(Node::text).and_then(Engine::of) {
        Some(_) if has("args") => Ok(Command::Arguments),
        Some(_) => Ok(Command::Image),
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
