//! The instruments, which count what happens as it happens.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Counter, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

use super::catalogue::{self as row, Row};
use crate::decide::decision::Probe;
use crate::decide::policy::RestartBy;
use crate::decide::reason::Reason;
use crate::publish::restart_by;

/// Upper bounds of a contact's buckets in seconds: from a query in shared memory up to past every
/// deadline of a contact.
const CONTACT_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds of a volume's buckets in seconds: from an fsync on local flash up to past the limit
/// for a stalled volume.
const VOLUME_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
/// Every value of `kind` for a contact, so that each series is there from the start: a counter that
/// appears with its first count shows no increase.
const CONTACT_KINDS: [&str; 10] = [
    "refused",
    "closed",
    "connect_timeout",
    "login_timeout",
    "query_timeout",
    "unreachable",
    "server",
    "tls",
    "protocol",
    "credentials",
];
/// Values of `kind` for a volume whose series are there from the start.
const VOLUME_KINDS: [&str; 11] = [
    "read_only",
    "no_space",
    "quota",
    "io",
    "permission_denied",
    "missing",
    "stale",
    "not_connected",
    "mismatch",
    "no_direct_io",
    "other",
];

/// Every way in which a process ends; the role is that of the parent or of the engine.
const EXIT_CAUSES: [&str; 10] = [
    "code_0",
    "code_other",
    "oom_kill",
    "sigabrt",
    "sigbus",
    "sigkill",
    "sigsegv",
    "sigterm",
    "signal_other",
    "unknown",
];
const EXIT_ROLES: [&str; 2] = ["parent", "engine"];

/// Every step of a restart by the supervisor.
const RESTART_STEPS: [&str; 4] = ["terminated", "killed", "done", "failed"];

/// The instruments, all of them registered.
#[derive(Debug)]
pub struct Instruments {
    registry: Registry,
    pub ping: Contact,
    pub login: Contact,
    pub login_errors: IntCounterVec,
    pub volume_write: HistogramVec,
    pub volume_failures: IntCounterVec,
    pub process_exits: IntCounterVec,
    pub process_restarts: IntCounter,
    pub restarts: IntCounterVec,
    pub fences: IntCounterVec,
    pub restart_steps: IntCounterVec,
    pub decisions: IntCounter,
    pub transitions: IntCounterVec,
    pub stalls: IntCounter,
    pub stalled: Counter,
}

/// The instruments of one kind of contact with the engine.
#[derive(Debug)]
pub struct Contact {
    pub duration: Histogram,
    pub failures: IntCounterVec,
}

impl Instruments {
    pub fn new() -> Self {
        let registry = Registry::new();
        let to = &registry;
        let transitions = counters(to, &row::TRANSITIONS);
        for probe in Probe::ALL {
            transitions.with_label_values(&[probe.name(), "pass"]);
            transitions.with_label_values(&[probe.name(), "fail"]);
        }
        let restarts = counters(to, &row::RESTARTS);
        for reason in Reason::ALL.iter().filter(|reason| reason.restart_helps()) {
            for by in [RestartBy::Supervisor, RestartBy::Kubelet] {
                restarts.with_label_values(&[restart_by(by), reason.code()]);
            }
        }
        let fences = counters(to, &row::FENCES);
        for reason in Reason::ALL.iter().filter(|reason| reason.info().fences) {
            fences.with_label_values(&[reason.code()]);
        }
        let process_exits = counters(to, &row::PROCESS_EXITS);
        for role in EXIT_ROLES {
            for cause in EXIT_CAUSES {
                process_exits.with_label_values(&[cause, role]);
            }
        }
        let login_errors = counters(to, &row::LOGIN_ERRORS);
        login_errors.with_label_values(&["other"]);
        Self {
            ping: Contact {
                duration: histogram(to, &row::PING_DURATION, CONTACT_BUCKETS),
                failures: each(counters(to, &row::PING_FAILURES), &CONTACT_KINDS),
            },
            login: Contact {
                duration: histogram(to, &row::LOGIN_DURATION, CONTACT_BUCKETS),
                failures: each(counters(to, &row::LOGIN_FAILURES), &CONTACT_KINDS),
            },
            login_errors,
            volume_write: histograms(to, &row::VOLUME_WRITE_DURATION, VOLUME_BUCKETS),
            volume_failures: counters(to, &row::VOLUME_WRITE_FAILURES),
            process_exits,
            process_restarts: registered(to, IntCounter::with_opts(opts(&row::PROCESS_RESTARTS))),
            restarts,
            fences,
            restart_steps: each(counters(to, &row::RESTART_STEPS), &RESTART_STEPS),
            decisions: registered(to, IntCounter::with_opts(opts(&row::DECISIONS))),
            transitions,
            stalls: registered(to, IntCounter::with_opts(opts(&row::STALLS))),
            stalled: registered(to, Counter::with_opts(opts(&row::STALLED))),
            registry,
        }
    }

    /// Makes the series of a volume, each at zero.
    pub fn knows_volume(&self, volume: &str) {
        self.volume_write.with_label_values(&[volume]);
        for kind in VOLUME_KINDS {
            self.volume_failures.with_label_values(&[kind, volume]);
        }
    }

    /// Returns what was counted so far.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

fn opts(row: &Row) -> Opts {
    Opts::new(row.name, row.help)
}

fn counters(registry: &Registry, row: &Row) -> IntCounterVec {
    registered(registry, IntCounterVec::new(opts(row), row.labels))
}

fn each(counters: IntCounterVec, values: &[&str]) -> IntCounterVec {
    for value in values {
        counters.with_label_values(&[value]);
    }
    counters
}

fn histogram(registry: &Registry, row: &Row, buckets: &[f64]) -> Histogram {
    let opts = HistogramOpts::from(opts(row)).buckets(buckets.to_vec());
    registered(registry, Histogram::with_opts(opts))
}

fn histograms(registry: &Registry, row: &Row, buckets: &[f64]) -> HistogramVec {
    let opts = HistogramOpts::from(opts(row)).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(opts, row.labels))
}

/// Makes an instrument known to the registry.
#[allow(clippy::expect_used, reason = "its argument is in the message")]
fn registered<C>(registry: &Registry, made: prometheus::Result<C>) -> C
where
    C: Collector + Clone + 'static,
{
    made.and_then(|collector| {
        registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    })
    .expect("names, labels and buckets are constants, each used once; every test makes them all")
}
