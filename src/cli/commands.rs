//! The definition of the command line for clap: the commands, their flags and the help for them.

mod diagnose;

mod inject;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};

use super::version;
use crate::act::order::{parse_grace, parse_hold};
use crate::command::client::ServerUrl;
use crate::config::parse::{CONTROL_SETTINGS, STOP_SETTINGS, VOLUME_SETTINGS};
use crate::config::settings::{SETTINGS, Setting};
use crate::config::sources::CONFIG_ENV;
use crate::decide::decision::Probe;

/// Returns the whole command line.
pub fn command() -> Command {
    let hidden = settings_arguments().into_iter().map(|arg| arg.hide(true));
    Command::new("sql-edge-supervisor")
        .about("Watches Azure SQL Edge and SQL Server in their pod and answers the kubelet")
        .after_help(
            "Without a command it runs; `run --help` lists the settings.\nExit codes: 0 done, 1 failed, 64 a mistake in the command line or the configuration, 66 a file that can't be read.",
        )
        .version(version())
        .args_conflicts_with_subcommands(true)
        .args(hidden)
        .subcommand(
            Command::new("run")
                .about("Supervise (the default)")
                .args(settings_arguments()),
        )
        .subcommands(container_commands())
        .subcommand(probe_command())
        .subcommand(
            Command::new("status")
                .about("Show what a running supervisor knows")
                .args(target_arguments("5s"))
                .args(only_settings(VOLUME_SETTINGS))
                .arg(flag("json", "Print the document as it was sent"))
                .arg(flag("watch", "Show it every 2 seconds until Ctrl-C").conflicts_with("json")),
        )
        .subcommands(control_commands())
        .subcommand(
            Command::new("history")
                .about("Show what happened to the engine on this volume, across pods")
                .arg(config_argument())
                .args(only_settings(VOLUME_SETTINGS))
                .arg(flag("json", "Print a JSON object a line")),
        )
        .subcommand(space_command())
        .subcommand(
            Command::new("check-config")
                .about("Print the effective configuration, as a file for --config")
                .args(settings_arguments())
                .arg(flag("reference", "Print the reference of all settings in Markdown").hide(true)),
        )
        .subcommand(
            Command::new("reasons")
                .about("Show why probes fail, and what to do about it")
                .arg(Arg::new("code").value_name("CODE").help("Show this one in full"))
                .arg(flag("json", "Print it for programs"))
                .arg(flag("markdown", "Print it for docs/probes-and-reasons.md").hide(true).conflicts_with("code")),
        )
        .subcommand(diagnose::command())
        .subcommand(
            Command::new("setup-sql")
                .about("Print the T-SQL for a login that may do nothing but look")
                .arg(
                    Arg::new("login")
                        .long("login")
                        .value_name("NAME")
                        .default_value("sql_edge_supervisor")
                        .help("Name of the login"),
                ),
        )
        .subcommand(inject::command())
}

/// Returns the commands that run in, or for, the SQL container.
fn container_commands() -> [Command; 5] {
    [
        Command::new("gate")
            .about("Wait until the volume is verified and its lease is held: the init container, where there are no native sidecars")
            .after_help(
                "Prints why it waits. Ends with 0 once the gate is open, and with 1 where it is shut still at the timeout. The lease stays with this pod, whose supervisor takes it on.",
            )
            .arg(
                Arg::new("timeout")
                    .long("timeout")
                    .value_name("DURATION")
                    .default_value("24h")
                    .value_parser(parse_hold)
                    .help("How long to wait, from 1s to 24h"),
            )
            .args(settings_arguments()),
        Command::new("launch")
            .about("Be the first process of the SQL container: start its command when the gate opens, and look after it")
            .after_help(
                "Without a command it starts what the image would, by what lies in it: SQL Edge's companions, `launch_sqlservr.sh` of SQL Server since 2022 CU18, and the check of permissions. It ends with the engine's own status, 128 + n where signal n ended it. Where the command can't be run: 126, or 127 if there is none.",
            )
            .args(settings_arguments())
            .arg(command_argument()),
        Command::new("agent")
            .about("The part of `launch` that may end; started by it")
            .hide(true)
            .args(settings_arguments()),
        Command::new("exec")
            .about("Become a command, with the signals that it had without `launch`; started by it")
            .hide(true)
            .arg(command_argument()),
        Command::new("install")
            .about("Copy this program into a directory that the SQL container mounts")
            .arg(
                Arg::new("to")
                    .long("to")
                    .value_name("DIR")
                    .required(true)
                    .value_parser(value_parser!(PathBuf))
                    .help("The directory; it has to be there"),
            ),
    ]
}

fn space_command() -> Command {
    Command::new("space")
        .about("Show what takes the room of the volume, and remove old crash dumps")
        .arg(config_argument())
        .args(only_settings(VOLUME_SETTINGS))
        .arg(
            Arg::new("prune")
                .long("prune")
                .value_name("WHAT")
                .value_parser(["dumps"])
                .help("Name the crash dumps that could be removed, but the newest"),
        )
        .arg(
            Arg::new("keep")
                .long("keep")
                .value_name("COUNT")
                .default_value("2")
                .value_parser(value_parser!(usize))
                .requires("prune")
                .help("How many of them stay"),
        )
        .arg(flag("yes", "Remove them").requires("prune"))
}

fn command_argument() -> Arg {
    Arg::new("command")
        .value_name("COMMAND")
        .help("What to start, with its arguments; else the image's own start")
        .last(true)
        .num_args(1..)
        .value_parser(value_parser!(OsString))
}

fn probe_command() -> Command {
    Command::new("probe")
        .about("Ask a running supervisor for a verdict, for exec probes and HEALTHCHECK")
        .after_help(
            "`live` passes when the supervisor can't be reached: a dead supervisor kills no database.",
        )
        .arg(
            Arg::new("probe")
                .required(true)
                .value_name("PROBE")
                .value_parser(PossibleValuesParser::new(Probe::ALL.map(Probe::name)))
                .help("Which verdict"),
        )
        .args(target_arguments("1s"))
        .arg(flag("verbose", "Print each check"))
}

fn control_commands() -> [Command; 5] {
    [
        Command::new("pause")
            .about("Hold liveness for a while, so that nothing restarts the engine")
            .after_help(
                "Readiness stays real. Another `pause` takes the place of the one before. The hold outlives a restart of the supervisor where `state-dir` can be written.",
            )
            .arg(
                Arg::new("for")
                    .long("for")
                    .required(true)
                    .value_name("DURATION")
                    .allow_hyphen_values(true)
                    .value_parser(parse_hold)
                    .help("How long, such as 30m; from 1s to 24h"),
            )
            .args(control_arguments()),
        Command::new("resume")
            .about("End what `pause` began")
            .args(control_arguments()),
        Command::new("release")
            .about("End the hold of a used-up restart budget, and count afresh")
            .args(control_arguments()),
        Command::new("adopt")
            .about("Accept the volume as it is now, after it was refused as foreign, empty or torn")
            .after_help(
                "The identity on the volume is kept aside, and a new one written; the volume's id stays unless another one is expected. Refused while another pod holds the lease.",
            )
            .args(control_arguments()),
        Command::new("stop")
            .about("Stop the engine cleanly, for preStop: drain, CHECKPOINT, SIGTERM, and SIGKILL at the end of the grace")
            .after_help(
                "Waits for the end. May be called twice: the second one waits for the first. An engine that hangs gets no drain, no checkpoint and a short SIGTERM.",
            )
            .arg(
                Arg::new("grace")
                    .long("grace")
                    .value_name("DURATION")
                    .allow_hyphen_values(true)
                    .value_parser(parse_grace)
                    .help("For all of it, such as 25s; from 1s to 1h and within the pod's own; else `stop-grace` of the supervisor"),
            )
            .arg(
                flag("after", "Run COMMAND first, a preStop hook that was there before: it may take all of `termination-grace-period` but 30 s, or half of a short one, and is killed then")
                    .requires("hook"),
            )
            .args(client_arguments("65m", STOP_SETTINGS))
            .arg(
                Arg::new("hook")
                    .value_name("COMMAND")
                    .help("With --after: what to run first, with its arguments")
                    .requires("after")
                    .last(true)
                    .num_args(1..)
                    .value_parser(value_parser!(OsString)),
            ),
    ]
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

fn config_argument() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("File with settings, in YAML [env: {CONFIG_ENV}]"))
}

/// Returns the flags of all settings. Values are taken as they are: [`crate::config`] reports what is wrong
/// with them, all at once and the same for every source.
fn settings_arguments() -> Vec<Arg> {
    let mut arguments = vec![
        config_argument(),
        // Known, so that it can be refused with the reason; hidden, so that nobody looks for it.
        Arg::new("sql-password")
            .long("sql-password")
            .hide(true)
            .action(ArgAction::Append)
            .num_args(0..=1),
    ];
    arguments.extend(SETTINGS.iter().map(setting_argument));
    arguments
}

fn setting_argument(setting: &Setting) -> Arg {
    Arg::new(setting.key)
        .long(setting.key)
        .value_name("VALUE")
        .allow_hyphen_values(true)
        // A list may be given in parts, anything else only once.
        .action(match is_list(setting) {
            true => ArgAction::Append,
            false => ArgAction::Set,
        })
        .help_heading(setting.section.heading())
        .help(format!(
            "{}: {} [default: {}]",
            setting.help,
            (setting.describe)(),
            setting.default_text()
        ))
}

fn is_list(setting: &Setting) -> bool {
    matches!(
        setting.key,
        "required-databases"
            | "metrics-profiles"
            | "metrics-databases-include"
            | "metrics-databases-exclude"
            | "metrics-collectors-off"
    )
}

fn target_arguments(timeout: &'static str) -> Vec<Arg> {
    let mut arguments = vec![
        Arg::new("url")
            .long("url")
            .value_name("URL")
            .value_parser(ServerUrl::from_url)
            .help("Where the supervisor is, such as http://127.0.0.1:9433; else it follows from `listen`"),
    ];
    arguments.extend(client_arguments(timeout, &["listen"]));
    arguments
}

fn control_arguments() -> Vec<Arg> {
    client_arguments("5s", CONTROL_SETTINGS)
}

/// Returns the flags that every client takes, with those of the settings that determine where its supervisor
/// is.
fn client_arguments(timeout: &'static str, settings: &[&str]) -> Vec<Arg> {
    let timeout = Arg::new("timeout")
        .long("timeout")
        .value_name("DURATION")
        .default_value(timeout)
        .value_parser(|text: &str| humantime::parse_duration(text))
        .help("How long the whole exchange may take");
    let mut arguments = vec![timeout, config_argument()];
    arguments.extend(only_settings(settings));
    arguments
}

fn only_settings(keys: &[&str]) -> impl Iterator<Item = Arg> {
    let settings = SETTINGS.iter();
    settings
        .filter(move |setting| keys.contains(&setting.key))
        .map(setting_argument)
}
