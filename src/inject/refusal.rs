//! Why nothing was changed, and what to do.

use std::fmt;

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
        "anchors, aliases and tags (&name, *name, !name) would make a change in one place one in several"
    )]
    Anchor,
    /// A key twice in one map.
    #[error("the key {0} stands twice")]
    KeyTwice(String),
    /// A key that is a list or a map.
    #[error("a key is a list or a map")]
    KeyNoText,
    /// `kind: List`.
    #[error("a List of objects is not taken apart")]
    List,
    /// No workload that runs SQL.
    #[error("no Deployment or StatefulSet here runs SQL Edge or SQL Server{0}")]
    Nothing(String),
    /// The supervisor is there.
    #[error("the supervisor is already there ({0})")]
    AlreadyThere(String),
    /// Another API.
    #[error("its apiVersion is {0}, not apps/v1")]
    ApiVersion(String),
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
    /// No volume at the data directory.
    #[error("no volume is mounted at /var/opt/mssql{0}")]
    NoVolume(String),
    /// A volume that goes with the pod.
    #[error("the volume at /var/opt/mssql is an emptyDir, whose data goes with the pod")]
    Ephemeral,
    /// A volume that can't be written.
    #[error("the volume at /var/opt/mssql is mounted read-only")]
    ReadOnly,
    /// A path that is made from variables.
    #[error("the volume at /var/opt/mssql is mounted with subPathExpr")]
    SubPathExpr,
    /// The master database is elsewhere.
    #[error("MSSQL_MASTER_DATA_FILE puts master.mdf elsewhere than to /var/opt/mssql/data")]
    MasterElsewhere,
    /// A preStop hook.
    #[error("the container has a preStop hook")]
    PreStop,
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
    /// Where the password comes from.
    #[error("the password of the login can't be given to the supervisor: {0}")]
    Password(&'static str),
    /// A user without its password.
    #[error("--sql-user names a login whose password is not known here")]
    UserWithoutSecret,
    /// A field that is not what Kubernetes has there.
    #[error("{0} is not {1}")]
    Shape(String, &'static str),
    /// The result is not what was meant.
    #[error("the result does not read back as what was meant")]
    Unsure,
}

impl Why {
    /// What to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::TooLong(_) | Self::TooMany(_) => "give the file with the workload alone",
            Self::NotText | Self::NotYaml(_) => "give a manifest as kubectl takes it",
            Self::Tab => "indent with blanks",
            Self::Template => {
                "render it first: `helm template ... | sql-edge-supervisor inject -f -`"
            }
            Self::Anchor => "write it out: `kubectl create --dry-run=client -o yaml -f FILE` does",
            Self::KeyTwice(_) => "remove one of them",
            Self::KeyNoText => "give a manifest as kubectl takes it",
            Self::List => "put each object into a document of its own, with `---` between them",
            Self::Nothing(_) => "name the container by --container if its image is your own",
            Self::AlreadyThere(_) => {
                "nothing is to be done; to change it, inject the manifest as it was before"
            }
            Self::ApiVersion(_) => "change it to apps/v1",
            Self::Replicas(_) => "set replicas to 1",
            Self::SeveralContainers(_) => {
                "give each engine a pod of its own: the supervisor looks after one"
            }
            Self::NoSuchContainer(..) => "give one of them by --container",
            Self::UnknownCommand(_) => {
                "write the image's entrypoint into the container's `command`, or use --attach"
            }
            Self::NoVolume(_) => {
                "mount the claim there: the system databases, the engine's id and its logs lie below it"
            }
            Self::Ephemeral => "use a PersistentVolumeClaim",
            Self::ReadOnly => "mount it without readOnly",
            Self::SubPathExpr => "use subPath, or a claim of its own",
            Self::MasterElsewhere => {
                "leave master.mdf where it is by default, and move the user databases only (MSSQL_DATA_DIR)"
            }
            Self::PreStop => {
                "remove it; if it has to stay, let it end with `/supervisor/sql-edge-supervisor stop` in a manifest of your own"
            }
            Self::PostStart => "remove it, or inject without --classic",
            Self::HostPid => "remove it",
            Self::ProcessNamespace => "remove it, or inject without --attach",
            Self::Port(..) => "use another one for it",
            Self::Name(..) => "rename it",
            Self::Mount(_) => "mount it elsewhere",
            Self::Password(_) => "put it into a Secret, and name that by --sql-secret NAME:KEY",
            Self::UserWithoutSecret => "name the Secret with its password by --sql-secret NAME:KEY",
            Self::Shape(..) => "see `kubectl explain deployment.spec.template.spec`",
            Self::Unsure => {
                "nothing was printed; please report the manifest's shape, and add the sidecar by hand as docs/install.md shows"
            }
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
