//! `helm install` in a namespace that enforces `restricted`, `helm test`, and a client that is served.

use serde_json::json;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::release::{Release, timed};
use crate::table;

pub const NAME: &str = "install";

pub fn run() {
    let namespace = Namespace::restricted(NAME);
    let ((release, pod), took) = timed(|| {
        let release = Release::install(&namespace, "sql", &json!({}));
        let pod = release.ready();
        (release, pod)
    });
    table::time(
        NAME,
        "`helm install` until ready, `restricted` enforced",
        took,
    );
    let client = Client::start(&namespace, &release.service());
    let ((), took) = timed(|| {
        release.helm(&["test", "sql"]);
    });
    table::time(NAME, "`helm test`", took);
    let output = release.try_supervisor(&pod, "probe ready");
    assert!(output.status.success(), "{output:?}");
    client.writes_and_lost_nothing();
}
