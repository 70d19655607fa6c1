//! The advice for refusals, where it takes a sentence or more.

/// The advice for a template of Helm.
pub const TEMPLATE: &str = "render it first: `helm template ... | sql-edge-supervisor inject -f -`";

/// The advice for a file of Docker Compose.
pub const COMPOSE: &str = "docker/compose.yaml shows the supervisor beside SQL there; or `kompose convert`, and inject what comes of it";

/// The advice for a file in which nothing runs SQL.
pub const NOTHING: &str = "name the container by --container if its image is your own; of a chart or a kustomization give what `helm template` or `kustomize build` prints";

/// The advice for objects of other kinds, and for those that another object makes.
pub const OTHER_KINDS: &str = "give what makes these pods, as a Deployment, StatefulSet or Pod; what an operator or a chart makes is changed there, and a Job or DaemonSet is no home for an engine with one volume. Let nothing that is there run beside what you make from it: one volume takes one engine";

/// The advice for an engine among the init containers.
pub const INIT_CONTAINER: &str =
    "make it one of the pod's `containers`: what needs it can wait for its readiness";

/// The advice for placeholders that are not filled.
pub const UNFILLED: &str =
    "have the values put in first, by `envsubst < FILE | sql-edge-supervisor inject -f -` for one";

/// The advice for a Template of OpenShift.
pub const OPENSHIFT_TEMPLATE: &str =
    "process it first: `oc process --local -f FILE -o yaml | sql-edge-supervisor inject -f -`";

/// The advice for a workload that has the supervisor already.
pub const ALREADY_THERE: &str = "nothing is to be done (--if-needed ends with 0 then); to change it, inject the manifest as it was before";

/// The advice for another version of the API.
pub const API_VERSION: &str =
    "write that one; `apps/v1` also wants a `selector` that matches the template's labels";

/// The advice for several replicas.
pub const REPLICAS: &str =
    "set replicas to 1; several need a StatefulSet with volumeClaimTemplates, a volume for each";

/// The advice for several engines in a pod.
pub const SEVERAL_CONTAINERS: &str =
    "give each engine a pod of its own: the supervisor looks after one";

/// The advice for an image whose start is not known.
pub const UNKNOWN_COMMAND: &str =
    "write the image's entrypoint into the container's `command`, or use --attach";

/// The advice for system databases on no volume.
pub const NO_VOLUME: &str = "each new pod begins with an empty instance. Back its databases up first: an engine that gets a new volume begins with an empty instance too. Then mount a claim over that directory (at /var/opt/mssql, for the image's own places), and restore them; for development, mount an emptyDir there and give --dev";

/// The advice for a volume that goes with the pod.
pub const EPHEMERAL: &str = "for development, give --dev; else use a PersistentVolumeClaim, and restore a backup of the databases: an engine on a new volume begins with an empty instance";

/// The advice for a volume of a kind that can't be written.
pub const NOT_WRITABLE: &str = "mount a claim of a PersistentVolume there, and this somewhere else";

/// The advice for a preStop hook that is no command.
pub const PRE_STOP: &str =
    "give the command that does the same, as exec: it then runs before the stop";

/// The advice for a password that is not known.
pub const NO_PASSWORD: &str = "name a Secret by --sql-secret NAME:KEY, or a file that the SQL container has by --sql-password-file FILE";

/// The advice for a password's file on no volume.
pub const PASSWORD_FILE: &str = "mount the volume that holds it (of a CSI driver, of Vault, of a Secret) in the SQL container, and give the path there";

/// The advice for a result that does not read back as what was meant.
pub const UNSURE: &str = "nothing was printed; please report the manifest's shape, and add the sidecar by hand as docs/install.md shows";
