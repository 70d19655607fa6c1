//! Why nothing was changed, and what to do.

mod advice;

use std::fmt;

use super::node::Node;

/// A refusal: nothing is printed, nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The line it is about, counted from 1, where there is one.
    pub line: Option<usize>,
    /// The object, as `Deployment/name`, where it is about one.
    pub object: Option<String>,
    /// Why.
    pub why: Why,
}

/// Why a file, or an object in it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is longer than is read.
    #[error("the file is longer than {0} bytes")]
    TooLong(usize),
    /// More nodes than are kept.
    #[error("the file has more than {0} values")]
    TooMany(usize),
    /// It is not UTF-8.
    #[error("the file is not UTF-8")]
    NotText,
    /// It is not YAML.
    #[error("this is not YAML: {0}")]
    NotYaml(String),
    /// A tab where YAML wants blanks.
    #[error("a tab stands where YAML allows blanks only")]
    Tab,
    /// A template of Helm or another program.
    #[error("this is a template, not a manifest")]
    Template,
    /// Anchors, aliases, tags.
    #[error(
        "what has to be changed stands in several places (&name, *name), or has a tag (!name): a change in one place would be one in several"
    )]
    Anchor,
    /// A key twice in one map.
    #[error("the key {0} stands twice")]
    KeyTwice(String),
    /// A key that is a list or a map.
    #[error("a key is a list or a map")]
    KeyNoText,
    /// A file of Docker Compose.
    #[error("this is a file of Docker Compose, not a manifest of Kubernetes")]
    Compose,
    /// Objects that run SQL, and none that is changed.
    #[error("nothing here that runs SQL is changed{0}")]
    OtherKinds(String),
    /// An engine that runs before the pod's containers.
    #[error("the init container {0} runs SQL")]
    InitContainer(String),
    /// A value that a program has to put in first.
    #[error("{0} stands for a value that another program puts in")]
    Unfilled(String),
    /// A Template of OpenShift.
    #[error("this is a Template of OpenShift, not the objects themselves")]
    OpenShiftTemplate,
    /// JSON objects one after the other.
    #[error("several JSON objects follow each other, and nothing stands between them")]
    JsonStream,
    /// No workload that runs SQL.
    #[error(
        "no Deployment, StatefulSet, DeploymentConfig or Pod here runs SQL Edge or SQL Server{0}"
    )]
    Nothing(String),
    /// The supervisor is there.
    #[error("the supervisor is already there ({0})")]
    AlreadyThere(String),
    /// Another API.
    #[error("its apiVersion is {0}, not {1}")]
    ApiVersion(String, &'static str),
    /// More than one pod.
    #[error("it has {0} replicas, and one volume takes one engine")]
    Replicas(String),
    /// Several SQL containers.
    #[error("several containers run SQL: {0}")]
    SeveralContainers(String),
    /// No container of that name.
    #[error("there is no container {0}; there are: {1}")]
    NoSuchContainer(String, String),
    /// It is not known what the container starts.
    #[error("what the image {0} starts is not known here")]
    UnknownCommand(String),
    /// The system databases are on no volume.
    #[error("the system databases, {0}, are on no volume: {1}")]
    NoVolume(String, String),
    /// A volume that goes with the pod.
    #[error("the volume at {0}, with the system databases, goes with the pod")]
    Ephemeral(String),
    /// A volume that can't be written.
    #[error("the volume at {0}, with the system databases, is mounted read-only")]
    ReadOnly(String),
    /// A volume of a kind that nobody writes.
    #[error(
        "the volume at {0}, with the system databases, is of the kind {1}, which can't be written"
    )]
    NotWritable(String, String),
    /// Replicas with one volume.
    #[error("its {0} replicas would write the same volume, {1}")]
    SharedByReplicas(String, String),
    /// Another operating system.
    #[error("it is for nodes of Windows")]
    Windows,
    /// A preStop hook that no command stands for.
    #[error("the container has a preStop hook that is no command")]
    PreStop,
    /// A preStop hook beside an ordinary sidecar.
    #[error(
        "the container has a preStop hook, and without a native sidecar the supervisor is stopped at the same time"
    )]
    PreStopClassic,
    /// A postStart hook where it would wait for ever.
    #[error(
        "the container has a postStart hook: the kubelet starts the next container, the supervisor, when it has ended, and SQL waits for the supervisor"
    )]
    PostStart,
    /// The node's processes.
    #[error("hostPID shows the processes of the node, other engines among them")]
    HostPid,
    /// No shared PID namespace.
    #[error(
        "shareProcessNamespace is false, and without launch the supervisor finds the engine by it alone"
    )]
    ProcessNamespace,
    /// A port that is in use.
    #[error("the container {0} has port {1}, which the supervisor needs")]
    Port(String, u16),
    /// A name that is in use.
    #[error("the name {0} is taken by another {1}")]
    Name(String, &'static str),
    /// Something is mounted where the supervisor's things go.
    #[error("something is mounted at {0}, where the supervisor's things go")]
    Mount(String),
    /// No password is known.
    #[error(
        "no MSSQL_SA_PASSWORD or SA_PASSWORD with a value stands in the container's env, and no envFrom can bring one"
    )]
    NoPassword,
    /// A file on no volume.
    #[error("the SQL container has no volume where {0} would lie; it has: {1}")]
    PasswordFile(String, String),
    /// A Secret and a file.
    #[error("--sql-secret and --sql-password-file name two places for one password")]
    TwoPasswords,
    /// A user without its password.
    #[error("--sql-user names a login whose password is not known here")]
    UserWithoutSecret,
    /// A login to be made without its password.
    #[error("--bootstrap makes a login whose password is not known here")]
    BootstrapWithoutSecret,
    /// The administrator is there already.
    #[error(
        "--bootstrap makes a login of the supervisor's own, and --sql-user names the administrator"
    )]
    BootstrapOfAdministrator,
    /// A field that is not what Kubernetes has there.
    #[error("{0} is not {1}")]
    Shape(String, &'static str),
    /// The result is not what was meant.
    #[error("the result does not read back as what was meant")]
    Unsure,
}

impl Why {
    /// For a value that another program has to put in, where it looks like one.
    #[must_use]
    pub fn unfilled(node: &Node) -> Self {
        Self::Unfilled(node.text().unwrap_or_default().to_owned())
    }

    /// What to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::TooLong(_) | Self::TooMany(_) => "give the file with the workload alone",
            Self::NotText => "save it as UTF-8",
            Self::NotYaml(_) => "give a manifest as kubectl takes it",
            Self::Tab => "indent with blanks",
            Self::Template => advice::TEMPLATE,
            Self::Anchor => "write it out: `kubectl create --dry-run=client -o yaml -f FILE` does",
            Self::KeyTwice(_) => "remove one of them",
            Self::KeyNoText => "give a manifest as kubectl takes it",
            Self::Compose => advice::COMPOSE,
            Self::Nothing(_) => advice::NOTHING,
            Self::OtherKinds(_) => advice::OTHER_KINDS,
            Self::InitContainer(_) => advice::INIT_CONTAINER,
            Self::Unfilled(_) => advice::UNFILLED,
            Self::OpenShiftTemplate => advice::OPENSHIFT_TEMPLATE,
            Self::JsonStream => "put a line of `---` between them, or all into the items of a List",
            Self::AlreadyThere(_) => advice::ALREADY_THERE,
            Self::ApiVersion(..) => advice::API_VERSION,
            Self::Replicas(_) => advice::REPLICAS,
            Self::SharedByReplicas(..) => "take it from volumeClaimTemplates, or set replicas to 1",
            Self::Windows => "the supervisor looks after SQL on Linux",
            Self::SeveralContainers(_) => advice::SEVERAL_CONTAINERS,
            Self::NoSuchContainer(..) => "give one of them by --container",
            Self::UnknownCommand(_) => advice::UNKNOWN_COMMAND,
            Self::NoVolume(..) => advice::NO_VOLUME,
            Self::Ephemeral(_) => advice::EPHEMERAL,
            Self::ReadOnly(_) => "mount it without readOnly, and make the volume without it",
            Self::NotWritable(..) => advice::NOT_WRITABLE,
            Self::PreStop => advice::PRE_STOP,
            Self::PreStopClassic => "inject without --classic, or remove the hook",
            Self::PostStart => "remove it, or inject without --classic",
            Self::HostPid => "remove it",
            Self::ProcessNamespace => "remove it, or inject without --attach",
            Self::Port(..) => "use another one for it",
            Self::Name(..) => "rename it",
            Self::Mount(_) => "mount it elsewhere",
            Self::NoPassword => advice::NO_PASSWORD,
            Self::PasswordFile(..) => advice::PASSWORD_FILE,
            Self::TwoPasswords => "give one of them",
            Self::BootstrapOfAdministrator => "name another login, or leave --bootstrap out",
            Self::UserWithoutSecret | Self::BootstrapWithoutSecret => {
                "name its password by --sql-secret NAME:KEY or --sql-password-file FILE"
            }
            Self::Shape(..) => "see `kubectl explain deployment.spec.template.spec`",
            Self::Unsure => advice::UNSURE,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        write!(f, "{}; {}", self.why, self.why.advice())
    }
}
