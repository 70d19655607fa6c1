//! The command: files and standard input, streams, exit codes.

use std::io::Write;
use std::process::{Command, Stdio};

use super::given::{injected, path, read, request};

const USAGE: i32 = 64;

/// Exit code, standard output, standard error.
fn run(arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sql-edge-supervisor"))
        .arg("inject")
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be run");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may have ended before it has read everything.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    let code = output.status.code().expect("it ends by itself");
    (code, text(output.stdout), text(output.stderr))
}

#[test]
fn a_file_and_standard_input_come_to_the_same() {
    let image = request().image;
    let file = path("given/tutorial.yaml");
    let file = file.to_str().expect("it is text");
    let from_file = run(&["-f", file, "--image", &image], b"");
    let text = read("given/tutorial.yaml");
    assert_eq!(
        run(&["-f", "-", "--image", &image], text.as_bytes()),
        from_file
    );
    let (code, out, err) = from_file;
    let expected = injected(&text, &request());
    assert_eq!((code, out), (0, expected.text));
    let notes: String = expected
        .notes
        .iter()
        .map(|note| format!("inject: {note}\n"))
        .collect();
    assert_eq!(err, notes);
}

#[test]
fn flags_are_what_the_request_is() {
    let text = read("given/quickstart.yaml");
    let result = |arguments: &[&str]| {
        let arguments = [&["-f", "-"], arguments].concat();
        let (code, out, err) = run(&arguments, text.as_bytes());
        assert_eq!(code, 0, "{err}");
        out
    };
    let own = concat!(
        "image: sql-edge-supervisor:",
        env!("CARGO_PKG_VERSION"),
        "\n"
    );
    assert!(result(&[]).contains(own));
    assert!(result(&["--attach"]).contains("shareProcessNamespace: true"));
    assert!(result(&["--classic"]).contains("name: gate"));
    assert!(result(&["--patch"]).starts_with("apiVersion: apps/v1\nkind: Deployment\n"));
    assert!(result(&["--container", "mssql"]).contains("launch]\n"));
    let named = result(&["--sql-user", "looker", "--sql-secret", "eyes:key"]);
    for words in ["value: looker\n", "secretName: eyes\n", "- key: key\n"] {
        assert!(named.contains(words), "{words}");
    }
    assert!(result(&["--sql-secret", "eyes"]).contains("- key: password\n"));
}

#[test]
fn mistakes_end_with_64_and_print_nothing() {
    let text = read("given/quickstart.yaml");
    let result = injected(&text, &request()).text;
    let twice = text.replacen("replicas: 1", "replicas: 2", 1);
    for (arguments, input, words) in [
        (&[][..], text.as_bytes(), "--file"),
        (&["-f", "-", "--no-such"], text.as_bytes(), "--no-such"),
        (&["-f", "-", "--image", ""], text.as_bytes(), "--image"),
        (
            &["-f", "-", "--sql-user", "x"],
            text.as_bytes(),
            "--sql-secret",
        ),
        (&["-f", "-", "--bootstrap"], text.as_bytes(), "--sql-secret"),
        (
            &[
                "-f",
                "-",
                "--bootstrap",
                "--sql-user",
                "sa",
                "--sql-secret",
                "x",
            ],
            text.as_bytes(),
            "name another login",
        ),
        (
            &["-f", "-", "--sql-secret", "a b"],
            text.as_bytes(),
            "supervisor:password",
        ),
        (&["-f", "/no/such/file"], b"", "No such file"),
        (&["-f", "/"], b"", "directory"),
        (&["-f", "/dev/zero"], b"", "longer than"),
        (&["-f", "-"], b"\xff\xfe", "UTF-8"),
        (&["-f", "-"], b"", "runs SQL Edge or SQL Server"),
        (
            &["-f", "-"],
            twice.as_bytes(),
            "line 7: Deployment/mssql-deployment: it has 2 replicas, and one volume takes one engine; set replicas to 1",
        ),
        (&["-f", "-"], result.as_bytes(), "already there"),
        (&["-f", "-", "--patch"], result.as_bytes(), "already there"),
        (
            &["-f", "-", "--container", "\u{1b}[2J"],
            text.as_bytes(),
            "no container ?[2J",
        ),
    ] {
        let (code, out, err) = run(arguments, input);
        assert_eq!((code, out.as_str()), (USAGE, ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
}
