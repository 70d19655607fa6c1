//! All settings, in one table. Flags, variables, file keys, help, the reference in docs/configuration.md and
//! the tests are made from it, so that a setting is added here and nowhere else.

mod section;
mod values;

use std::time::Duration;

use super::Config;
use super::id::OptionalId;
use super::kind::{Count, Flag, Kind, Ratio, span};
use super::metrics::{CollectorNames, Patterns, ProfileList};
use super::raw::{Given, Problem, Raw, Shown};
use super::secret::PasswordSource;
use super::text::{
    AbsolutePath, Address, Auto, COMM, Host, Names, Optional, OptionalPath, PasswordPlace, SYSNAME,
    SocketPath,
};
pub use section::Section;
use values::*;

/// The default value of a setting, for where no source gives one.
#[derive(Clone, Copy, Debug)]
pub enum DefaultValue {
    /// A fixed text.
    Text(&'static str),
    /// A text that is made from settings that stand before this one in the table.
    From {
        /// The rule by which the text is made, in words for people.
        rule: &'static str,
        /// The function that makes the text.
        of: fn(&Config) -> String,
    },
}

/// A setting: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The setting's name: as a flag with `--`, in the file as it is.
    pub key: &'static str,
    /// The section of the table that the setting belongs to.
    pub section: Section,
    /// The value that counts when no source gives one.
    pub default: DefaultValue,
    /// The variables of the SQL Server image that count after the file and before the default.
    pub fallback: &'static [&'static str],
    /// The password that the setting says the place of, where it is in use. The fallback variables of such a
    /// setting hold a secret, and a value of it is not repeated.
    pub secret: Option<fn(&Config) -> Option<&PasswordSource>>,
    /// The help for the setting, in one line.
    pub help: &'static str,
    /// The function that puts a value into its field of the configuration.
    pub set: fn(&mut Config, &Given) -> Result<(), Problem>,
    /// The function that reads the value back for showing it.
    pub show: fn(&Config) -> Shown,
    /// The function that describes the allowed values.
    pub describe: fn() -> String,
}

impl Setting {
    /// Returns the name of the environment variable, such as SUPERVISOR_SQL_PORT.
    #[must_use]
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.key.to_uppercase().replace('-', "_"))
    }

    /// Returns the default in words for people.
    #[must_use]
    pub fn default_text(&self) -> &'static str {
        match self.default {
            DefaultValue::Text("") => "none",
            DefaultValue::Text(text) => text,
            DefaultValue::From { rule, .. } => rule,
        }
    }

    const fn or_env(mut self, fallback: &'static [&'static str]) -> Self {
        self.fallback = fallback;
        self
    }

    const fn secret(mut self, of: fn(&Config) -> Option<&PasswordSource>) -> Self {
        self.secret = Some(of);
        self
    }
}

/// The prefix of the supervisor's own variables.
pub const ENV_PREFIX: &str = "SUPERVISOR_";

/// Returns the setting of a key.
#[must_use]
pub fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Declares the table of settings. A row is: section, key => field of [`Config`], kind, default, then methods
/// of [`Setting`] that add to it; help.
macro_rules! settings {
    ($( $section:ident $key:literal => $($field:ident).+, $kind:expr, $default:expr
        $(, $method:ident $arguments:tt)* ; $help:literal )+) => {
        /// All settings. A setting whose default is made from another stands after it.
        pub static SETTINGS: &[Setting] = &[ $(
            Setting {
                key: $key,
                section: Section::$section,
                default: $default,
                fallback: &[],
                secret: None,
                help: $help,
                set: |config, given| {
                    config.$($field).+ = $kind.parse(given)?;
                    Ok(())
                },
                show: |config| $kind.show(&config.$($field).+),
                describe: || $kind.describe(),
            } $(.$method $arguments)*,
        )+ ];
    };
}

const fn text(default: &'static str) -> DefaultValue {
    DefaultValue::Text(default)
}

const fn made(rule: &'static str, of: fn(&Config) -> String) -> DefaultValue {
    DefaultValue::From { rule, of }
}

settings! {
    Http "listen" => http.listen, Address, text("0.0.0.0:9433");
        "Address and port that answer probes and scrapes; port 0 takes a free one"
    Http "max-connections" => http.max_connections,
        Count::<usize> { min: 1, max: 4096 }, text("256");
        "Open HTTP connections; more are closed at once"
    Http "header-timeout" => http.header_timeout, span(ms(100), ms(60_000)), text("5s");
        "Time for a request's head to arrive"
    // Less than 8 KiB is refused by hyper.
    Http "max-header-bytes" => http.max_header_bytes,
        bytes(8 * KIB, 1024 * KIB), text("8Ki");
        "Size of a request's head"
    Http "drain-timeout" => http.drain_timeout, span(Duration::ZERO, ms(60_000)), text("1s");
        "Time for open requests to end after SIGTERM"
    Http "decision-stale-after" => http.decision_stale_after, span(ms(500), HOUR), text("5s");
        "Age at which a decision is no longer served: the supervisor itself then counts as broken"
    Sql "sql-host" => sql.host, Auto(Host), text("auto"), or_env(&["MSSQL_IP_ADDRESS"]);
        "Host of the engine; auto asks where the engine's processes listen, else what its errorlog, its variables and mssql.conf name, else this host"
    Sql "sql-port" => sql.port,
        Auto(Count::<u16> { min: 1, max: u16::MAX }), text("auto"), or_env(&["MSSQL_TCP_PORT"]);
        "TCP port of the engine; auto finds it out as the host, else 1433"
    Sql "sql-dac-port" => sql.dac_port, Auto(Count::<u16> { min: 0, max: u16::MAX }), text("auto");
        "TCP port of the dedicated administrator connection, asked only while pings get no answer: it tells a busy engine from a hung one; auto is what the errorlog names, else 1434; 0 never asks"
    Sql "sql-user" => sql.user, SYSNAME, text("sa");
        "Login; `setup-sql` prints how to make one that may do nothing but look"
    Sql "sql-password-file" => sql.password,
        PasswordPlace, text(""), or_env(&["MSSQL_SA_PASSWORD", "SA_PASSWORD"]),
        secret(|config| Some(&config.sql.password));
        "File that holds the login's password, read anew at each login"
    Sql "sql-bootstrap-user" => sql.bootstrap.user, Optional(SYSNAME), text("");
        "Administrator's login by which the supervisor makes `sql-user` itself, with what `setup-sql` prints, where the engine does not know it yet; without one it changes nothing in the engine"
    Sql "sql-bootstrap-password-file" => sql.bootstrap.password,
        PasswordPlace, text(""), or_env(&["MSSQL_SA_PASSWORD", "SA_PASSWORD"]),
        secret(|config| config.sql.bootstrap.user.as_ref().map(|_| &config.sql.bootstrap.password));
        "File that holds that administrator's password"
    Sql "sql-tls" => sql.tls, TLS, text("required");
        "Encryption: of everything, of the login only, TDS 8, or none"
    Sql "sql-tls-ca" => sql.tls_ca, OptionalPath, text("");
        "CA certificates (PEM) to trust; without it any certificate is trusted, as on loopback"
    Sql "sql-tls-server-name" => sql.tls_server_name, Optional(Host), text("");
        "Name that the engine's certificate has to be for, if not the host's; it counts with sql-tls-ca, and not for a certificate that stands in it"
    Sql "ping-interval" => sql.ping.interval, QUERY_PACE, text("2s");
        "Pace of the query on a standing connection"
    Sql "ping-timeout" => sql.ping.deadline, DEADLINE, text("2s");
        "Deadline of a ping"
    Sql "login-interval" => sql.login.interval, QUERY_PACE, text("10s");
        "Pace of fresh logins, which see what a new client would"
    Sql "login-timeout" => sql.login.deadline, DEADLINE, text("5s");
        "Deadline of a fresh login: TCP, TLS, login and query together"
    Sql "databases-interval" => sql.databases.interval, QUERY_PACE, text("5s");
        "Pace of reading sys.databases"
    Sql "databases-timeout" => sql.databases.deadline, DEADLINE, text("5s");
        "Deadline of reading sys.databases"
    Sql "health-check-timeout" => sql.diagnostics.deadline, HEALTH_CHECK_TIMEOUT, text("30s");
        "Silence of sp_server_diagnostics at which its stream counts as broken"
    Sql "diagnostics-interval" => sql.diagnostics.interval,
        DIAGNOSTICS_INTERVAL, made("a third of `health-check-timeout`", third_of_health_check_timeout);
        "Repeat interval given to sp_server_diagnostics"
    Sql "max-databases" => sql.max_databases, Count::<usize> { min: 1, max: 32_767 }, text("1000");
        "Databases that are kept of sys.databases"
    Metrics "metrics-collect" => metrics.enabled, Flag, text("true");
        "Whether the engine is asked for metrics, on a connection of its own; the supervisor's own metrics are there without"
    Metrics "metrics-profiles" => metrics.profiles, ProfileList, text("alloy,own");
        "Whose names are exposed: alloy (Grafana Alloy's, which the mssql-mixin reads), own (sql_edge_*), sql-exporter, awaragi"
    Metrics "metrics-interval" => metrics.pace.interval, COLLECT_PACE, text("30s");
        "Pace of the collectors; a scrape asks the engine nothing"
    Metrics "metrics-timeout" => metrics.pace.deadline, DEADLINE, text("10s");
        "Deadline of one collector"
    Metrics "metrics-databases-include" => metrics.filter.include, Patterns, text("");
        "Databases whose metrics are exposed, as patterns (`app_*`); without one, all"
    Metrics "metrics-databases-exclude" => metrics.filter.exclude, Patterns, text("");
        "Databases whose metrics are left out, as patterns; it counts before metrics-databases-include"
    Metrics "metrics-max-databases" => metrics.max_databases,
        Count::<usize> { min: 1, max: 32_767 }, text("1000");
        "Databases whose metrics are exposed at most; the series left out are counted"
    Metrics "metrics-collectors-off" => metrics.off, CollectorNames, text("");
        "Collectors that are not run, by name"
    Metrics "collectors-dir" => metrics.collectors_dir, OptionalPath, text("");
        "Directory of custom collectors, files of sql_exporter's format named *.yml or *.yaml; read anew when they change"
    Observe "process-name" => process.name, COMM, text("sqlservr");
        "Name of the engine's processes, as the kernel has it in /proc/PID/comm"
    Observe "process-interval" => process.interval, PACE, text("1s");
        "Pace of reading /proc; the end of a process is seen at once anyway"
    Observe "proc-root" => process.proc_root, AbsolutePath, text("/proc");
        "Where procfs is mounted"
    Observe "data-dir" => volume.data_dir, AbsolutePath, text("/var/opt/mssql");
        "The engine's data directory, as the supervisor sees it"
    Observe "engine-data-dir" => volume.engine_data_dir,
        AbsolutePath, made("`data-dir`", data_dir);
        "The same directory, as the engine's container names it"
    Observe "master-data-file" => volume.places.master,
        OptionalPath, text(""), or_env(&["MSSQL_MASTER_DATA_FILE"]);
        "`master.mdf`, as the engine's container names it; without it mssql.conf's, or the image's, as for the next ones"
    Observe "master-log-file" => volume.places.master_log,
        OptionalPath, text(""), or_env(&["MSSQL_MASTER_LOG_FILE"]);
        "`mastlog.ldf`"
    Observe "default-data-dir" => volume.places.data,
        OptionalPath, text(""), or_env(&["MSSQL_DATA_DIR"]);
        "Directory of new data files"
    Observe "default-log-dir" => volume.places.log, OptionalPath, text(""), or_env(&["MSSQL_LOG_DIR"]);
        "Directory of new transaction logs"
    Observe "default-backup-dir" => volume.places.backup,
        OptionalPath, text(""), or_env(&["MSSQL_BACKUP_DIR"]);
        "Directory of backups"
    Observe "default-dump-dir" => volume.places.dump,
        OptionalPath, text(""), or_env(&["MSSQL_DUMP_DIR"]);
        "Directory of crash dumps"
    Observe "errorlog-file" => volume.places.errorlog,
        OptionalPath, text(""), or_env(&["MSSQL_ERROR_LOG_FILE"]);
        "File of the errorlog, as the engine's container names it"
    Observe "engine-output" => volume.engine_output, OptionalPath, text("");
        "File that the engine's standard output is also written to, if any, by `tee` for one: some failures of a start are written nowhere else"
    Observe "volume-interval" => volume.interval, PACE, text("5s");
        "Pace of checking the volume: write, fsync, read back"
    Observe "cgroup-interval" => cgroup_interval, PACE, text("5s");
        "Pace of reading the control group"
    Lease "lease" => policy.lease, LEASE, text("advisory");
        "Who may let an engine write the volume: strict, for volumes that several nodes can attach, kills an engine whose lease can't be renewed or was taken; advisory only one whose lease was taken; off keeps nobody from it"
    Lease "lease-renew" => lease.renew, PACE, text("5s");
        "From one renewal of the lease to the next"
    Lease "lease-stale" => lease.stale, PATIENCE, text("30s");
        "A lease that nobody renews for this long is free for another pod"
    Lease "lease-fence" => policy.lease_fence, PATIENCE, text("20s");
        "Renewals missing for this long end the lease for its holder, if it is strict"
    Lease "pod-uid" => lease.pod_uid, OptionalId { max: 64 }, text(""), or_env(&["POD_UID"]);
        "The pod's uid, by which what runs in one pod is one holder of the lease; without it its pid namespace is, or its process where that is the machine's"
    Lease "node-name" => lease.node, OptionalId { max: 253 }, text(""), or_env(&["NODE_NAME"]);
        "The node's name, shown to who waits for the lease; without it the host's"
    Lease "volume-init" => policy.volume_init, VOLUME_INIT, text("once");
        "Whether a volume without identity may be taken into use: once, or never unless an operator says `adopt`"
    Lease "volume-id" => volume.expected_id, OptionalId { max: 128 }, text("");
        "Id that the volume has to have; a new volume gets it"
    Lease "volume-id-file" => volume.expected_id_file, OptionalPath, text("");
        "File that holds that id, such as a ConfigMap's, read anew at each check; an empty or absent one expects none"
    Policy "failure-condition-level" => policy.failure_condition_level,
        Count::<u8> { min: 0, max: 5 }, text("3");
        "What justifies a restart, as for availability groups: 0 nothing, 1 a lost process or port, 2 a hang, 3 system errors, 4 resource errors, 5 query processing errors"
    Policy "unresponsive-after" => policy.unresponsive_after, PATIENCE, text("30s");
        "No answer and no progress for this long is a hang"
    Policy "listener-lost-after" => policy.listener_lost_after, PATIENCE, text("30s");
        "The port of a started engine refused for this long is a lost listener"
    Policy "process-missing-after" => policy.process_missing_after, PATIENCE, text("15s");
        "No engine process for this long, after there was one"
    Policy "zombie-after" => policy.zombie_after, PATIENCE, text("5s");
        "A dead process that nobody reaps for this long"
    Policy "startup-stalled-after" => policy.startup_stalled_after, PATIENCE, text("15m");
        "A start without any progress for this long"
    Policy "ready-freshness" => policy.ready_freshness, PATIENCE, text("10s");
        "Age up to which an answered query still proves readiness"
    Policy "settle" => policy.settle, span(Duration::ZERO, HOUR), text("3s");
        "How long the evidence has to be good before a failed probe passes again"
    Policy "volume-timeout" => policy.volume_stalled_after, PATIENCE, text("10s");
        "A check of the volume that takes this long means that the volume stalls"
    Policy "dump-limit" => policy.dump_limit, PATIENCE, text("15m");
        "How long a dump may hold liveness"
    Policy "stopping-limit" => policy.stopping_limit, PATIENCE, text("30m");
        "How long a stop on purpose may hold liveness"
    Policy "diagnostics-reports" => policy.diagnostics_reports,
        Count::<u32> { min: 1, max: 100 }, text("2");
        "Reports of sp_server_diagnostics in a row that have to show an error"
    // With zero an idle engine would count as advancing, and no hang would ever be seen.
    Policy "progress-cpu" => policy.progress_cpu, Ratio { min: 0.001, max: 1.0 }, text("0.05");
        "Share of a core from which an engine counts as advancing"
    Policy "progress-io" => policy.progress_io, bytes(1, TIB), text("16Ki");
        "Storage bytes a second from which an engine counts as advancing"
    Policy "throttled-ratio" => policy.throttled_ratio, Ratio { min: 0.01, max: 1.0 }, text("0.5");
        "Share of throttled cgroup periods from which timeouts are stretched"
    Policy "throttled-stretch" => policy.throttled_stretch,
        Count::<u32> { min: 1, max: 100 }, text("4");
        "Factor by which timeouts are stretched while the cgroup is throttled"
    Policy "required-databases" => policy.required_databases, Names(SYSNAME), text("");
        "Databases without which the instance is not ready; master always is one"
    Policy "require-mount" => policy.require_mount, Flag, text("true");
        "The data directory has to be a mount of its own"
    Policy "allow-ephemeral" => policy.allow_ephemeral, Flag, text("false");
        "The mount at data-dir may be an emptyDir, a tmpfs or a container's anonymous volume, whose data goes with the pod"
    Policy "disk-full-bytes" => policy.disk_full_bytes, bytes(0, 1024 * TIB), text("64Mi");
        "Free space below which the volume counts as full"
    Policy "disk-low-ratio" => policy.disk_low_ratio, Ratio { min: 0.0, max: 1.0 }, text("0.1");
        "Share of free bytes or inodes below which a warning is given"
    Policy "out-of-memory-after" => policy.out_of_memory_after, PATIENCE, text("60s");
        "Errors of an engine without memory (701, 802, 17803) for this long are a reason to restart it"
    Policy "restart-by" => policy.restart_by, RESTART_BY, text("supervisor");
        "Who restarts an engine that needs it: the supervisor signals sqlservr, so that the container ends and is started anew; or /livez fails and the kubelet does"
    Policy "restart-grace" => policy.restart_grace, GRACE, text("10s");
        "From SIGTERM to SIGKILL, for an engine that still works"
    Policy "unresponsive-grace" => policy.unresponsive_grace, GRACE, text("500ms");
        "From SIGTERM to SIGKILL, for an engine that does nothing any more"
    Policy "restart-budget" => policy.restart_budget, Count::<u32> { min: 1, max: 100 }, text("3");
        "Restarts without effect, however far apart, that end the restarting; a minute of readiness is an effect"
    Policy "busy-limit" => policy.busy_limit, span(Duration::ZERO, DAY), text("0s");
        "An engine that answers neither ping, login, diagnostics nor the administrator connection for this long, or no fresh login, is restarted though it uses processor time; 0s never does"
    Policy "termination-log" => termination_log, OptionalPath, text("");
        "The SQL container's termination message as the supervisor can reach it; without it /proc/PID/root/dev/termination-log is tried"
    Policy "termination-grace-period" => stop.pod_grace, span(ms(1_000), HOUR), text("30s");
        "terminationGracePeriodSeconds of the pod: at its end the kubelet kills what is left"
    Policy "stop-grace" => stop.grace,
        GRACE, made("`termination-grace-period` less 5 s, at least half of it", within_pod_grace);
        "For the whole of a stop: drain, checkpoints, SIGTERM, and SIGKILL before it ends"
    Policy "stop-drain" => stop.drain, GRACE, text("3s");
        "How long a stop waits for the endpoints to take the pod out, at most a quarter of `stop-grace`; it goes on as soon as nobody is connected"
    Supervisor "log-format" => log.format, FORMAT, text("text");
        "Lines for people, or a JSON object a line"
    Supervisor "log-level" => log.level, LEVEL, text("info");
        "Least level that is logged"
    Supervisor "state-dir" => state_dir, AbsolutePath, text("/run/sql-edge-supervisor");
        "Directory of the control socket and of what outlives a restart of the supervisor (state.json); made with mode 0700 where it is absent"
    Supervisor "control-socket" => control_socket,
        SocketPath, made("`control.sock` in `state-dir`", socket_in_state_dir);
        "Unix socket, mode 0600, that takes `pause`, `resume`, `release`, `adopt`, and `stop`; it runs without where none can be made"
    Launch "launch-socket" => launch.socket,
        SocketPath, made("`launch.sock` in `state-dir`", launch_socket_in_state_dir);
        "Unix socket, mode 0600, between the supervisor and `launch`: the same file in both containers, which run with the same uid"
    Launch "launch-listen" => launch.listen, Address, text("0.0.0.0:9434");
        "Address and port on which the SQL container answers the kubelet's liveness and readiness probes with the supervisor's last verdicts"
    Launch "ready-hold" => launch.ready_hold, PATIENCE, text("10m");
        "How long a supervisor's last pass of readiness stands while it is away, for the same engine process and as long as that answers a TDS PRELOGIN; longer than the kubelet's longest pause between two starts of a container, 5 minutes"
    Launch "gate-patience" => launch.gate_patience, PATIENCE, text("60s");
        "How long `launch` waits for a supervisor that can't be reached before it opens the gate on its own checks: the volume is mounted, writable and of a known identity, and its lease is held"
    Launch "engine-restart" => launch.engine_restart, ENGINE_RESTART, text("container");
        "What follows on the end of an engine that had served and was not stopped on purpose: the container ends with it and the kubelet starts it anew, after a pause that grows to 5 minutes; or `launch` starts the command anew in the same container at once, after the same checks as the first time, at most `restart-budget` times without a minute of readiness"
    Events "kubernetes-events" => events.enabled, Flag, text("false");
        "Whether reasons, restarts, fences and readiness are written as Events on the pod; needs a ServiceAccount that may `create` events.k8s.io/events, and nothing else"
    Events "pod-name" => events.pod_name, OptionalId { max: 253 }, text(""), or_env(&["POD_NAME"]);
        "The pod's name, which its Events are about"
    Events "kubernetes-service-account" => events.account,
        AbsolutePath, text("/var/run/secrets/kubernetes.io/serviceaccount");
        "Directory of the ServiceAccount's files: token, ca.crt, namespace; read anew for each Event"
    Events "kubernetes-service-host" => events.host,
        OptionalId { max: 253 }, text(""), or_env(&["KUBERNETES_SERVICE_HOST"]);
        "Host of the API server; the kubelet gives it to every container"
    Events "kubernetes-service-port" => events.port,
        Count::<u16> { min: 1, max: u16::MAX }, text("443"), or_env(&["KUBERNETES_SERVICE_PORT"]);
        "TCP port of the API server"
}

impl Setting {
    /// Returns the default as if a source had given it.
    #[must_use]
    pub fn default_raw(&self, config: &Config) -> Raw {
        Raw::Text(match self.default {
            DefaultValue::Text(text) => text.to_owned(),
            DefaultValue::From { of, .. } => of(config),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_unique_and_well_formed() {
        let mut seen = HashSet::new();
        for setting in SETTINGS {
            assert!(seen.insert(setting.key), "{} stands twice", setting.key);
            let allowed = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(setting.key.chars().all(allowed), "{}", setting.key);
            assert!(by_key(setting.key).is_some());
            assert!(!setting.help.ends_with('.') && !setting.help.contains('|'));
        }
    }

    #[test]
    fn the_variable_follows_from_the_key() {
        let setting = by_key("sql-port").expect("it is in the table");
        assert_eq!(setting.env(), "SUPERVISOR_SQL_PORT");
    }
}
