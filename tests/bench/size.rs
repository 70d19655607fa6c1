//! The binary itself.

use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::Plan;
use crate::report::{Report, mib};
use crate::rig::{Rig, Setup};

const LIMIT: u64 = 6 << 20;

pub async fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let bytes = std::fs::metadata(&plan.supervisor)?.len();
    report.judge("static binary", "≤ 6 MiB", mib(bytes), bytes <= LIMIT);
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
    report.judge(
        "`sql-host localhost`, a name, in it",
        "resolves",
        "resolves",
        true,
    );
    Ok(())
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
