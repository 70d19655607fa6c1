//! The command line of `inject`: its flags, and the values that they take.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, Command, value_parser};

use super::flag;
use crate::inject::facts::Uid;
use crate::inject::names::PASSWORD_KEY;

/// Returns the command with its flags.
pub fn command() -> Command {
    let value = |name: &'static str, placeholder: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(placeholder).help(help)
    };
    Command::new("inject")
        .about("Add the supervisor to what runs SQL in a manifest (Deployment, StatefulSet, DeploymentConfig, Pod, Lists of them), and print it")
        .after_help(
            "Everything else is printed as it is, byte for byte; what is changed of the workload is said on standard error. It refuses, with 64, what it does not understand, and without --if-needed a workload that has the supervisor already.",
        )
        .arg(
            Arg::new("file")
                .short('f')
                .long("file")
                .required(true)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The manifest, in YAML or JSON; - is standard input"),
        )
        .arg(flag("patch", "Print a strategic merge patch, for kubectl patch and kustomize"))
        .arg(flag("attach", "Leave the container's command, and share the pod's processes; without it `launch` is the first process"))
        .arg(flag("classic", "For clusters without native sidecars (before Kubernetes 1.29): an init container `gate` and an ordinary sidecar"))
        .arg(
            value("image", "IMAGE", "The supervisor's image, by the name that the nodes pull it by")
                .value_parser(NonEmptyStringValueParser::new())
                .default_value(concat!("sql-edge-supervisor:", env!("CARGO_PKG_VERSION"))),
        )
        .arg(value("container", "NAME", "The container that runs SQL, where that is not clear"))
        .arg(value("sql-user", "LOGIN", "The supervisor's login; else sa, by the Secret in the container's env"))
        .arg(
            value("sql-secret", "NAME[:KEY]", "The Secret with its password; the key is `password` if none is given")
                .value_parser(parse_secret),
        )
        .arg(
            value("sql-password-file", "FILE", "The file with its password in the SQL container; the supervisor gets the volume that it lies on (CSI, Vault)")
                .value_parser(parse_absolute),
        )
        .arg(flag("bootstrap", "Have the supervisor make its login itself, by the password that the engine is given, where the engine does not know it; the login is --sql-user, else sql_edge_supervisor, and its password comes from --sql-secret or --sql-password-file"))
        .arg(
            value("uid", "UID", "The user of what is added, which has to be the engine's: a number, or `none` where the cluster assigns it (OpenShift)")
                .value_parser(parse_uid),
        )
        .arg(flag("dev", "For development: take a volume that goes with the pod (emptyDir)"))
        .arg(flag("if-needed", "End with 0, and print it as it is, where nothing is to be done: the supervisor is there, or nothing runs SQL"))
}

/// Parses a path from the root.
fn parse_absolute(text: &str) -> Result<String, String> {
    match text.starts_with('/') && text.len() > 1 {
        true => Ok(text.to_owned()),
        false => Err("give the whole path, such as /mnt/secrets/sa-password".to_owned()),
    }
}

/// Parses `none` or a number.
fn parse_uid(text: &str) -> Result<Uid, String> {
    match text {
        "none" => Ok(Uid::Assigned),
        text => text
            .parse()
            .map(Uid::Number)
            .map_err(|_| "give a number, or none".to_owned()),
    }
}

/// Parses `name` or `name:key`.
fn parse_secret(text: &str) -> Result<(String, String), String> {
    let (name, key) = text.split_once(':').unwrap_or((text, PASSWORD_KEY));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_name = |text: &str| !text.is_empty() && text.chars().all(allowed);
    match is_name(name) && is_name(key) {
        true => Ok((name.to_owned(), key.to_owned())),
        false => Err(
            "give the name of a Secret, and a colon and its key, such as supervisor:password"
                .to_owned(),
        ),
    }
}
