//! The command line of `diagnose`.

use std::path::PathBuf;

use clap::{Arg, Command, value_parser};

use super::flag;
use crate::decide::observation::KernelVersion;

pub(super) fn command() -> Command {
    Command::new("diagnose")
        .about("Read an errorlog or a container's output offline, and say what it tells and what helps")
        .after_help(
            "Ends with 0 where nothing was found that needs anybody, with 1 where something was, with 66 where a file can't be read.",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help("The log, in UTF-8 or UTF-16, also as `kubectl logs` or Docker keep it; - is standard input"),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FORMAT")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("text for people; json: one object a line and file, for programs"),
        )
        .arg(flag("json", "The same as --output json"))
        .arg(
            Arg::new("kernel")
                .long("kernel")
                .value_name("RELEASE")
                .value_parser(parse_kernel)
                .help("The kernel of the node that the log comes from (uname -r), where it is known"),
        )
}

fn parse_kernel(text: &str) -> Result<KernelVersion, String> {
    KernelVersion::parse(text).ok_or_else(|| "give a release such as 6.8.0-45-generic".to_owned())
}
