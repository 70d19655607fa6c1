//! Files as editors and programs leave them: line breaks of Windows, a byte order mark, no last line
//! break, empty values, block scalars at the end, everything on one line.

use sql_edge_supervisor::inject::Request;

use super::given::{injected, read, request};

#[test]
fn the_line_breaks_of_windows_stay() {
    let text = read("given/tutorial.yaml");
    let windows = text.replace('\n', "\r\n");
    let result = injected(&windows, &request()).text;
    assert_eq!(result.matches('\n').count(), result.matches("\r\n").count());
    assert_eq!(
        result.replace("\r\n", "\n"),
        injected(&text, &request()).text
    );
}

#[test]
fn a_byte_order_mark_and_a_missing_last_line_break_stay() {
    let text = read("given/statefulset.yaml");
    let expected = injected(&text, &request()).text;
    let marked = format!("\u{feff}{text}");
    assert_eq!(
        injected(&marked, &request()).text,
        format!("\u{feff}{expected}")
    );
    let open = text.trim_end();
    assert_eq!(injected(open, &request()).text, expected.trim_end());
}

#[test]
fn values_that_are_empty_are_filled() {
    let text = read("given/quickstart.yaml").replace(
        "      hostname: mssqlinst\n",
        "      initContainers:   # none yet\n      shareProcessNamespace: null\n",
    );
    let text = text.replace("        ports:\n", "        lifecycle: {}\n        startupProbe: ~\n        livenessProbe:\n        command: []\n        ports:\n");
    for launch in [true, false] {
        let result = injected(
            &text,
            &Request {
                launch,
                ..request()
            },
        )
        .text;
        assert!(result.contains("# none yet"));
        assert_eq!(
            result.matches("livenessProbe:").count(),
            1 + usize::from(!launch),
            "{result}"
        );
    }
}

#[test]
fn block_scalars_keep_their_ends() {
    for (style, tail) in [
        ("|", ""),
        ("|-", ""),
        ("|+", "\n\n"),
        (">", ""),
        (">+", "\n"),
    ] {
        let command = format!(
            "        command:\n        - /bin/bash\n        - -c\n        - {style}\n          cp a b\n          exec /opt/mssql/bin/sqlservr\n{tail}"
        );
        // The command is the container's last key, and the container the pod's last.
        let text = read("given/quickstart.yaml");
        let (before, rest) = text.split_once("      volumes:\n").expect("it has some");
        let (_, service) = rest.split_once("---\n").expect("a Service follows");
        let volumes = "      volumes:\n      - name: mssqldb\n        persistentVolumeClaim:\n          claimName: mssql-data\n";
        let head = before.replacen(
            "      containers:\n",
            &format!("{volumes}      containers:\n"),
            1,
        );
        let text = format!("{head}{command}---\n{service}");
        let result = injected(&text, &request()).text;
        assert!(result.contains("        - /supervisor/sql-edge-supervisor\n        - launch\n        - --\n        - /bin/bash\n"), "{result}");
    }
}

#[test]
fn everything_on_one_line_stays_on_it() {
    let line = r#"{apiVersion: apps/v1, kind: Deployment, metadata: {name: s}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: s, image: azure-sql-edge, env: [{name: SA_PASSWORD, valueFrom: {secretKeyRef: {name: m, key: k}}}], volumeMounts: [{name: d, mountPath: /var/opt/mssql}]}], volumes: [{name: d, persistentVolumeClaim: {claimName: d}},]}}}} # the end"#;
    let result = injected(line, &request()).text;
    assert_eq!(result.lines().count(), 1);
    assert!(result.ends_with("}} # the end"));
}

#[test]
fn json_stays_json() {
    let result = injected(&read("given/object.json"), &request()).text;
    let parsed: serde_json::Value = serde_json::from_str(&result).expect("it is JSON still");
    assert_eq!(parsed["spec"]["strategy"]["type"], "Recreate");
}

#[test]
fn several_workloads_in_one_file() {
    let tutorial = read("given/tutorial.yaml");
    let set = read("given/statefulset.yaml");
    let both = format!("{tutorial}---\n{set}");
    let result = injected(&both, &request());
    let apart = format!(
        "{}---\n{}",
        injected(&tutorial, &request()).text,
        injected(&set, &request()).text
    );
    assert_eq!(result.text, apart);
    let patch = Request {
        patch: true,
        ..request()
    };
    let patches = injected(&both, &patch).text;
    assert_eq!(patches.matches("\n---\n").count(), 1);
}

#[test]
fn what_is_hostile_ends_in_a_refusal() {
    let text = read("given/probed.yaml");
    // Cut anywhere, or with a byte of another kind anywhere.
    for at in (0..text.len())
        .step_by(31)
        .filter(|at| text.is_char_boundary(*at))
    {
        let _ = sql_edge_supervisor::inject::inject(&text[..at], &request());
        for odd in [
            "\t", "{", "}", "[", "]", "\"", "'", "&a ", "*a ", "!t ", "? ", "- ", ": ", "# ", "|",
            "\r", "\u{85}", "\u{2028}", "\0", "%", "---\n", "...\n",
        ] {
            let text = format!("{}{odd}{}", &text[..at], &text[at..]);
            let _ = sql_edge_supervisor::inject::inject(&text, &request());
        }
    }
}

#[test]
fn anchors_are_resolved_where_no_change_touches_them() {
    let text = read("given/quickstart.yaml");
    let labels = "    metadata:\n      labels:\n        app: mssql\n";
    assert!(text.contains(labels));
    let anchored = text
        .replacen("     matchLabels:\n", "     matchLabels: &labels\n", 1)
        .replacen(labels, "    metadata:\n      labels: *labels\n", 1)
        .replacen(
            "          mountPath: /var/opt/mssql\n",
            "          <<: { mountPath: /var/opt/mssql }\n",
            1,
        );
    assert!(anchored.contains("*labels") && anchored.contains("<<:"));
    let result = injected(&anchored, &request()).text;
    assert!(result.contains("labels: *labels\n"), "{result}");
    let objects = |text: &str| -> Vec<serde_json::Value> {
        serde_saphyr::from_multiple(text).expect("it is YAML")
    };
    let sidecar = &objects(&result)[0]["spec"]["template"]["spec"]["initContainers"][1];
    assert_eq!(sidecar["volumeMounts"][0]["mountPath"], "/var/opt/mssql");
    // An alias that is replaced is replaced alone.
    let probes =
        "        livenessProbe: &probe\n          tcpSocket: { port: 1433 }\n        env:\n";
    let alias = text.replacen("        env:\n", probes, 1);
    let refused = sql_edge_supervisor::inject::inject(&alias, &request());
    assert!(refused.is_err(), "the anchor would go");
}
