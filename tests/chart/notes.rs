//! What `helm install` prints. helm renders NOTES.txt only for a cluster; here a copy of the chart has
//! it as a ConfigMap.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sql_edge_supervisor::cli;

use crate::cases::cases;
use crate::helm::template;
use crate::object::{Object, find};

/// A copy of the chart, removed with it.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        let to = std::env::temp_dir().join(format!("ses-chart-{}-notes", std::process::id()));
        let _ = fs::remove_dir_all(&to);
        copy(&crate::chart(), &to);
        let path = to.join("templates/NOTES.txt");
        let notes = fs::read_to_string(&path).expect("the chart has notes");
        fs::remove_file(path).expect("a copy can be changed");
        let text = format!(
            "{{{{- define \"notes\" -}}}}{notes}{{{{- end -}}}}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: notes\ndata:\n  notes: |\n    {{{{- include \"notes\" . | nindent 4 }}}}\n"
        );
        fs::write(to.join("templates/zz-notes.yaml"), text).expect("a copy can be changed");
        Self(to)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("the chart is readable") {
        let entry = entry.expect("the chart is readable");
        let to = to.join(entry.file_name());
        match entry.path() {
            path if path.is_dir() => copy(&path, &to),
            path => {
                fs::copy(path, to).expect("a file can be copied");
            }
        }
    }
}

#[test]
fn the_notes_name_what_is_there_and_commands_that_exist() {
    let chart = Copy::new();
    for case in cases() {
        let objects = template(&chart.0, &case.kube_version, &case.values)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let notes = find(&objects, "ConfigMap", "notes").value["data"]["notes"].clone();
        let notes = notes.as_str().expect("text").to_owned();
        commands(&case.name, &notes, &objects);
        assert!(
            !notes.contains("<no value>") && !notes.contains("\n\n\n"),
            "{notes}"
        );
        // The generated password is never printed.
        let generated = !case.values.contains("existingSecret");
        assert_eq!(
            notes.contains("It was generated"),
            generated,
            "{}: {notes}",
            case.name
        );
    }
}

/// Each line that is a command.
fn commands(case: &str, notes: &str, objects: &[Object]) {
    let mut seen = 0;
    for line in notes.lines().filter(|line| line.starts_with("  ")) {
        if let Some((_, ours)) = line.split_once("-- /sql-edge-supervisor") {
            let words = std::iter::once("sql-edge-supervisor").chain(ours.split_whitespace());
            let parsed = cli::parse(words.map(OsString::from));
            assert!(parsed.is_ok(), "{case}: {line}: {parsed:?}");
            seen += 1;
        }
        for (before, kind) in [
            ("exec deployment/", "Deployment"),
            ("exec statefulset/", "StatefulSet"),
            ("get service ", "Service"),
            ("service/", "Service"),
            ("get secret ", "Secret"),
        ] {
            let Some((_, rest)) = line.split_once(before) else {
                continue;
            };
            let name = rest.split_whitespace().next().unwrap_or_default();
            let there = objects.iter().any(|o| o.kind() == kind && o.name() == name);
            assert!(
                there || name.starts_with("my-"),
                "{case}: no {kind} {name}: {line}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 3, "{case}: no commands in {notes}");
}
