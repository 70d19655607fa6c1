//! The reasons for which a manifest is not changed, with advice for each.

mod advice;

use std::fmt;

use super::node::Node;

/// A refusal: nothing is printed, and nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The line that the refusal is about, counted from 1, where there is one.
    pub line: Option<usize>,
    /// The object that the refusal is about, as `Deployment/name`, where there is one.
    pub object: Option<String>,
    /// The reason for the refusal.
    pub why: Why,
}

/// The reason for which a file, or an object in it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The file is longer than the limit.
    #[error("the file is longer than {0} bytes")]
    TooLong(usize),
    /// The file has more nodes than the limit.
    #[error("the file has more than {0} values")]
    TooMany(usize),
    /// The file is not UTF-8.
    #[error("the file is not UTF-8")]
    NotText,
    /// The file is not YAML.
    #[error("this is not YAML: {0}")]
    NotYaml(String),
    /// A tab stands where YAML wants blanks.
    #[error("a tab stands where YAML allows blanks only")]
    Tab,
    /// The file is a template of Helm or another program.
    #[error("this is a template, not a manifest")]
    Template,
    /// The text that has to change has an anchor, an alias or a tag.
    #[error(
        "what has to be changed stands in several places (&name, *name), or has a tag (!name): a change in one place would be one in several"
    )]
    Anchor,
    /// A key stands twice in one map.
    #[error("the key {0} stands twice")]
    KeyTwice(String),
    /// A key is a list or a map.
    #[error("a key is a list or a map")]
    KeyNoText,
    /// The file is one of Docker Compose.
    #[error("this is a file of Docker Compose, not a manifest of Kubernetes")]
    Compose,
    /// The file has objects that run SQL, and none of them is to be changed.
    #[error("nothing here that runs SQL is changed{0}")]
    OtherKinds(String),
    /// An init container runs an engine, before the pod's containers.
    #[error("the init container {0} runs SQL")]
    InitContainer(String),
    /// A value is a placeholder that another program has to fill first.
    #[error("{0} stands for a value that another program puts in")]
    Unfilled(String),
    /// The object is a Template of OpenShift.
    #[error("this is a Template of OpenShift, not the objects themselves")]
    OpenShiftTemplate,
    /// JSON objects follow each other with nothing between them.
    #[error("several JSON objects follow each other, and nothing stands between them")]
    JsonStream,
    /// The file has no workload that runs SQL.
    #[error(
        "no Deployment, StatefulSet, DeploymentConfig or Pod here runs SQL Edge or SQL Server{0}"
    )]
    Nothing(String),
    /// The workload has the supervisor already.
    #[error("the supervisor is already there ({0})")]
    AlreadyThere(String),
    /// The object's `apiVersion` is another one than the kind's.
    #[error("its apiVersion is {0}, not {1}")]
    ApiVersion(String, &'static str),
    /// The workload has more than one replica for one volume.
    #[error("it has {0} replicas, and one volume takes one engine")]
    Replicas(String),
    /// The pod has several containers that run SQL.
    #[error("several containers run SQL: {0}")]
    SeveralContainers(String),
    /// The pod has no container of the name that was given.
    #[error("there is no container {0}; there are: {1}")]
    NoSuchContainer(String, String),
    /// The command that the container's image starts is not known.
    #[error("what the image {0} starts is not known here")]
    UnknownCommand(String),
    /// The system databases are on no volume.
    #[error("the system databases, {0}, are on no volume: {1}")]
    NoVolume(String, String),
    /// The system databases are on a volume that goes with the pod.
    #[error("the volume at {0}, with the system databases, goes with the pod")]
    Ephemeral(String),
    /// The system databases are on a volume that is mounted read-only.
    #[error("the volume at {0}, with the system databases, is mounted read-only")]
    ReadOnly(String),
    /// The system databases are on a volume of a kind that can't be written.
    #[error(
        "the volume at {0}, with the system databases, is of the kind {1}, which can't be written"
    )]
    NotWritable(String, String),
    /// Several replicas would write the same volume.
    #[error("its {0} replicas would write the same volume, {1}")]
    SharedByReplicas(String, String),
    /// The pod is for nodes of Windows.
    #[error("it is for nodes of Windows")]
    Windows,
    /// The container has a preStop hook that is no command.
    #[error("the container has a preStop hook that is no command")]
    PreStop,
    /// The container has a preStop hook, and an ordinary sidecar would be stopped at the same time.
    #[error(
        "the container has a preStop hook, and without a native sidecar the supervisor is stopped at the same time"
    )]
    PreStopClassic,
    /// The container has a postStart hook that would wait for ever.
    #[error(
        "the container has a postStart hook: the kubelet starts the next container, the supervisor, when it has ended, and SQL waits for the supervisor"
    )]
    PostStart,
    /// The pod sees the processes of the node (`hostPID`).
    #[error("hostPID shows the processes of the node, other engines among them")]
    HostPid,
    /// The pod refuses a shared PID namespace, which the supervisor needs without `launch`.
    #[error(
        "shareProcessNamespace is false, and without launch the supervisor finds the engine by it alone"
    )]
    ProcessNamespace,
    /// A container has a port that the supervisor needs.
    #[error("the container {0} has port {1}, which the supervisor needs")]
    Port(String, u16),
    /// A container or volume has a name that the supervisor needs.
    #[error("the name {0} is taken by another {1}")]
    Name(String, &'static str),
    /// The container has a mount at a path that the supervisor needs.
    #[error("something is mounted at {0}, where the supervisor's things go")]
    Mount(String),
    /// No password of the engine is known.
    #[error(
        "no MSSQL_SA_PASSWORD or SA_PASSWORD with a value stands in the container's env, and no envFrom can bring one"
    )]
    NoPassword,
    /// The password's file is on no volume of the container.
    #[error("the SQL container has no volume where {0} would lie; it has: {1}")]
    PasswordFile(String, String),
    /// A Secret and a file are both given for one password.
    #[error("--sql-secret and --sql-password-file name two places for one password")]
    TwoPasswords,
    /// A login is given without its password.
    #[error("--sql-user names a login whose password is not known here")]
    UserWithoutSecret,
    /// A login is to be made, and its password is not given.
    #[error("--bootstrap makes a login whose password is not known here")]
    BootstrapWithoutSecret,
    /// The login that is to be made is the administrator's, which exists already.
    #[error(
        "--bootstrap makes a login of the supervisor's own, and --sql-user names the administrator"
    )]
    BootstrapOfAdministrator,
    /// A field does not hold what Kubernetes wants there.
    #[error("{0} is not {1}")]
    Shape(String, &'static str),
    /// The result, read back, is not what was meant.
    #[error("the result does not read back as what was meant")]
    Unsure,
}

impl Why {
    /// Returns the refusal of a value that looks like a placeholder for another program to fill.
    #[must_use]
    pub fn unfilled(node: &Node) -> Self {
        Self::Unfilled(node.text().unwrap_or_default().to_owned())
    }

    /// Returns the advice for the reason.
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
