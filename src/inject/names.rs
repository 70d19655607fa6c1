//! The names of the supervisor's parts in a pod and the numbers of its probes: one place for everything that
//! writes a pod down. The pod in docs/install.md, the kustomize component and the chart are compared with it.

use std::time::Duration;

/// The name of the program, as its image has it.
pub const PROGRAM_NAME: &str = "sql-edge-supervisor";
/// The name of the init container that copies the program to a place where the SQL container finds it.
pub const INSTALL: &str = "install";
/// The name of the supervisor's own container.
pub const SUPERVISOR: &str = "supervisor";
/// The name of the init container that waits for the volume, where there are no native sidecars.
pub const GATE: &str = "gate";

/// The name of the volume with the program.
pub const PROGRAM_VOLUME: &str = "supervisor";
/// The name of the volume with the sockets and `state.json`.
pub const RUN_VOLUME: &str = "supervisor-run";
/// The name of the volume with the login's password.
pub const LOGIN_VOLUME: &str = "supervisor-login";

/// The directory that the program is mounted at.
pub const PROGRAM_DIR: &str = "/supervisor";
/// The path of the program in the SQL container.
pub const PROGRAM: &str = "/supervisor/sql-edge-supervisor";
/// The path of the program in its own image.
pub const PROGRAM_IN_IMAGE: &str = "/sql-edge-supervisor";
/// The directory of the sockets: the default of `state-dir`.
pub const RUN_DIR: &str = "/run/sql-edge-supervisor";
/// The directory that the login's password is mounted at.
pub const LOGIN_DIR: &str = "/etc/sql-edge-supervisor/login";
/// The name of the volume with the administrator's password, by which the supervisor makes its login.
pub const ADMINISTRATOR_VOLUME: &str = "supervisor-administrator";
/// The directory that the administrator's password is mounted at.
pub const ADMINISTRATOR_DIR: &str = "/etc/sql-edge-supervisor/administrator";
/// The name of the file that holds a password, in its directory; also the key of a Secret that is given
/// without one.
pub const PASSWORD_KEY: &str = "password";
/// The engine's directory: the default of `data-dir`.
pub const DATA_DIR: &str = "/var/opt/mssql";

/// The supervisor's port: the default of `listen`.
pub const HTTP_PORT: u16 = 9433;
/// The port of `launch`: the default of `launch-listen`.
pub const LIVEZ_PORT: u16 = 9434;

/// The user that sqlservr runs as in Microsoft's images. The control socket takes commands from its own user
/// only, and the volume is that user's.
pub const SQL_UID: u64 = 10_001;

/// The grace of a pod for the steps of a stop: drain, a checkpoint of each database, SIGTERM.
pub const GRACE: Duration = Duration::from_secs(60);
/// The part of the grace that stays for the stop where a preStop hook runs before it (`stop --after`).
pub const STOP_RESERVE: Duration = Duration::from_secs(30);
/// The largest value of `termination-grace-period`.
pub const MAX_GRACE: Duration = Duration::from_secs(3600);

/// A probe of the kubelet: its question and its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The path that is asked for.
    pub path: &'static str,
    /// The port that is asked.
    pub port: u16,
    /// The time between two probes: `periodSeconds`.
    pub period: u32,
    /// The deadline of a probe: `timeoutSeconds`.
    pub timeout: u32,
    /// The number of failures in a row that count: `failureThreshold`.
    pub failures: u32,
}

/// The seconds for which a startup probe may fail: a day. The supervisor decides, not a counter.
const WIDE_OPEN: u32 = 86_400;

/// The startupProbe of the native sidecar without `launch`, which waits for the gate itself: SQL is started
/// once the volume is the right one and its lease is held.
pub const GATE_PROBE: Probe = Probe {
    path: "/gatez",
    port: HTTP_PORT,
    period: 1,
    timeout: 1,
    failures: WIDE_OPEN,
};
/// The livenessProbe of the native sidecar without `launch`, which asks for the supervisor's own health.
pub const HEALTH_PROBE: Probe = Probe {
    path: "/healthz",
    port: HTTP_PORT,
    period: 10,
    timeout: 1,
    failures: 3,
};
/// The startupProbe of SQL.
pub const STARTUP_PROBE: Probe = Probe {
    path: "/startupz",
    port: HTTP_PORT,
    period: 1,
    timeout: 1,
    failures: WIDE_OPEN,
};
/// The livenessProbe of SQL, answered by `launch` in SQL's own container.
pub const LAUNCHED_LIVE_PROBE: Probe = Probe {
    path: "/livez",
    port: LIVEZ_PORT,
    period: 5,
    timeout: 2,
    failures: 3,
};
/// The livenessProbe of SQL without `launch`: a sidecar that is away for less than two minutes costs no
/// restart of the database.
pub const ATTACHED_LIVE_PROBE: Probe = Probe {
    path: "/livez",
    port: HTTP_PORT,
    period: 5,
    timeout: 2,
    failures: 24,
};
/// The readinessProbe of SQL, answered by `launch` in SQL's own container.
pub const LAUNCHED_READY_PROBE: Probe = Probe {
    path: "/readyz",
    port: LIVEZ_PORT,
    period: 1,
    timeout: 1,
    failures: 1,
};
/// The readinessProbe of SQL without `launch`.
pub const ATTACHED_READY_PROBE: Probe = Probe {
    path: "/readyz",
    port: HTTP_PORT,
    period: 1,
    timeout: 1,
    failures: 1,
};

/// The processor time that each added container requests: twice what it takes at the default pace.
pub const CPU: &str = "10m";
/// The memory that each added container requests: twice its resident memory (docs/evidence.md, Limits).
pub const MEMORY: &str = "16Mi";
/// The memory limit of each added container, with room for the page cache of what it reads.
pub const MEMORY_LIMIT: &str = "64Mi";
/// The processor time that is both limit and request where the pod's quality of service would suffer without
/// a limit: ten times what is requested otherwise.
pub const CPU_LIMIT: &str = "100m";

/// The size of the volume with the program: several times the program, so that two of them fit.
pub const PROGRAM_SIZE: &str = "32Mi";
/// The size of the volume with the sockets.
pub const RUN_SIZE: &str = "16Mi";
/// The mode of the password's file where fsGroup gives it to the pod's group: 0440, which YAML 1.1 and JSON
/// read differently when it is written so.
pub const GROUP_READABLE: u32 = 0o440;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::{DefaultValue, by_key};

    #[test]
    fn they_are_the_defaults_of_the_settings() {
        for (key, value) in [
            ("listen", format!("0.0.0.0:{HTTP_PORT}")),
            ("launch-listen", format!("0.0.0.0:{LIVEZ_PORT}")),
            ("state-dir", RUN_DIR.to_owned()),
            ("data-dir", DATA_DIR.to_owned()),
        ] {
            let setting = by_key(key).expect("it is in the table");
            let DefaultValue::Text(default) = setting.default else {
                panic!("{key} has a made default");
            };
            assert_eq!(default, value, "{key}");
        }
        assert_eq!(PROGRAM, format!("{PROGRAM_DIR}/{PROGRAM_NAME}"));
    }

    #[test]
    fn the_longest_grace_is_what_the_setting_takes() {
        let allowed = (by_key("termination-grace-period")
            .expect("it is in the table")
            .describe)();
        assert!(allowed.ends_with("to 1h"), "{allowed}");
        assert_eq!(MAX_GRACE.as_secs(), 3600);
    }
}
