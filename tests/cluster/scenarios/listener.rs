//! The engine closes its port, and goes on.

use std::time::Instant;

use serde_json::json;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{last_end, running};
use crate::release::{PATIENCE, Release};
use crate::{host, table};

pub const NAME: &str = "listener lost";

pub fn run() {
    let namespace = Namespace::new("listener");
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    namespace.is_scraped();
    let client = Client::start(&namespace, &release.service());
    let began = Instant::now();
    let refuse = json!({"command": "accept", "accept": "refuse"});
    let reply = host::command(&running(&pod, "sql").expect("it runs"), &refuse);
    assert_eq!(reply["reply"], "done", "{reply}");
    let pod = release.ready_again(1, PATIENCE);
    table::time(
        NAME,
        "port closed, until restarted and ready (`listener-lost-after` 30 s)",
        began.elapsed(),
    );
    let end = last_end(&pod, "sql").expect("it has ended before");
    let message = end.message.as_deref().unwrap_or_default();
    assert!(message.contains("ListenerLost"), "{end:?}");
    client.writes_and_lost_nothing();
    namespace.alerts(&["SqlEdgeRestarted"]);
}
