//! The engine's process is killed three times in a row, and is started again in its container.

use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::{restarts, running};
use crate::release::Release;
use crate::{host, table};

pub const NAME: &str = "in place";

pub fn run() {
    let namespace = Namespace::new("in-place");
    let settings = json!({"supervisor": {"settings": {"engine-restart": "in-place"}}});
    let release = Release::install(&namespace, "sql", &settings);
    let pod = release.ready();
    namespace.is_scraped();
    let client = Client::start(&namespace, &release.service());
    let container = running(&pod, "sql").expect("it runs");
    for which in ["once", "a second time", "a third time"] {
        client.writes_and_lost_nothing();
        // One that was never ready would be a start that has failed.
        host::until("the supervisor calls it ready", || {
            let asked = release.try_supervisor(&pod, "probe ready");
            asked.status.success().then_some(())
        });
        let before = host::engine_of(&container);
        let began = Instant::now();
        host::signal(before.1, Signal::SIGKILL);
        host::until("another engine in the same container", || {
            let now = host::engine_of(&container);
            (now.0 != before.0).then_some(())
        });
        table::time(
            NAME,
            &format!("SIGKILL {which}, until the next engine runs"),
            began.elapsed(),
        );
    }
    client.writes_and_lost_nothing();
    let pod = release.ready();
    assert_eq!(restarts(&pod, "sql"), 0, "the kubelet knows of none");
    namespace.alerts(&["SqlEdgeRestartStorm"]);
}
