//! The bounds, choices and made defaults that the table of settings names.

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

/// How often something is looked at. Below 10 ms the looking itself would be the load.
pub(super) const PACE: Span = span(ms(10), HOUR);
/// How often the engine is asked. Its observers go no faster, whatever they are told.
pub(super) const QUERY_PACE: Span = span(ms(50), HOUR);
/// How often the engine is asked for metrics: Prometheus scrapes no faster than once a second.
pub(super) const COLLECT_PACE: Span = span(ms(1_000), HOUR);
/// How long one try may take.
pub(super) const DEADLINE: Span = span(ms(10), HOUR);
/// From SIGTERM to SIGKILL. None at all is a way to say that no clean shutdown is waited for.
pub(super) const GRACE: Span = span(Duration::ZERO, HOUR);
/// How long a state may last before it means something.
pub(super) const PATIENCE: Span = span(ms(10), DAY);
/// `sp_server_diagnostics` takes no repeat interval under 5 s, and counts in whole seconds.
pub(super) const DIAGNOSTICS_INTERVAL: Span = span(ms(5_000), HOUR).whole_seconds();
/// HealthCheckTimeout of SQL Server's resource agents: at least 15 s.
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

/// A third of HealthCheckTimeout, as the resource agents of SQL Server have it.
pub(super) fn third_of_health_check_timeout(config: &Config) -> String {
    let seconds = config.sql.diagnostics.deadline.as_secs() / 3;
    show_duration(Duration::from_secs(seconds).clamp(DIAGNOSTICS_INTERVAL.min, HOUR))
}

pub(super) fn socket_in_state_dir(config: &Config) -> String {
    config.state_dir.join("control.sock").display().to_string()
}

/// What the kubelet's own signals and the end of the container need is left of the pod's grace.
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
