//! The machine on which it was measured: what to read the figures by.

use procfs::{CurrentSI as _, KernelStats};

/// Clock ticks of all processors since the boot.
pub struct Usage {
    idle: u64,
    stolen: u64,
    all: u64,
}

pub fn usage() -> anyhow::Result<Usage> {
    let total = KernelStats::current()?.total;
    let idle = total.idle + total.iowait.unwrap_or_default();
    let stolen = total.steal.unwrap_or_default();
    let busy = total.user + total.nice + total.system;
    let interrupts = total.irq.unwrap_or_default() + total.softirq.unwrap_or_default();
    Ok(Usage {
        idle,
        stolen,
        all: busy + interrupts + idle + stolen,
    })
}

/// Its size, and what it did since `before`: this benchmark, and whatever else ran.
pub fn since(before: Usage) -> anyhow::Result<String> {
    let now = usage()?;
    let all = now.all.saturating_sub(before.all).max(1) as f64;
    let percent = |now: u64, before: u64| now.saturating_sub(before) as f64 * 100.0 / all;
    let processors = std::thread::available_parallelism()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "{processors} processors, {:.0} % idle, {:.0} % stolen by the hypervisor; Linux {}, {}",
        percent(now.idle, before.idle),
        percent(now.stolen, before.stolen),
        kernel.trim(),
        std::env::consts::ARCH,
    ))
}
