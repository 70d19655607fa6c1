//! The engine outgrows its container's limit: the kernel kills it, a child of the container's first process.

use std::time::Instant;

use serde_json::{Value, json};

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{last_end, running};
use crate::release::{PATIENCE, Release};
use crate::{host, table};

pub const NAME: &str = "out of memory";

pub fn run() {
    let namespace = Namespace::new("oom");
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    namespace.is_scraped();
    let client = Client::start(&namespace, &release.service());
    let began = Instant::now();
    let load = json!({"command": "load", "load": {"memory_mib": 1500}});
    // It may be dead before it replies.
    let id = running(&pod, "sql").expect("it runs");
    host::try_command(&id, &load);
    let pod = release.ready_again(1, PATIENCE);
    table::time(NAME, "beyond the limit, until ready again", began.elapsed());
    let end = last_end(&pod, "sql").expect("it has ended before");
    let said = end.reason.clone().unwrap_or_default();
    table::note(
        NAME,
        "what the kubelet says of it",
        &format!("{said}, exit {}", end.exit_code),
    );
    let history = release.history(&pod);
    let oom = |entry: &Value| entry.to_string().to_lowercase().contains("oom");
    assert!(
        history.iter().any(oom),
        "the history names the kernel's kill: {history:?}"
    );
    client.writes_and_lost_nothing();
    namespace.alerts(&["SqlEdgeOomKilled", "SqlEdgeOutOfMemoryKill"]);
}
