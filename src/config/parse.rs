//! Parsing of the sources into one [`Config`], or into all of the mistakes, without any I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::metrics::{Filter, MetricsConfig, Profiles};
use super::mistake::{ConfigErrors, Mistake, nearest};
use super::raw::{Given, Origin, Problem, Raw};
use super::refusals::Refusals;
use super::relations::{RELATIONS, Relation, WARNINGS};
use super::secret::PasswordSource;
use super::settings::{ENV_PREFIX, SETTINGS, Setting, by_key};
use super::sources::{CONFIG_ENV, Sources};
use super::{
    BootstrapConfig, Config, EngineRestart, EventsConfig, HttpConfig, LaunchConfig, LeaseConfig,
    LogConfig, LogFormat, Pace, PlacesConfig, ProcessConfig, SqlConfig, StopConfig, TlsMode,
    VolumeConfig,
};
use crate::decide::policy::{Ages, Policy};

/// A configuration, with the origin of each value.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The values of all settings.
    pub config: Config,
    /// The origin of each value, by the key of its setting.
    pub origins: BTreeMap<&'static str, Origin>,
    /// The settings that are allowed and yet probably not meant.
    pub warnings: Vec<Mistake>,
}

/// Parses what was given into the configuration.
///
/// # Errors
/// When anything is wrong; the error lists all mistakes.
pub fn parse(sources: &Sources) -> Result<Effective, ConfigErrors> {
    let mut mistakes: Vec<Mistake> = sources.file_mistake.iter().cloned().collect();
    strangers(sources, &mut mistakes);

    let mut config = blank();
    let mut origins = BTreeMap::new();
    let mut broken = BTreeSet::new();
    for setting in SETTINGS {
        match apply(setting, sources, &mut config) {
            Ok(origin) => {
                origins.insert(setting.key, origin);
            }
            Err(mistake) => {
                mistakes.push(*mistake);
                broken.insert(setting.key);
                // The default takes its place, for the settings that are made from this one.
                let default = Given {
                    raw: setting.default_raw(&config),
                    origin: Origin::Default,
                };
                let _ = (setting.set)(&mut config, &default);
            }
        }
    }

    config.policy.ages = ages(&config);
    let origin = |key| origins.get(key).cloned().unwrap_or(Origin::Default);
    // A rule over a value that is refused anyway would only add noise.
    let applies = |relation: &&Relation| relation.keys.iter().all(|key| !broken.contains(key));
    let check = |relation: &Relation| {
        let key = relation.keys[0];
        let found = (relation.check)(&config)?;
        Some(Mistake {
            setting: key.to_owned(),
            value: by_key(key).and_then(|setting| (setting.show)(&config).yaml()),
            origin: origin(key),
            what: found.what,
            advice: found.advice,
        })
    };
    mistakes.extend(RELATIONS.iter().filter(applies).filter_map(check));
    let warnings = WARNINGS.iter().filter(applies).filter_map(check).collect();
    ConfigErrors::unless_empty(
        mistakes,
        Effective {
            config,
            origins,
            warnings,
        },
    )
}

/// Returns the ages up to which observations count: three turns of their observer, and for an attempt also
/// the deadline of the last one. The time that a hang may take to show is not cut short.
fn ages(config: &Config) -> Ages {
    const TURNS: u32 = 3;
    /// The least age: less than this is the delay of a busy machine.
    const LEAST: Duration = Duration::from_secs(10);
    let paced = |interval: Duration| (interval * TURNS).max(LEAST);
    let asked = |pace: Pace| {
        let turns = pace.interval * TURNS + pace.deadline;
        turns.max(config.policy.unresponsive_after).max(LEAST)
    };
    let sql = &config.sql;
    Ages {
        process: paced(config.process.interval),
        listeners: paced(config.process.interval).max(Ages::default().listeners),
        contact: asked(sql.login).max(asked(sql.ping)),
        diagnostics: sql
            .diagnostics
            .deadline
            .max(sql.diagnostics.interval * TURNS),
        databases: asked(sql.databases),
        cgroup: paced(config.cgroup_interval),
    }
}

/// Reads `listen`, whatever else may be wrong: `probe` must not depend on the other settings.
///
/// # Errors
/// When this setting, or the file as a whole, is wrong.
pub fn parse_listen(sources: &Sources) -> Result<SocketAddr, Box<Mistake>> {
    parse_some(&["listen"], sources).map(|config| config.http.listen)
}

/// Reads `control-socket`, and `state-dir` from which its default is made, whatever else may be wrong.
///
/// # Errors
/// When one of these settings, or the file as a whole, is wrong.
pub fn parse_control_socket(sources: &Sources) -> Result<PathBuf, Box<Mistake>> {
    parse_some(CONTROL_SETTINGS, sources).map(|config| config.control_socket)
}

/// Reads `termination-grace-period`, whatever else may be wrong.
///
/// # Errors
/// When this setting, or the file as a whole, is wrong.
pub fn parse_pod_grace(sources: &Sources) -> Result<Duration, Box<Mistake>> {
    parse_some(STOP_SETTINGS, sources).map(|config| config.stop.pod_grace)
}

/// Reads the settings of the data volume's place, [`VOLUME_SETTINGS`], whatever else may be wrong.
///
/// # Errors
/// When one of these settings, or the file as a whole, is wrong.
pub fn parse_volume(sources: &Sources) -> Result<VolumeConfig, Box<Mistake>> {
    parse_some(VOLUME_SETTINGS, sources).map(|config| config.volume)
}

/// Reads `data-dir`, whatever else may be wrong.
///
/// # Errors
/// When `data-dir` or another of [`VOLUME_SETTINGS`], or the file as a whole, is wrong.
pub fn parse_data_dir(sources: &Sources) -> Result<PathBuf, Box<Mistake>> {
    parse_volume(sources).map(|volume| volume.data_dir)
}

/// The settings that determine on which volume `master.mdf` lies.
pub const VOLUME_SETTINGS: &[&str] = &["data-dir", "engine-data-dir", "master-data-file"];

/// The settings that determine the path of the control socket.
pub const CONTROL_SETTINGS: &[&str] = &["state-dir", "control-socket"];

/// The settings of `stop`: those of the control socket, and the pod's grace for a hook that runs before.
pub const STOP_SETTINGS: &[&str] = &["state-dir", "control-socket", "termination-grace-period"];

/// Returns a configuration in which only the settings `keys` have a meaning.
fn parse_some(keys: &[&str], sources: &Sources) -> Result<Config, Box<Mistake>> {
    if let Some(mistake) = &sources.file_mistake {
        return Err(Box::new(mistake.clone()));
    }
    let mut config = blank();
    for setting in SETTINGS
        .iter()
        .filter(|setting| keys.contains(&setting.key))
    {
        apply(setting, sources, &mut config)?;
    }
    Ok(config)
}

fn apply(
    setting: &Setting,
    sources: &Sources,
    config: &mut Config,
) -> Result<Origin, Box<Mistake>> {
    let given = sources.find(setting)?.unwrap_or_else(|| Given {
        raw: setting.default_raw(config),
        origin: Origin::Default,
    });
    match (setting.set)(config, &given) {
        Ok(()) => Ok(given.origin),
        Err(problem) => Err(Box::new(Mistake::value(
            setting,
            &given.raw,
            given.origin,
            problem,
        ))),
    }
}

/// Adds a mistake for each key that looks like a setting and is none. Its value is not shown, as a misspelt
/// name may hold a secret.
fn strangers(sources: &Sources, mistakes: &mut Vec<Mistake>) {
    if sources.flags.password {
        let origin = Origin::Flag("sql-password".to_owned());
        mistakes.push(stranger("sql-password", origin, str::to_owned));
    }
    for name in sources.environment.own() {
        let known = name == CONFIG_ENV || SETTINGS.iter().any(|setting| setting.env() == name);
        if known {
            continue;
        }
        let key = name[ENV_PREFIX.len()..].to_lowercase().replace('_', "-");
        let origin = Origin::Env(name.to_owned());
        mistakes.push(stranger(&key, origin, |key| {
            by_key(key).map_or_else(|| CONFIG_ENV.to_owned(), Setting::env)
        }));
    }
    let file = sources.file.iter();
    for (file, entry) in file.flat_map(|file| file.entries.iter().map(move |e| (file, e))) {
        if by_key(&entry.key).is_none() {
            mistakes.push(stranger(&entry.key, file.origin(entry), |key| {
                key.to_owned()
            }));
        }
    }
}

fn stranger(key: &str, origin: Origin, name: impl Fn(&str) -> String) -> Mistake {
    let Problem { what, advice } = if key.contains("password") || key.contains("passwd") {
        Problem::with_advice(
            "a password is no setting: command lines, files and pod specifications are read by many",
            "mount it as a file and give sql-password-file, or set MSSQL_SA_PASSWORD from a Secret",
        )
    } else {
        let near = nearest(key, SETTINGS.iter().map(|setting| setting.key));
        Problem {
            what: "is not a setting".to_owned(),
            advice: near.map(|near| format!("did you mean {}?", name(near))),
        }
    };
    Mistake {
        setting: Raw::Text(key.to_owned())
            .excerpt()
            .trim_matches('"')
            .to_owned(),
        value: None,
        origin,
        what,
        advice: advice.unwrap_or_else(|| "`run --help` lists the settings".to_owned()),
    }
}

/// Returns the part of [`blank`] that the settings of SQL fill.
fn blank_sql(pace: Pace) -> SqlConfig {
    SqlConfig {
        host: None,
        port: None,
        dac_port: None,
        endpoint: Endpoint::default(),
        refusals: Refusals::default(),
        user: String::new(),
        password: PasswordSource::Missing,
        tls: TlsMode::Required,
        tls_ca: None,
        tls_server_name: None,
        bootstrap: BootstrapConfig::default(),
        ping: pace,
        login: pace,
        databases: pace,
        diagnostics: pace,
        max_databases: 0,
    }
}

/// Returns a configuration for the table to put its values into. Nothing of it remains, as each field is set
/// by a row.
fn blank() -> Config {
    let pace = Pace {
        interval: Duration::ZERO,
        deadline: Duration::ZERO,
    };
    Config {
        http: HttpConfig {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            max_connections: 0,
            header_timeout: Duration::ZERO,
            max_header_bytes: 0,
            decision_stale_after: Duration::ZERO,
            drain_timeout: Duration::ZERO,
        },
        sql: blank_sql(pace),
        metrics: MetricsConfig {
            enabled: false,
            profiles: Profiles::NONE,
            pace,
            filter: Filter::default(),
            max_databases: 0,
            off: Vec::new(),
            collectors_dir: None,
        },
        process: ProcessConfig {
            name: String::new(),
            interval: Duration::ZERO,
            proc_root: PathBuf::new(),
        },
        volume: VolumeConfig {
            data_dir: PathBuf::new(),
            engine_data_dir: PathBuf::new(),
            places: PlacesConfig::default(),
            engine_output: None,
            interval: Duration::ZERO,
            expected_id: None,
            expected_id_file: None,
        },
        events: EventsConfig {
            enabled: false,
            pod_name: None,
            account: PathBuf::new(),
            host: None,
            port: 0,
        },
        lease: LeaseConfig {
            renew: Duration::ZERO,
            stale: Duration::ZERO,
            pod_uid: None,
            node: None,
        },
        cgroup_interval: Duration::ZERO,
        policy: Policy::default(),
        stop: StopConfig {
            pod_grace: Duration::ZERO,
            grace: Duration::ZERO,
            drain: Duration::ZERO,
        },
        log: LogConfig {
            format: LogFormat::Text,
            level: tracing::Level::INFO,
        },
        termination_log: None,
        state_dir: PathBuf::new(),
        control_socket: PathBuf::new(),
        launch: blank_launch(),
    }
}

fn blank_launch() -> LaunchConfig {
    LaunchConfig {
        listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        socket: PathBuf::new(),
        gate_patience: Duration::ZERO,
        engine_restart: EngineRestart::default(),
        ready_hold: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
