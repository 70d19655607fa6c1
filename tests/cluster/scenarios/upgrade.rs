//! `helm upgrade`, `helm rollback`, and another image of the supervisor under a running engine.

use std::time::Instant;

use serde_json::json;

use crate::client::Client;
use crate::images::NEXT_SUPERVISOR;
use crate::namespace::Namespace;
use crate::pods::{container, pod_name, restarts, uid};
use crate::release::{PATIENCE, Release};
use crate::table;

pub const NAME: &str = "upgrade";

pub fn run() {
    let namespace = Namespace::new(NAME);
    let mut release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    namespace.is_scraped();
    let client = Client::start(&namespace, &release.service());

    // The sidecar's image may be changed in a pod that runs, and that container alone is started again.
    let next = format!("{}:{}", NEXT_SUPERVISOR.0, NEXT_SUPERVISOR.1);
    let began = Instant::now();
    namespace.ask(&format!(
        "set image pod/{} supervisor={next}",
        pod_name(&pod)
    ));
    let now = release.until("the sidecar of the next image", PATIENCE, |pod| {
        let sidecar = container(pod, "supervisor")?;
        let runs = sidecar.state.as_ref()?.running.is_some() && sidecar.restart_count >= 1;
        (runs && crate::pods::ready(pod)).then(|| pod.clone())
    });
    table::time(
        NAME,
        "another image of the sidecar in the running pod",
        began.elapsed(),
    );
    assert_eq!(
        (uid(&now), restarts(&now, "sql")),
        (uid(&pod), 0),
        "the engine goes on"
    );
    client.writes_and_lost_nothing();

    let began = Instant::now();
    release.upgrade(&json!({"supervisor": {"image": {"tag": NEXT_SUPERVISOR.1}}}));
    let upgraded = release.ready_after(&pod, PATIENCE);
    table::time(
        NAME,
        "`helm upgrade` to another image of the supervisor, until ready",
        began.elapsed(),
    );
    let began = Instant::now();
    release.helm(&["rollback", "sql"]);
    release.ready_after(&upgraded, PATIENCE);
    table::time(NAME, "`helm rollback`, until ready", began.elapsed());
    client.writes_and_lost_nothing();
    namespace.alerts(&[]);
}
