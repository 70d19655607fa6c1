//! The binary itself.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::Plan;
use crate::report::{Report, mib};
use crate::rig::{Rig, Setup};

const LIMIT: u64 = 6 << 20;

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let bytes = std::fs::metadata(&plan.supervisor)?.len();
    let figure = match plan.quick {
        true => "this benchmark itself, in place of the shipped binary",
        false => "the shipped binary: static, `dist` profile",
    };
    report.judge(figure, "≤ 6 MiB", mib(bytes), bytes <= LIMIT);
    let interpreter = has_interpreter(&plan.supervisor)?;
    report.judge(
        "dynamic linker it asks for",
        "none",
        if interpreter { "one" } else { "none" },
        !interpreter,
    );
    // A static glibc can't load the plug-ins for names that a host may configure; `files` and `dns`
    // are part of it since 2.34. It has to log in by name: `start` returns once it was answered.
    let setup = Setup {
        settings: &[("sql-host", "localhost")],
        ..Setup::default()
    };
    Rig::start(plan, setup).await?;
    let told = tells_an_error(&plan.supervisor)?;
    let figure = "an error with `RUST_BACKTRACE=1`: it has no tables to walk a stack by";
    report.judge(
        figure,
        "is told",
        if told { "is told" } else { "kills" },
        told,
    );
    report.judge(
        "`sql-host localhost`, a name, in it",
        "resolves",
        "resolves",
        true,
    );
    Ok(())
}

/// Whether it says that its port is taken, and ends with 1.
fn tells_an_error(binary: &Path) -> anyhow::Result<bool> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let output = Command::new(binary)
        .args(["run", "--listen", &taken.local_addr()?.to_string()])
        .env_clear()
        .env("MSSQL_SA_PASSWORD", "x")
        .env("RUST_BACKTRACE", "1")
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    Ok(output.status.code() == Some(1) && error.contains("cannot listen on"))
}

/// Whether the ELF file has a program header `PT_INTERP`; elf(5), 64 bits, little endian.
fn has_interpreter(path: &Path) -> anyhow::Result<bool> {
    const PT_INTERP: u64 = 3;
    let file = std::fs::read(path)?;
    ensure!(
        file.starts_with(b"\x7fELF\x02\x01"),
        "no 64-bit little-endian ELF file"
    );
    let number = |at: usize, length: usize| -> anyhow::Result<u64> {
        let bytes = file.get(at..at + length).context("the file ends early")?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    // e_phoff, e_phentsize, e_phnum; p_type comes first in each header.
    let (start, step, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let at = usize::try_from(start + index * step)?;
        if number(at, 4)? == PT_INTERP {
            return Ok(true);
        }
    }
    Ok(false)
}
