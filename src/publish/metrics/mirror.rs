//! The last decision, and what was last observed of the engine, as samples.

use super::catalogue as row;
use super::families::{Families, flag, number};
use crate::decide::decision::{Phase, Probe, Verdict};
use crate::decide::observation::{
    CgroupReport, DatabaseList, DatabaseState, LoggedError, ProcessReport, RunState, VolumeCheck,
};
use crate::decide::reason::Reason;
use crate::decide::snapshot::{Snapshot, VolumeState};
use crate::decide::sql_error;
use crate::decide::time::Time;
use crate::publish::view::View;
use crate::publish::words;

/// Adds all samples. What is not known gives no sample.
pub fn expose(families: &mut Families, view: &View) {
    decision(families, view);
    ages(families, view);
    engine(families, view);
    process(families, view);
    let snapshot = &view.published.snapshot;
    volumes(families, view);
    if snapshot.lease.is_some() {
        let epoch = snapshot.epoch();
        families.sample(&row::LEASE_HELD, &[], flag(epoch.is_some()));
        families.maybe(&row::LEASE_EPOCH, epoch.map(number));
    }
    let renewed = snapshot
        .lease_renewed
        .map(|renewed| renewed.now(view.now()));
    let renewed = renewed.map(|age| age.as_secs_f64());
    families.maybe(&row::LEASE_RENEWAL_AGE, renewed);
    logs_and_dumps(families, snapshot);
    if let Some(seen) = &snapshot.databases {
        databases(families, &seen.value);
    } else if let Some(logged) = snapshot.logs().find_map(|(_, log)| log.recovery.as_ref()) {
        let ratio = f64::from(logged.percent) / 100.0;
        families.sample(&row::RECOVERY_PROGRESS, &[], ratio);
    }
    if let Some(seen) = &snapshot.cgroup {
        cgroup(families, &seen.value);
    }
}

fn decision(families: &mut Families, view: &View) {
    for probe in Probe::ALL {
        let passes = view.answer(probe).verdict == Verdict::Pass;
        families.sample(&row::PROBE_VERDICT, &[probe.name()], flag(passes));
    }
    let found: Vec<Reason> = view.findings().map(|found| found.reason).collect();
    for reason in Reason::ALL {
        let active = found.contains(reason);
        families.sample(&row::REASON_ACTIVE, &[reason.code()], flag(active));
    }
    let phase = view.decision().map_or(Phase::Unseen, |d| d.phase);
    for candidate in Phase::ALL {
        families.sample(&row::PHASE, &[candidate.name()], flag(candidate == phase));
    }
    families.sample(&row::DECISION_AGE, &[], view.age.as_secs_f64());
    let ago = view.last_restart().map(|(_, ago)| ago.as_secs_f64());
    families.maybe(&row::LAST_RESTART_AGE, ago);
    let in_place = view.published.snapshot.restarts_in_place;
    families.sample(&row::RESTARTS_IN_PLACE, &[], f64::from(in_place));
}

fn ages(families: &mut Families, view: &View) {
    let snapshot = &view.published.snapshot;
    let listed = snapshot.databases.as_ref().map(|seen| seen.at);
    let not_listed = snapshot.databases_error.as_ref().map(|seen| seen.at);
    let seen: [(&str, Option<Time>); 9] = [
        ("lease", snapshot.lease.as_ref().map(|seen| seen.at)),
        ("process", snapshot.process.as_ref().map(|seen| seen.at)),
        ("ping", snapshot.ping.last.as_ref().map(|seen| seen.at)),
        ("dac", snapshot.dac.last.as_ref().map(|seen| seen.at)),
        ("login", snapshot.login.last.as_ref().map(|seen| seen.at)),
        (
            "diagnostics",
            snapshot.diagnostics.last.as_ref().map(|seen| seen.at),
        ),
        ("databases", listed.max(not_listed)),
        ("volume", snapshot.main_volume().and_then(checked_at)),
        ("cgroup", snapshot.cgroup.as_ref().map(|seen| seen.at)),
    ];
    for (observer, at) in seen {
        if let Some(at) = at {
            let age = view.ago(at).as_secs_f64();
            families.sample(&row::OBSERVATION_AGE, &[observer], age);
        }
    }
}

fn engine(families: &mut Families, view: &View) {
    if let Some(seen) = &view.published.snapshot.server {
        let server = &seen.value;
        let edition = server.engine_edition.to_string();
        families.sample(
            &row::ENGINE_INFO,
            &[&server.edition, &edition, &server.version],
            1.0,
        );
    }
    let certificates = view.published.snapshot.certificates;
    for (which, expiry) in [
        ("server", certificates.server_expiry),
        ("ca", certificates.ca_expiry),
    ] {
        if let Some(expiry) = expiry {
            // Exact for any year that a certificate can name.
            #[allow(clippy::cast_precision_loss)]
            families.sample(&row::CERTIFICATE_EXPIRY, &[which], expiry as f64);
        }
    }
}

fn process(families: &mut Families, view: &View) {
    let Some(seen) = &view.published.snapshot.process else {
        return;
    };
    let ProcessReport::Running(running) = &seen.value else {
        families.sample(&row::PROCESS_RUNNING, &[], 0.0);
        return;
    };
    let alive = running.state != RunState::Zombie;
    families.sample(&row::PROCESS_RUNNING, &[], flag(alive));
    families.maybe(&row::PROCESS_CPU, running.cpu.map(|cpu| cpu.as_secs_f64()));
    families.maybe(&row::PROCESS_IO, running.io_bytes.map(number));
    families.maybe(&row::PROCESS_RESIDENT, running.resident_bytes.map(number));
    families.maybe(&row::PROCESS_FDS, running.open_fds.map(number));
    families.maybe(&row::PROCESS_THREADS, running.threads.map(number));
}

/// A value of one volume's last check, as a sample's value; none where it is not known.
type OfVolume = fn(&VolumeCheck) -> Option<f64>;

fn volumes(families: &mut Families, view: &View) {
    const ROWS: [(&row::Row, OfVolume); 5] = [
        (&row::VOLUME_SIZE, |check| {
            Some(number(check.space?.total_bytes))
        }),
        (&row::VOLUME_FREE, |check| {
            Some(number(check.space?.free_bytes))
        }),
        (&row::VOLUME_INODES, |check| {
            Some(number(check.space?.total_inodes))
        }),
        (&row::VOLUME_INODES_FREE, |check| {
            Some(number(check.space?.free_inodes))
        }),
        (&row::VOLUME_READ_ONLY, |check| {
            Some(flag(check.mount.as_ref()?.read_only))
        }),
    ];
    let volumes = &view.published.snapshot.volumes;
    for state in volumes {
        let pending = state
            .pending
            .map(|since| view.ago(since))
            .unwrap_or_default();
        let labels = [state.volume.name.as_str()];
        families.sample(&row::VOLUME_CHECK_PENDING, &labels, pending.as_secs_f64());
    }
    for state in volumes {
        for used in &state.volume.uses {
            let labels = [used.name(), state.volume.name.as_str()];
            families.sample(&row::VOLUME_USE, &labels, 1.0);
        }
    }
    for (row, value) in ROWS {
        for state in volumes {
            if let Some(value) = state.check().and_then(value) {
                families.sample(row, &[&state.volume.name], value);
            }
        }
    }
}

fn logs_and_dumps(families: &mut Families, snapshot: &Snapshot) {
    let errorlog = snapshot.checks().find_map(|check| check.errorlog.as_ref());
    families.maybe(&row::ERRORLOG_SIZE, errorlog.map(|log| number(log.bytes)));
    if let Some(log) = errorlog {
        logged_errors(families, &log.errors);
    }
    let dumps = snapshot.checks().find_map(|check| check.dumps);
    families.maybe(&row::DUMPS, dumps.map(|dumps| f64::from(dumps.count)));
    families.maybe(&row::DUMPS_SIZE, dumps.map(|dumps| number(dumps.bytes)));
}

fn checked_at(state: &VolumeState) -> Option<Time> {
    state.checked.as_ref().map(|seen| seen.at)
}

/// Adds the errors of the log. Only numbers of the table have a series of their own: a log could
/// hold any.
fn logged_errors(families: &mut Families, errors: &[LoggedError]) {
    let mut other = 0_u64;
    for error in errors {
        match sql_error::classify(error.number) {
            Some(known) => {
                let label = known.number.to_string();
                families.sample(&row::ERRORLOG_ERRORS, &[&label], f64::from(error.count));
            }
            None => other += u64::from(error.count),
        }
    }
    families.sample(&row::ERRORLOG_ERRORS, &["other"], number(other));
}

fn databases(families: &mut Families, list: &DatabaseList) {
    const STATES: [DatabaseState; 8] = [
        DatabaseState::Online,
        DatabaseState::Restoring,
        DatabaseState::Recovering,
        DatabaseState::RecoveryPending,
        DatabaseState::Suspect,
        DatabaseState::Emergency,
        DatabaseState::Offline,
        DatabaseState::Other(0),
    ];
    for state in STATES.map(words::database_state) {
        let count = list
            .databases
            .iter()
            .filter(|database| words::database_state(database.state) == state)
            .count();
        families.sample(&row::DATABASES, &[state], number(count as u64));
    }
    families.sample(&row::DATABASES_LEFT_OUT, &[], f64::from(list.left_out));
    let least = list
        .databases
        .iter()
        .filter_map(|database| database.recovery_percent)
        .min_by(f64::total_cmp);
    families.maybe(
        &row::RECOVERY_PROGRESS,
        least.map(|percent| percent / 100.0),
    );
}

fn cgroup(families: &mut Families, report: &CgroupReport) {
    families.maybe(&row::CGROUP_MEMORY, report.memory_bytes.map(number));
    families.maybe(
        &row::CGROUP_MEMORY_LIMIT,
        report.memory_limit_bytes.map(number),
    );
    families.maybe(&row::CGROUP_OOM_KILLS, report.oom_kills.map(number));
    let cpu_used = report.cpu_used.map(|time| time.as_secs_f64());
    families.maybe(&row::CGROUP_CPU, cpu_used);
    families.maybe(&row::CGROUP_IO, report.io_bytes.map(number));
    families.maybe(&row::CGROUP_PERIODS, report.cpu_periods.map(number));
    families.maybe(
        &row::CGROUP_THROTTLED_PERIODS,
        report.cpu_throttled_periods.map(number),
    );
    families.maybe(
        &row::CGROUP_THROTTLED,
        report.cpu_throttled.map(|time| time.as_secs_f64()),
    );
    for (resource, percent) in [
        ("cpu", report.pressure_cpu),
        ("io", report.pressure_io),
        ("memory", report.pressure_memory),
    ] {
        if let Some(percent) = percent {
            families.sample(&row::CGROUP_PRESSURE, &[resource], percent / 100.0);
        }
    }
    families.maybe(&row::CGROUP_FROZEN, report.frozen.map(flag));
}
