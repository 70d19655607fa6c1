//! helm, as a process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::object::Object;

/// The release that is rendered.
pub const RELEASE: &str = "sql";
/// Its namespace.
pub const NAMESPACE: &str = "databases";
/// What most is rendered for: the newest version that the typed API knows.
pub const NEWEST: &str = "1.37.0";
/// Without native sidecars.
pub const OLD: &str = "1.28.0";

/// helm: the one that `tests/run` built, or one in the path.
fn helm() -> Command {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/helm");
    let program = match built.exists() {
        true => built,
        false => PathBuf::from("helm"),
    };
    let mut command = Command::new(program);
    // Nothing of the user's: no kubeconfig, no plugins, no cache.
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", std::env::temp_dir())
        .env("KUBECONFIG", "/dev/null");
    command
}

/// Runs it with `values` as its standard input.
pub fn run(arguments: &[&str], values: &str) -> Output {
    let mut child = helm()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("helm can't be run ({error}): tests/run brings it"));
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(values.as_bytes()).expect("helm reads it");
    drop(stdin);
    child.wait_with_output().expect("helm ends")
}

/// Renders a chart; what helm says where it can't.
pub fn template(chart: &Path, kube_version: &str, values: &str) -> Result<Vec<Object>, String> {
    let output = template_text(chart, kube_version, values)?;
    Ok(crate::object::parse(&output))
}

/// The same as text.
pub fn template_text(chart: &Path, kube_version: &str, values: &str) -> Result<String, String> {
    let chart = chart.display().to_string();
    let output = run(
        &[
            "template",
            RELEASE,
            &chart,
            "--namespace",
            NAMESPACE,
            "--kube-version",
            kube_version,
            "--values",
            "-",
        ],
        values,
    );
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("helm prints UTF-8")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Renders the chart itself, which has to be possible.
pub fn render(kube_version: &str, values: &str) -> Vec<Object> {
    template(&crate::chart(), kube_version, values)
        .unwrap_or_else(|error| panic!("{values}\n{error}"))
}

#[test]
fn the_chart_passes_lint() {
    let chart = crate::chart().display().to_string();
    for values in [
        "acceptEula: true",
        "{acceptEula: true, supervisor: {mode: attach}}",
    ] {
        let version = ["--kube-version", NEWEST];
        let output = run(
            &[
                "lint", "--strict", &chart, version[0], version[1], "--values", "-",
            ],
            values,
        );
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{values}\n{told}");
        assert!(
            told.contains("1 chart(s) linted, 0 chart(s) failed"),
            "{told}"
        );
    }
}

/// What the READMEs tell a reader to type.
#[test]
fn the_commands_of_the_readmes_render() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    let pages = [
        root.join("README.md"),
        root.join("docs/install.md"),
        crate::chart().join("README.md"),
    ];
    for readme in pages {
        let text = std::fs::read_to_string(&readme).expect("a README is readable");
        let text = text.replace("\\\n", " ");
        let commands = text.lines().map(str::trim);
        for command in commands.filter(|line| line.starts_with("helm install ")) {
            let words = command.split_whitespace().skip(2);
            let words = words.filter(|word| *word != "--create-namespace");
            let words: Vec<_> = words
                .map(|word| match word {
                    "charts/azure-sql-edge" => crate::chart().display().to_string(),
                    word => word.to_owned(),
                })
                .collect();
            let mut arguments = vec!["template", "--kube-version", NEWEST];
            arguments.extend(words.iter().map(String::as_str));
            let output = run(&arguments, "");
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}\n{told}");
            seen += 1;
        }
    }
    assert!(seen >= 3, "the commands were not found");
}
