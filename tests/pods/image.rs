//! The image that is shipped.

use std::fs;
use std::path::Path;

use crate::images::{self, build_supervisor, supervisor};
use crate::podman::podman;
use crate::subject;

const LIMIT_BYTES: u64 = 7 << 20;
/// The program, and all that is in it.
const PROGRAM: &str = "/sql-edge-supervisor";

#[test]
fn the_image_is_small_and_says_what_it_is() {
    let image = podman().json(["image", "inspect", supervisor()])[0].take();
    let bytes = image["Size"].as_u64().expect("a size");
    assert!(bytes <= LIMIT_BYTES, "{bytes} bytes");
    let config = &image["Config"];
    assert_eq!(config["User"], "10001:10001");
    assert_eq!(config["Entrypoint"], serde_json::json!([PROGRAM]));
    let labels = &config["Labels"];
    for (label, value) in [
        ("title", "sql-edge-supervisor"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("revision", "unknown"),
    ] {
        assert_eq!(
            labels[format!("org.opencontainers.image.{label}")],
            value,
            "{labels}"
        );
    }
    eprintln!("the image has {:.2} MiB", bytes as f64 / f64::from(1 << 20));
}

#[test]
fn its_file_system_holds_one_file() {
    let at = podman().run(["image", "mount", supervisor()]);
    let mut found = Vec::new();
    let mut folders = vec![Path::new(&at).to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is mounted") {
            let path = entry.expect("readable").path();
            found.push(path.strip_prefix(&at).expect("below").display().to_string());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    let same = fs::read(images::binary()).expect("there")
        == fs::read(Path::new(&at).join(&PROGRAM[1..])).unwrap_or_default();
    podman().run(["image", "unmount", supervisor()]);
    assert_eq!(found, [&PROGRAM[1..]]);
    assert!(same, "the binary that was built");
}

#[test]
fn it_runs_where_nothing_is_allowed() {
    let run = |words: &[&str]| {
        let mut line = vec![
            "run",
            "--rm",
            "--network=none",
            "--read-only",
            "--read-only-tmpfs=false",
        ];
        line.extend([
            "--cap-drop=all",
            "--security-opt=no-new-privileges",
            supervisor(),
        ]);
        line.extend(words);
        podman().run(line)
    };
    assert!(run(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
    assert!(run(&["reasons", "LeaseHeldElsewhere"]).contains("LeaseHeldElsewhere"));
    assert!(run(&["check-config"]).contains("listen"));
}

#[test]
fn the_same_binary_gives_the_same_image() {
    let build = || build_supervisor("localhost/again:test");
    assert_eq!(build(), build());
}

#[test]
fn what_is_compiled_already_is_not_compiled_again() {
    subject::build().expect("the static binary is built");
    let (mut command, _) = subject::compilation();
    let said = command.output().expect("docker/compile is started").stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("Finished"), "{said}");
    assert!(!said.contains("Compiling"), "{said}");
}
