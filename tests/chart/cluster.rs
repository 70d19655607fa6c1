//! What is in the cluster already: a stand-in for the API server answers helm's `lookup`.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, NEWEST, RELEASE, run};
use crate::object::{Object, find, parse};

/// The requests of one rendering at most.
const MAX_REQUESTS: usize = 100;

/// Answers until it is dropped; the threads end with the test.
fn serve(objects: Vec<(&'static str, Value)>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(MAX_REQUESTS).flatten() {
            let objects = objects.clone();
            std::thread::spawn(move || answer(&stream, &objects));
        }
    });
    port
}

fn answer(stream: &TcpStream, objects: &[(&str, Value)]) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if !matches!(reader.read_line(&mut request), Ok(1..)) {
            return;
        }
        let mut header = String::new();
        while header != "\r\n" {
            header.clear();
            if !matches!(reader.read_line(&mut header), Ok(1..)) {
                return;
            }
        }
        let path = request.split([' ', '?']).nth(1).unwrap_or_default();
        let (status, body) = resource(path, objects);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn resource(path: &str, objects: &[(&str, Value)]) -> (&'static str, Value) {
    let list = |kind: &str, name: &str| json!({"kind": kind, "name": name, "namespaced": true, "singularName": "", "verbs": ["get"]});
    let found = |value| ("200 OK", value);
    match path {
        "/version" => found(json!({"major": "1", "minor": "35", "gitVersion": "v1.35.0"})),
        "/api" => found(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => found(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})),
        "/api/v1" => found(
            json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            list("Secret", "secrets"), list("PersistentVolumeClaim", "persistentvolumeclaims")]}),
        ),
        path => match objects.iter().find(|(end, _)| path.ends_with(end)) {
            Some((_, object)) => found(object.clone()),
            None => (
                "404 Not Found",
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}),
            ),
        },
    }
}

/// Renders as `helm upgrade` does, with the cluster's objects at hand.
fn upgrade(values: &str, objects: Vec<(&'static str, Value)>) -> Result<Vec<Object>, String> {
    let server = format!("http://127.0.0.1:{}", serve(objects));
    let chart = crate::chart().display().to_string();
    let output = run(
        &[
            "template",
            RELEASE,
            &chart,
            "--namespace",
            NAMESPACE,
            "--dry-run=server",
            "--kube-version",
            NEWEST,
            "--kube-apiserver",
            &server,
            "--values",
            "-",
        ],
        values,
    );
    match output.status.success() {
        true => Ok(parse(&String::from_utf8_lossy(&output.stdout))),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn secret(name: &str, key: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {key: "a2VwdA=="}})
}

fn claim(modes: &[&str], class: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"}, "spec": {
        "accessModes": modes, "storageClassName": class, "resources": {"requests": {"storage": "8Gi"}}}})
}

#[test]
fn passwords_are_kept_on_upgrades() {
    let objects = upgrade(
        "{acceptEula: true, supervisor: {login: {name: watcher}}}",
        vec![
            (
                "/secrets/sql-azure-sql-edge",
                secret("sql-azure-sql-edge", "SA_PASSWORD"),
            ),
            (
                "/secrets/sql-azure-sql-edge-supervisor",
                secret("sql-azure-sql-edge-supervisor", "password"),
            ),
        ],
    );
    let objects = objects.unwrap_or_else(|error| panic!("{error}"));
    let password = |end: &str, key: &str| find(&objects, "Secret", end).value["data"][key].clone();
    assert_eq!(password("sql-edge", "SA_PASSWORD"), "a2VwdA==");
    assert_eq!(password("-supervisor", "password"), "a2VwdA==");
    // One that is given counts, and one whose key is not there is made.
    let there = || {
        vec![(
            "/secrets/sql-azure-sql-edge",
            secret("sql-azure-sql-edge", "SA_PASSWORD"),
        )]
    };
    let objects = upgrade("{acceptEula: true, auth: {password: Given-1234}}", there());
    let objects = objects.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        find(&objects, "Secret", "").value["data"]["SA_PASSWORD"],
        "R2l2ZW4tMTIzNA=="
    );
    let objects = upgrade("{acceptEula: true, auth: {passwordKey: OTHER}}", there());
    let objects = objects.unwrap_or_else(|error| panic!("{error}"));
    assert_ne!(
        find(&objects, "Secret", "").value["data"]["OTHER"],
        "a2VwdA=="
    );
}

#[test]
fn the_lease_is_strict_where_the_claim_that_is_there_can_be_shared() {
    let values = "{acceptEula: true, persistence: {existingClaim: my-claim}}";
    for (modes, lease) in [
        (["ReadWriteOnce"], "advisory"),
        (["ReadWriteMany"], "strict"),
    ] {
        let there = vec![("/persistentvolumeclaims/my-claim", claim(&modes, "a"))];
        let objects = upgrade(values, there).unwrap_or_else(|error| panic!("{error}"));
        let supervisor = crate::object::container(crate::object::pod(&objects), "supervisor");
        let variables = crate::object::environment(supervisor);
        assert!(
            variables.contains(&("SUPERVISOR_LEASE", Some(lease))),
            "{modes:?}"
        );
    }
    let there = vec![(
        "/persistentvolumeclaims/my-claim",
        claim(&["ReadWriteMany"], "a"),
    )];
    let values =
        "{acceptEula: true, persistence: {existingClaim: my-claim}, volume: {lease: advisory}}";
    let error = upgrade(values, there).expect_err("two engines could write it");
    assert!(error.contains("volume.lease: has to be strict"), "{error}");
}

#[test]
fn what_a_claim_can_not_become_is_refused_before_the_api_does() {
    for (values, told) in [
        (
            "{acceptEula: true, persistence: {size: 4Gi}}",
            "persistence.size: the claim has 8Gi already",
        ),
        (
            "{acceptEula: true, persistence: {storageClass: b}}",
            "persistence.storageClass: the claim is of the class a already",
        ),
    ] {
        let there = vec![(
            "/persistentvolumeclaims/sql-azure-sql-edge-data",
            claim(&["ReadWriteOnce"], "a"),
        )];
        let error = upgrade(values, there).expect_err("it has to be refused");
        assert!(error.contains(told), "{error}");
    }
    let there = vec![(
        "/persistentvolumeclaims/sql-azure-sql-edge-data",
        claim(&["ReadWriteOnce"], "a"),
    )];
    upgrade("{acceptEula: true, persistence: {size: 16Gi}}", there).expect("it may grow");
}
