//! What is refused: with the reason, the line, what to do, and nothing of the manifest changed.

use sql_edge_supervisor::inject::refusal::{Refusal, Why};
use sql_edge_supervisor::inject::{MAX_BYTES, Request, inject};

use super::given::{injected, read, request, with_login};

/// The refusal of a manifest that has to be refused.
pub fn refused(text: &str, request: &Request) -> Refusal {
    match inject(text, request) {
        Err(refusal) => refusal,
        Ok(injected) => panic!("must be refused:\n{}", injected.text),
    }
}

/// The quickstart's Deployment with one text in the place of another.
pub fn with(old: &str, new: &str) -> String {
    let text = read("given/quickstart.yaml");
    assert!(text.contains(old), "{old}");
    text.replacen(old, new, 1)
}

const CONTAINER: &str = "      - name: mssql\n        image:";
const POD: &str = "      hostname: mssqlinst\n";
const MOUNT: &str = "        - name: mssqldb\n          mountPath: /var/opt/mssql\n";
const REFERENCE: &str = "          valueFrom:\n            secretKeyRef:\n              name: mssql\n              key: MSSQL_SA_PASSWORD\n";

/// A change of the quickstart's manifest, a text for another, and what it is refused for.
type Case = (&'static str, &'static str, fn(&Why) -> bool);

const OBSTACLES: &[Case] = &[
    (
        "replicas: 1",
        "replicas: 2",
        |why| matches!(why, Why::Replicas(count) if count == "2"),
    ),
    ("replicas: 1", "replicas: one", |why| {
        matches!(why, Why::Shape(..))
    }),
    ("replicas: 1", "replicas: ${REPLICAS}", |why| {
        matches!(why, Why::Unfilled(_))
    }),
    (
        "persistentVolumeClaim:\n          claimName: mssql-data",
        "persistentVolumeClaim:\n          claimName: mssql-data\n          readOnly: true",
        |why| matches!(why, Why::ReadOnly(_)),
    ),
    (
        "persistentVolumeClaim:\n          claimName: mssql-data",
        "configMap:\n          name: mssql-data",
        |why| matches!(why, Why::NotWritable(_, kind) if kind == "configMap"),
    ),
    (
        "        persistentVolumeClaim:\n          claimName: mssql-data\n",
        "",
        |why| matches!(why, Why::Ephemeral(_)),
    ),
    (
        "replicas: 1",
        "replicas: 1\n  replicas: 1",
        |why| matches!(why, Why::KeyTwice(key) if key == "replicas"),
    ),
    (
        "apps/v1",
        "apps/v1beta2",
        |why| matches!(why, Why::ApiVersion(found, "apps/v1") if found == "apps/v1beta2"),
    ),
    (POD, "      hostPID: true\n", |why| {
        matches!(why, Why::HostPid)
    }),
    (POD, "      terminationGracePeriodSeconds: -1\n", |why| {
        matches!(why, Why::KeyTwice(_))
    }),
    ("Seconds: 30", "Seconds: soon", |why| {
        matches!(why, Why::Shape(..))
    }),
    (
        CONTAINER,
        "      - name: other\n        image: azure-sql-edge\n      - name: mssql\n        image:",
        |why| matches!(why, Why::SeveralContainers(names) if names == "other, mssql"),
    ),
    (
        "mcr.microsoft.com/mssql/server:2022-latest",
        "own/engine",
        |why| matches!(why, Why::UnknownCommand(image) if image == "own/engine"),
    ),
    (
        "mcr.microsoft.com/mssql/server:2022-latest",
        "\"{{ .Values.image }}\"",
        |why| matches!(why, Why::Template),
    ),
    (
        "mcr.microsoft.com/mssql/server:2022-latest",
        "{{ .Values.image }}",
        |why| matches!(why, Why::Template),
    ),
    (
        "  replicas: 1",
        "{{- if .Values.replicas }}\n  replicas: 1\n{{- end }}",
        |why| matches!(why, Why::Template),
    ),
    (
        "mountPath: /var/opt/mssql\n",
        "mountPath: /var/opt/mssql/log\n",
        |why| matches!(why, Why::NoVolume(dir, found) if dir == "/var/opt/mssql/data" && found.contains("/var/opt/mssql/log")),
    ),
    (MOUNT, "        - []\n", |why| {
        matches!(why, Why::NoVolume(..))
    }),
    (
        "mountPath: /var/opt/mssql\n",
        "mountPath: /var/opt/mssql\n          readOnly: true\n",
        |why| matches!(why, Why::ReadOnly(_)),
    ),
    (
        "persistentVolumeClaim:\n          claimName: mssql-data",
        "emptyDir: {}",
        |why| matches!(why, Why::Ephemeral(path) if path == "/var/opt/mssql"),
    ),
    (
        "ACCEPT_EULA\n          value: \"Y\"",
        "MSSQL_MASTER_DATA_FILE\n          value: /data/master.mdf",
        |why| matches!(why, Why::NoVolume(dir, _) if dir == "/data"),
    ),
    (
        POD,
        "      nodeSelector: { kubernetes.io/os: windows }\n",
        |why| matches!(why, Why::Windows),
    ),
    (
        "      - name: mssqldb\n        persist",
        "      - name: another\n        persist",
        |why| matches!(why, Why::Shape(..)),
    ),
    (
        "MSSQL_SA_PASSWORD\n          valueFrom",
        "PASSWORD\n          valueFrom",
        |why| matches!(why, Why::NoPassword),
    ),
    (
        MOUNT,
        "        - name: mssqldb\n          mountPath: /var/opt/mssql\n        - name: mssqldb\n          mountPath: /supervisor/\n",
        |why| matches!(why, Why::Mount(path) if path == "/supervisor"),
    ),
    (
        "containerPort: 1433",
        "containerPort: 9434",
        |why| matches!(why, Why::Port(name, 9434) if name == "mssql"),
    ),
    (
        "      volumes:\n",
        "      volumes:\n      - name: supervisor\n        emptyDir: {}\n",
        |why| matches!(why, Why::Name(name, "volume") if name == "supervisor"),
    ),
    (
        CONTAINER,
        "      - name: install\n        image: x\n      - name: mssql\n        image:",
        |why| matches!(why, Why::Name(name, "container") if name == "install"),
    ),
    (
        "      containers:\n",
        "      initContainers: &more []\n      topologySpreadConstraints: *more\n      containers:\n",
        |why| matches!(why, Why::Anchor),
    ),
    (POD, "      hostname: !name mssqlinst\n", |why| {
        matches!(why, Why::Anchor)
    }),
    (POD, "\thostname: mssqlinst\n", |why| {
        matches!(why, Why::Tab)
    }),
    (POD, "      hostname: 'mssqlinst\n", |why| {
        matches!(why, Why::NotYaml(_))
    }),
];

#[test]
fn each_obstacle_has_its_reason() {
    for (old, new, expected) in OBSTACLES {
        let text = with(old, new);
        let refusal = refused(&text, &request());
        assert!(expected(&refusal.why), "{new}: {refusal}");
        let said = refusal.to_string();
        assert!(!said.contains("c4nary"), "{said}");
        assert!(said.contains(refusal.why.advice()), "{said}");
    }
}

#[test]
fn hooks_are_not_overwritten() {
    let hooks = |hook: &str| {
        with(
            CONTAINER,
            &format!(
                "      - name: mssql\n        lifecycle:\n          {hook}:\n            exec: {{ command: [a] }}\n        image:"
            ),
        )
    };
    let classic = Request {
        classic: true,
        ..request()
    };
    assert!(matches!(
        refused(&hooks("preStop"), &classic).why,
        Why::PreStopClassic
    ));
    let asked = hooks("preStop").replace("exec: { command: [a] }", "httpGet: { port: 1 }");
    assert!(matches!(refused(&asked, &request()).why, Why::PreStop));
    assert!(matches!(
        refused(&hooks("postStart"), &classic).why,
        Why::PostStart
    ));
    let kept = injected(&hooks("postStart"), &request()).text;
    assert!(
        kept.contains("postStart:\n            exec: { command: [a] }\n          preStop:\n"),
        "{kept}"
    );
}

#[test]
fn attach_wants_the_processes_of_the_pod() {
    let apart = with(POD, "      shareProcessNamespace: false\n");
    let attach = Request {
        launch: false,
        ..request()
    };
    assert!(matches!(
        refused(&apart, &attach).why,
        Why::ProcessNamespace
    ));
    assert!(inject(&apart, &request()).is_ok());
    let shared = with(POD, "      shareProcessNamespace: true\n");
    let result = injected(&shared, &attach).text;
    assert_eq!(result.matches("shareProcessNamespace").count(), 1);
}

#[test]
fn a_container_is_chosen_by_name() {
    let own = with("mcr.microsoft.com/mssql/server:2022-latest", "own/engine");
    let chosen = |name: &str| Request {
        container: Some(name.to_owned()),
        ..request()
    };
    // It has what only an engine needs; without that nobody knows what it is.
    assert!(matches!(
        refused(&own, &request()).why,
        Why::UnknownCommand(_)
    ));
    let unknown = own.replace("ACCEPT_EULA", "LICENCE");
    assert!(matches!(refused(&unknown, &request()).why, Why::Nothing(_)));
    assert!(
        matches!(refused(&own, &chosen("mssql")).why, Why::UnknownCommand(image) if image == "own/engine")
    );
    let attach = Request {
        launch: false,
        ..chosen("mssql")
    };
    assert!(
        inject(&own, &attach).is_ok(),
        "attach leaves the command alone"
    );
    let told = own.replace(
        "image: own/engine",
        "image: own/engine\n        command: [/run.sh]",
    );
    let result = injected(&told, &chosen("mssql")).text;
    assert!(result.contains("command: [/supervisor/sql-edge-supervisor, launch, --, /run.sh]"));
    let known = read("given/quickstart.yaml");
    assert!(
        matches!(refused(&known, &chosen("other")).why, Why::NoSuchContainer(name, there) if name == "other" && there == "mssql")
    );
    // Tools of the engine's own image are no engine.
    let tools = with(
        CONTAINER,
        "      - name: tools\n        image: mcr.microsoft.com/mssql/server:2022-latest\n        command: [/scripts/backup.sh]\n      - name: mssql\n        image:",
    );
    let result = injected(&tools, &request()).text;
    assert!(result.contains("command: [/scripts/backup.sh]\n"));
}

#[test]
fn whole_files_are_refused() {
    let quickstart = read("given/quickstart.yaml");
    let list = "apiVersion: v1\nkind: List\nitems: []\n";
    type File = (String, fn(&Why) -> bool);
    let cases: Vec<File> = vec![
        (list.to_owned(), |why| matches!(why, Why::Nothing(_))),
        (
            "services:\n  db:\n    image: mcr.microsoft.com/mssql/server\n".to_owned(),
            |why| matches!(why, Why::Compose),
        ),
        (String::new(), |why| matches!(why, Why::Nothing(_))),
        ("---\n---\n# nothing\n".to_owned(), |why| {
            matches!(why, Why::Nothing(_))
        }),
        ("just words".to_owned(), |why| {
            matches!(why, Why::Nothing(_))
        }),
        ("x".repeat(MAX_BYTES + 1), |why| {
            matches!(why, Why::TooLong(_))
        }),
        (format!("[{}]", "a,".repeat(300_000)), |why| {
            matches!(why, Why::TooMany(_))
        }),
        ("[".repeat(10_000), |why| matches!(why, Why::NotYaml(_))),
    ];
    for (text, expected) in cases {
        let refusal = refused(&text, &request());
        assert!(expected(&refusal.why), "{refusal}");
    }
    // One that can't be changed keeps the others from being printed.
    let two = format!(
        "{quickstart}---\n{}",
        quickstart.replacen("replicas: 1", "replicas: 3", 1)
    );
    let refusal = refused(&two, &request());
    assert!(matches!(refusal.why, Why::Replicas(_)));
    assert_eq!(
        refusal.object.as_deref(),
        Some("Deployment/mssql-deployment")
    );
    let line = refusal.line.expect("it is about a line");
    assert_eq!(two.lines().nth(line - 1), Some("  replicas: 3"));
}

#[test]
fn other_kinds_are_left_and_named() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: p }\nspec:\n  template:\n    spec:\n      containers:\n      - { name: sql, image: azure-sql-edge }\n";
    let operated = "apiVersion: example.com/v1\nkind: Database\nmetadata: { name: p }\nspec: { engine: { image: mcr.microsoft.com/mssql/server } }\n";
    for (other, name) in [(job, "Job/p"), (operated, "Database/p")] {
        let refusal = refused(other, &request());
        assert!(refusal.to_string().contains(name), "{refusal}");
        let both = format!("{other}---\n{}", read("given/quickstart.yaml"));
        let result = injected(&both, &request());
        assert!(result.text.starts_with(other));
        assert!(
            result.notes[0].starts_with(&format!("{name}: left as it is")),
            "{:?}",
            result.notes
        );
        let if_needed = Request {
            if_needed: true,
            ..request()
        };
        assert_eq!(injected(other, &if_needed).text, other);
    }
    let tools = "apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n  - { name: sql, image: azure-sql-edge, command: [sleep, infinity] }\n";
    assert!(matches!(refused(tools, &request()).why, Why::Nothing(_)));
}

#[test]
fn a_login_that_is_named_needs_no_password_in_the_manifest() {
    let literal = with(REFERENCE, "          value: c4nary\n");
    let named = with_login(request());
    let result = injected(&literal, &named).text;
    assert!(result.contains("secretName: sql-supervisor\n"));
    assert_eq!(result.matches("c4nary").count(), 1);
    let patch = Request {
        patch: true,
        ..named
    };
    assert!(!injected(&literal, &patch).text.contains("c4nary"));
}
