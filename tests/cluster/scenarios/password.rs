//! The password is changed in the Secret, and not in the engine.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{restarts, running, uid};
use crate::release::Release;
use crate::{host, table};

pub const NAME: &str = "password rotated";
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
            if status.to_string().contains("\"LoginFailed\"") == wanted {
                return began.elapsed();
            }
            assert!(
                began.elapsed() < SYNC,
                "LoginFailed: {wanted} did not come: {status}"
            );
            std::thread::sleep(Duration::from_secs(2));
        }
    };
    let patch = json!({"stringData": {"SA_PASSWORD": NEXT}});
    namespace.ask(&format!(
        "patch secret {} --patch={patch}",
        release.object()
    ));
    table::time(
        NAME,
        "in the Secret alone: until `LoginFailed` says so",
        reason(true),
    );
    client.writes_and_lost_nothing();
    let change = json!({"command": "set_login", "user": "sa", "password": NEXT});
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
