//! The command line: what was asked for, and with which flags. It decides nothing.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::act::order::{MIN_HOLD, Order, parse_grace, parse_hold};
use crate::command::client::Endpoint;
use crate::config::parse::{CONTROL_SETTINGS, VOLUME_SETTINGS};
use crate::config::raw::Raw;
use crate::config::settings::{SETTINGS, Setting};
use crate::config::sources::{CONFIG_ENV, Flags};
use crate::decide::decision::Probe;

/// What was asked for.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// Supervise.
    Run(Flags),
    /// Be the first process of the SQL container.
    Launch {
        /// Settings.
        flags: Flags,
        /// What to start, with its arguments; not empty.
        command: Vec<OsString>,
    },
    /// Copy this program into a directory.
    Install {
        /// Which.
        to: PathBuf,
    },
    /// Ask a running supervisor for one verdict.
    Probe {
        /// Which one.
        probe: Probe,
        /// Whom.
        target: Target,
        /// With each check that was made.
        verbose: bool,
    },
    /// Wait until the volume may be written.
    Gate {
        /// The settings.
        flags: Flags,
        /// For how long at most.
        limit: Duration,
    },
    /// Ask it for everything it knows.
    Status {
        /// Whom.
        target: Target,
        /// As it was sent.
        json: bool,
        /// Again and again.
        watch: bool,
    },
    /// Tell it to do something.
    Control {
        /// What.
        order: Order,
        /// Whom.
        target: ControlTarget,
    },
    /// Show what happened to the engine on this volume.
    History(HistoryTarget),
    /// Show the effective configuration.
    CheckConfig {
        /// The flags to check.
        flags: Flags,
        /// Print the reference of all settings instead.
        reference: bool,
    },
    /// Show the catalogue of reasons.
    Reasons {
        /// Only this one.
        code: Option<String>,
        /// How.
        format: ReasonsFormat,
    },
    /// Print the T-SQL for a login that may do nothing but look.
    SetupSql {
        /// Its name.
        login: String,
    },
}

/// How the catalogue is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonsFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For the README.
    Markdown,
}

/// A running supervisor.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its address, if it was given.
    pub url: Option<Endpoint>,
    /// Else what says where it listens.
    pub flags: Flags,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

/// The history on a volume.
#[derive(Clone, Debug)]
pub struct HistoryTarget {
    /// What says where the volume is.
    pub flags: Flags,
    /// A JSON object a line.
    pub json: bool,
}

/// The control socket of a running supervisor.
#[derive(Clone, Debug)]
pub struct ControlTarget {
    /// What says where it is.
    pub flags: Flags,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}

/// Parses a command line, its first item being the program's name.
///
/// # Errors
/// When it can't be understood, and when help or the version were asked for.
pub fn parse<I>(arguments: I) -> Result<Invocation, clap::Error>
where
    I: IntoIterator<Item = OsString>,
{
    let matches = command().try_get_matches_from(arguments)?;
    Ok(match matches.subcommand() {
        Some(("launch", matches)) => Invocation::Launch {
            flags: flags(matches),
            command: matches
                .get_many("command")
                .map(|words| words.cloned().collect())
                .unwrap_or_default(),
        },
        Some(("gate", matches)) => Invocation::Gate {
            flags: flags(matches),
            limit: timeout(matches),
        },
        Some(("install", matches)) => Invocation::Install {
            to: matches.get_one("to").cloned().unwrap_or_default(),
        },
        Some(("probe", matches)) => Invocation::Probe {
            probe: probe(matches),
            target: target(matches),
            verbose: matches.get_flag("verbose"),
        },
        Some(("status", matches)) => Invocation::Status {
            target: target(matches),
            json: matches.get_flag("json"),
            watch: matches.get_flag("watch"),
        },
        Some(("pause", matches)) => {
            // It is required: nothing else than a duration comes here.
            let span = matches.get_one("for").copied().unwrap_or(MIN_HOLD);
            control(Order::Pause(span), matches)
        }
        Some(("resume", matches)) => control(Order::Resume, matches),
        Some(("release", matches)) => control(Order::Release, matches),
        Some(("adopt", matches)) => control(Order::Adopt, matches),
        Some(("stop", matches)) => {
            let grace = matches.get_one("grace").copied();
            control(Order::Stop(grace), matches)
        }
        Some(("history", matches)) => Invocation::History(HistoryTarget {
            flags: flags(matches),
            json: matches.get_flag("json"),
        }),
        Some(("check-config", matches)) => Invocation::CheckConfig {
            flags: flags(matches),
            reference: matches.get_flag("reference"),
        },
        Some(("reasons", matches)) => Invocation::Reasons {
            code: matches.get_one("code").cloned(),
            format: match (matches.get_flag("json"), matches.get_flag("markdown")) {
                (true, _) => ReasonsFormat::Json,
                (_, true) => ReasonsFormat::Markdown,
                _ => ReasonsFormat::Table,
            },
        },
        Some(("setup-sql", matches)) => Invocation::SetupSql {
            login: matches.get_one("login").cloned().unwrap_or_default(),
        },
        Some((_, matches)) => Invocation::Run(flags(matches)),
        None => Invocation::Run(flags(&matches)),
    })
}

/// The version with what was built.
#[must_use]
pub fn version() -> String {
    format!(
        "{} (commit {}, {}, {}-{}, {})",
        env!("CARGO_PKG_VERSION"),
        option_env!("BUILD_COMMIT").unwrap_or("unknown"),
        match cfg!(debug_assertions) {
            true => "debug",
            false => "release",
        },
        std::env::consts::ARCH,
        std::env::consts::OS,
        match cfg!(target_feature = "crt-static") {
            true => "static",
            false => "dynamic",
        },
    )
}

fn command() -> Command {
    let hidden = settings_arguments().into_iter().map(|arg| arg.hide(true));
    Command::new("sql-edge-supervisor")
        .about("Watches Azure SQL Edge and SQL Server in their pod and answers the kubelet")
        .after_help(
            "Without a command it runs; `run --help` lists the settings.\nExit codes: 0 done, 1 failed, 64 a mistake in the command line or the configuration.",
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
                .arg(flag("markdown", "Print it for the README").hide(true).conflicts_with("code")),
        )
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
}

/// What runs in, or for, the SQL container.
fn container_commands() -> [Command; 3] {
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
                "It ends with the engine's own status, 128 + n where signal n ended it. Where the command can't be run: 126, or 127 if there is none.",
            )
            .args(settings_arguments())
            .arg(
                Arg::new("command")
                    .value_name("COMMAND")
                    .help("What to start, with its arguments: the image's own command")
                    .required(true)
                    .last(true)
                    .num_args(1..)
                    .value_parser(value_parser!(OsString)),
            ),
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
            .args(client_arguments("65m", CONTROL_SETTINGS)),
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

/// The flags of all settings. Values are taken as they are: what is wrong with them is said by
/// [`crate::config`], all at once and the same for every source.
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
    setting.key == "required-databases"
}

fn target_arguments(timeout: &'static str) -> Vec<Arg> {
    let mut arguments = vec![
        Arg::new("url")
            .long("url")
            .value_name("URL")
            .value_parser(Endpoint::from_url)
            .help("Where the supervisor is, such as http://127.0.0.1:9433; else it follows from `listen`"),
    ];
    arguments.extend(client_arguments(timeout, &["listen"]));
    arguments
}

fn control_arguments() -> Vec<Arg> {
    client_arguments("5s", CONTROL_SETTINGS)
}

/// What every client takes, with the settings that say where its supervisor is.
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

fn target(matches: &ArgMatches) -> Target {
    Target {
        url: matches.get_one("url").cloned(),
        flags: flags(matches),
        timeout: timeout(matches),
    }
}

fn control(order: Order, matches: &ArgMatches) -> Invocation {
    let target = ControlTarget {
        flags: flags(matches),
        timeout: timeout(matches),
    };
    Invocation::Control { order, target }
}

fn timeout(matches: &ArgMatches) -> Duration {
    // It has a default.
    matches
        .get_one("timeout")
        .copied()
        .unwrap_or(Duration::from_secs(1))
}

fn probe(matches: &ArgMatches) -> Probe {
    let name = matches.get_one::<String>("probe");
    // The parser takes no other name. Where it did, the answer that can do no harm is `live`.
    Probe::ALL
        .into_iter()
        .find(|probe| Some(probe.name()) == name.map(String::as_str))
        .unwrap_or(Probe::Live)
}

/// What was given of the settings that this command takes.
fn flags(matches: &ArgMatches) -> Flags {
    let mut flags = Flags {
        config: matches.try_get_one("config").ok().flatten().cloned(),
        password: matches.try_contains_id("sql-password").unwrap_or(false),
        ..Flags::default()
    };
    for setting in SETTINGS {
        if let Ok(Some(values)) = matches.try_get_many::<String>(setting.key) {
            let values: Vec<_> = values.cloned().collect();
            flags
                .values
                .insert(setting.key, Raw::Text(values.join(",")));
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Invocation, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn run_is_the_default() {
        for line in ["s --listen 1.2.3.4:5", "s run --listen 1.2.3.4:5"] {
            let Ok(Invocation::Run(flags)) = parse_line(line) else {
                panic!("{line} must run");
            };
            assert_eq!(flags.values["listen"], Raw::Text("1.2.3.4:5".to_owned()));
            assert_eq!(flags.values.len(), 1);
        }
    }

    #[test]
    fn lists_may_be_given_in_parts_other_settings_once() {
        let Ok(Invocation::Run(flags)) =
            parse_line("s --required-databases a,b --required-databases c")
        else {
            panic!("must run");
        };
        assert_eq!(
            flags.values["required-databases"],
            Raw::Text("a,b,c".to_owned())
        );
        assert!(parse_line("s --sql-port 1 --sql-port 2").is_err());
    }

    #[test]
    fn a_password_is_noticed_and_not_kept() {
        for line in [
            "s --sql-password canary",
            "s --sql-password=canary",
            "s --sql-password",
        ] {
            let Ok(Invocation::Run(flags)) = parse_line(line) else {
                panic!("{line} must be told apart later");
            };
            assert!(flags.password);
            assert!(!format!("{flags:?}").contains("canary"));
        }
    }

    #[test]
    fn orders_know_where_the_socket_is_and_for_how_long() {
        let Ok(Invocation::Control { order, target }) =
            parse_line("s pause --for 1h30m --state-dir /s --timeout 1s")
        else {
            panic!("must be an order");
        };
        assert_eq!(order, Order::Pause(Duration::from_secs(5400)));
        assert_eq!(target.timeout, Duration::from_secs(1));
        assert_eq!(target.flags.values["state-dir"], Raw::Text("/s".to_owned()));
        for line in [
            "s pause",
            "s pause --for",
            "s pause --for soon",
            "s pause --for 30",
            "s pause --for -1s",
            "s pause --for 25h",
            "s resume --for 1h",
            "s release --listen 1.2.3.4:5",
        ] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn flags_and_commands_do_not_mix() {
        assert!(parse_line("s --listen 1.2.3.4:5 check-config").is_err());
        assert!(parse_line("s probe nothing").is_err());
        assert!(matches!(
            parse_line("s probe gate"),
            Ok(Invocation::Probe {
                probe: Probe::Gate,
                ..
            })
        ));
    }
}
