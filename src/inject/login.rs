//! The supervisor's login: the one that the command line names, else `sa` with the password that the engine
//! is given, in the same way in which the engine is given it.

use super::Request;
use super::environment::{Copied, Known, PASSWORDS};
use super::names::{ADMINISTRATOR_DIR, LOGIN_DIR, PASSWORD_KEY};
use super::node::Node;
use super::refusal::Why;
use super::value::{Value, boolean};
use super::volumes::{copy, covering, is_within, path_of};
use super::workload::{Objection, Workload};

/// The source of a login's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// A Secret's key, mounted as a file: a rotated password is seen at the next login.
    Key {
        /// The name of the Secret.
        secret: String,
        /// The key in the Secret.
        key: String,
        /// Whether the pod starts without the Secret.
        optional: bool,
    },
    /// The engine's own variable: its value stands in the manifest, or comes from elsewhere.
    Variable {
        /// The name of the variable in the SQL container.
        name: &'static str,
        /// Whether the value stands in the manifest.
        plain: bool,
    },
    /// A variable that `envFrom` brings.
    EnvFrom,
    /// A file in the SQL container.
    File {
        /// The path of the file.
        path: String,
        /// The mount for the supervisor's container; none where an injector mounts the file.
        mount: Option<Value>,
    },
}

/// The supervisor's login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name of the login.
    pub user: String,
    /// The source of the login's password.
    pub password: Password,
    /// The source of the administrator's password, where the supervisor makes the login itself.
    pub administrator: Option<Password>,
}

/// The administrator's login, by which the supervisor makes its own.
pub const ADMINISTRATOR: &str = "sa";
/// The name of the supervisor's own login, where none is given and the supervisor makes it.
const OWN: &str = "sql_edge_supervisor";

impl Login {
    /// Returns the file that the supervisor reads its password from; none where the password is in the
    /// environment.
    #[must_use]
    pub fn file(&self) -> Option<String> {
        match &self.password {
            Password::Key { .. } => Some(format!("{LOGIN_DIR}/{PASSWORD_KEY}")),
            Password::File { path, .. } => Some(path.clone()),
            Password::Variable { .. } | Password::EnvFrom => None,
        }
    }

    /// Returns the file that the supervisor reads the administrator's password from.
    #[must_use]
    pub fn administrator_file(&self) -> Option<String> {
        matches!(self.administrator, Some(Password::Key { .. }))
            .then(|| format!("{ADMINISTRATOR_DIR}/{PASSWORD_KEY}"))
    }
}

/// Finds the supervisor's login and the source of its password.
///
/// # Errors
/// When no password is known, or none that can be given to the supervisor.
pub fn login(
    workload: &Workload<'_>,
    request: &Request,
    known: &Known<'_>,
    copied: &mut Copied<'_>,
) -> Result<Login, Objection> {
    let default = match request.bootstrap {
        true => OWN,
        false => ADMINISTRATOR,
    };
    let user = request.user.clone();
    let user = user.unwrap_or_else(|| default.to_owned());
    let administrator = match request.bootstrap {
        true => Some(own(workload, known, copied)?),
        false => None,
    };
    if let Some((secret, key)) = &request.secret {
        let password = Password::Key {
            secret: secret.clone(),
            key: key.clone(),
            optional: false,
        };
        return Ok(Login {
            user,
            password,
            administrator,
        });
    }
    let password = match &request.password_file {
        Some(path) => file(workload, path, copied)?,
        None => own(workload, known, copied)?,
    };
    Ok(Login {
        user,
        password,
        administrator,
    })
}

/// Returns a file that the SQL container has as the source of the password.
fn file(
    workload: &Workload<'_>,
    path: &str,
    copied: &mut Copied<'_>,
) -> Result<Password, Objection> {
    let mount = covering(workload, path).map(|mount| {
        let mut mount = copy(mount, copied);
        mount.set("readOnly", boolean(true));
        mount
    });
    if mount.is_none() && !vault_mounts(workload, path) {
        let mounts: Vec<_> = workload.mounts().iter().map(path_of).collect();
        return Err(Objection::new(
            Why::PasswordFile(path.to_owned(), mounts.join(", ")),
            workload.sql(),
        ));
    }
    Ok(Password::File {
        path: path.to_owned(),
        mount,
    })
}

/// Whether Vault's injector mounts the volume of `path` in every container, the supervisor's included.
fn vault_mounts(workload: &Workload<'_>, path: &str) -> bool {
    let annotation = |name: &str| {
        let key = format!("vault.hashicorp.com/{name}");
        workload.annotation(&key)
    };
    let dir = annotation("secret-volume-path").unwrap_or("/vault/secrets");
    annotation("agent-inject").is_some_and(|value| value == "true")
        && annotation("agent-inject-containers").is_none()
        && is_within(path, dir)
}

/// Returns the source of the password that the engine is given.
fn own(
    workload: &Workload<'_>,
    known: &Known<'_>,
    copied: &mut Copied<'_>,
) -> Result<Password, Objection> {
    let is_given = |variable: &Node| {
        let value = variable.text_of("value");
        variable.get("valueFrom").is_some() || value.is_some_and(|value| !value.is_empty())
    };
    let found = PASSWORDS
        .into_iter()
        .find_map(|name| Some((name, workload.variable(name)?)));
    let found = found.filter(|(_, variable)| is_given(variable));
    let Some((name, variable)) = found else {
        let by_env_from = known.may_bring_more || PASSWORDS.iter().any(|name| known.has(name));
        let in_list = PASSWORDS
            .iter()
            .any(|name| workload.variable(name).is_some());
        return match by_env_from && !in_list {
            true => Ok(Password::EnvFrom),
            false => Err(Objection::new(Why::NoPassword, workload.sql())),
        };
    };
    let reference = variable.at(&["valueFrom", "secretKeyRef"]);
    let part = |key| reference.and_then(|reference| reference.text_of(key));
    if let (Some(secret), Some(key)) = (part("name"), part("key")) {
        let optional = reference.and_then(|reference| reference.get("optional"));
        return Ok(Password::Key {
            secret: secret.to_owned(),
            key: key.to_owned(),
            optional: optional.is_some_and(Node::is_true),
        });
    }
    // Under the name that the supervisor reads first.
    copied.take(name, PASSWORDS[0]);
    Ok(Password::Variable {
        name,
        plain: variable.get("value").is_some(),
    })
}
