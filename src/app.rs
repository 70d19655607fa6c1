//! Wiring: from a [`Config`] to a running supervisor and its end. No decision is made here.
//!
//! | thread | what runs on it | why it is apart |
//! | --- | --- | --- |
//! | main | the deciding loop, all observers but one | one writer, no locks |
//! | `http` | [`crate::publish::server`] | an answer never waits for a decision |
//! | `volume` | [`crate::observe::volume`] | a write to a stalled device blocks for ever |

mod supervise;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::info;

use crate::config::Config;
use crate::decide::observation::{Observation, OperatorWord};
use crate::observe::clock::Clock;
use crate::observe::{Sink, cgroup, clock, process, sql, volume};
use crate::publish::metrics::Metrics;
use crate::publish::server;
use supervise::Supervisor;

/// A supervisor whose port is bound and that observes nothing yet.
pub struct Bound {
    config: Config,
    server: server::Bound,
}
