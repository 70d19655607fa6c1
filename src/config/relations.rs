//! The rules that have to hold between settings.

use std::time::Duration;

use super::Config;
use super::kind::show_duration;
use crate::decide::lease::LeaseMode;

/// A rule over some settings.
#[derive(Clone, Copy, Debug)]
pub struct Relation {
    /// The keys of the settings that the rule is about; the first one is named as the mistaken one.
    pub keys: &'static [&'static str],
    /// The check of the rule, which returns what is wrong where the rule does not hold.
    pub check: fn(&Config) -> Option<Broken>,
}

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The description of what is wrong.
    pub what: String,
    /// The advice on how to mend it.
    pub advice: String,
}

/// Checks that `value` is at least `least`; `rule` names the bound, and `why` gives the reason for it.
fn at_least(value: Duration, least: Duration, rule: &str, why: &str) -> Option<Broken> {
    (value < least).then(|| Broken {
        what: format!("is below {rule}, {}: {why}", show_duration(least)),
        advice: format!("give at least {}, or lower the other", show_duration(least)),
    })
}

/// The rules whose breach is a mistake.
pub const RELATIONS: &[Relation] = &[
    Relation {
        keys: &["unresponsive-after", "ping-timeout"],
        check: |config| {
            let (limit, timeout) = (config.policy.unresponsive_after, config.sql.ping.deadline);
            (timeout >= limit).then(|| Broken {
                what: format!(
                    "is not above ping-timeout, {}: no ping could have been waited for",
                    show_duration(timeout)
                ),
                advice: "raise unresponsive-after or lower ping-timeout".to_owned(),
            })
        },
    },
    Relation {
        keys: &["sql-bootstrap-user", "sql-user"],
        check: |config| {
            let maker = config.sql.bootstrap.user.as_deref();
            (maker == Some(config.sql.user.as_str())).then(|| Broken {
                what: "is sql-user itself, which can't make itself".to_owned(),
                advice: "give the engine's administrator here and another name as sql-user"
                    .to_owned(),
            })
        },
    },
    Relation {
        keys: &["metrics-timeout", "metrics-interval"],
        check: |config| {
            let pace = config.metrics.pace;
            (pace.deadline > pace.interval).then(|| Broken {
                what: format!(
                    "is above metrics-interval, {}: one slow collector would delay all the others by a turn",
                    show_duration(pace.interval)
                ),
                advice: "lower it, or raise metrics-interval".to_owned(),
            })
        },
    },
    Relation {
        keys: &["stop-grace", "termination-grace-period"],
        check: |config| {
            /// The time that the container needs to end after its last process.
            const LEFT: Duration = Duration::from_secs(1);
            let most = config.stop.pod_grace.saturating_sub(LEFT);
            (config.stop.grace > most).then(|| Broken {
                what: format!(
                    "is above termination-grace-period less {}, {}: the kubelet would kill the engine in the midst of its shutdown",
                    show_duration(LEFT),
                    show_duration(most)
                ),
                advice: "lower it, or raise terminationGracePeriodSeconds in the pod and termination-grace-period here".to_owned(),
            })
        },
    },
    Relation {
        keys: &["unresponsive-after", "ping-interval"],
        check: |config| {
            let (least, rule) = (config.sql.ping.interval * 2, "2 x ping-interval");
            let why = "a single lost ping would be a hang";
            at_least(config.policy.unresponsive_after, least, rule, why)
        },
    },
    Relation {
        keys: &["unresponsive-after", "login-timeout"],
        check: |config| {
            let (least, rule) = (config.sql.login.deadline, "login-timeout");
            let why = "a login that may still be answered would count as silence";
            at_least(config.policy.unresponsive_after, least, rule, why)
        },
    },
    Relation {
        keys: &["listener-lost-after", "ping-interval"],
        check: |config| {
            let (least, rule) = (config.sql.ping.interval * 2, "2 x ping-interval");
            let why = "a single refused ping would be a lost listener";
            at_least(config.policy.listener_lost_after, least, rule, why)
        },
    },
    Relation {
        keys: &["process-missing-after", "process-interval"],
        check: |config| {
            let (least, rule) = (config.process.interval * 2, "2 x process-interval");
            let why = "a restarted process would be missed before it is looked for";
            at_least(config.policy.process_missing_after, least, rule, why)
        },
    },
    Relation {
        keys: &["zombie-after", "process-interval"],
        check: |config| {
            let least = config.process.interval;
            let why = "a process on its way out would count";
            at_least(config.policy.zombie_after, least, "process-interval", why)
        },
    },
    Relation {
        keys: &["ready-freshness", "ping-interval", "ping-timeout"],
        check: |config| {
            let least = config.sql.ping.interval + config.sql.ping.deadline;
            let why = "a healthy engine would be unready between two pings";
            let rule = "ping-interval + ping-timeout";
            at_least(config.policy.ready_freshness, least, rule, why)
        },
    },
    Relation {
        keys: &["health-check-timeout", "diagnostics-interval"],
        check: |config| {
            let pace = config.sql.diagnostics;
            let (least, rule) = (pace.interval * 3, "3 x diagnostics-interval");
            let why = "a late report would break the stream";
            at_least(pace.deadline, least, rule, why)
        },
    },
    Relation {
        keys: &["busy-limit", "unresponsive-after"],
        check: |config| {
            let policy = &config.policy;
            let why = "hard work would be ended sooner than a hang";
            let (least, rule) = (policy.unresponsive_after, "unresponsive-after");
            match policy.busy_limit.is_zero() {
                true => None,
                false => at_least(policy.busy_limit, least, rule, why),
            }
        },
    },
    Relation {
        keys: &["lease-fence", "lease-renew"],
        check: |config| {
            let least = config.lease.renew * 2;
            let why = "a single late renewal would end the lease";
            at_least(config.policy.lease_fence, least, "2 x lease-renew", why)
        },
    },
    Relation {
        keys: &["lease-stale", "lease-fence", "lease-renew"],
        check: |config| {
            let least = config.policy.lease_fence + config.lease.renew;
            let rule = "lease-fence + lease-renew";
            let why = "another pod could take it while this one's engine still writes";
            at_least(config.lease.stale, least, rule, why)
        },
    },
    Relation {
        keys: &["max-databases", "required-databases"],
        check: |config| {
            // master is required as well, and need not be in the list.
            let needed = config.policy.required_databases.len() + 1;
            (config.sql.max_databases < needed).then(|| Broken {
                what: format!("is below the number of required databases, {needed} with master"),
                advice: format!("give at least {needed}"),
            })
        },
    },
    Relation {
        keys: &["launch-socket", "control-socket"],
        check: |config| {
            (config.launch.socket == config.control_socket).then(|| Broken {
                what: "is the control socket's path".to_owned(),
                advice: "give each a path of its own".to_owned(),
            })
        },
    },
    Relation {
        keys: &[
            "kubernetes-events",
            "pod-name",
            "pod-uid",
            "kubernetes-service-host",
        ],
        check: |config| {
            let events = &config.events;
            let lacking = [
                (events.pod_name.is_none(), "pod-name (POD_NAME)"),
                (config.lease.pod_uid.is_none(), "pod-uid (POD_UID)"),
                (
                    events.host.is_none(),
                    "kubernetes-service-host (KUBERNETES_SERVICE_HOST)",
                ),
            ];
            let lacking: Vec<_> = lacking
                .iter()
                .filter_map(|(lacks, name)| lacks.then_some(*name))
                .collect();
            (events.enabled && !lacking.is_empty()).then(|| Broken {
                what: format!("is true without {}", lacking.join(", ")),
                advice: "give the pod's name and uid by the downward API; the host is there in every pod"
                    .to_owned(),
            })
        },
    },
    Relation {
        keys: &["launch-listen", "listen"],
        check: |config| {
            let (theirs, ours) = (config.launch.listen.port(), config.http.listen.port());
            // The containers of a pod share their ports.
            (theirs == ours && theirs != 0).then(|| Broken {
                what: "has the port of listen: one of the two could not have it".to_owned(),
                advice: "give each a port of its own".to_owned(),
            })
        },
    },
];

/// The rules whose breach is allowed and yet probably not meant.
pub const WARNINGS: &[Relation] = &[
    Relation {
        keys: &["unresponsive-after", "diagnostics-interval"],
        check: |config| {
            let interval = config.sql.diagnostics.interval;
            (config.policy.unresponsive_after <= interval).then(|| Broken {
                what: format!(
                    "is not above diagnostics-interval, {}: an engine that answers only diagnostics, and does little else, is restarted between two reports",
                    show_duration(interval)
                ),
                advice: "raise unresponsive-after, unless this is a test".to_owned(),
            })
        },
    },
    Relation {
        keys: &["lease"],
        check: |config| {
            (config.policy.lease == LeaseMode::Off).then(|| Broken {
                what: "is off: nothing keeps two pods from writing one volume".to_owned(),
                advice: "give advisory, or strict where several nodes can attach the volume"
                    .to_owned(),
            })
        },
    },
    Relation {
        keys: &["collectors-dir", "metrics-collect"],
        check: |config| {
            let unread = config.metrics.collectors_dir.is_some() && !config.metrics.enabled;
            unread.then(|| Broken {
                what: "is given, and metrics-collect is false: its files are not read".to_owned(),
                advice: "give `metrics-collect: true`, or leave it out".to_owned(),
            })
        },
    },
    Relation {
        keys: &["volume-id", "volume-id-file"],
        check: |config| {
            let volume = &config.volume;
            (volume.expected_id.is_some() && volume.expected_id_file.is_some()).then(|| Broken {
                what: "is given, so that volume-id-file is not read".to_owned(),
                advice: "give one of them".to_owned(),
            })
        },
    },
    Relation {
        keys: &["failure-condition-level"],
        check: |config| {
            (config.policy.failure_condition_level == 0).then(|| Broken {
                what: "is 0: nothing fails liveness, a hung engine is left as it is".to_owned(),
                advice: "give 3, unless somebody else restarts it".to_owned(),
            })
        },
    },
    Relation {
        keys: &["sql-tls"],
        check: |config| {
            let host = config.sql.host.as_deref();
            let loopback = host.is_none_or(|host| match host.parse::<std::net::IpAddr>() {
                Ok(address) => address.is_loopback() || address.is_unspecified(),
                Err(_) => host == "localhost",
            });
            let bare = config.sql.tls == super::TlsMode::Off || config.sql.tls_ca.is_none();
            (bare && !loopback).then(|| Broken {
                what: "does not prove who answers, and the engine is not on loopback".to_owned(),
                advice: "give sql-tls-ca with `sql-tls: required`".to_owned(),
            })
        },
    },
];

#[cfg(test)]
mod tests {
    use super::super::settings::by_key;
    use super::*;

    #[test]
    fn relations_name_settings_that_exist() {
        for relation in RELATIONS.iter().chain(WARNINGS) {
            assert!(!relation.keys.is_empty());
            for key in relation.keys {
                assert!(by_key(key).is_some(), "{key}");
            }
        }
    }
}
