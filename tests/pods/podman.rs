//! podman, apart from what else the machine does with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// As Debian's podman 4.3 needs it: crun refuses hybrid control groups, there may be no systemd and no
/// journal, and the limits of who calls it must not become the containers'.
const CONTAINERS: &str = r#"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
log_driver = "k8s-file"
[network]
network_backend = "netavark"
[engine]
helper_binaries_dir = ["/usr/lib/podman", "/usr/libexec/podman"]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
lock_type = "file"
"#;

/// podman with settings and storage of its own.
pub struct Podman {
    home: PathBuf,
    /// Two runs at once would clear away each other's pods.
    _lock: File,
}

/// The only one of this run.
pub fn podman() -> &'static Podman {
    static PODMAN: OnceLock<Podman> = OnceLock::new();
    PODMAN.get_or_init(Podman::prepare)
}

impl Podman {
    fn prepare() -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pods");
        fs::create_dir_all(&home).expect("the target directory is writable");
        let lock = File::create(home.join("lock")).expect("writable");
        lock.lock().expect("a lock");
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/storage\"\nrunroot = \"{0}/run\"\n",
            home.display()
        );
        let engine = format!(
            "{CONTAINERS}tmp_dir = \"{0}/tmp\"\nstatic_dir = \"{0}/storage/libpod\"\nvolume_path = \"{0}/storage/volumes\"\n",
            home.display()
        );
        let engine = engine.replace(
            "[network]",
            &format!(
                "[network]\nnetwork_config_dir = \"{}/networks\"",
                home.display()
            ),
        );
        fs::write(home.join("storage.conf"), storage).expect("writable");
        fs::write(home.join("containers.conf"), engine).expect("writable");
        let podman = Self { home, _lock: lock };
        podman.run(["version"]);
        // What a run left that was killed.
        for kind in ["pod", "container", "volume"] {
            podman.run([kind, "rm", "--all", "--force"]);
        }
        // The images that were built anew since.
        podman.run(["image", "prune", "--force"]);
        podman
    }

    /// For what the tests build.
    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn command<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("podman");
        command
            .env("CONTAINERS_CONF", self.home.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.home.join("storage.conf"))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null());
        for word in words {
            command.arg(word.as_ref());
        }
        command
    }

    /// What comes of it, also where that is an error.
    pub fn outcome<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> Output {
        let mut command = self.command(words);
        let output = command.output();
        output.unwrap_or_else(|error| panic!("podman: {error}; tests/run installs it"))
    }

    /// What it prints.
    pub fn run<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let words: Vec<String> = words.into_iter().map(|w| w.as_ref().to_owned()).collect();
        let output = self.outcome(&words);
        assert!(
            output.status.success(),
            "podman {}: {}{}{}",
            words.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            lacking()
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The JSON that it prints.
    pub fn json<S: AsRef<str>>(&self, words: impl IntoIterator<Item = S>) -> serde_json::Value {
        serde_json::from_str(&self.run(words)).expect("JSON")
    }
}

/// What this machine lacks of what containers need, in words.
fn lacking() -> String {
    let mut lacks = Vec::new();
    if !rustix::process::geteuid().is_root() {
        lacks.push("root is needed".to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    for program in ["runc", "conmon", "catatonit", "netavark", "aardvark-dns"] {
        let there = |folder: &PathBuf| folder.join(program).exists();
        let helper = |folder: &&str| Path::new(folder).join(program).exists();
        let helps = ["/usr/lib/podman", "/usr/libexec/podman"]
            .iter()
            .any(helper);
        if !folders.iter().any(there) && !helps {
            lacks.push(format!("{program} is not installed: tests/run installs it"));
        }
    }
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.contains("overlay") {
        lacks.push("the kernel lacks overlay (CONFIG_OVERLAY_FS)".to_owned());
    }
    for namespace in ["net", "pid", "mnt", "uts", "ipc"] {
        if !Path::new("/proc/self/ns").join(namespace).exists() {
            lacks.push(format!("the kernel lacks {namespace} namespaces"));
        }
    }
    let writable = |path: &str| {
        let at = Path::new(path);
        at.is_dir() && rustix::fs::access(at, rustix::fs::Access::WRITE_OK).is_ok()
    };
    let groups = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/cgroup.procs"];
    if !writable(groups[0]) && !Path::new(groups[1]).exists() {
        lacks.push("no control group for memory can be made below /sys/fs/cgroup".to_owned());
    }
    match lacks.is_empty() {
        true => String::new(),
        false => format!("\nthis machine: {}", lacks.join("; ")),
    }
}
