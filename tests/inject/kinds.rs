//! Objects, variables and placeholders of kinds that are easily taken for others. Whole manifests of one kind each are
//! in tests/field.

use sql_edge_supervisor::inject::refusal::Why;
use sql_edge_supervisor::inject::{Request, inject};

use super::given::{injected, read, request};
use super::refused::{refused, with};

/// What another object makes stays as it is, whatever else is in the file.
#[test]
fn what_is_made_by_another_object_is_left() {
    let owned = "  ownerReferences:\n  - { apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u, controller: true }\n";
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n{owned}spec:\n  containers:\n  - {{ name: sql, image: azure-sql-edge }}\n"
    );
    let refusal = refused(&pod, &request());
    assert!(
        matches!(&refusal.why, Why::OtherKinds(seen) if seen.contains("ReplicaSet/r makes it")),
        "{refusal}"
    );
    let both = format!("{}---\n{pod}", read("given/quickstart.yaml"));
    let result = injected(&both, &request());
    assert!(result.text.ends_with(&pod), "{}", result.text);
    assert!(
        result
            .notes
            .iter()
            .any(|note| note.starts_with("Pod/p: left as it is"))
    );
    // An owner that does not make it is none.
    let held = pod.replace("controller: true", "controller: false");
    assert!(!matches!(
        refused(&held, &request()).why,
        Why::OtherKinds(_)
    ));
}

/// The last of several variables of one name counts, as for the kubelet.
#[test]
fn the_last_of_several_variables_counts() {
    let twice = |first: &str, last: &str| {
        with(
            "        env:\n",
            &format!(
                "        env:\n        - name: MSSQL_MASTER_DATA_FILE\n          value: {first}\n        - name: MSSQL_MASTER_DATA_FILE\n          value: {last}\n"
            ),
        )
    };
    let (there, elsewhere) = ("/var/opt/mssql/data/master.mdf", "/nowhere/master.mdf");
    assert!(inject(&twice(elsewhere, there), &request()).is_ok());
    let refusal = refused(&twice(there, elsewhere), &request());
    assert!(
        matches!(&refusal.why, Why::NoVolume(dir, _) if dir == "/nowhere"),
        "{refusal}"
    );
}

/// What a file says of passwords is printed nowhere.
#[test]
fn a_placeholder_is_refused_without_its_line() {
    let text = with(
        "          value: \"Y\"\n",
        "          value: {c4nary: ${PASSWORD}}\n",
    );
    let refusal = refused(&text, &request());
    assert!(matches!(refusal.why, Why::Unfilled(_)), "{refusal}");
    assert!(!refusal.to_string().contains("c4nary"), "{refusal}");
}

/// `1` and `1000m` are one quantity, and the pod is Guaranteed either way.
#[test]
fn a_guaranteed_pod_is_one_however_its_quantities_are_written() {
    let with_requests = |requests: &str| {
        let old = "requests:\n            memory: \"2G\"\n            cpu: \"2000m\"\n";
        let text = with(old, &format!("requests: {{ {requests} }}\n"));
        let request = Request {
            patch: true,
            ..request()
        };
        injected(&text, &request).text
    };
    let same = with_requests("cpu: 2000m, memory: 2G");
    assert_eq!(with_requests("cpu: \"2\", memory: 2000M"), same);
    assert_ne!(with_requests("cpu: 500m, memory: 2G"), same);
}

/// A script that installs certificates runs no `cat`.
#[test]
fn a_tool_is_a_word_of_a_script_and_no_part_of_one() {
    let script = |script: &str| {
        let command = format!("        command: [bash, -c, {script:?}]\n        env:\n");
        inject(&with("        env:\n", &command), &request())
    };
    for starts in [
        "update-ca-certificates && exec /opt/start",
        "asleep=1 exec /opt/start",
    ] {
        assert!(script(starts).is_ok(), "{starts}");
    }
    for waits in [
        "sleep infinity",
        "/opt/mssql-tools/bin/sqlcmd -Q x",
        "exec tail -f /dev/null",
    ] {
        assert!(script(waits).is_err(), "{waits}");
    }
}

/// The words of YAML 1.1 that stand for a boolean are refused by the API server as the value of a variable.
#[test]
fn a_boolean_of_yaml_is_no_text() {
    for (value, is_text) in [
        ("Y", false),
        ("Yes", false),
        ("on", false),
        ("True", false),
        ("1", false),
        ("\"Y\"", true),
        ("accept", true),
        ("null", true),
    ] {
        let more = format!("        env:\n        - name: EXTRA\n          value: {value}\n");
        let notes = injected(&with("        env:\n", &more), &request()).notes;
        let remark = notes
            .iter()
            .any(|note| note.contains("EXTRA has a number or a boolean"));
        assert_eq!(remark, !is_text, "{value}: {notes:?}");
    }
}

/// Of a setting that stands twice in mssql.conf the last counts, as for the supervisor that reads the file itself.
#[test]
fn the_last_of_two_lines_of_mssql_conf_counts() {
    let mounts = "        volumeMounts:\n";
    let volumes = "      volumes:\n";
    let text = with(
        mounts,
        &format!(
            "{mounts}        - {{ name: conf, mountPath: /var/opt/mssql/mssql.conf, subPath: mssql.conf }}\n"
        ),
    );
    let text = text.replacen(
        volumes,
        &format!("{volumes}      - {{ name: conf, configMap: {{ name: conf }} }}\n"),
        1,
    );
    let conf = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: conf }\ndata:\n  mssql.conf: |\n    [network]\n    tcpport = 1433\n    tcpport = 1500\n";
    let result = injected(&format!("{text}---\n{conf}"), &request()).text;
    let port = result
        .split("SUPERVISOR_SQL_PORT")
        .nth(1)
        .expect("it is set");
    let value = port.lines().nth(1).unwrap_or_default();
    assert!(value.contains("1500"), "{value}");
}
