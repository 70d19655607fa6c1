//! Containers for real: the image, and the pod as a cluster would run it, with podman.
//!
//! `cargo test --test pods` needs root, podman with runc and catatonit, podman-compose, and the stand-in
//! (`cargo build --example sqlservr`); tests/run brings them. It compiles the static binary as for the
//! benchmark, minutes the first time; `PODS_BINARY=FILE` takes a static binary that is there already.
//!
//! podman is no kubelet: it has no native sidecars, its probes restart nothing, its hooks never run.
//! What [`manifest`] therefore changes of a pod stands there, and who does what the kubelet would is the
//! test: it starts again what has ended, runs `stop` as preStop would, and asks the probes.
//!
//! No container here reaches a network of this machine: pods are on the loopback of their own namespace,
//! what compose starts on bridges within one. Storage and settings are podman's own ones below the target
//! directory; a pod and its volume go with the test, whether it passes or not.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::print_stderr)] // what takes minutes is said

mod compose;
mod field;
mod image;
mod images;
mod inside;
#[allow(dead_code, reason = "only its reading is used")]
#[path = "../durability/journal.rs"]
mod journal;
mod life;
mod manifest;
mod pod;
mod podman;
#[path = "../support/support.rs"]
mod shared;
#[path = "../standin/standin.rs"]
mod standin;
#[path = "../bench/subject.rs"]
mod subject;
mod takeover;
