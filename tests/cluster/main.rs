//! The product in a real Kubernetes: what the chart and `inject` render, with the stand-in as the engine.
//!
//! ```text
//! cargo test --test cluster [NAME]                  all scenarios, or those whose name contains NAME
//! cargo test --test cluster -- --ignored times      ten times each, half an hour: ours beside Kubernetes alone
//! ```
//!
//! It needs root, and either the programs of `tests/cluster/up` (built once, ten minutes) or another cluster:
//! CLUSTER_KUBECONFIG names its kubeconfig, CLUSTER_LOAD the command that brings an archive of an image into it, as in
//! `kind load image-archive --name sql`. There the scenarios of failing nodes and broken disks are left out, which is
//! said. CLUSTER_KEEP=1 leaves the cluster up, and takes the one that is up. PODS_BINARY=FILE takes a static binary of
//! the supervisor that is there already.
//!
//! Each scenario is a file of `scenarios` with one function, in a namespace of its own; they run side by side, those
//! with the second node one after the other. Beside all of them a watcher looks every 50 ms, from the machine, at which
//! engines run on which volume, and in each a client writes rows that have to be there at its end.
//!
//! `UPDATE_GOLDEN=1` writes the times into docs/evidence.md.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::print_stderr)] // what takes minutes is said
#![allow(
    clippy::disallowed_methods,
    reason = "of processes and of what an exec would say the cluster tells by no event"
)]

mod client;
mod cluster;
mod engines;
mod host;
mod images;
mod namespace;
mod node;
#[allow(dead_code, reason = "one of its users builds no images")]
#[path = "../pods/podman.rs"]
mod podman;
mod pods;
mod prometheus;
mod release;
mod scenarios;
#[path = "../standin/standin.rs"]
mod standin;
#[allow(dead_code, reason = "SQL Server's image is for pods of podman's")]
#[path = "../pods/images.rs"]
mod standins;
#[path = "../bench/subject.rs"]
mod subject;
mod table;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Mostly they wait for each other's kubelet.
const AT_ONCE: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials()).exit_code();
    }
    let cluster = cluster::Running::start();
    images::load();
    let prometheus = prometheus::Prometheus::start();
    let watcher = engines::Watcher::start();
    let mut conclusion = libtest_mimic::run(&arguments, trials());
    let unwanted = watcher.end();
    if !unwanted.is_empty() {
        eprintln!("two engines ran on one volume:\n{}", unwanted.join("\n"));
        conclusion.num_failed += 1;
    }
    eprintln!("{}", table::text());
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !conclusion.has_failed() {
        table::write();
    }
    drop((prometheus, cluster));
    conclusion.exit_code()
}

fn trials() -> Vec<Trial> {
    let here = |scenario: &&scenarios::Scenario| cluster::own() || !scenario.own_nodes;
    for scenario in scenarios::ALL.iter().filter(|s| !here(s)) {
        eprintln!("left out, for nodes of one's own: {}", scenario.name);
    }
    let here = scenarios::ALL.iter().filter(here);
    here.map(|scenario| {
        Trial::test(scenario.name, || {
            (scenario.run)();
            Ok(())
        })
        .with_ignored_flag(scenario.long)
    })
    .collect()
}
