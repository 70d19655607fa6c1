//! A NetworkPolicy is taken by the API and keeps nobody out who is meant to come in. Whether it keeps others out is not
//! tried: that takes a network plugin that enforces it, which neither this cluster nor kind's default has.

use serde_json::json;

use crate::client::Client;
use crate::namespace::Namespace;
use crate::release::Release;
use crate::table;

pub const NAME: &str = "network policy";

pub fn run() {
    let namespace = Namespace::new("policy");
    let release = Release::install(
        &namespace,
        "sql",
        &json!({"networkPolicy": {"enabled": true}}),
    );
    release.ready();
    let client = Client::start(&namespace, &release.service());
    let rendered = namespace.ask(&format!(
        "get networkpolicy {} --output=name",
        release.object()
    ));
    assert!(rendered.contains(&release.object()), "{rendered}");
    client.writes_and_lost_nothing();
    table::note(
        NAME,
        "taken by the API",
        "not enforced here: no policy engine",
    );
}
