//! The Helm chart, rendered by helm itself.
//!
//! | module | what it shows |
//! | --- | --- |
//! | [`cases`] | every case under the chart's `ci/` is what its golden file says, and changes no immutable field of what was there before |
//! | [`matrix`] | every pair of the chart's switches, and many more at random: each object is what the API takes, and they fit together |
//! | [`refused`] | wrong values are refused with a message that names the key |
//! | [`settings`] | what the chart tells the supervisor is what the supervisor knows, and the other way round |
//! | [`probes`] | the probes' numbers agree with the supervisor's own limits, and the README's pod is the chart's |
//! | [`cluster`] | what is in the cluster already (a password, a claim) is kept |
//! | [`notes`] | what `helm install` prints names what is there |
//! | [`injected`] | what `inject` makes of manifests passes the same checks, and its pod is the chart's |
//! | [`field`] | what `inject` makes of manifests as people post them (tests/field) |
//! | [`reference`] | the chart's README is what `values.yaml` says |
//!
//! [`checks`] is applied to each object that is rendered anywhere: typed API, pod security, consistency.
//!
//! `UPDATE_GOLDEN=1 cargo test --test chart` writes anew what is made from the code. It refuses to
//! where an immutable field would change. `CHART_CASES=1000` makes the matrix larger.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

mod cases;
mod checks;
mod cluster;
#[path = "../field/table.rs"]
mod field;
mod helm;
mod injected;
mod matrix;
mod notes;
mod object;
mod probes;
mod reference;
mod refused;
mod settings;

use std::path::{Path, PathBuf};

/// The chart.
fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/azure-sql-edge")
}

/// Whether what is made from the code is to be written anew.
fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// `path` holds `wanted`, or gets it.
fn golden(path: &Path, wanted: &str) {
    if update() {
        std::fs::write(path, wanted).expect("a golden file is writable");
        return;
    }
    let is = std::fs::read_to_string(path).unwrap_or_default();
    if is == wanted {
        return;
    }
    let differs = |(a, b): &(&str, &str)| a != b;
    let (line, at) = is
        .lines()
        .chain(std::iter::repeat(""))
        .zip(wanted.lines().chain([""]))
        .zip(1..)
        .find(|(pair, _)| differs(pair))
        .unwrap_or((("", "more lines"), 0));
    panic!(
        "{}:{at}: is {:?}, made {:?}; UPDATE_GOLDEN=1 cargo test --test chart writes it",
        path.display(),
        line.0,
        line.1
    );
}
