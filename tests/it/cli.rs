//! The command line of the compiled binary: exit codes, streams, and what is never shown.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;

const USAGE: i32 = 64;
const CANARY: &str = "c4naryP@ss";

/// The binary in an empty environment.
fn supervisor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sql-edge-supervisor"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    finished(supervisor(arguments).output().unwrap())
}

fn finished(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A server that gives each connection the same answer; its URL.
fn server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    url
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn mistakes_of_the_command_line_exit_64() {
    for arguments in [
        &["--no-such-flag"][..],
        &["run", "--sql-prot", "1"],
        &["--sql-port"],
        &["no-such-command"],
        &["probe"],
        &["probe", "dead"],
        &["probe", "live", "--timeout", "soon"],
        &["probe", "live", "--url", "nowhere"],
        &["reasons", "NoSuchReason"],
        &["setup-sql", "--login", ""],
        &["pause"],
        &["pause", "--for", "soon"],
        &["pause", "--for", "25h"],
        &["resume", "--control-socket", "relative"],
        &["check-config", "--listen", "x"],
        &["run", "--listen", "x"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (USAGE, ""), "{arguments:?}: {err}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_exit_0_on_standard_output() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["probe", "-h"],
        &["--version"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        assert!(!out.is_empty());
    }
    let (_, version, _) = run(&["--version"]);
    let start = concat!(
        "sql-edge-supervisor ",
        env!("CARGO_PKG_VERSION"),
        " (commit "
    );
    assert!(version.starts_with(start), "{version}");
    let (_, help, _) = run(&["run", "--help"]);
    assert!(help.contains("--unresponsive-after"));
    assert!(!help.contains("--sql-password "));
}

#[test]
fn all_mistakes_come_at_once_and_what_was_not_a_setting_stays_unseen() {
    let output = supervisor(&["--listen", "9433", "--sql-password", CANARY])
        .env("SUPERVISOR_SQL_PORT", "0")
        .env("SUPERVISOR_LISTN", CANARY)
        .env("MSSQL_SA_PASSWORD", CANARY)
        .output()
        .unwrap();
    let (code, out, err) = finished(output);
    assert_eq!((code, out.as_str()), (USAGE, ""));
    assert!(
        err.starts_with("the configuration has 4 mistakes:\n"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 5, "{err}");
    assert!(!err.contains(CANARY), "{err}");
    for flag in ["--sql-pasword", "--password", "--sql-password-fil"] {
        let (code, _, err) = run(&[&format!("{flag}={CANARY}")]);
        assert_eq!(code, USAGE);
        assert!(!err.contains(CANARY), "{err}");
    }
}

#[test]
fn check_config_reads_the_password_of_each_login_that_is_used() {
    let missing = "/nowhere/password";
    let output = supervisor(&[
        "check-config",
        "--sql-bootstrap-user",
        "admin",
        "--sql-bootstrap-password-file",
        missing,
    ])
    .env("MSSQL_SA_PASSWORD", CANARY)
    .output()
    .unwrap();
    let (code, text, err) = finished(output);
    assert_eq!((code, err.as_str()), (0, ""));
    let after = |key: &str| {
        let mut lines = text.lines().skip_while(|line| !line.contains(key)).skip(1);
        lines.next().unwrap_or_default().to_owned()
    };
    assert_eq!(after("sql-password-file"), "# the password can be read now");
    let warned = after("sql-bootstrap-password-file");
    assert!(warned.starts_with("# warning: "), "{warned}");
    assert!(warned.contains(missing), "{warned}");
    assert!(!text.contains(CANARY));
}

#[test]
fn check_config_prints_a_file_that_it_reads_again() {
    let directory = std::env::temp_dir().join(format!("supervisor-cli-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("config.yaml");
    let output = supervisor(&[
        "check-config",
        "--required-databases",
        "a b,c",
        "--sql-tls",
        "off",
    ])
    .env("SUPERVISOR_PING_INTERVAL", "1s")
    .env("MSSQL_SA_PASSWORD", CANARY)
    .output()
    .unwrap();
    let (code, first, err) = finished(output);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(!first.contains(CANARY));
    assert!(first.contains("ping-interval: 1s  # from env SUPERVISOR_PING_INTERVAL\n"));
    let readable = "# the password can be read now\n";
    assert_eq!(first.matches(readable).count(), 1, "{first}");
    std::fs::write(&file, &first).unwrap();
    let (code, second, err) = run(&["check-config", "--config", file.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let value = |line: &str| line.split("  # from").next().unwrap_or("").to_owned();
        lines.map(value).collect()
    };
    assert_eq!(values(&first), values(&second));
    assert!(second.contains("# warning: no password is configured"));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_probe_gives_the_verdict_as_its_exit_code() {
    for probe in ["live", "ready", "startup", "gate"] {
        let (code, out, _) = run(&[
            "probe",
            probe,
            "--url",
            &server("200 OK", "ok\n"),
            "--timeout",
            "30s",
        ]);
        assert_eq!((code, out), (0, format!("{probe}: pass\n  ok\n")));
        let url = server("503 Service Unavailable", "EngineUnresponsive: 31 s\n");
        let (code, out, _) = run(&["probe", probe, "--url", &url, "--timeout", "30s"]);
        assert_eq!(
            (code, out),
            (1, format!("{probe}: fail\n  EngineUnresponsive: 31 s\n"))
        );
    }
}

#[test]
fn a_supervisor_that_cant_be_asked_kills_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    for url in [nobody(), server("404 Not Found", ""), silent] {
        for (probe, expected) in [("live", 0), ("ready", 1), ("startup", 1), ("gate", 1)] {
            let (code, out, _) = run(&["probe", probe, "--url", &url, "--timeout", "200ms"]);
            assert_eq!(code, expected, "{out}");
            assert!(out.contains("the supervisor can't be asked"), "{out}");
        }
    }
    // Nor does a mistake in its configuration.
    let output = supervisor(&["probe", "live"])
        .env("SUPERVISOR_LISTEN", "x")
        .output();
    assert_eq!(finished(output.unwrap()).0, 0);
}

#[test]
fn a_silent_server_is_waited_for_until_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (code, out, _) = run(&["probe", "ready", "--url", &url, "--timeout", "300ms"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("no answer within 300ms"), "{out}");
}

#[test]
fn the_address_of_a_probe_follows_from_listen() {
    let url = server("200 OK", "ok");
    let listen = url.replace("http://127.0.0.1", "0.0.0.0");
    let output = supervisor(&["probe", "ready"])
        .env("SUPERVISOR_LISTEN", &listen)
        .env("SUPERVISOR_SQL_PORT", "not its business")
        .output();
    assert_eq!(finished(output.unwrap()).0, 0);
    assert_eq!(run(&["probe", "ready", "--listen", &listen]).0, 0);
}

#[test]
fn status_shows_the_document_or_says_why_not() {
    let url = server("200 OK", r#"{"version":1,"phase":"running"}"#);
    let (code, out, _) = run(&["status", "--url", &url]);
    assert_eq!(code, 0);
    assert!(out.contains("the engine is running"), "{out}");
    let (code, out, _) = run(&["status", "--json", "--url", &url]);
    assert_eq!(
        (code, out.as_str()),
        (0, "{\"version\":1,\"phase\":\"running\"}\n")
    );
    for url in [nobody(), server("500 Error", ""), server("200 OK", "text")] {
        let (code, out, err) = run(&["status", "--url", &url]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.starts_with(&url), "{err}");
    }
}

#[test]
fn closed_streams_are_no_panic_and_change_no_verdict() {
    let url = server("503 Service Unavailable", "x");
    for (arguments, expected) in [
        (&["reasons"][..], 0),
        (&["check-config"], 0),
        (&["setup-sql"], 0),
        (&["--help"], 0),
        (&["probe", "live", "--url", &url], 1),
        (&["--no-such-flag"], USAGE),
        (&["run", "--listen", "x"], USAGE),
    ] {
        let (out_reader, out) = std::io::pipe().unwrap();
        let (err_reader, err) = std::io::pipe().unwrap();
        drop((out_reader, err_reader));
        let status = supervisor(arguments)
            .stdout(out)
            .stderr(err)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(expected), "{arguments:?}");
    }
}
