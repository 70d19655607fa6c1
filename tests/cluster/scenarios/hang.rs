//! The engine hangs.

use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{last_end, running};
use crate::release::{PATIENCE, Release};
use crate::{host, table};

pub const NAME: &str = "hang";

pub fn run() {
    let namespace = Namespace::new(NAME);
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    namespace.is_scraped();
    let client = Client::start(&namespace, &release.service());
    let began = Instant::now();
    host::signal(
        host::engine_of(&running(&pod, "sql").expect("it runs")).1,
        Signal::SIGSTOP,
    );
    let pod = release.ready_again(1, PATIENCE);
    table::time(
        NAME,
        "SIGSTOP, until restarted and ready (`unresponsive-after` 30 s)",
        began.elapsed(),
    );
    let end = last_end(&pod, "sql").expect("it has ended before");
    let message = end.message.as_deref().unwrap_or_default();
    assert!(message.contains("EngineUnresponsive"), "{end:?}");
    client.writes_and_lost_nothing();
    namespace.alerts(&["SqlEdgeRestarted"]);
}
