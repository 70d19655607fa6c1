//! The states of `master` and the required databases, by `sys.databases`.

use super::super::decision::Phase;
use super::super::findings::{Findings, seconds};
use super::super::observation::{ContactError, Database, DatabaseState};
use super::super::reason::Reason;
use super::super::sql_error::{SqlErrorClass, classify};
use super::{Condition, Timers, View};

pub fn rule(view: &View<'_>, timers: &mut Timers, findings: &mut Findings) {
    if view.engine.phase != Phase::Running {
        return;
    }
    denied(view, findings);
    let Some(list) = view.databases() else {
        timers.lasting(Condition::Recovering, false, view.now);
        if !view.policy.required_databases.is_empty() {
            let evidence = match &view.snapshot.databases {
                None => "the required databases have not been listed yet".to_owned(),
                Some(seen) => format!(
                    "the required databases were last listed {} ago",
                    seconds(view.now.since(seen.at))
                ),
            };
            findings.add(Reason::NotYetObserved, evidence);
        }
        return;
    };
    for database in &list.databases {
        if view.required(&database.name) {
            state(database, findings);
        }
    }
    stalled_recovery(view, &list.databases, timers, findings);
    for required in &view.policy.required_databases {
        let there = |database: &Database| database.name.eq_ignore_ascii_case(required);
        if !list.databases.iter().any(there) {
            let evidence = format!("{required} is not in sys.databases");
            findings.add(Reason::DatabaseOffline, evidence);
        }
    }
}

/// Adds a finding for a recovery in which nothing at all advances: it would stand like that for ever.
fn stalled_recovery(
    view: &View<'_>,
    databases: &[Database],
    timers: &mut Timers,
    findings: &mut Findings,
) {
    let recovering = databases.iter().any(|database| {
        database.state == DatabaseState::Recovering && view.required(&database.name)
    });
    let since = timers.lasting(Condition::Recovering, recovering, view.now);
    if let Some(since) = since
        && findings.due(
            since.max(view.excused),
            view.stretched(view.policy.startup_stalled_after),
        )
        && view.start_advanced == Some(false)
    {
        let evidence = format!(
            "no percent, cpu, io or errorlog progress for {}",
            seconds(view.policy.startup_stalled_after)
        );
        findings.add(Reason::RecoveryStalled, evidence);
    }
}

fn denied(view: &View<'_>, findings: &mut Findings) {
    if let Some(error) = &view.snapshot.databases_error
        && let ContactError::Server(error) = error.value
        && let Some(row) = classify(error.number)
        && row.class == SqlErrorClass::PermissionMissing
    {
        let evidence = format!("sys.databases: error {} ({})", row.number, row.name);
        findings.add(Reason::PermissionMissing, evidence);
    }
}

fn state(database: &Database, findings: &mut Findings) {
    let name = &database.name;
    match database.state {
        DatabaseState::Online | DatabaseState::Other(_) => {}
        DatabaseState::Restoring => findings.add(Reason::DatabaseRestoring, name.as_str()),
        DatabaseState::Recovering => findings.add(Reason::Recovering, recovery(database)),
        DatabaseState::RecoveryPending => {
            findings.add(Reason::DatabaseRecoveryPending, name.as_str());
        }
        DatabaseState::Suspect => findings.add(Reason::DatabaseSuspect, name.as_str()),
        DatabaseState::Emergency => findings.add(Reason::DatabaseEmergency, name.as_str()),
        DatabaseState::Offline => findings.add(Reason::DatabaseOffline, name.as_str()),
    }
}

fn recovery(database: &Database) -> String {
    let mut text = database.name.clone();
    if let Some(percent) = database.recovery_percent {
        text.push_str(&format!(", {percent:.0} %"));
    }
    if let Some(remaining) = database.recovery_remaining {
        text.push_str(&format!(", about {} left", seconds(remaining)));
    }
    text
}
