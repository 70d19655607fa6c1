//! Parses the files of a control group: pure functions from text to values.
//!
//! Sources: the kernel's Documentation/admin-guide/cgroup-v1/{memory,freezer-subsystem}.rst,
//! cgroup-v2.rst and accounting/psi.rst.

use std::time::Duration;

/// The value from which a limit counts as none: version 1 writes "no limit" as the largest multiple of the
/// page size below 2^63, which depends on the page size; no machine has this much memory.
const NO_LIMIT_BYTES: u64 = 1 << 62;

/// Returns the limit of `memory.max` or `memory.limit_in_bytes`; absent where there is no limit.
pub(super) fn limit(text: &str) -> Option<u64> {
    number(text).filter(|bytes| *bytes < NO_LIMIT_BYTES)
}

/// Returns the number of a file that holds one.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Returns the value of `key` in a file of `key value` lines.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find_map(|(name, value)| (name == key).then(|| number(value))?)
}

/// Returns the processor time used: `usage_usec` of `cpu.stat` in version 2, `cpuacct.usage` (nanoseconds) in
/// version 1.
pub(super) fn cpu_used(text: &str) -> Option<Duration> {
    keyed(text, "usage_usec")
        .map(Duration::from_micros)
        .or_else(|| number(text).map(Duration::from_nanos))
}

/// Returns the bytes read and written on all devices: `8:0 rbytes=1 wbytes=2 rios=...` of version 2
/// `io.stat`, `8:0 Read 1` and `8:0 Write 2` of version 1 `blkio.throttle.io_service_bytes`. A last line
/// without its newline was cut off.
pub(super) fn io_bytes(text: &str) -> Option<u64> {
    let (lines, _) = text.rsplit_once('\n')?;
    let mut sum = 0_u64;
    for line in lines.lines() {
        let mut fields = line.split(' ').skip(1).peekable();
        let v1 = fields.next_if(|kind| matches!(*kind, "Read" | "Write"));
        let values = fields.filter_map(|field| match v1 {
            Some(_) => number(field),
            None => {
                let value = field.strip_prefix("rbytes=");
                number(value.or_else(|| field.strip_prefix("wbytes="))?)
            }
        });
        sum = values.fold(sum, u64::saturating_add);
    }
    Some(sum)
}

/// Returns the throttled time of `cpu.stat`: `throttled_usec` of version 2, `throttled_time` (nanoseconds) of
/// version 1.
pub(super) fn throttled(text: &str) -> Option<Duration> {
    keyed(text, "throttled_usec")
        .map(Duration::from_micros)
        .or_else(|| keyed(text, "throttled_time").map(Duration::from_nanos))
}

/// Whether the group is frozen, by `freezer.state` of version 1. `FREEZING` counts as frozen: all but what
/// waits in the kernel is.
pub(super) fn freezer_state(text: &str) -> Option<bool> {
    match text.trim() {
        "THAWED" => Some(false),
        "FREEZING" | "FROZEN" => Some(true),
        _ => None,
    }
}

/// Whether the group is frozen, by `cgroup.events` of version 2.
pub(super) fn frozen_event(text: &str) -> Option<bool> {
    keyed(text, "frozen").map(|value| value != 0)
}

/// Returns `some avg10` of a pressure file, in percent. Not by `procfs`: that insists on a `full` line, which
/// `cpu.pressure` lacks before Linux 5.13.
pub(super) fn some_avg10(text: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix("some "))?
        .split(' ')
        .find_map(|field| field.strip_prefix("avg10="))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_absent_in_both_versions() {
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(limit("9223372036854710272\n"), None, "64 KiB pages");
        assert_eq!(limit("2147483648\n"), Some(2_147_483_648));
        assert_eq!(limit(""), None);
    }

    #[test]
    fn a_key_is_matched_as_a_whole() {
        let events = "low 0\noom 7\noom_kill 3\noom_group_kill 1\n";
        assert_eq!(keyed(events, "oom_kill"), Some(3));
        assert_eq!(keyed(events, "oom"), Some(7));
        assert_eq!(keyed(events, "kill"), None);
        assert_eq!(keyed("oom_kill many\n", "oom_kill"), None);
    }

    #[test]
    fn throttled_time_has_its_unit() {
        let v1 = "nr_periods 4\nnr_throttled 2\nthrottled_time 1500000\n";
        let v2 = "usage_usec 9\nnr_periods 4\nnr_throttled 2\nthrottled_usec 1500\n";
        assert_eq!(throttled(v1), Some(Duration::from_micros(1500)));
        assert_eq!(throttled(v2), Some(Duration::from_micros(1500)));
        assert_eq!(throttled("usage_usec 9\n"), None, "the root group of v2");
    }

    #[test]
    fn cpu_has_its_unit() {
        let used = Some(Duration::from_micros(1500));
        assert_eq!(cpu_used("usage_usec 1500\nuser_usec 9\n"), used);
        assert_eq!(cpu_used("1500000\n"), used, "cpuacct.usage");
        assert_eq!(cpu_used("nr_periods 4\n"), None);
    }

    #[test]
    fn io_is_summed_over_devices() {
        let v2 = "8:0 rbytes=100 wbytes=20 rios=9 wios=9 dbytes=7 dios=1\n8:16 rbytes=3 wbytes=0\n";
        assert_eq!(io_bytes(v2), Some(123));
        let v1 =
            "8:0 Read 100\n8:0 Write 20\n8:0 Sync 120\n8:0 Async 0\n8:0 Total 120\nTotal 120\n";
        assert_eq!(io_bytes(v1), Some(120));
        assert_eq!(io_bytes("Total 0\n"), Some(0));
        assert_eq!(
            io_bytes("8:0 rbytes=100 wbytes=20\n8:16 rbytes=4"),
            Some(120)
        );
        assert_eq!(
            io_bytes(""),
            None,
            "nothing was ever read or written, or all was cut"
        );
    }

    #[test]
    fn freezing_counts_as_frozen() {
        assert_eq!(freezer_state("THAWED\n"), Some(false));
        assert_eq!(freezer_state("FREEZING\n"), Some(true));
        assert_eq!(freezer_state("FROZEN\n"), Some(true));
        assert_eq!(freezer_state("?"), None);
        assert_eq!(frozen_event("populated 1\nfrozen 1\n"), Some(true));
        assert_eq!(frozen_event("populated 1\nfrozen 0\n"), Some(false));
        assert_eq!(frozen_event("populated 1\n"), None, "the root group");
    }

    #[test]
    fn pressure_needs_no_full_line() {
        let some = "some avg10=12.34 avg60=1.00 avg300=0.10 total=42\n";
        assert_eq!(some_avg10(some), Some(12.34));
        let both = format!("{some}full avg10=99.00 avg60=0.00 avg300=0.00 total=0\n");
        assert_eq!(some_avg10(&both), Some(12.34));
        assert_eq!(some_avg10(""), None);
    }
}
