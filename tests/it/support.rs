//! A supervisor and a stand-in for a test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::shared::supervisor::Supervisor;
use crate::standin::handle::{StandIn, StandInOptions};

pub use crate::shared::scratch::Scratch;

static COUNT: AtomicU32 = AtomicU32::new(0);

pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sql-edge-supervisor"))
}

/// A process name that no other test uses, below the kernel's 15 bytes.
pub fn unique_name() -> String {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("sql{}-{count}", std::process::id() % 1_000_000)
}

pub fn standin_binary() -> PathBuf {
    let folder = binary().parent().expect("a binary lies in a folder");
    let path = folder.join("examples/sqlservr");
    assert!(path.exists(), "cargo test builds the examples: {path:?}");
    path
}

/// A stand-in with a name of its own, on `scratch`.
pub async fn standin(scratch: &Scratch, name: &str) -> StandIn {
    standin_with(scratch, name, |options| options).await
}

pub async fn standin_with(
    scratch: &Scratch,
    name: &str,
    change: impl FnOnce(StandInOptions) -> StandInOptions,
) -> StandIn {
    let mut options = StandInOptions::new(standin_binary(), scratch.path().join("pod"));
    options
        .environment
        .push(("STANDIN_NAME".into(), name.into()));
    StandIn::start(change(options)).await.expect("it starts")
}

/// The settings of a fast supervisor, a tenth and less of the defaults. It has the directory `own`
/// to itself: supervisors that share a control socket refuse to start.
pub fn fast(own: &Path, name: &str, port: u16, data_dir: &Path) -> Vec<(String, String)> {
    let data_dir = data_dir.display().to_string();
    let state_dir = own.join("state").display().to_string();
    [
        ("state-dir", state_dir.as_str()),
        ("listen", "127.0.0.1:0"),
        ("log-format", "json"),
        ("log-level", "info"),
        ("sql-port", &port.to_string()),
        ("process-name", name),
        ("data-dir", &data_dir),
        ("require-mount", "false"),
        ("disk-full-bytes", "1Mi"),
        ("disk-low-ratio", "0.0001"),
        ("process-interval", "100ms"),
        ("ping-interval", "100ms"),
        ("ping-timeout", "200ms"),
        ("login-interval", "300ms"),
        ("login-timeout", "1s"),
        ("databases-interval", "100ms"),
        ("databases-timeout", "500ms"),
        ("volume-interval", "100ms"),
        ("volume-timeout", "1s"),
        ("cgroup-interval", "200ms"),
        ("unresponsive-after", "2s"),
        ("listener-lost-after", "2s"),
        ("process-missing-after", "3s"),
        ("ready-freshness", "1500ms"),
        ("settle", "300ms"),
        // Most tests look at what is answered, and not at what is done about it.
        ("restart-by", "kubelet"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec()
}

/// The supervisor with these settings.
pub async fn supervisor(settings: &[(String, String)], environment: &[(&str, &str)]) -> Supervisor {
    Supervisor::start(binary(), settings, environment).await
}

/// The fast supervisor on this stand-in.
pub async fn supervise(standin: &StandIn, name: &str, more: &[(&str, &str)]) -> Supervisor {
    let own = &standin.options().directory;
    let mut settings = fast(own, name, standin.port(), &standin.data_dir());
    let more = more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    for (key, value) in more {
        settings.retain(|(before, _)| *before != key);
        settings.push((key, value));
    }
    supervisor(&settings, &[("MSSQL_SA_PASSWORD", standin.password())]).await
}
