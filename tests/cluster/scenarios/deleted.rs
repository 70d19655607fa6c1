//! Pods are deleted: in order, twelve times, and by force.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::namespace::Namespace;
use crate::pods::pod_name;
use crate::release::{PATIENCE, Release};
use crate::table;

pub const NAME: &str = "deleted";
pub const FORCED: &str = "deleted by force";
const TIMES: u32 = 12;

pub fn run() {
    let namespace = Namespace::new(NAME);
    let release = Release::install(&namespace, "sql", &json!({}));
    let mut pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    let (mut all, mut longest) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..TIMES {
        let began = Instant::now();
        namespace.ask(&format!("delete pod {} --wait=false", pod_name(&pod)));
        pod = release.ready_after(&pod, PATIENCE);
        all += began.elapsed();
        longest = longest.max(began.elapsed());
    }
    table::time(
        NAME,
        "`kubectl delete pod` until the next one is ready, mean of 12",
        all / TIMES,
    );
    table::time(NAME, "the longest of them", longest);
    let report = client.writes_and_lost_nothing();
    table::time(
        NAME,
        "longest time without an acknowledged row",
        report.away(),
    );
    let history = release.history(&pod);
    let clean = |entry: &&Value| entry["event"] == "stopped" && entry["clean"] == true;
    let count = history.iter().filter(clean).count();
    assert_eq!(
        count, TIMES as usize,
        "each stop was a clean one: {history:?}"
    );
}

pub fn forced() {
    let namespace = Namespace::new("forced");
    let release = Release::install(&namespace, "sql", &json!({}));
    let pod = release.ready();
    let client = Client::start(&namespace, &release.service());
    let began = Instant::now();
    // The API forgets the pod at once, while its containers still run: the next one has to wait for them by itself.
    namespace.ask(&format!(
        "delete pod {} --force --grace-period=0 --wait=false",
        pod_name(&pod)
    ));
    release.ready_after(&pod, PATIENCE);
    table::time(
        FORCED,
        "`--force --grace-period=0` until the next one is ready",
        began.elapsed(),
    );
    client.writes_and_lost_nothing();
}
