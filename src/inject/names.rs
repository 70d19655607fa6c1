//! What the supervisor is called in a pod and the numbers of its probes: one place for everybody who
//! writes a pod down. The pod in docs/install.md, the kustomize component and the chart are held against it.

use std::time::Duration;

/// The program, as its image names it.
pub const PROGRAM_NAME: &str = "sql-edge-supervisor";
/// The init container that brings the program to where the SQL container finds it.
pub const INSTALL: &str = "install";
/// The supervisor's own container.
pub const SUPERVISOR: &str = "supervisor";
/// The init container that waits for the volume, where there are no native sidecars.
pub const GATE: &str = "gate";

/// The volume with the program.
pub const PROGRAM_VOLUME: &str = "supervisor";
/// The volume with the sockets and `state.json`.
pub const RUN_VOLUME: &str = "supervisor-run";
/// The volume with the login's password.
pub const LOGIN_VOLUME: &str = "supervisor-login";

/// Where the program is mounted.
pub const PROGRAM_DIR: &str = "/supervisor";
/// The program in the SQL container.
pub const PROGRAM: &str = "/supervisor/sql-edge-supervisor";
/// The program in its own image.
pub const PROGRAM_IN_IMAGE: &str = "/sql-edge-supervisor";
/// Where the sockets are: the default of `state-dir`.
pub const RUN_DIR: &str = "/run/sql-edge-supervisor";
/// Where the login's password is mounted.
pub const LOGIN_DIR: &str = "/etc/sql-edge-supervisor/login";
/// The volume with the administrator's password, by which the supervisor makes its login.
pub const ADMINISTRATOR_VOLUME: &str = "supervisor-administrator";
/// Where that is mounted.
pub const ADMINISTRATOR_DIR: &str = "/etc/sql-edge-supervisor/administrator";
/// The file that holds a password, in its directory; also the key of a Secret that is named without one.
pub const PASSWORD_KEY: &str = "password";
/// The engine's directory: the default of `data-dir`.
pub const DATA_DIR: &str = "/var/opt/mssql";
/// What the supervisor reads below it, where that is a volume of its own: `master.mdf`, the errorlog
/// and dumps, the engine's instance id.
pub const READ_BELOW_DATA_DIR: [&str; 3] = ["data", "log", ".system"];

/// The supervisor's port: the default of `listen`.
pub const HTTP_PORT: u16 = 9433;
/// The port of `launch`: the default of `launch-listen`.
pub const LIVEZ_PORT: u16 = 9434;

/// The user that sqlservr runs as in Microsoft's images. The control socket obeys its own user, and
/// the volume is that user's.
pub const SQL_UID: u64 = 10_001;

/// Grace of a pod for the ladder of a stop: drain, a checkpoint of each database, SIGTERM.
pub const GRACE: Duration = Duration::from_secs(60);
/// Of the grace, what stays for the stop where a preStop hook runs before it (`stop --after`).
pub const STOP_RESERVE: Duration = Duration::from_secs(30);
/// What `termination-grace-period` takes at most.
pub const MAX_GRACE: Duration = Duration::from_secs(3600);

/// A probe: its question and its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The path.
    pub path: &'static str,
    /// The port.
    pub port: u16,
    /// `periodSeconds`.
    pub period: u32,
    /// `timeoutSeconds`.
    pub timeout: u32,
    /// `failureThreshold`.
    pub failures: u32,
}

/// Seconds for which a startup probe may fail: a day. The supervisor decides, not a counter.
const WIDE_OPEN: u32 = 86_400;

/// startupProbe of the native sidecar without `launch`, which waits for the gate itself: SQL is started once
/// the volume is the right one and is held.
pub const GATE_PROBE: Probe = Probe {
    path: "/gatez",
    port: HTTP_PORT,
    period: 1,
    timeout: 1,
    failures: WIDE_OPEN,
};
/// livenessProbe of the native sidecar without `launch`: the supervisor itself.
pub const HEALTH_PROBE: Probe = Probe {
    path: "/healthz",
    port: HTTP_PORT,
    period: 10,
    timeout: 1,
    failures: 3,
};
/// startupProbe of SQL.
pub const STARTUP_PROBE: Probe = Probe {
    path: "/startupz",
    port: HTTP_PORT,
    period: 1,
    timeout: 1,
    failures: WIDE_OPEN,
};
/// livenessProbe of SQL, answered by `launch` in its own container.
pub const LAUNCHED_LIVE_PROBE: Probe = Probe {
    path: "/livez",
    port: LIVEZ_PORT,
    period: 5,
    timeout: 2,
    failures: 3,
};
/// livenessProbe of SQL without `launch`: a sidecar that is away for less than two minutes costs no
/// restart of the database.
pub const ATTACHED_LIVE_PROBE: Probe = Probe {
    path: "/livez",
    port: HTTP_PORT,
    period: 5,
    timeout: 2,
    failures: 24,
};
/// readinessProbe of SQL, answered in its own container.
pub const LAUNCHED_READY_PROBE: Probe = Probe {
    path: "/readyz",
    port: LIVEZ_PORT,
    period: 1,
    timeout: 1,
    failures: 1,
};
/// readinessProbe of SQL without `launch`.
pub const ATTACHED_READY_PROBE: Probe = Probe {
    path: "/readyz",
    port: HTTP_PORT,
    period: 1,
    timeout: 1,
    failures: 1,
};

/// Processor time that each added container asks for: twice what it takes at the default pace.
pub const CPU: &str = "10m";
/// Memory that it asks for: twice its resident memory (docs/evidence.md, Limits).
pub const MEMORY: &str = "16Mi";
/// Its limit: room for the page cache of what it reads.
pub const MEMORY_LIMIT: &str = "64Mi";
/// Limit and request where the pod's quality of service would suffer without one: ten times what it asks
/// for otherwise.
pub const CPU_LIMIT: &str = "100m";

/// Size of the volume with the program: several times the program, so that two of them fit.
pub const PROGRAM_SIZE: &str = "32Mi";
/// Size of the volume with the sockets.
pub const RUN_SIZE: &str = "16Mi";
/// Mode of the password where fsGroup gives it to the pod's group: 0440, which YAML 1.1 and JSON read
/// differently when it is written so.
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
