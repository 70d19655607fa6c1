//! The engine's process is killed: once, and three times in a row, which the kubelet answers with its back-off.

use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{last_end, running};
use crate::release::{PATIENCE, Release};
use crate::{host, table};

pub const NAME: &str = "killed";

pub fn run() {
    let namespace = Namespace::new(NAME);
    let release = Release::install(&namespace, "sql", &json!({}));
    let mut pod = release.ready();
    namespace.is_scraped();
    let client = Client::start(&namespace, &release.service());
    for (restarts, which) in [(1, "once"), (2, "a second time"), (3, "a third time")] {
        let began = Instant::now();
        host::signal(
            host::engine_of(&running(&pod, "sql").expect("it runs")).1,
            Signal::SIGKILL,
        );
        pod = release.ready_again(restarts, PATIENCE);
        table::time(
            NAME,
            &format!("SIGKILL {which}, until ready"),
            began.elapsed(),
        );
        let end = last_end(&pod, "sql").expect("it has ended before");
        assert_eq!(end.exit_code, 128 + 9, "{end:?}");
    }
    client.writes_and_lost_nothing();
    namespace.alerts(&["SqlEdgeRestartStorm"]);
}
