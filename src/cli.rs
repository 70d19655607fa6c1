//! The command line: what was asked for, and with which flags. It decides nothing.

mod commands;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;

use crate::act::order::{MIN_HOLD, Order};
use crate::command::client::Endpoint;
use crate::command::diagnose;
use crate::command::inject::Invoked;
use crate::config::raw::Raw;
use crate::config::settings::SETTINGS;
use crate::config::sources::Flags;
use crate::decide::decision::Probe;
use crate::inject::Request;
use commands::command;

/// What was asked for.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// Supervise.
    Run(Flags),
    /// Be the first process of the SQL container.
    Launch {
        /// Settings.
        flags: Flags,
        /// What to start, with its arguments; where it is empty, what the image starts by itself.
        command: Vec<OsString>,
    },
    /// Work for the SQL container's first process, which starts it.
    Agent(Flags),
    /// Become this command, below the SQL container's first process, which starts it.
    Exec(Vec<OsString>),
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
    /// Run a command, and then stop the engine.
    StopAfter {
        /// The command; not empty.
        hook: Vec<OsString>,
        /// The grace of the stop, where it was given.
        grace: Option<Duration>,
        /// Whom.
        target: ControlTarget,
    },
    /// Show what happened to the engine on this volume.
    History(HistoryTarget),
    /// Show what takes the volume's room, or make some.
    Space(SpaceTarget),
    /// Show the effective configuration.
    CheckConfig {
        /// The flags to check.
        flags: Flags,
        /// Print the reference of all settings instead.
        reference: bool,
    },
    /// Read logs of the engine offline.
    Diagnose(diagnose::Arguments),
    /// Show the catalogue of reasons.
    Reasons {
        /// Only this one.
        code: Option<String>,
        /// How.
        format: ReasonsFormat,
    },
    /// Add the supervisor to a manifest.
    Inject(Invoked),
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
    /// For docs/probes-and-reasons.md.
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

/// Whose room, and what is to be done about it.
#[derive(Clone, Debug)]
pub struct SpaceTarget {
    /// Settings.
    pub flags: Flags,
    /// How many crash dumps are to be kept, where the others are to be removed.
    pub prune: Option<usize>,
    /// Remove them; else they are only named.
    pub yes: bool,
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

/// The command that is to be started.
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
