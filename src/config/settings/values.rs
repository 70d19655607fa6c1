//! The bounds, the choices and the computed defaults that the table of settings names.

use std::time::Duration;

use super::super::kind::{Bytes, Choice, Span, show_duration, span};
use super::super::{Config, EngineRestart, LogFormat, TlsMode};
use crate::decide::identity::VolumeInit;
use crate::decide::lease::LeaseMode;
use crate::decide::policy::RestartBy;

pub(super) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// The bounds of an observer's pace. Below 10 ms the looking itself would be the load.
pub(super) const PACE: Span = span(ms(10), HOUR);
/// The bounds of the pace of queries. The engine's observers go no faster, whatever is configured.
pub(super) const QUERY_PACE: Span = span(ms(50), HOUR);
/// The bounds of the pace of metrics: Prometheus scrapes no faster than once a second.
pub(super) const COLLECT_PACE: Span = span(ms(1_000), HOUR);
/// The bounds of the deadline of one attempt.
pub(super) const DEADLINE: Span = span(ms(10), HOUR);
/// The bounds of the time from SIGTERM to SIGKILL. Zero means that no clean shutdown is waited for.
pub(super) const GRACE: Span = span(Duration::ZERO, HOUR);
/// The bounds of the time that a state may last before it means something.
pub(super) const PATIENCE: Span = span(ms(10), DAY);
/// The bounds of the repeat interval of `sp_server_diagnostics`, which takes none under 5 s and counts in
/// whole seconds.
pub(super) const DIAGNOSTICS_INTERVAL: Span = span(ms(5_000), HOUR).whole_seconds();
/// The bounds of HealthCheckTimeout: at least 15 s, as in SQL Server's resource agents.
pub(super) const HEALTH_CHECK_TIMEOUT: Span = span(ms(15_000), HOUR).whole_seconds();

pub(super) const TLS: Choice<TlsMode> = Choice(&[
    ("required", TlsMode::Required),
    ("login", TlsMode::Login),
    ("strict", TlsMode::Strict),
    ("off", TlsMode::Off),
]);
pub(super) const RESTART_BY: Choice<RestartBy> = Choice(&[
    ("supervisor", RestartBy::Supervisor),
    ("kubelet", RestartBy::Kubelet),
]);
pub(super) const ENGINE_RESTART: Choice<EngineRestart> = Choice(&[
    ("container", EngineRestart::Container),
    ("in-place", EngineRestart::InPlace),
]);
pub(super) const LEASE: Choice<LeaseMode> = Choice(&[
    ("strict", LeaseMode::Strict),
    ("advisory", LeaseMode::Advisory),
    ("off", LeaseMode::Off),
]);
pub(super) const VOLUME_INIT: Choice<VolumeInit> =
    Choice(&[("once", VolumeInit::Once), ("never", VolumeInit::Never)]);
pub(super) const FORMAT: Choice<LogFormat> =
    Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
pub(super) const LEVEL: Choice<tracing::Level> = Choice(&[
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
]);

pub(super) const fn bytes(min: u64, max: u64) -> Bytes {
    Bytes { min, max }
}

pub(super) const KIB: u64 = 1 << 10;
pub(super) const TIB: u64 = 1 << 40;

/// Returns a third of HealthCheckTimeout, as the resource agents of SQL Server have it.
pub(super) fn third_of_health_check_timeout(config: &Config) -> String {
    let seconds = config.sql.diagnostics.deadline.as_secs() / 3;
    show_duration(Duration::from_secs(seconds).clamp(DIAGNOSTICS_INTERVAL.min, HOUR))
}

pub(super) fn socket_in_state_dir(config: &Config) -> String {
    config.state_dir.join("control.sock").display().to_string()
}

/// Returns the pod's grace less the time that the kubelet's own signals and the end of the container need.
pub(super) fn within_pod_grace(config: &Config) -> String {
    const LEFT: Duration = Duration::from_secs(5);
    let grace = config.stop.pod_grace;
    show_duration(grace.saturating_sub(LEFT).max(grace / 2))
}

pub(super) fn launch_socket_in_state_dir(config: &Config) -> String {
    config.state_dir.join("launch.sock").display().to_string()
}

pub(super) fn data_dir(config: &Config) -> String {
    config.volume.data_dir.display().to_string()
}
