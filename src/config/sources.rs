//! The sources of values: flags, environment, file. Only [`Sources::load`] and [`Environment::capture`] read
//! from outside the program; what they gather is parsed by pure functions.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::file::{self, ConfigFile};
use super::mistake::Mistake;
use super::raw::{Given, Origin, Problem, Raw};
use super::settings::{ENV_PREFIX, SETTINGS, Setting};

/// The environment variable that names the configuration file.
pub const CONFIG_ENV: &str = "SUPERVISOR_CONFIG";

/// The settings that the command line gives.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The values of settings, by their keys.
    pub values: BTreeMap<&'static str, Raw>,
    /// The configuration file that `--config` names.
    pub config: Option<PathBuf>,
    /// Whether `--sql-password` was used, which is refused. Its value was not kept.
    pub password: bool,
}

/// The environment variables that concern settings. Of one that holds a secret it is only kept that it is
/// set.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<String, OsString>,
}

impl Environment {
    /// Takes the variables that concern settings out of the process's environment.
    #[must_use]
    pub fn capture() -> Self {
        Self::from_vars(std::env::vars_os())
    }

    /// Takes the variables that concern settings out of any variables. An empty variable counts as one that
    /// is not set: compose files and charts pass empty ones on for what nobody filled in.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut values = BTreeMap::new();
        for (name, value) in vars {
            let Ok(name) = name.into_string() else {
                continue;
            };
            let fallback = SETTINGS
                .iter()
                .find(|s| s.fallback.contains(&name.as_str()));
            if value.is_empty() || !(name.starts_with(ENV_PREFIX) || fallback.is_some()) {
                continue;
            }
            // A misspelt setting may hold a password as well; the settings themselves name a file.
            let is_unknown = || SETTINGS.iter().all(|setting| setting.env() != name);
            let secret = fallback.is_some_and(|setting| setting.secret.is_some())
                || (name.contains("PASSWORD") && is_unknown());
            let value = if secret { "***".into() } else { value };
            values.insert(name, value);
        }
        Self { values }
    }

    /// Returns the value of a variable as text; an error where it is not UTF-8.
    fn get(&self, name: &str) -> Option<Result<&str, Problem>> {
        let value = self.values.get(name)?;
        Some(value.to_str().ok_or_else(|| Problem::new("is not UTF-8")))
    }

    /// Returns the names of the variables with the supervisor's prefix, without those that Kubernetes made.
    pub fn own(&self) -> impl Iterator<Item = &str> {
        let own = self.values.iter().filter(|(name, value)| {
            name.starts_with(ENV_PREFIX) && !is_service_link(name, &value.to_string_lossy())
        });
        own.map(|(name, _)| name.as_str())
    }
}

/// The values of all sources.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The flags of the command line.
    pub flags: Flags,
    /// The variables of the environment.
    pub environment: Environment,
    /// The configuration file, if there is one and it could be read.
    pub file: Option<ConfigFile>,
    /// The mistake in the file as a whole, where there is one.
    pub file_mistake: Option<Mistake>,
}

impl Sources {
    /// Reads the file that the flag or the environment names.
    #[must_use]
    pub fn load(flags: Flags, environment: Environment) -> Self {
        let named = match (&flags.config, environment.values.get(CONFIG_ENV)) {
            (Some(path), _) => Some((path.clone(), Origin::Flag("config".to_owned()))),
            (None, Some(path)) => Some((PathBuf::from(path), Origin::Env(CONFIG_ENV.to_owned()))),
            (None, None) => None,
        };
        let mut sources = Self {
            flags,
            environment,
            file: None,
            file_mistake: None,
        };
        if let Some((path, origin)) = named {
            match file::read(&path) {
                Ok(file) => sources.file = Some(file),
                Err(error) => {
                    sources.file_mistake = Some(Mistake {
                        setting: "config".to_owned(),
                        value: Some(Raw::Text(path.display().to_string()).excerpt()),
                        origin,
                        what: error.to_string(),
                        advice: error.advice().to_owned(),
                    });
                }
            }
        }
        sources
    }

    /// Returns the value of `setting` from the source that counts most; none where no source gives one.
    ///
    /// # Errors
    /// When the variable that counts is not UTF-8.
    pub fn find(&self, setting: &Setting) -> Result<Option<Given>, Box<Mistake>> {
        if let Some(raw) = self.flags.values.get(setting.key) {
            return Ok(Some(Given {
                raw: raw.clone(),
                origin: Origin::Flag(setting.key.to_owned()),
            }));
        }
        if let Some(given) = self.variable(setting, &setting.env(), false)? {
            return Ok(Some(given));
        }
        if let Some(given) = self.file.as_ref().and_then(|file| file.find(setting.key)) {
            return Ok(Some(given));
        }
        for name in setting.fallback {
            if let Some(given) = self.variable(setting, name, setting.secret.is_some())? {
                return Ok(Some(given));
            }
        }
        Ok(None)
    }

    fn variable(
        &self,
        setting: &Setting,
        name: &str,
        secret: bool,
    ) -> Result<Option<Given>, Box<Mistake>> {
        let origin = Origin::Env(name.to_owned());
        let raw = match self.environment.get(name) {
            None => return Ok(None),
            Some(_) if secret => Raw::SecretIn(name.to_owned()),
            Some(Ok(text)) => Raw::Text(text.to_owned()),
            Some(Err(problem)) => {
                let raw = Raw::Other("bytes");
                return Err(Box::new(Mistake::value(setting, &raw, origin, problem)));
            }
        };
        Ok(Some(Given { raw, origin }))
    }
}

/// Whether Kubernetes makes this variable for a Service whose name begins with `supervisor`:
/// `<SERVICE>_SERVICE_HOST`, `<SERVICE>_SERVICE_PORT[_<NAME>]`, and Docker's
/// `<SERVICE>_PORT[_<NUMBER>_<PROTOCOL>[_PROTO|_PORT|_ADDR]]`.
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
#[must_use]
pub fn is_service_link(name: &str, value: &str) -> bool {
    if name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
    {
        return true;
    }
    // By its name alone, `SUPERVISOR_SQ_PORT` could be a misspelt setting.
    if name.ends_with("_PORT") && value.contains("://") {
        return true;
    }
    let mut parts = name.rsplit('_').peekable();
    parts.next_if(|part| ["PROTO", "PORT", "ADDR"].contains(part));
    parts
        .next()
        .is_some_and(|part| ["TCP", "UDP", "SCTP"].contains(&part))
        && parts.next().is_some_and(|part| part.parse::<u16>().is_ok())
        && parts.next() == Some("PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_links_are_told_from_settings() {
        for (name, value) in [
            ("SUPERVISOR_SERVICE_HOST", "10.0.0.1"),
            ("SUPERVISOR_SERVICE_PORT", "9433"),
            ("SUPERVISOR_SERVICE_PORT_HTTP", "9433"),
            ("SUPERVISOR_PORT", "tcp://10.0.0.1:9433"),
            ("SUPERVISOR_PORT_9433_TCP", "tcp://10.0.0.1:9433"),
            ("SUPERVISOR_PORT_9433_TCP_PROTO", "tcp"),
            ("SUPERVISOR_PORT_9433_TCP_PORT", "9433"),
            ("SUPERVISOR_PORT_9433_UDP_ADDR", "10.0.0.1"),
            ("SUPERVISOR_METRICS_SERVICE_HOST", "10.0.0.1"),
            ("SUPERVISOR_METRICS_PORT", "udp://10.0.0.1:9433"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        for name in [
            "SUPERVISOR_LISTN",
            "SUPERVISOR_SQL_HOST",
            "SUPERVISOR_SQ_PORT",
            "SUPERVISOR_HOST",
            "SUPERVISOR_TCP",
            "SUPERVISOR_",
        ] {
            assert!(!is_service_link(name, "1433"), "{name}");
        }
    }

    #[test]
    fn of_a_secret_variable_only_its_name_is_kept() {
        let environment = Environment::from_vars([
            ("MSSQL_SA_PASSWORD".into(), "canary".into()),
            ("SUPERVISOR_SQL_PASSWORD".into(), "canary".into()),
            ("SUPERVISOR_SQL_PASSWORD_FILE".into(), "/own".into()),
            ("PATH".into(), "/bin".into()),
        ]);
        assert!(!format!("{environment:?}").contains("canary"));
        let file = environment.get("SUPERVISOR_SQL_PASSWORD_FILE");
        assert!(matches!(file, Some(Ok("/own"))), "the setting is no secret");
        assert!(!format!("{environment:?}").contains("/bin"));
    }
}
