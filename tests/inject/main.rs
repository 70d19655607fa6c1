//! `inject` on manifests as people have them: what comes out, what is refused, and that nothing else
//! changes. The results are files, so that what checks the chart's objects can check them as well.

#![allow(clippy::expect_used, clippy::panic)] // a test fails by panicking

mod command;
mod component;
mod given;
mod golden;
mod kinds;
mod kustomize;
mod layouts;
mod refused;
mod written;
