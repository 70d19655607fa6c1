//! The command line: the command that was asked for, and its flags. It decides nothing.

mod commands;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;

use crate::act::order::{MIN_HOLD, Order};
use crate::command::client::ServerUrl;
use crate::command::diagnose;
use crate::command::inject::Invoked;
use crate::config::raw::Raw;
use crate::config::settings::SETTINGS;
use crate::config::sources::Flags;
use crate::decide::decision::Probe;
use crate::inject::Request;
use commands::command;

/// The command that was asked for, with its arguments.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// `run`: supervises the engine.
    Run(Flags),
    /// `launch`: is the first process of the SQL container.
    Launch {
        /// The settings that the command line gives.
        flags: Flags,
        /// The command to start, with its arguments; empty where the image starts its own.
        command: Vec<OsString>,
    },
    /// `agent`: works for the SQL container's first process, which starts it.
    Agent(Flags),
    /// `exec`: becomes this command, below the SQL container's first process, which starts it.
    Exec(Vec<OsString>),
    /// `install`: copies this program into a directory.
    Install {
        /// The directory that the program is copied into.
        to: PathBuf,
    },
    /// `probe`: asks a running supervisor for one verdict.
    Probe {
        /// The probe whose verdict is asked for.
        probe: Probe,
        /// The supervisor that the command is for.
        target: Target,
        /// Whether each check that was made is printed.
        verbose: bool,
    },
    /// `gate`: waits until the volume may be written.
    Gate {
        /// The settings of the supervisor that the command line gives.
        flags: Flags,
        /// The longest time to wait.
        limit: Duration,
    },
    /// `status`: asks a running supervisor for everything that it knows.
    Status {
        /// The supervisor that the command is for.
        target: Target,
        /// Whether the document is printed as it was sent.
        json: bool,
        /// Whether the status is printed again and again.
        watch: bool,
    },
    /// `pause`, `resume`, `release`, `adopt` or `stop`: gives a command to a running supervisor.
    Control {
        /// The command that is given.
        order: Order,
        /// The supervisor that the command is for.
        target: ControlTarget,
    },
    /// `stop --after`: runs a command, and then stops the engine.
    StopAfter {
        /// The command that is run first; not empty.
        hook: Vec<OsString>,
        /// The grace of the stop, where it was given.
        grace: Option<Duration>,
        /// The supervisor that the command is for.
        target: ControlTarget,
    },
    /// `history`: shows what happened to the engine on this volume.
    History(HistoryTarget),
    /// `space`: shows what takes the volume's room, or makes some.
    Space(SpaceTarget),
    /// `check-config`: shows the effective configuration.
    CheckConfig {
        /// The settings that the command line gives, to be checked.
        flags: Flags,
        /// Whether the reference of all settings is printed instead.
        reference: bool,
    },
    /// `diagnose`: reads logs of the engine offline.
    Diagnose(diagnose::Arguments),
    /// `reasons`: shows the catalogue of reasons.
    Reasons {
        /// The code of the only reason to show, where one was given.
        code: Option<String>,
        /// The format of the output.
        format: ReasonsFormat,
    },
    /// `inject`: adds the supervisor to a manifest.
    Inject(Invoked),
    /// `setup-sql`: prints the T-SQL for a login that may do nothing but look.
    SetupSql {
        /// The name of the login.
        login: String,
    },
}

/// The format in which the catalogue of reasons is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonsFormat {
    /// A table for people.
    Table,
    /// JSON for programs.
    Json,
    /// Markdown for docs/probes-and-reasons.md.
    Markdown,
}

/// A running supervisor, over HTTP.
#[derive(Clone, Debug)]
pub struct Target {
    /// The address of the supervisor, where it was given.
    pub url: Option<ServerUrl>,
    /// The settings from which the address follows otherwise.
    pub flags: Flags,
    /// The time limit of the whole exchange.
    pub timeout: Duration,
}

/// The arguments of `history`.
#[derive(Clone, Debug)]
pub struct HistoryTarget {
    /// The settings that determine where the volume is.
    pub flags: Flags,
    /// Whether a JSON object is printed for each entry, on a line of its own.
    pub json: bool,
}

/// The control socket of a running supervisor.
#[derive(Clone, Debug)]
pub struct ControlTarget {
    /// The settings that determine where the control socket is.
    pub flags: Flags,
    /// The time limit of the whole exchange.
    pub timeout: Duration,
}

/// Parses a command line, whose first item is the program's name.
///
/// # Errors
/// When the command line can't be understood, and when help or the version was asked for.
pub fn parse<I>(arguments: I) -> Result<Invocation, clap::Error>
where
    I: IntoIterator<Item = OsString>,
{
    let matches = command().try_get_matches_from(arguments)?;
    Ok(match matches.subcommand() {
        Some(("launch", matches)) => Invocation::Launch {
            flags: flags(matches),
            command: words(matches),
        },
        Some(("exec", matches)) => Invocation::Exec(words(matches)),
        Some(("agent", matches)) => Invocation::Agent(flags(matches)),
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
        Some(("stop", matches)) => stop(matches),
        Some(("history", matches)) => Invocation::History(HistoryTarget {
            flags: flags(matches),
            json: matches.get_flag("json"),
        }),
        Some(("space", matches)) => Invocation::Space(space(matches)),
        Some(("check-config", matches)) => Invocation::CheckConfig {
            flags: flags(matches),
            reference: matches.get_flag("reference"),
        },
        Some(("diagnose", matches)) => Invocation::Diagnose(diagnosed(matches)),
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
        Some(("inject", matches)) => Invocation::Inject(invoked(matches)),
        Some((_, matches)) => Invocation::Run(flags(matches)),
        None => Invocation::Run(flags(&matches)),
    })
}

/// The arguments of `space`.
#[derive(Clone, Debug)]
pub struct SpaceTarget {
    /// The settings that the command line gives.
    pub flags: Flags,
    /// The number of newest crash dumps to keep, where the others are to be removed.
    pub prune: Option<usize>,
    /// Whether the other dumps are removed; else they are only named.
    pub yes: bool,
}

/// Returns the version, with the commit, profile and platform of the build.
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

/// Returns the command that is to be started.
fn words(matches: &ArgMatches) -> Vec<OsString> {
    let words = matches.get_many("command");
    words
        .map(|words| words.cloned().collect())
        .unwrap_or_default()
}

fn target(matches: &ArgMatches) -> Target {
    Target {
        url: matches.get_one("url").cloned(),
        flags: flags(matches),
        timeout: timeout(matches),
    }
}

fn invoked(matches: &ArgMatches) -> Invoked {
    let text = |name| matches.get_one::<String>(name).cloned();
    Invoked {
        file: matches.get_one("file").cloned().unwrap_or_default(),
        request: Request {
            image: text("image").unwrap_or_default(),
            container: text("container"),
            launch: !matches.get_flag("attach"),
            classic: matches.get_flag("classic"),
            user: text("sql-user"),
            bootstrap: matches.get_flag("bootstrap"),
            secret: matches.get_one("sql-secret").cloned(),
            password_file: text("sql-password-file"),
            uid: matches.get_one("uid").copied(),
            dev: matches.get_flag("dev"),
            if_needed: matches.get_flag("if-needed"),
            patch: matches.get_flag("patch"),
        },
    }
}

fn stop(matches: &ArgMatches) -> Invocation {
    let grace = matches.get_one("grace").copied();
    match matches.get_many("hook") {
        Some(words) => Invocation::StopAfter {
            hook: words.cloned().collect(),
            grace,
            target: control_target(matches),
        },
        None => control(Order::Stop(grace), matches),
    }
}

fn space(matches: &ArgMatches) -> SpaceTarget {
    let keep = || matches.get_one("keep").copied().unwrap_or_default();
    SpaceTarget {
        flags: flags(matches),
        prune: matches.contains_id("prune").then(keep),
        yes: matches.get_flag("yes"),
    }
}

fn diagnosed(matches: &ArgMatches) -> diagnose::Arguments {
    let output = matches.get_one::<String>("output").map(String::as_str);
    diagnose::Arguments {
        files: matches
            .get_many("file")
            .map(|files| files.cloned().collect())
            .unwrap_or_default(),
        json: matches.get_flag("json") || output == Some("json"),
        kernel: matches.get_one("kernel").copied(),
    }
}

fn control(order: Order, matches: &ArgMatches) -> Invocation {
    let target = control_target(matches);
    Invocation::Control { order, target }
}

fn control_target(matches: &ArgMatches) -> ControlTarget {
    ControlTarget {
        flags: flags(matches),
        timeout: timeout(matches),
    }
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

/// Returns the values that were given for the settings that this command takes.
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
