//! The supervisor's own process, under the names that every Prometheus client uses.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use procfs::process::{LimitValue, Process};

use super::catalogue as row;
use super::families::{Families, number};

/// The last reading of the supervisor's own process; a scrape reads nothing.
#[derive(Debug, Default)]
pub struct OwnProcess {
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    read_at: Option<Duration>,
    values: Option<Values>,
}

/// A reading of `/proc/self`.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub open_fds: u64,
    pub max_fds: Option<u64>,
    pub threads: u64,
    pub start_time_seconds: f64,
}

impl OwnProcess {
    /// The shortest time between two readings. Scrapes are further apart, and at one reading a second
    /// they would be a good part of what the supervisor costs.
    const PACE: Duration = Duration::from_secs(5);

    /// Reads anew if the last reading is old enough. Where procfs can't be read, the values read
    /// before stay.
    pub fn refresh(&self, now: Duration) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last
            .read_at
            .is_none_or(|at| now.saturating_sub(at) >= Self::PACE);
        if due {
            last.read_at = Some(now);
            last.values = Values::read(last.values).ok().or(last.values);
        }
    }

    #[cfg(test)]
    pub fn set(&self, values: Values) {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values = Some(values);
    }

    pub fn expose(&self, families: &mut Families) {
        let values = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values;
        let Some(values) = values else {
            return;
        };
        families.sample(&row::OWN_CPU, &[], values.cpu_seconds);
        families.sample(&row::OWN_RESIDENT, &[], number(values.resident_bytes));
        families.sample(&row::OWN_VIRTUAL, &[], number(values.virtual_bytes));
        families.sample(&row::OWN_FDS, &[], number(values.open_fds));
        if let Some(max) = values.max_fds {
            families.sample(&row::OWN_MAX_FDS, &[], number(max));
        }
        families.sample(&row::OWN_START_TIME, &[], values.start_time_seconds);
        families.sample(&row::OWN_THREADS, &[], number(values.threads));
    }
}

impl Values {
    /// Reads `/proc/self`, proc_pid_stat(5). The boot time comes from `/proc/stat`, which is dear
    /// on a machine with many cpus, and is read the first time only.
    fn read(before: Option<Self>) -> procfs::ProcResult<Self> {
        let myself = Process::myself()?;
        let stat = myself.stat()?;
        let ticks = number(procfs::ticks_per_second());
        Ok(Self {
            cpu_seconds: number(stat.utime + stat.stime) / ticks,
            resident_bytes: stat.rss * procfs::page_size(),
            virtual_bytes: stat.vsize,
            open_fds: u64::try_from(myself.fd_count()?).unwrap_or(u64::MAX),
            max_fds: match myself.limits()?.max_open_files.soft_limit {
                LimitValue::Value(limit) => Some(limit),
                LimitValue::Unlimited => None,
            },
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
            start_time_seconds: match before {
                Some(before) => before.start_time_seconds,
                None => number(procfs::boot_time_secs()?) + number(stat.starttime) / ticks,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_plausible() {
        let values = Values::read(None).unwrap();
        assert!(values.resident_bytes > 100_000);
        assert!(values.virtual_bytes >= values.resident_bytes);
        assert!(values.open_fds >= 3);
        assert!(values.threads >= 1);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        assert!(values.start_time_seconds > 1e9 && values.start_time_seconds < now + 2.0);
    }

    #[test]
    fn it_reads_at_its_pace_and_not_faster() {
        let own = OwnProcess::default();
        let read_at = |own: &OwnProcess| own.last.lock().unwrap().read_at;
        let first = Duration::from_millis(10);
        own.refresh(first);
        own.refresh(first + OwnProcess::PACE - Duration::from_nanos(1));
        assert_eq!(read_at(&own), Some(first));
        own.refresh(first + OwnProcess::PACE);
        assert_eq!(read_at(&own), Some(first + OwnProcess::PACE));
    }
}
