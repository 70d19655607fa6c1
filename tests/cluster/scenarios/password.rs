//! The password of the supervisor's login is changed in the Secret, and not in the engine.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{restarts, running, uid};
use crate::release::Release;
use crate::{host, table};

pub const NAME: &str = "password rotated";
/// The login that the chart's supervisor makes for itself.
const LOGIN: &str = "sql_edge_supervisor";
const NEXT: &str = "Stand-in_2";
/// The kubelet renews a mounted Secret at most once in a sync and the time of its cache.
const SYNC: Duration = Duration::from_secs(150);

pub fn run() {
    let namespace = Namespace::new("password");
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    let reason = |wanted: bool| {
        let began = Instant::now();
        loop {
            let status: Value = serde_json::from_str(&release.supervisor(&pod, "status --json"))
                .unwrap_or_default();
            let findings = &status["findings"];
            if findings.is_array() && findings.to_string().contains("\"LoginFailed\"") == wanted {
                return began.elapsed();
            }
            assert!(
                began.elapsed() < SYNC,
                "LoginFailed: {wanted} did not come: {status}"
            );
            std::thread::sleep(Duration::from_secs(1));
        }
    };
    // The chart's login is not there before the supervisor has made it.
    reason(false);
    let patch = json!({"stringData": {"password": NEXT}});
    namespace.ask(&format!(
        "patch secret {}-supervisor --patch={patch}",
        release.object()
    ));
    table::time(
        NAME,
        "in the Secret alone: until `LoginFailed` says so",
        reason(true),
    );
    client.writes_and_lost_nothing();
    let change = json!({"command": "set_login", "user": LOGIN, "password": NEXT});
    let reply = host::command(&running(&pod, "sql").expect("it runs"), &change);
    assert_eq!(reply["reply"], "done", "{reply}");
    table::time(NAME, "in the engine too: until it is over", reason(false));
    let now = release.ready();
    assert_eq!(
        (uid(&now), restarts(&now, "sql")),
        (uid(&pod), 0),
        "nothing is restarted for a password"
    );
}
